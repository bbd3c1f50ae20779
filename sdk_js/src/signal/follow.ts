/** Everything that says yes or no besides the page's own calls, and the analytics.js calls of older pages. */

import { serveAnalytics } from "../analytics.js";
import { followBanner } from "../banner/follow.js";
import { guard } from "../guard.js";
import type { Client, Settings } from "../types.js";
import { followGoogle } from "./google.js";
import { followGpp } from "./gpp.js";
import { followTcf } from "./tcf.js";

export const follow = (client: Client, settings: Settings): void => {
  const attempts = [
    () => settings.tcf !== false && followTcf(client, settings.tcf || "publisher"),
    () => settings.gpp !== false && followGpp(client),
    () => settings.google !== false && followGoogle(client),
    () => settings.banner && followBanner(client, settings.banner),
    () => settings.analytics && serveAnalytics(client),
  ];
  // a banner that fails keeps nobody from hearing the others
  for (const attempt of attempts) guard(attempt)();
};
