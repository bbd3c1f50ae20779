/** Uncaught errors and rejections, redacted, without stacks; ten a page at most. */

import { redactText, redactUrl } from "../redact.js";
import { on, onNewPage, type Report } from "./capture.js";

export const captureErrors = (report: Report): void => {
  let left = 10;
  const tell = (message: unknown, source?: string, line?: number): void => {
    if (left-- > 0) report("error_occurred", { message: redactText(String(message)).slice(0, 300), source: source && redactUrl(source), line });
  };
  onNewPage(() => (left = 10));
  on<ErrorEvent>("error", (event) => event.message && tell(event.message, event.filename, event.lineno));
  on<PromiseRejectionEvent>("unhandledrejection", ({ reason }) => tell(reason?.message || reason));
};
