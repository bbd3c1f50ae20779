/** Serves `window.analytics`, as pages written for analytics.js call it, and replays what they have queued. */

import type { Client } from "./types";

type Method = (...args: unknown[]) => unknown;

export const serveAnalytics = (client: Client): void => {
  const root = window as unknown as { analytics?: unknown };
  const served: Record<string, Method> = { ready: (job) => (job as Method)(), on: () => served, load: () => served, debug: () => served };
  for (const [name, method] of Object.entries(client)) {
    if (typeof method != "function") continue;
    served[name] = (...args) => {
      (method as Method)(...args.filter((arg) => typeof arg != "function"));
      for (const done of args) if (typeof done == "function") setTimeout(done as Method, 0);
      return served;
    };
  }
  const queued = Array.isArray(root.analytics) ? [...(root.analytics as [string, ...unknown[]][])] : [];
  root.analytics = served;
  for (const [name, ...args] of queued) served[name]?.(...args);
};
