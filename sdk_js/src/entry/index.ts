/** The npm package for browsers. */

import { follow } from "../signal/follow.js";
import type { Client, Settings } from "../types.js";
import { initCore as openCore, initWith } from "./init.js";

const clients = new Map<string, Client>();

/** One client a key: frameworks run a component's effects twice, and a second one would capture everything once more. */
const once =
  (open: (settings: Settings) => Client) =>
  (settings: Settings): Client => {
    const client = clients.get(settings.key) || open(settings);
    clients.set(settings.key, client);
    return client;
  };

/** Starts a client on this page, with consent signals and capture as the settings ask; for the same key again it is the same client. */
export const init = once((settings) => initWith(settings, follow));

/** The same without capture and signals. */
export const initCore = once(openCore);

export { redactText, redactUrl } from "../redact.js";
export { VERSION } from "../version.js";
export type * from "../types.js";
