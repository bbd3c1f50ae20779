/** Browser clients: the core alone, and with capture, campaign and the spool. */

import { campaignContext } from "../capture/campaign.js";
import { startCapture } from "../capture/start.js";
import { createClient } from "../client.js";
import { browserPlatform, browserSpool } from "../platform/browser.js";
import { openSpool } from "../spool.js";
import type { Client, Settings } from "../types.js";

type Follow = (client: Client, settings: Settings) => void;

export const initCore = (settings: Settings): Client => createClient(settings, browserPlatform(settings.host || location.origin));

/** `follow` starts reading the page's consent signals before the first page view is captured. */
export const initWith = (settings: Settings, follow: Follow): Client => {
  const platform = { ...browserPlatform(settings.host || location.origin), ...browserSpool };
  const client = createClient(settings, platform, { _spool: openSpool, _campaign: campaignContext });
  follow(client, settings);
  startCapture(client, settings);
  return client;
};
