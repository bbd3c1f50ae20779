/** IAB Transparency and Consent Framework 2.x: `__tcfapi`. */

import type { Client, Purposes } from "../types.js";
import { whenDefined } from "./appear.js";

interface TcData {
  gdprApplies?: boolean;
  eventStatus?: string;
  tcString?: string;
  purpose?: { consents?: Record<number, boolean> };
  vendor?: { consents?: Record<number, boolean> };
  publisher?: { consents?: Record<number, boolean> };
}

type TcfApi = (command: string, version: number, callback: (data: TcData, success: boolean) => void) => void;

/** The TCF purposes that each of ours needs, all of them. */
const NEEDS: Record<string, number[]> = {
  analytics: [1, 8, 9],
  product: [1, 10],
  personalization: [1, 5, 6],
  attribution: [1, 7],
  marketing: [1, 2, 3, 4, 7],
};

const read = (data: TcData, scope: string | number): Purposes => {
  const vendor = /\d/.test(scope as string);
  const consents = (vendor ? data.purpose : data.publisher)?.consents || {};
  const heard = !vendor || data.vendor?.consents?.[scope as number];
  return Object.fromEntries(Object.entries(NEEDS).map(([purpose, needs]) => [purpose, !!heard && needs.every((need) => consents[need])]));
};

export const followTcf = (client: Client, scope: string | number): void =>
  whenDefined<TcfApi>("__tcfapi", (api) =>
    api("addEventListener", 2, (data, success) => {
      if (!success || data.gdprApplies === false) return;
      const chosen = data.eventStatus == "tcloaded" || data.eventStatus == "useractioncomplete";
      if (chosen) client.consent.signal("tcf", read(data, scope), data.tcString);
    }),
  );
