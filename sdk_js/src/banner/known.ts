/** The banners we know, by their public callbacks. */

import type { Answer, Banner } from "./follow.js";

type Any = Record<string, never> & ((...args: unknown[]) => never);

/** Not `window`: a server that renders pages imports this as well. */
const root = globalThis as unknown as Record<string, Any>;

/** Our purposes from a banner's analytics and marketing switches. */
const from = (analytics: unknown, marketing: unknown, product?: unknown): Answer => ({
  analytics: !!analytics,
  marketing: !!marketing,
  attribution: !!marketing,
  ...(product === undefined ? {} : { personalization: !!product }),
});

const cookiebot: Banner = {
  global: "Cookiebot",
  read() {
    const { consent, hasResponse } = root.Cookiebot as unknown as { consent?: Record<string, boolean>; hasResponse?: boolean };
    return hasResponse && consent ? from(consent.statistics, consent.marketing, consent.preferences) : null;
  },
  watch(changed) {
    for (const name of ["Accept", "Decline"]) addEventListener("CookiebotOn" + name, changed);
  },
};

const oneTrust: Banner = {
  global: "OneTrust",
  read() {
    const { IsAlertBoxClosed } = root.OneTrust as unknown as { IsAlertBoxClosed?: () => boolean };
    const groups = String((root as Record<string, unknown>).OnetrustActiveGroups || "");
    return IsAlertBoxClosed?.() ? from(/,C0002,/.test(groups), /,C0004,/.test(groups), /,C0003,/.test(groups)) : null;
  },
  watch(changed) {
    addEventListener("OneTrustGroupsUpdated", changed);
  },
};

interface KlaroManager {
  confirmed: boolean;
  consents: Record<string, boolean>;
  config: { services: { name: string; purposes: string[] }[] };
  watch(watcher: { update(): void }): void;
}

/** Klaro asks for each service. One named `consentry` is ours; without it all services of a purpose must be on. */
const klaro: Banner = {
  global: "klaro",
  read() {
    const { confirmed, consents, config } = (root.klaro as unknown as { getManager(): KlaroManager }).getManager();
    const has = (purpose: string): boolean => {
      const asked = config.services.filter(({ purposes }) => purposes.includes(purpose));
      return !!asked[0] && asked.every(({ name }) => consents[name]);
    };
    return confirmed ? from(consents.consentry ?? has("analytics"), has("marketing") || has("advertising")) : null;
  },
  watch(changed) {
    (root.klaro as unknown as { getManager(): KlaroManager }).getManager().watch({ update: changed });
  },
};

/** Osano hands its answer to listeners only; `undefined` until the visitor has saved one. */
let osanoSaid: Record<string, string> | undefined;

const osano: Banner = {
  global: "Osano",
  read() {
    const said = osanoSaid;
    return said ? from(said.ANALYTICS == "ACCEPT", said.MARKETING == "ACCEPT" && said.OPT_OUT != "ACCEPT", said.PERSONALIZATION == "ACCEPT") : null;
  },
  watch(changed) {
    const { cm } = root.Osano as unknown as { cm?: { addEventListener(name: string, job: (said?: Record<string, string>) => void): void } };
    for (const name of ["initialized", "consent-saved"])
      cm?.addEventListener("osano-cm-" + name, (said) => {
        osanoSaid = said;
        changed();
      });
  },
};

interface DidomiApi {
  getCurrentUserStatus?(): { purposes: Record<string, { enabled: boolean }> };
  shouldUserStatusBeCollected?(): boolean;
  on(name: string, job: () => void): void;
}

const didomi: Banner = {
  global: "Didomi",
  read() {
    const api = root.Didomi as unknown as DidomiApi;
    const purposes = !api.shouldUserStatusBeCollected?.() && api.getCurrentUserStatus?.().purposes;
    const on = (...names: string[]): boolean => names.every((name) => purposes && purposes[name]?.enabled);
    return purposes ? from(on("cookies", "measure_content_performance"), on("cookies", "select_personalized_ads")) : null;
  },
  watch(changed) {
    (root.Didomi as unknown as DidomiApi).on("consent.changed", changed);
  },
};

export const BANNERS: Record<string, Banner> = { cookiebot, onetrust: oneTrust, klaro, osano, didomi };
