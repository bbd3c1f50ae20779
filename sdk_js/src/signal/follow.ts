/** Everything that says yes or no besides the page's own calls, and the analytics.js calls of older pages. */

import { serveAnalytics } from "../analytics";
import { followBanner } from "../banner/follow";
import { guard } from "../guard";
import type { Client, Settings } from "../types";
import { followGoogle } from "./google";
import { followGpp } from "./gpp";
import { followTcf } from "./tcf";

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
