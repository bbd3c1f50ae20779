/** May we? The visitor's own choice and every signal, combined: the most restrictive wins. */

import type { Device } from "./device.js";
import type { Purposes, Settings } from "./types.js";

/** Purposes that an opt-out of sale, sharing and targeted advertising covers. */
export const ADVERTISING: Purposes = { marketing: false, attribution: false, location: false, sensitive: false };

export const NOTHING: Purposes = { "*": false };

type State = boolean | null | undefined;

export interface Choice {
  /** What banners and browsers say, by name. `*` stands for every purpose a signal does not name. */
  _signals: Record<string, Purposes>;
  /** The signals' own strings, by name. */
  _raw: Record<string, string>;
  /** In force for one purpose. */
  _of(purpose: string): State;
  _all(): Purposes;
  /** What goes on the wire: stated choices only, never a default. */
  _stated(): Purposes;
}

export const openChoice = (device: Device, settings: Settings, purposes: string[]): Choice => {
  const sources = (): Purposes[] => [device._kept.c.p || {}, ...Object.values(choice._signals)];
  const stated = (purpose: string): State => {
    const said = sources().map((source) => (source[purpose in source ? purpose : "*"]));
    return device._kept.c.o ? false : [false, null, true].find((each) => said.includes(each));
  };
  const every = (state: (purpose: string) => State): Purposes =>
    Object.fromEntries(purposes.concat(...sources().map(Object.keys)).filter((name) => name != "*").map((name) => [name, state(name) ?? undefined]));
  const choice: Choice = {
    _signals: {},
    _raw: {},
    _of(purpose) {
      const state = stated(purpose);
      return state === undefined && !choice._signals.gpc ? settings.defaults?.[purpose] : state;
    },
    _all: () => every(choice._of),
    _stated: () => every(stated),
  };
  return choice;
};
