/** Serves `window.analytics`, as pages written for analytics.js call it, and replays what they have queued. */

import { guard } from "./guard.js";
import type { Client, Properties } from "./types.js";

type Method = (...args: unknown[]) => unknown;
type Queued = [name: string, ...args: unknown[]];

/** `trackLink(elements, event, properties)`: one element or many; event and properties may be functions of the element. */
const tracking =
  (client: Client, type: string) =>
  (elements: unknown, ...args: unknown[]): void => {
    for (const element of elements instanceof Element ? [elements] : Array.from(elements as ArrayLike<Element>))
      element.addEventListener(type, () => {
        const [event, properties] = args.map((arg) => (typeof arg == "function" ? arg(element) : arg));
        client.track(event as string, properties as Properties);
      });
  };

/** The snippet puts the page that it saw behind a call's own arguments. The page is read here, and redacted. */
const isPage = (arg: unknown): boolean => (arg as { __t?: string } | null)?.__t == "bpc";

export const serveAnalytics = (client: Client): void => {
  const root = window as unknown as { analytics?: unknown };
  const given = Object(root.analytics) as Record<string, unknown>;
  const served: Record<string, unknown> = { initialized: true };
  const serve = (name: string, method: Method): void => {
    served[name] = (...args: unknown[]) => {
      guard(method)(...args);
      return served;
    };
  };
  // what else the page's own queue takes must not fail from now on
  for (const name in given) if (typeof given[name] == "function") serve(name, () => 0);
  for (const name of ["load", "debug", "on", "once", "off"]) serve(name, () => 0);
  for (const [name, method] of Object.entries(client))
    if (typeof method == "function")
      serve(name, (...args) => {
        (method as Method)(...args.filter((arg) => typeof arg != "function" && !isPage(arg)));
        for (const done of args) if (typeof done == "function") setTimeout(done as Method, 0);
      });
  serve("ready", (job) => setTimeout(job as Method, 0));
  for (const name of ["Link", "Click"]) serve("track" + name, tracking(client, "click") as Method);
  for (const name of ["Form", "Submit"]) serve("track" + name, tracking(client, "submit") as Method);
  serve("push", (call) => {
    const [name, ...args] = call as Queued;
    (served[name] as Method | undefined)?.(...args);
  });
  root.analytics = served;
  if (Array.isArray(given)) given.forEach(served.push as Method);
};
