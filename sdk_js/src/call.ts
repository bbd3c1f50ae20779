/** Reads the arguments of `track`, `page` and the rest, as analytics.js spells them. */

import type { Options, Properties } from "./types";

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

export const readCall = (type: string, args: unknown[], now: number): Call => {
  const texts = args.filter((arg) => typeof arg == "string" || typeof arg == "number").map(String);
  const [object, options = {}] = args.filter((arg) => arg && typeof arg == "object") as [Properties?, Options?];
  return {
    _event: { type, ...(CALLS[type] as Fields)(texts, object && { ...object }) },
    _options: options,
    _time: +(options.timestamp || now),
  };
};
