/** Reads the arguments of `track`, `page` and the rest, as analytics.js spells them. */

import { redactDeep } from "./redact.js";
import type { Options, Properties } from "./types.js";

export interface Call {
  /** The event as it goes on the wire, growing as it is finished. */
  _event: Record<string, unknown>;
  _options: Options;
  /** When it was made, in milliseconds since the epoch. */
  _time: number;
}

type Fields = (texts: string[], object: Properties | undefined) => Record<string, unknown>;

const named: Fields = (texts, properties) => ({ name: texts.pop(), category: texts.pop(), properties });

export const CALLS: Record<string, Fields> = {
  track: ([event], properties) => ({ event, properties }),
  page: named,
  screen: named,
  identify: ([userId], traits) => ({ userId, traits }),
  group: ([groupId], traits) => ({ groupId, traits }),
  alias: ([userId, previousId]) => ({ userId, previousId }),
};

/** Properties are copied here: what the page changes afterwards changes nothing. Throws on what is not JSON, or too much of it. */
export const readCall = (type: string, args: unknown[], now: number, redact?: boolean): Call => {
  const fields = CALLS[type] as Fields;
  const texts = args.filter((arg) => typeof arg == "string" || typeof arg == "number").map(String);
  // behind the last of its texts a call's nothing stands for its properties: `track("seen", null, { purpose })`
  const [object, options] = args.filter((arg, at) => (arg ? typeof arg == "object" : at && texts[+(fields == named)])) as [Properties?, Options?];
  return {
    _event: { type, ...fields(texts, redactDeep(object, redact) as Properties | undefined) },
    _options: options || {},
    _time: +new Date(options?.timestamp || now) || now,
  };
};
