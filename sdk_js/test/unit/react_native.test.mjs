import assert from "node:assert/strict";
import { test } from "node:test";
import { init } from "../../dist/react_native.mjs";

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/** Waits until `check` holds, ten seconds at most: a machine may be busy. */
const until = async (check) => {
  for (let looks = 0; looks < 1_000 && !check(); looks++) await wait(10);
};

const asyncStorage = (entries) => ({
  entries,
  getAllKeys: async () => [...entries.keys()],
  getItem: async (key) => entries.get(key) ?? null,
  setItem: async (key, value) => void entries.set(key, value),
  removeItem: async (key) => void entries.delete(key),
});

const appState = () => {
  const listeners = [];
  return { currentState: "active", addEventListener: (_type, listener) => listeners.push(listener), become: (state) => listeners.forEach((listener) => listener(state)) };
};

const netInfo = () => {
  const listeners = [];
  return { addEventListener: (listener) => listeners.push(listener), become: (isConnected) => listeners.forEach((listener) => listener({ isConnected })) };
};

const start = async (entries = new Map(), settings = {}) => {
  const requests = [];
  const state = appState();
  const net = netInfo();
  const network = { up: true };
  const fetch = async (url, { body }) => {
    if (!network.up) throw new TypeError("Network request failed");
    requests.push([url, JSON.parse(body)]);
    return { status: 200, headers: { get: () => null }, text: async () => '{"results":[]}' };
  };
  const client = await init({ key: "wk", host: "http://gateway", storage: asyncStorage(entries), appState: state, netInfo: net, fetch, batchDelay: 5, ...settings });
  const events = () => requests.filter(([url]) => url.endsWith("/v1/batch")).flatMap(([, body]) => body.batch);
  return { client, requests, events, state, net, network, entries };
};

test("the gateway's address may end with a slash", async () => {
  const { client, requests, events } = await start(new Map(), { host: "http://gateway/" });
  client.consent.grant();
  client.screen("Cart");
  await until(() => events().length && requests.length > 1);
  assert.deepEqual([...new Set(requests.map(([url]) => url))].sort(), ["http://gateway/v1/batch", "http://gateway/v1/consent"]);
});

test("an app stores nothing before a grant, then sends screens and its life cycle", async () => {
  const app = await start();
  app.client.screen("Cart", { items: 2 });
  await wait(20);
  assert.equal(app.entries.size, 0);
  assert.deepEqual(app.requests, []);
  app.client.consent.grant();
  await until(() => app.events().length === 2);
  assert.deepEqual(app.events().map(({ type, event, name }) => event || name), ["app_opened", "Cart"]);
  assert.equal(app.entries.size, 1);
});

test("an engine without a TextEncoder counts bytes all the same", async () => {
  const { TextEncoder } = globalThis;
  delete globalThis.TextEncoder;
  try {
    const app = await start(new Map(), { lifecycle: false });
    app.client.consent.grant();
    for (const text of ["x%".repeat(16_000), "\u00fc".repeat(16_000), "\u{1f600}".repeat(8_000), "\ud800", "\u20ac".repeat(11_000)]) app.client.track("seen", { text });
    await until(() => app.events().length === 4);
    assert.deepEqual(app.events().map(({ properties }) => properties.text.length), [32_000, 16_000, 16_000, 1]);
  } finally {
    globalThis.TextEncoder = TextEncoder;
  }
});

test("going to the background sends the last event", async () => {
  const app = await start(new Map(), { batchDelay: 60_000 });
  app.client.consent.grant();
  app.client.track("seen");
  app.state.become("background");
  await until(() => app.events().length === 3);
  assert.deepEqual(app.events().map(({ event }) => event), ["app_opened", "seen", "app_backgrounded"]);
});

test("what happens without a network is kept on the device and sent by the next start, once", async () => {
  const app = await start();
  app.client.consent.grant();
  await until(() => app.events().length === 1);
  app.network.up = false;
  app.client.track("offline");
  await until(() => app.entries.size === 2);
  assert.equal(app.entries.size, 2);
  const again = await start(app.entries);
  await until(() => again.entries.size === 1);
  assert.equal(again.events().filter(({ event }) => event === "offline").length, 1);
  assert.equal(again.entries.size, 1);
  app.network.up = true;
});

test("coming back online sends at once", async () => {
  const app = await start();
  app.client.consent.grant();
  await until(() => app.events().length === 1);
  app.network.up = false;
  app.net.become(false);
  app.client.track("offline");
  await until(() => app.entries.size === 2);
  app.network.up = true;
  app.net.become(true);
  await until(() => app.events().length === 2);
  assert.equal(app.events().filter(({ event }) => event === "offline").length, 1);
});

test("a withdrawal leaves nothing on the device", async () => {
  const app = await start();
  app.client.consent.grant();
  app.client.track("seen");
  await until(() => app.events().length === 2);
  app.client.consent.withdraw();
  await until(() => app.requests.at(-1)[1].action === "withdraw");
  assert.equal(app.entries.size, 0);
  assert.equal(app.requests.at(-1)[1].action, "withdraw");
});
