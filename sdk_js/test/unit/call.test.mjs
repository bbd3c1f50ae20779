import assert from "node:assert/strict";
import { test } from "node:test";
import { granted, START } from "./device.mjs";

const sent = async (calls, settings, world) => {
  const made = granted(settings, world);
  calls(made.client, made);
  await made.pass(3_000);
  return made.server.events().map(({ messageId, timestamp, anonymousId, context, ...event }) => event);
};

for (const [name, call, event] of [
  ["track", (c) => c.track("bought", { total: 5 }), { type: "track", event: "bought", properties: { total: 5 } }],
  ["track without properties", (c) => c.track("bought"), { type: "track", event: "bought" }],
  ["page", (c) => c.page(), { type: "page" }],
  ["page with a name", (c) => c.page("Home"), { type: "page", name: "Home" }],
  ["page with a category", (c) => c.page("Shop", "Home", { a: 1 }), { type: "page", category: "Shop", name: "Home", properties: { a: 1 } }],
  ["screen", (c) => c.screen("Cart"), { type: "screen", name: "Cart" }],
  ["identify", (c) => c.identify("u1", { plan: "pro" }), { type: "identify", userId: "u1", traits: { plan: "pro" } }],
  ["identify with a number", (c) => c.identify(7), { type: "identify", userId: "7" }],
  ["identify with traits only", (c) => c.identify({ plan: "pro" }), { type: "identify", traits: { plan: "pro" } }],
  ["group", (c) => c.group("g1", { size: 3 }), { type: "group", groupId: "g1", traits: { size: 3 } }],
  ["track with nothing for properties", (c) => c.track("bought", null, { context: { a: 1 } }), { type: "track", event: "bought" }],
  ["page with nothing for a name", (c) => c.page("Shop", null, { a: 1 }), { type: "page", name: "Shop", properties: { a: 1 } }],
  ["page with nothing for properties", (c) => c.page("Shop", "Home", null, { context: { a: 1 } }), { type: "page", category: "Shop", name: "Home" }],
  ["identify with nothing for an id", (c) => c.identify(null, { plan: "pro" }), { type: "identify", traits: { plan: "pro" } }],
  ["alias with both ids", (c) => c.alias("u2", "u1"), { type: "alias", userId: "u2", previousId: "u1" }],
])
  test(`${name} becomes its event`, async () => assert.deepEqual(await sent(call), [event]));

test("a server that renders pages may import what browsers run", async () => {
  assert.equal(typeof globalThis.window, "undefined");
  const { init, initCore } = await import("../../dist/index.mjs");
  assert.deepEqual([typeof init, typeof initCore], ["function", "function"]);
});

test("a second start for a key gives the client that is there", async () => {
  const page = { navigator: {}, location: { origin: "https://shop.example" }, document: { referrer: "" }, addEventListener() {} };
  for (const [name, value] of Object.entries(page)) Object.defineProperty(globalThis, name, { value, configurable: true });
  try {
    const { initCore } = await import("../../dist/index.mjs");
    const client = initCore({ key: "wk" });
    assert.equal(initCore({ key: "wk", purposes: "marketing" }), client);
    assert.notEqual(initCore({ key: "other" }), client);
  } finally {
    for (const name of Object.keys(page)) delete globalThis[name];
  }
});

test("alias takes the known user, else the anonymous id, as the previous one", async () => {
  const [, alias] = await sent((client) => (client.identify("u1"), client.alias("u2")));
  assert.equal(alias.previousId, "u1");
  const [first] = await sent((client) => client.alias("u2"));
  assert.match(first.previousId, /^id-/);
});

test("properties are taken as they are at the call", async () => {
  const [event] = await sent((client) => {
    const properties = { size: 1, inner: { sizes: [1] } };
    client.track("seen", properties);
    properties.size = 2;
    properties.inner.sizes.push(2);
  });
  assert.deepEqual(event.properties, { size: 1, inner: { sizes: [1] } });
});

test("a context has a campaign and, off the web, a page of one's own", async () => {
  const made = granted();
  const options = { context: { page: { url: "app://cart" }, campaign: { source: "store" }, tags: ["a"] } };
  made.client.track("seen", {}, options);
  await made.pass(2_000);
  const [{ context }, ...more] = made.server.events();
  assert.deepEqual([context.page, context.campaign, context.tags], [{ url: "app://cart" }, { source: "store" }, ["a"]]);
  assert.deepEqual(more, []);
});

