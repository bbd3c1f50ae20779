/** Node: the same core. Nothing is kept on disk unless a storage is given. */

import { createClient } from "../client.js";
import { fetchSend, type Fetch } from "../platform/fetch.js";
import { memoryStorage, type ListedStorage } from "../platform/memory.js";
import type { Platform } from "../platform/platform.js";
import { openSpool } from "../spool.js";
import type { Client, Settings } from "../types.js";

export interface NodeSettings extends Settings {
  host: string;
  storage?: ListedStorage;
  fetch?: Fetch;
}

interface Globals {
  fetch: Fetch;
  crypto: { randomUUID(): string };
  setTimeout(job: () => void, ms: number): { unref?(): void };
}

/** Parts of the platform may be replaced, which is how the tests bring their own clock and network. */
export const createNode = (settings: NodeSettings, parts: Partial<Platform> = {}): Client => {
  const globals = globalThis as unknown as Globals;
  const storage = settings.storage || memoryStorage();
  const platform: Platform = {
    storage,
    keys: () => storage.keys(),
    send: fetchSend(settings.host, settings.fetch || globals.fetch),
    id: () => globals.crypto.randomUUID(),
    bytes: (text) => new TextEncoder().encode(text).length,
    now: () => Date.now(),
    random: () => Math.random(),
    // a timer of ours never keeps a process alive: call `flush` before its end
    later: (job, ms) => globals.setTimeout(job, ms).unref?.(),
    ...parts,
  };
  return createClient(settings, platform, { _spool: openSpool });
};

export const init = createNode;
export { memoryStorage } from "../platform/memory.js";
export { redactDeep, redactText, redactUrl } from "../redact.js";
export { VERSION } from "../version.js";
export type { ListedStorage } from "../platform/memory.js";
export type { Answer, Platform, Signals, Storage } from "../platform/platform.js";
export type * from "../types.js";
