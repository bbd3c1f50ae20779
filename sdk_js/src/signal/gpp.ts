/** IAB Global Privacy Platform: `__gpp`. A source of objections only: opt-outs of sale, sharing and targeted advertising. */

import { ADVERTISING } from "../choice.js";
import type { Client } from "../types.js";
import { whenDefined } from "./appear.js";

interface GppEvent {
  pingData?: { gppString?: string; signalStatus?: string; parsedSections?: unknown };
}

type GppApi = (command: string, callback: (event: GppEvent | null, success: boolean) => void) => void;

const OPT_OUT = /"(?:SaleOptOut|SharingOptOut|TargetedAdvertisingOptOut)":1\b|"Gpc":(?:true|1)/;

export const followGpp = (client: Client): void =>
  whenDefined<GppApi>("__gpp", (api) =>
    api("addEventListener", (event, success) => {
      const pingData = event?.pingData;
      if (!success || !pingData || pingData.signalStatus == "not ready") return;
      client.consent.signal("gpp", OPT_OUT.test(JSON.stringify(pingData.parsedSections) || "") ? ADVERTISING : {}, pingData.gppString);
    }),
  );
