/** React Native: the same core with the app's storage, network and life cycle handed in. */

import { createClient } from "../client.js";
import { fetchSend, type Fetch } from "../platform/fetch.js";
import { writeBehind, type AsyncStorage, type ListedStorage } from "../platform/memory.js";
import type { Platform, Signals } from "../platform/platform.js";
import { openSpool } from "../spool.js";
import type { Client, Properties, Settings } from "../types.js";

interface Subscription {
  remove(): void;
}

/** `AppState` of react-native. */
export interface AppState {
  currentState: string;
  addEventListener(type: "change", listener: (state: string) => void): Subscription;
}

/** `@react-native-community/netinfo`. */
export interface NetInfo {
  addEventListener(listener: (state: { isConnected: boolean | null }) => void): () => void;
}

export interface NativeSettings extends Settings {
  host: string;
  storage: AsyncStorage;
  appState?: AppState;
  netInfo?: NetInfo;
  fetch?: Fetch;
  /** A random id; the global `crypto.randomUUID` by default. */
  id?: () => string;
  /** Report `app_opened` and `app_backgrounded`. Default: true. */
  lifecycle?: boolean;
}

interface Globals {
  fetch: Fetch;
  crypto: { randomUUID(): string };
}

const listen =
  ({ appState, netInfo }: NativeSettings) =>
  (signals: Signals): void => {
    appState?.addEventListener("change", (state) => {
      // on the way out events go to the device first, then a sending is tried in the seconds the app still has
      if (state != "active") signals.hide();
      signals.show();
    });
    let connected: boolean | null = true;
    netInfo?.addEventListener(({ isConnected }) => {
      if (isConnected && !connected) signals.show();
      connected = isConnected;
    });
  };

/** Listens before the client does, so that the app's last event leaves with the rest. */
const followLifecycle = (appState: AppState, track: (event: string, properties?: Properties) => void): void => {
  let last = appState.currentState;
  appState.addEventListener("change", (state) => {
    if (state == "active" && last == "background") track("app_opened", { from_background: true });
    if (state == "background") track("app_backgrounded");
    last = state;
  });
};

const nativePlatform = (settings: NativeSettings, storage: ListedStorage): Platform => {
  const globals = globalThis as unknown as Globals;
  return {
    storage,
    keys: () => storage.keys(),
    send: fetchSend(settings.host, settings.fetch || globals.fetch),
    listen: listen(settings),
    id: settings.id || (() => globals.crypto.randomUUID()),
    // its engine has a TextEncoder only of late
    bytes: (text) => encodeURI(text).replace(/%../g, "1").length,
    now: () => Date.now(),
    random: () => Math.random(),
    later: (job, ms) => setTimeout(job, ms),
  };
};

/** Resolves once the device's storage was read. */
export const init = async (settings: NativeSettings): Promise<Client> => {
  const storage = await writeBehind(settings.storage, "consentry_");
  const { appState, lifecycle } = settings;
  let client: Client | undefined;
  if (appState && lifecycle !== false) followLifecycle(appState, (event, properties) => client?.track(event, properties));
  client = createClient(settings, nativePlatform(settings, storage), { _spool: openSpool });
  if (appState && lifecycle !== false) client.track("app_opened", { from_background: false });
  return client;
};

export { VERSION } from "../version.js";
export type { AsyncStorage } from "../platform/memory.js";
export type * from "../types.js";
