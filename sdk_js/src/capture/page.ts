/** Page views: the first, those of in-page navigation, and pages that come back from the back-forward cache. */

import { setReferrer } from "../platform/browser.js";
import type { Client } from "../types.js";
import { newPage, on } from "./capture.js";

/** What makes a page: the path, and the fragment if it is a route. A query that changes in place is the same page. */
const place = (): string => location.href.replace(/\?[^#]*|#(?!!?\/).*/g, "");

export const capturePages = (_report: unknown, client: Client): void => {
  let seen = "";
  const view = (force?: unknown): void => {
    const here = place();
    if (here == seen && !force) return;
    if (seen) {
      if (here != seen) setReferrer(seen);
      newPage();
    }
    seen = here;
    client.page();
  };
  const soon = (): unknown => setTimeout(view);
  for (const name of ["pushState", "replaceState"] as const) {
    const native = history[name];
    history[name] = function (...args) {
      native.apply(this, args);
      soon();
    };
  }
  on("popstate", soon);
  // routers that use nothing else; the name may be a page's own
  window.navigation?.addEventListener?.("currententrychange", soon);
  on<PageTransitionEvent>("pageshow", (event) => event.persisted && view(event));
  view();
};
