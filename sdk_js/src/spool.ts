/**
 * Events that could not be sent, on the device, while a grant holds: chunks of a batch, shared by all tabs. A chunk is removed
 * when the gateway has answered for it; one tab at a time sends them.
 */

import { bytesOf, cut, type Item } from "./batch.js";
import type { Device } from "./device.js";
import { guard } from "./guard.js";
import type { Platform } from "./platform/platform.js";

/** The device's storage is the site's; this much of it is ours. */
const SPOOL_BYTES = 1e6;

/** Two chunks are a batch at most, since the second is taken while the first is half of one. */
const CHUNK_EVENTS = 50;
const CHUNK_BYTES = 3e4;

export interface Spool {
  /** Takes what may be kept off `queue`; answers the number of events dropped to make room. */
  _put(queue: Item[], lost: number): number;
  /** True while there is something. */
  _some(): unknown;
  /** Adds a batch at most, or `all`, to `batch`; answers how to remove it from the device. */
  _take(batch: Item[], all?: unknown): () => void;
  /** Runs `job` while no other tab does. */
  _alone(job: () => Promise<void>): Promise<void>;
}

export type OpenSpool = (platform: Platform, device: Device) => Spool;

export const openSpool: OpenSpool = (platform, device) => {
  /** `.q<time>|<events>|<bytes>|<random>`, oldest first. */
  const chunks = (): string[] => guard(() => platform.keys?.().filter((key) => key.startsWith(device._key + ".q")).map((key) => key.replace(device._key, "")).sort())() || [];
  const remove = (chunk: string): unknown => device._write(chunk, null);

  const evict = (): number => {
    let bytes = 0;
    let dropped = 0;
    for (const chunk of chunks().reverse()) {
      const [, events, size] = chunk.split("|") as [string, string, string];
      if ((bytes += +size) > SPOOL_BYTES) remove(chunk), (dropped += +events);
    }
    return dropped;
  };

  return {
    _put(queue, lost) {
      const anonymous = queue.filter((item) => !item[2]);
      const keep = queue.splice(0).filter((item) => item[2]);
      while (keep[0]) {
        const batch = cut(keep, CHUNK_EVENTS, CHUNK_BYTES);
        if (!device._write([".q" + platform.now().toString(36), batch.length, bytesOf(batch), platform.id()].join("|"), JSON.stringify(batch))) {
          keep.unshift(...batch);
          break;
        }
      }
      queue.push(...anonymous, ...keep);
      return lost + evict();
    },
    _some: () => chunks()[0],
    _take(batch, all) {
      const opened: string[] = [];
      for (const chunk of chunks()) {
        if (!all && (batch.length > 50 || bytesOf(batch) > 28e3)) break;
        opened.push(chunk);
        try {
          batch.push(...JSON.parse(device._read(chunk) as string));
        } catch {
          // not ours, or another tab was faster
        }
      }
      return () => opened.forEach(remove);
    },
    async _alone(job) {
      // another tab's removals take a moment to be seen here
      const settled = (): Promise<void> => new Promise((done) => platform.later(() => done(job()), 50 + platform.random() * 200));
      await (platform.lock?.(device._key, settled) || job());
    },
  };
};
