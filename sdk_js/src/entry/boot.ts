/** Starts the SDK from its own script element: settings in `data-` attributes, so that a page needs no inline code. */

import { guard } from "../guard.js";
import type { Client, Settings } from "../types.js";

export type Init = (settings: Settings) => Client;

/** A call made before the SDK was there: `["consent.grant", "analytics"]`. */
type Queued = [path: string, ...args: unknown[]];

interface Methods {
  [name: string]: unknown;
  q?: Queued[];
}

/** Empty and `true` switch on, `off` and `false` off; the rest is text. */
const readValue = (text: string): unknown => /^(true)?$/.test(text) || (!/^(off|false)$/.test(text) && text);

export const boot = (init: Init): void => {
  const root = window as unknown as { consentry?: Queued[] | Methods };
  // an element with this id is no queue
  const before = root.consentry?.push ? root.consentry : [];
  const queue = ((before as Methods).q || before) as Queued[];
  // another snippet was here before
  if (!queue.find) return;
  const script = document.currentScript as HTMLScriptElement;
  const host = script.dataset.host || new URL(script.src).origin;

  const start = (settings: object): void => {
    const client = init({ host, ...settings } as Settings) as unknown as Methods;
    client.push = guard(([path, ...args]: Queued) => path.split(".").reduce((holder, name) => holder[name], client as any)(...args));
    client.init = () => client;
    root.consentry = client;
    // whoever has kept the queue goes on with it
    queue.forEach((queue.push = client.push as (call: Queued) => number));
  };

  const asked = queue.find((call) => call?.[0] == "init");
  if (asked) start(asked[1] as Settings);
  else if (script.dataset.key) start({ ...Object.fromEntries(Object.entries(script.dataset).map(([name, text]) => [name, readValue(text as string)])), host });
  else (root.consentry = before as Methods).init = guard(start);
};
