/** Where the visitor is and came from, redacted. */

import type { Page } from "./platform/platform";
import { redactText, redactUrl } from "./redact";
import type { Properties } from "./types";

export const pageContext = ({ url: full, title = "", referrer = "" }: Page): Properties => {
  const url = redactUrl(full);
  return { url, path: new URL(url).pathname, title: redactText(title), referrer: redactUrl(referrer) };
};
