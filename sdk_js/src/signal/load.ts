/** How sdk.js gets at signals.js: only on pages that have something for it to read. Until it is there, every call waits. */

import { guard } from "../guard";
import { VERSION } from "../version";
import type { Client, Settings } from "../types";

type Start = (client: Client, settings: Settings) => void;

export const loadSignals = (client: Client, settings: Settings): void => {
  const root = window as unknown as Record<string, unknown>;
  const hold = (state?: null): void => client.consent.signal("wait", { "*": state });
  let started: unknown;
  const start = guard((): void => {
    if (started || !(settings.banner || settings.analytics || root.__tcfapi || root.__gpp || root.dataLayer)) return;
    started = 1;
    const onload = (): void => {
      (root.consentrySignals as Start | undefined)?.(client, settings);
      hold();
    };
    // a policy of Trusted Types refuses the address: then there is nothing to wait for
    document.head.append(Object.assign(document.createElement("script"), { src: (settings.host as string).replace(/\/*$/, "/sdk/" + VERSION + "/signals.js"), onload, onerror: () => hold() }));
    hold(null);
  });
  start();
  addEventListener("load", start);
};
