/** Gets events to the gateway: batches, retries, and hands what cannot be sent to the spool. */

import { cut, type Item } from "./batch.js";
import type { Device } from "./device.js";
import { guard } from "./guard.js";
import type { Answer, Platform } from "./platform/platform.js";
import { EVENT_BYTES } from "./redact.js";
import type { OpenSpool } from "./spool.js";
import type { Settings } from "./types.js";

/** The gateway remembers event ids for a week: what is older could be stored twice. */
const KEEP_MS = 6048e5;
const QUEUE_EVENTS = 1e3;
/** Longer than that nobody's `Retry-After` is waited for. */
const HOLD_MS = 36e5;

/** True in the build of `core.js`, where nothing but the ids is kept on the device. */
declare const CORE: boolean;

/** What the gateway says of an event. */
interface Result {
  id: string;
  outcome: string;
}

export interface Outbox {
  _add(item: Item): void;
  /** Count a loss; the next batch reports it. */
  _lose(events: number): void;
  /** Events were added: see that they go. */
  _ready(): void;
  /** Keep only what is still allowed, in memory and on the device. */
  _purge(): void;
  /** The page may be going: hand everything to the browser, or to the device. */
  _leave(): void;
  /** Send now, first what this or another page left on the device. */
  _resume(): Promise<void>;
}

export const isTemporary = (status: number): boolean => !status || status == 429 || status > 499;

export const openOutbox = (platform: Platform, device: Device, settings: Settings, may: (purpose: string) => unknown, openSpool?: OpenSpool): Outbox => {
  const spool = CORE ? undefined : openSpool?.(platform, device);
  const queue: Item[] = [];
  let lost = 0;
  let failures = 0;
  let room = 100;
  /** The gateway wants to be left alone. */
  let held = 0;
  let planned = 0;
  let sending: Promise<void> | 0 = 0;
  let deviceToo: unknown = 0;

  const allowed = guard((item: Item): unknown => (!item[2] || may(item[2]) !== false) && item[4] > platform.now() - KEEP_MS);

  /** The oldest go first, and are counted. */
  const requeue = (items: Item[]): void => {
    queue.unshift(...items.filter(allowed));
    for (; queue[QUEUE_EVENTS]; lost++) queue.shift();
  };

  const body = (batch: Item[]): string =>
    `{"batch":[${batch.map((item) => item[0])}],${JSON.stringify({ writeKey: settings.key, sentAt: new Date(platform.now()), dropped: lost || undefined, partial: true }).slice(1)}`;

  const spill = (): void => {
    if (spool) lost = spool._put(queue, lost);
  };

  const pause = (after?: string | null): void => {
    const backoff = Math.min(3e4, 250 * 2 ** ++failures) * (1 + platform.random());
    held = Math.min(HOLD_MS, (after as unknown as number) * 1e3) || 0;
    // by no clock: one that steps back would hold for as long
    if (held) platform.later(() => ((held = 0), outbox._resume()), Math.max(held, backoff));
    else plan(backoff);
  };

  /** Sends a batch; answers what of it has to be sent again. */
  const post = async (batch: Item[]): Promise<Item[]> => {
    const reported = lost;
    const { status, after, text } = await platform.send("/v1/batch", body(batch)).catch(() => ({}) as Answer);
    let back = batch;
    if (status == 413 && batch[1]) {
      room = batch.length >> 1;
      return batch;
    }
    // a page in the gateway's place, such as a proxy's, has taken nothing
    const again: unknown[] | undefined = status < 300 ? guard(() => JSON.parse(text).results.map((result: Result) => result.outcome == "retry" && result.id))() : isTemporary(status) ? undefined : [];
    if (again) {
      failures = 0;
      lost += status < 300 ? -reported : batch.length;
      back = batch.filter((item) => again.includes(item[3]));
    }
    if (back[0]) pause(after);
    return back;
  };

  const drain = async (): Promise<void> => {
    while (!held) {
      const kept: Item[] = [];
      const remove = deviceToo ? spool?._take(kept) : undefined;
      const batch = kept.filter(allowed);
      if (!kept[0] && !batch.push(...cut(queue, room))) break;
      if (batch[0]) requeue(await post(batch));
      if (failures) spill();
      remove?.();
      if (failures) break;
    }
  };

  const start = (device?: unknown): Promise<void> => {
    deviceToo ||= device;
    return (sending ||= drain().finally(() => (sending = deviceToo = 0)));
  };

  const plan = (ms: number): void => {
    const at = platform.now() + ms;
    if (planned > platform.now() && planned <= at) return;
    planned = at;
    platform.later(() => {
      if (planned == at) (planned = 0), outbox._resume();
    }, ms);
  };

  const outbox: Outbox = {
    _add(item) {
      if (item[1] > EVENT_BYTES) lost++;
      else queue.push(item);
    },
    _lose(events) {
      lost += events;
    },
    _ready() {
      requeue([]);
      if (failures) spill();
      else if (queue[0]) plan(queue.length < (settings.batchEvents || 20) ? +(settings.batchDelay ?? 1e3) : 0);
    },
    _purge() {
      spool?._take(queue, 1)();
      requeue(queue.splice(0));
      outbox._ready();
    },
    _leave() {
      while (queue[0] && !failures) {
        const batch = cut(queue, room);
        if (!platform.beacon?.("/v1/batch", body(batch))) {
          queue.unshift(...batch);
          break;
        }
        lost = 0;
      }
      spill();
    },
    _resume: () => (spool?._some() ? spool._alone(() => start(1)) : start()),
  };
  return outbox;
};
