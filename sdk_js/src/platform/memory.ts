/** Storage in memory, and storage in memory in front of a slower one. */

import type { Storage } from "./platform.js";

export interface ListedStorage extends Storage {
  keys(): string[];
}

export const memoryStorage = (entries: Map<string, string> = new Map()): ListedStorage => ({
  get: (key) => entries.get(key),
  set: (key, value) => void (value == null ? entries.delete(key) : entries.set(key, value)),
  keys: () => [...entries.keys()],
});

/** What React Native's AsyncStorage offers, as far as it is needed. */
export interface AsyncStorage {
  getAllKeys(): Promise<readonly string[]>;
  getItem(key: string): Promise<string | null>;
  setItem(key: string, value: string): Promise<void>;
  removeItem(key: string): Promise<void>;
}

/**
 * Reads everything of ours once, answers from memory, and writes behind in order. A write that fails is forgotten: the entry
 * lives on in memory until the app ends.
 */
export const writeBehind = async (slow: AsyncStorage, prefix: string): Promise<ListedStorage> => {
  const entries = new Map<string, string>();
  const names = await slow.getAllKeys().catch(() => []);
  for (const key of names.filter((name) => name.startsWith(prefix))) {
    const value = await slow.getItem(key).catch(() => null);
    if (value != null) entries.set(key, value);
  }
  const memory = memoryStorage(entries);
  let written: Promise<unknown> = Promise.resolve();
  const write = (key: string, value: string | null): unknown =>
    (written = written.then(() => (value == null ? slow.removeItem(key) : slow.setItem(key, value))).catch(() => undefined));
  return {
    ...memory,
    set(key, value) {
      memory.set(key, value);
      write(key, value);
    },
  };
};
