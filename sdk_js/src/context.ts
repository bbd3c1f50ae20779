/** Where the visitor is and came from, redacted. */

import type { Page } from "./platform/platform.js";
import { redactText, redactUrl } from "./redact.js";
import type { Properties } from "./types.js";

export const pageContext = ({ url: full, title = "", referrer = "" }: Page): Properties => {
  const url = redactUrl(full);
  return { url, path: new URL(url).pathname, title: redactText(title), referrer: redactUrl(referrer) };
};
