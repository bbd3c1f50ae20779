/** How sdk.js gets at signals.js: only on pages that have something for it to read. Until it is there, every call waits. */

import { guard } from "../guard.js";
import { VERSION } from "../version.js";
import type { Client, Purposes, Settings } from "../types.js";

type Start = (client: Client, settings: Settings) => void;

export const loadSignals = (client: Client, settings: Settings): void => {
  const root = window as unknown as Record<string, unknown>;
  const wait = (said: Purposes | null): void => client.consent.signal("wait", said);
  let script: HTMLScriptElement | undefined;
  const loaded = (): void => {
    (root.consentrySignals as Start | undefined)?.(client, settings);
    wait({});
  };
  const start = guard((): void => {
    if (script || !(settings.banner || settings.analytics || root.__tcfapi || root.__gpp || root.dataLayer)) return;
    script = document.createElement("script");
    // a policy of Trusted Types refuses the address: then there is nothing to wait for
    document.head.append(Object.assign(script, { src: (settings.host as string).replace(/\/*$/, "/sdk/" + VERSION + "/signals.js"), onload: loaded, onerror: loaded }));
    wait(null);
  });
  start();
  addEventListener("load", start);
};
