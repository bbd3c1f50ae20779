/** The browser: localStorage, fetch with keepalive, sendBeacon, page life cycle, Web Locks. */

import type { Platform } from "./platform.js";

/** 128 random bits; `crypto.randomUUID` is missing on pages without TLS. */
const id = (): string => crypto.getRandomValues(new Uint16Array(8)).reduce((text, part) => text + part.toString(36), "");

export const browserPlatform = (host: string): Platform => ({
  storage: {
    get: (key) => localStorage.getItem(key),
    set: (key, value) => (value ? localStorage.setItem(key, value) : localStorage.removeItem(key)),
  },
  async send(path, body) {
    const answer = await fetch(host.replace(/\/*$/, path), { method: "POST", body, keepalive: true, credentials: "omit" });
    return { status: answer.status, after: answer.headers.get("Retry-After"), text: await answer.text() };
  },
  beacon: (path, body) => navigator.onLine && navigator.sendBeacon?.(host.replace(/\/*$/, path), body),
  page: () => ({ url: location.href, title: document.title, referrer: referrer || document.referrer }),
  gpc: (navigator as Navigator & { globalPrivacyControl?: boolean }).globalPrivacyControl,
  dnt: navigator.doNotTrack == "1",
  listen({ hide, show, stored }) {
    const jobs = {
      visibilitychange: () => (document.hidden ? hide() : show()),
      pagehide: hide,
      pageshow: (event: PageTransitionEvent) => event.persisted && show(),
      online: show,
      storage: stored,
    };
    // a page may have added to every object
    for (const [type, job] of Object.entries(jobs)) addEventListener(type, job as EventListener);
  },
  id,
  bytes: (text) => new TextEncoder().encode(text).length,
  now: Date.now,
  random: Math.random,
  later: (job, ms) => setTimeout(job, ms),
});

/** What keeping events on the device takes. */
export const browserSpool: Partial<Platform> = {
  keys: () => Object.keys(localStorage),
  lock: (name, job) => navigator.locks?.request(name, job).catch(job) as Promise<void> | undefined,
};

let referrer = "";
/** In-page navigation: the page before is the referrer. */
export const setReferrer = (url: string): void => {
  referrer = url;
};
