/** Everything that says yes or no besides the page's own calls, and the analytics.js calls of older pages. */

import { serveAnalytics } from "../analytics";
import { followBanner } from "../banner/follow";
import type { Client, Settings } from "../types";
import { followGoogle } from "./google";
import { followGpp } from "./gpp";
import { followTcf } from "./tcf";

export const follow = (client: Client, settings: Settings): void => {
  if (settings.tcf !== false) followTcf(client, settings.tcf || "publisher");
  if (settings.gpp !== false) followGpp(client);
  if (settings.google !== false) followGoogle(client);
  if (settings.banner) followBanner(client, settings.banner);
  if (settings.analytics) serveAnalytics(client);
};
