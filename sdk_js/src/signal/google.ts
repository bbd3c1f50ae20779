/** Google consent mode, from `dataLayer`. An `update` is the visitor's choice; a `default` is the site's and says nothing. */

import type { Client, Purposes } from "../types.js";

type Command = ArrayLike<unknown>;

const state = (said: Record<string, unknown>, names: string[]): boolean | undefined => {
  const states = names.map((name) => said[name]);
  return states.includes("denied") ? false : states.every((each) => each == "granted") || undefined;
};

export const followGoogle = (client: Client): void => {
  const root = window as unknown as { dataLayer?: Command[] };
  const layer = (root.dataLayer = root.dataLayer || []);
  const said: Record<string, unknown> = {};
  const read = (command: Command): void => {
    if (!command || command[0] != "consent" || command[1] != "update") return;
    Object.assign(said, command[2]);
    const marketing = state(said, ["ad_storage", "ad_user_data", "ad_personalization"]);
    client.consent.signal("google", { analytics: state(said, ["analytics_storage"]), marketing, attribution: state(said, ["ad_storage"]) } as Purposes);
  };
  const push = layer.push;
  layer.push = (...commands) => {
    const length = push.apply(layer, commands);
    try {
      commands.forEach(read);
    } catch {
      // the page's own push must not fail for us
    }
    return length;
  };
  Array.from(layer).forEach(read);
};
