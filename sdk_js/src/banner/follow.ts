/** Consent banners: turns what each says into grants and refusals of our purposes. */

import { guard } from "../guard.js";
import type { Client } from "../types.js";
import { BANNERS } from "./known.js";

/** Purpose to choice; null while the visitor has not answered. */
export type Answer = Record<string, boolean> | null;

export interface Banner {
  /** The global that gives the banner away. */
  global: string;
  /** What the visitor has chosen so far. */
  read(): Answer;
  /** Calls back when that changes. */
  watch(changed: () => void): void;
}

/** Twenty looks, half a second apart: banners load late. */
const LOOKS = 20;

const tell = (client: Client, answer: Answer): void => {
  if (!answer) return;
  const now = client.consent.get();
  const named = (said: boolean): string[] => Object.keys(answer).filter((name) => answer[name] == said && now[name] !== said);
  const refused = named(false);
  if (named(true)[0]) client.consent.grant(named(true));
  const taken = refused.filter((name) => now[name]);
  const denied = refused.filter((name) => !now[name]);
  if (taken[0]) client.consent.withdraw(taken);
  if (denied[0]) client.consent.deny(denied);
};

export const followBanner = (client: Client, asked: true | string, looks = LOOKS): void => {
  const root = window as unknown as Record<string, unknown>;
  const names = asked === true ? Object.keys(BANNERS) : [asked];
  const banner = names.map((name) => BANNERS[name]).find((known) => known && root[known.global]);
  if (banner) {
    const changed = guard(() => tell(client, banner.read()));
    banner.watch(changed);
    changed();
  } else if (looks) setTimeout(guard(() => followBanner(client, asked, looks - 1)), 500);
};