test("on the web the page is the one that is seen", async () => {
  const made = granted({}, { parts: { page: () => ({ url: "https://shop.example/a" }) } });
  made.client.track("seen", {}, { context: { page: { url: "https://other.example/" } } });
  await made.pass(2_000);
  assert.equal(made.server.events()[0].context.page.url, "https://shop.example/a");
});

test("a call for a purpose waits for it, whatever stands in the place of its properties", async () => {
  for (const nothing of [null, undefined, {}]) assert.deepEqual(await sent((client) => client.track("advertised", nothing, { purpose: "marketing" })), []);
});

test("a time is a date, a number or a text", async () => {
  const made = granted();
  for (const timestamp of [new Date(START - 5), START - 5, new Date(START - 5).toISOString()]) made.client.track("seen", {}, { timestamp });
  made.client.track("seen", {}, { timestamp: "yesterday" });
  await made.pass(2_000);
  assert.deepEqual(made.server.events().map(({ timestamp }) => Date.parse(timestamp) - START), [-5, -5, -5, 0]);
});

test("texts stay as they are where redaction is switched off", async () => {
  const [event] = await sent((client) => client.track("seen", { a: { mail: "ann@mail.example" } }), { redact: false });
  assert.equal(event.properties.a.mail, "ann@mail.example");
});

test("calls that make no sense break nothing", async () => {
  const made = granted();
  for (const call of [null, undefined, 7, {}, [], Symbol("x")]) made.client.track(call);
  made.client.consent.grant(7);
  made.client.consent.signal("x");
  await made.pass(2_000);
  await made.client.flush();
});

test("traits that come later are of the user who was named before", async () => {
  const made = granted();
  made.client.identify("u1");
  made.client.identify({ plan: "pro" });
  made.client.reset();
  made.client.identify({ plan: "free" });
  await made.pass(2_000);
  assert.deepEqual(made.server.events().map(({ userId, traits }) => [userId, traits?.plan]), [["u1", undefined], ["u1", "pro"], [undefined, "free"]]);
});

test("reset starts a new person and keeps the choice", async () => {
  const made = granted();
  made.client.identify("u1");
  made.client.reset();
  made.client.track("seen");
  await made.pass(2_000);
  const [before, after] = made.server.events();
  assert.notEqual(before.anonymousId, after.anonymousId);
  assert.equal(after.userId, undefined);
  assert.equal(made.client.consent.get().analytics, true);
});

test("a session lasts while no pause exceeds 30 minutes", async () => {
  const made = granted();
  const minutes = [0, 30, 30, 30.1, 1];
  for (const pause of minutes) {
    await made.pass(pause * 60_000);
    made.client.track("seen");
    await made.pass(0);
  }
  await made.pass(5_000);
  const [a, b, c, d, e] = made.server.events().map(({ context }) => context.sessionId);
  assert.equal(a, b);
  assert.equal(b, c);
  assert.notEqual(c, d);
  assert.equal(d, e);
});

test("a time to come keeps no session open, and one gone by ends none", async () => {
  const made = granted();
  const track = async (minutes, timestamp) => {
    await made.pass(minutes * 60_000);
    made.client.track("seen", {}, { timestamp });
    await made.pass(0);
  };
  await track(0, START + 86_400_000);
  await track(10, START - 86_400_000);
  await track(10);
  await track(31);
  await made.pass(5_000);
  const [a, b, c, d] = made.server.events().map(({ context }) => context.sessionId);
  assert.deepEqual([b, c], [a, a]);
  assert.notEqual(d, a);
});

test("the page goes along, redacted", async () => {
  const page = () => ({ url: "https://ann:pw@shop.example/u/ann@mail.example?token=abc&size=L#top", title: "Mail to ann@mail.example", referrer: "" });
  const made = granted({}, { parts: { page } });
  made.client.page();
  await made.pass(2_000);
  assert.deepEqual(made.server.events()[0].context.page, {
    url: "https://shop.example/u/[email]?token=[redacted]&size=L",
    path: "/u/[email]",
    title: "Mail to [email]",
    referrer: "",
  });
});
