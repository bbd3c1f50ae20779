/** What is kept on the device: one entry, written only while a grant holds (or to remember an objection), removed at withdrawal. */

import { guard } from "./guard.js";
import type { Platform } from "./platform/platform.js";
import type { Purposes } from "./types.js";

/** The visitor's own choice: purposes, its notice, when it was made (milliseconds), and whether it was an opt-out. */
export interface Own {
  p?: Purposes;
  n?: string;
  t?: number;
  o?: 1 | false;
}

export interface Kept {
  /** Anonymous id. */
  a?: string;
  /** User id. */
  u?: string;
  /** Session: its start, and the last activity in it (milliseconds). */
  s?: number;
  l?: number;
  c: Own;
}

export interface Device {
  _kept: Kept;
  _key: string;
  _load(): void;
  /** Whether somebody else has changed the entry since it was read or written here. */
  _moved(): boolean;
  _save(): void;
  /** Removes the entry; the choice stays in memory. */
  _clear(): void;
  _read(suffix: string): string | null | undefined;
  /** `null` removes. False or undefined when the device did not take it. */
  _write(suffix: string, text: string | null): unknown;
}

export const openDevice = (platform: Platform, name: string, days: number): Device => {
  let seen: string | null | undefined;
  const device: Device = {
    _kept: { c: {} },
    _key: name,
    _load() {
      device._kept = { c: {}, ...guard(JSON.parse)((seen = device._read("")) as string) };
      // an objection, which has no id, does not run out
      if (device._kept.a && (device._kept.c.t as number) < platform.now() - days * 864e5) (device._kept.c = {}), device._clear();
    },
    _moved: () => device._read("") != seen,
    _save() {
      device._write("", JSON.stringify(device._kept));
    },
    _clear() {
      device._kept = { c: device._kept.c };
      device._write("", null);
    },
    _read: guard((suffix) => platform.storage.get(name + suffix)),
    _write: guard((suffix, text) => {
      platform.storage.set(name + suffix, text);
      if (!suffix) seen = text;
      return true;
    }),
  };
  device._load();
  return device;
};
