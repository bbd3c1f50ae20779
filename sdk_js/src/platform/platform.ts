/** What the core needs of its surroundings. Browser, React Native and Node each bring one; so do tests. */

/** Text by key on the device. May throw: the core treats that as a device without storage. */
export interface Storage {
  get(key: string): string | null | undefined;
  /** `null` removes. */
  set(key: string, value: string | null): void;
}

export interface Answer {
  /** HTTP status; 0 when the gateway could not be reached. */
  status: number;
  /** The Retry-After header, if any: seconds. */
  after?: string | null;
  /** The body as text. */
  text: string;
}

export interface Page {
  url: string;
  title?: string;
  referrer?: string;
}

/** What the surroundings tell the core. */
export interface Signals {
  /** The page or app goes to the background, perhaps for good. */
  hide(): void;
  /** It came back, or the network did. */
  show(): void;
  /** Another tab changed something on the device. */
  stored(): void;
}

export interface Platform {
  storage: Storage;
  /** POST as text/plain to a path of the gateway. Rejects or answers status 0 when nothing came back. */
  send(path: string, body: string): Promise<Answer>;
  /** Hand over a last message without waiting; false if it was not taken. */
  beacon?(path: string, body: string): boolean;
  /** Where the visitor is; absent off the web. */
  page?(): Page;
  /** Global Privacy Control and Do Not Track, as the browser states them. */
  gpc?: boolean;
  dnt?: boolean;
  listen?(signals: Signals): void;
  /** The keys in use on the device; without it nothing but the ids is kept there. */
  keys?(): string[];
  /** Run `job` while no other tab runs one under this name; undefined where it cannot. */
  lock?(name: string, job: () => Promise<void>): Promise<void> | undefined;
  /** A fresh random id, 100 bits and more. */
  id(): string;
  /** How long a text is in UTF-8. */
  bytes(text: string): number;
  /** Milliseconds since the epoch. */
  now(): number;
  /** A number in [0, 1). */
  random(): number;
  later(job: () => void, ms: number): unknown;
}
