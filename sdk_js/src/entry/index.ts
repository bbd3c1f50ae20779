/** The npm package for browsers. */

import { follow } from "../signal/follow";
import type { Client, Settings } from "../types";
import { initWith } from "./init";

/** Starts a client on this page, with consent signals and capture as the settings ask. */
export const init = (settings: Settings): Client => initWith(settings, follow);

export { initCore } from "./init";
export { redactText, redactUrl } from "../redact";
export { VERSION } from "../version";
export type * from "../types";
