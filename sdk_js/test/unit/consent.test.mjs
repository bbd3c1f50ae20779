import assert from "node:assert/strict";
import { test } from "node:test";
import { granted, tab } from "./device.mjs";

test("before a grant nothing is stored, no id is made and nothing leaves", async () => {
  const { client, entries, server, pass } = tab();
  client.page("Home");
  client.track("seen", { size: 1 });
  client.identify("u1");
  await pass(60_000);
  assert.equal(entries.size, 0);
  assert.deepEqual(server.requests, []);
  assert.deepEqual(client.consent.get(), { analytics: undefined });
});

test("a grant releases what waited, in order, with one new id and the user named meanwhile", async () => {
  const { client, server, pass } = tab();
  client.page("Home");
  client.identify("u1", { plan: "free" });
  client.track("seen");
  client.consent.grant(undefined, "2026-11");
  await pass(2_000);
  assert.deepEqual(server.events().map(({ type }) => type), ["page", "identify", "track"]);
  assert.equal(new Set(server.events().map(({ anonymousId }) => anonymousId)).size, 1);
  assert.deepEqual(server.events().map(({ userId }) => userId), [undefined, "u1", "u1"]);
  assert.deepEqual(server.events()[0].context.consent, { purposes: { analytics: true }, notice: "2026-11", at: 1795251600000 });
});

test("an empty list is no choice: it makes no id, and takes no objection back", async () => {
  const { client, entries, server, pass } = tab();
  client.track("seen");
  client.consent.grant([]);
  await pass(2_000);
  assert.deepEqual([entries.size, server.requests.length, client.consent.get()], [0, 0, { analytics: undefined }]);
  client.optOut();
  const objected = entries.get("consentry_wk");
  for (const act of ["grant", "deny", "withdraw"]) client.consent[act]([]);
  assert.equal(entries.get("consentry_wk"), objected);
});

test("what is no list of names is no choice: it makes no id", async () => {
  const { client, entries, server, pass } = tab();
  client.consent.grant({ analytics: true });
  await pass(2_000);
  assert.deepEqual([entries.size, server.requests.length, client.consent.get()], [0, 0, { analytics: undefined }]);
});

test("blanks around the commas of a list belong to no name", async () => {
  const { client, server, pass } = tab({ purposes: "analytics, marketing" });
  client.consent.grant();
  assert.deepEqual(client.consent.get(), { analytics: true, marketing: true });
  client.consent.deny("analytics , marketing");
  assert.deepEqual(client.consent.get(), { analytics: false, marketing: false });
  await pass(2_000);
  assert.deepEqual(server.consents()[0].purposes, ["analytics", "marketing"]);
});

test("a denial drops what waited and stores nothing", async () => {
  const { client, entries, server, pass } = tab();
  client.track("seen");
  client.consent.deny();
  client.track("seen_again");
  await pass(60_000);
  assert.equal(entries.size, 0);
  assert.deepEqual(server.requests, []);
  assert.deepEqual(client.consent.get(), { analytics: false });
});

test("a grant after a denial collects from then on", async () => {
  const { client, server, pass } = tab();
  client.track("before");
  client.consent.deny();
  client.track("refused");
  await pass(100);
  client.consent.grant();
  client.track("after");
  await pass(2_000);
  assert.deepEqual(server.events().map(({ event }) => event), ["after"]);
});

test("only calls whose purpose is granted are sent; the others keep waiting", async () => {
  const { client, server, pass } = tab({ purposes: ["analytics", "marketing"] });
  client.track("measured");
  client.track("advertised", {}, { purpose: "marketing" });
  client.consent.grant("analytics");
  await pass(2_000);
  assert.deepEqual(server.events().map(({ event }) => event), ["measured"]);
  client.consent.grant("marketing");
  await pass(2_000);
  assert.deepEqual(server.events().map(({ event }) => event), ["measured", "advertised"]);
});

test("a withdrawal deletes ids and queue at once and tells the gateway", async () => {
  const { client, entries, server, pass } = granted();
  client.identify("u1");
  client.track("seen");
  await pass(100);
  const [kept] = [...entries.values()].map((text) => JSON.parse(text));
  client.consent.withdraw();
  assert.equal(entries.size, 0);
  await pass(60_000);
  assert.deepEqual(server.events(), []);
  const told = server.consents().at(-1);
  assert.deepEqual(told, { writeKey: "wk", anonymousId: kept.a, purposes: ["analytics"], action: "withdraw" });
});

test("calls may be the listeners of buttons: what they are handed is no list of purposes", async () => {
  const click = { target: {}, toString: () => "[object PointerEvent]" };
  const { client, entries, server, pass } = tab();
  client.track("seen");
  client.consent.grant(click);
  await pass(2_000);
  assert.deepEqual(server.events().map(({ event }) => event), ["seen"]);
  client.consent.withdraw(click);
  assert.deepEqual(client.consent.get(), { analytics: false });
  assert.equal(entries.size, 0);
  await pass(100);
  assert.deepEqual(server.consents().map(({ purposes, action }) => [action, ...purposes]), [["grant", "analytics"], ["withdraw", "analytics"]]);
});

test("a withdrawal while offline takes everything off the device, however much waits there", async () => {
  const { client, entries, pass } = granted({}, { parts: { send: () => Promise.reject(new Error("down")) } });
  for (let chunk = 0; chunk < 5; chunk++) {
    for (let number = 0; number < 30; number++) client.track("seen");
    await pass(2_000);
  }
  assert.ok([...entries.keys()].filter((key) => key.includes(".q")).length > 2);
  client.consent.withdraw();
  assert.equal(entries.size, 0);
});

test("after a withdrawal a new grant starts with a new id", async () => {
  const { client, server, pass } = granted();
  client.track("first");
  await pass(2_000);
  client.consent.withdraw();
  client.consent.grant();
  client.track("second");
  await pass(2_000);
  const [first, second] = server.events();
  assert.notEqual(first.anonymousId, second.anonymousId);
});

test("withdrawing one purpose keeps the ids and the queue of the others", async () => {
  const { client, entries, server, pass } = granted({ purposes: "analytics,marketing" });
  client.track("measured");
  client.track("advertised", {}, { purpose: "marketing" });
  await pass(100);
  client.consent.withdraw("marketing");
  assert.equal(entries.size, 1);
  await pass(2_000);
  assert.deepEqual(server.events().map(({ event }) => event), ["measured"]);
  assert.deepEqual(client.consent.get(), { analytics: true, marketing: false });
});

test("an event under way at the withdrawal is not tried again", async () => {
  const { client, server, pass } = granted({ batchDelay: 0 });
  await pass(10);
  let answer;
  server.next(() => new Promise((done) => (answer = done)));
  client.track("seen");
  await pass(10);
  client.consent.withdraw();
  answer({ status: 503, text: "" });
  await pass(120_000);
  assert.equal(server.batches().length, 1);
});

test("the choice is remembered on the device with the notice, for 395 days", async () => {
  const first = granted({ notice: "2026-11" });
  first.client.track("seen");
  await first.pass(2_000);
  const again = tab({}, first);
  again.client.track("seen");
  await again.pass(2_000);
  assert.equal(first.server.events()[1].anonymousId, first.server.events()[0].anonymousId);
  await first.pass(396 * 864e5);
  const later = tab({}, first);
  later.client.track("seen");
  await later.pass(2_000);
  assert.equal(first.server.events().length, 2);
  assert.equal(first.entries.size, 0);
});

test("the gateway is told again when it could not be reached, and not when it has no such endpoint", async () => {
  const { client, server, pass } = tab();
  server.next("down", { status: 503 });
  client.consent.grant();
  await pass(20_000);
  assert.equal(server.consents().length, 3);
  server.next({ status: 404 });
  client.consent.withdraw();
  await pass(200_000);
  assert.equal(server.consents().length, 4);
});

test("a listener hears each change until it ends it", () => {
  const { client } = tab();
  const heard = [];
  const end = client.consent.onChange((purposes) => heard.push(purposes.analytics));
  client.consent.onChange(() => {
    throw new Error("the page's own");
  });
  client.consent.grant();
  client.consent.grant();
  client.consent.withdraw();
  end();
  client.consent.grant();
  assert.deepEqual(heard, [true, false]);
});

for (const [gpc, purposes] of [
  ["ads", { analytics: true, marketing: false, attribution: false, location: false, sensitive: false }],
  ["all", { analytics: false, marketing: false }],
  [false, { analytics: true, marketing: true }],
])
  test(`Global Privacy Control, setting ${gpc}: what a grant of everything is worth`, () => {
    const { client } = tab({ gpc, purposes: ["analytics", "marketing"] }, { parts: { gpc: true } });
    client.consent.grant();
    assert.deepEqual(client.consent.get(), purposes);
  });

test("Do Not Track denies everything when the setting is on, nothing when it is off", () => {
  for (const [dnt, analytics] of [[true, false], [false, true]]) {
    const { client } = granted({ dnt }, { parts: { dnt: true } });
    assert.equal(client.consent.get().analytics, analytics);
  }
});

test("a vetoed grant stores nothing", async () => {
  const { client, entries, server, pass } = granted({ gpc: "all" }, { parts: { gpc: true } });
  client.track("seen");
  await pass(2_000);
  assert.equal(entries.size, 0);
  assert.deepEqual(server.requests, []);
});

test("the most restrictive signal wins, and its own string goes along as proof", async () => {
  const { client, server, pass } = tab();
  client.consent.signal("tcf", { analytics: true }, "CTC");
  client.track("seen");
  await pass(2_000);
  assert.deepEqual(server.events()[0].context.consent, { purposes: { analytics: true }, tcf: "CTC" });
  client.consent.signal("google", { analytics: false });
  assert.equal(client.consent.get().analytics, false);
  client.consent.grant();
  assert.equal(client.consent.get().analytics, false);
  client.consent.signal("google", {});
  assert.equal(client.consent.get().analytics, true);
});

test("a signal that takes a grant back deletes ids and queue and tells the gateway", async () => {
  const { client, entries, server, pass } = granted();
  client.track("seen");
  await pass(100);
  client.consent.signal("tcf", { analytics: false });
  assert.equal(entries.size, 0);
  await pass(10_000);
  assert.deepEqual(server.events(), []);
  assert.deepEqual(server.consents().at(-1).purposes, ["analytics"]);
});

test("a signal that is not ready holds calls back without taking anything away", async () => {
  const { client, entries, server, pass } = granted();
  await pass(100);
  client.consent.signal("wait", { "*": null });
  client.track("seen");
  await pass(10_000);
  assert.deepEqual(server.events(), []);
  assert.equal(entries.size, 1);
  client.consent.signal("wait", {});
  await pass(2_000);
  assert.equal(server.events().length, 1);
  assert.equal(server.consents().length, 1);
});

test("a signal that says nothing at all is waited for, and costs no event", async () => {
  for (const nothing of [null, undefined]) {
    const { client, server, pass } = granted();
    client.consent.signal("own", nothing);
    client.track("seen");
    await pass(2_000);
    assert.deepEqual(server.events(), []);
    client.consent.signal("own", { analytics: true });
    await pass(2_000);
    assert.deepEqual(server.events().map(({ event }) => event), ["seen"]);
  }
});

test("a signal that is no choice says nothing, and costs no event", async () => {
  for (const odd of [true, "yes", 5, [], () => 0]) {
    const { client, server, pass } = granted();
    client.consent.signal("own", odd);
    assert.equal(client.consent.get().analytics, true);
    client.track("seen");
    await pass(2_000);
    assert.deepEqual(server.events().map(({ event }) => event), ["seen"]);
  }
});

test("a signal is what it was at the call", () => {
  const { client } = tab();
  const said = { analytics: false };
  client.consent.signal("own", said);
  said.analytics = true;
  assert.equal(client.consent.get().analytics, false);
});

test("a grant while a signal is not ready is told to the gateway once it holds", async () => {
  const { client, entries, server, pass } = tab({ purposes: "analytics,marketing", notice: "2026-12" });
  client.consent.signal("wait", { "*": null });
  client.consent.grant();
  client.consent.deny("marketing");
  await pass(60_000);
  const denied = { writeKey: "wk", action: "deny", purposes: ["marketing"], notice: "2026-12" };
  assert.deepEqual(server.consents(), []);
  assert.equal(entries.size, 0);
  client.consent.signal("wait", {});
  client.consent.signal("tcf", {});
  await pass(60_000);
  const [{ anonymousId, ...told }, ...more] = server.consents();
  assert.deepEqual(told, { ...denied, action: "grant", purposes: ["analytics"] });
  assert.equal(JSON.parse([...entries.values()][0]).a, anonymousId);
  assert.deepEqual(more, []);
});

test("a grant that was taken back while a signal was not ready is never told", async () => {
  const { client, server, pass } = tab();
  client.consent.signal("wait", { "*": null });
  client.consent.grant();
  client.consent.withdraw();
  client.consent.signal("wait", {});
  await pass(60_000);
  assert.deepEqual(server.consents(), []);
});

test("a choice while a signal is not ready leaves a visitor's ids to the grant that stands", async () => {
  for (const choose of [(consent) => consent.grant(), (consent) => consent.deny("marketing")]) {
    const first = granted();
    first.client.identify("u1");
    await first.pass(2_000);
    const before = JSON.parse([...first.entries.values()][0]);
    const { client, entries, pass } = tab({}, first);
    client.consent.signal("wait", { "*": null });
    choose(client.consent);
    await pass(2_000);
    client.consent.signal("wait", {});
    await pass(2_000);
    const { a, u } = JSON.parse([...entries.values()][0]);
    assert.deepEqual({ a, u }, { a: before.a, u: before.u });
  }
});

test("a reset while a signal is not ready takes the ids of the person before off the device at once, and leaves the choice", async () => {
  const first = granted({}, { name: "a" });
  first.client.identify("u1");
  await first.pass(2_000);
  const before = JSON.parse(first.entries.get("consentry_wk"));
  const second = tab({}, { ...first, name: "b" });
  second.client.consent.signal("wait", { "*": null });
  second.client.reset();
  const { a, u, c } = JSON.parse(first.entries.get("consentry_wk"));
  assert.notEqual(a, before.a);
  assert.deepEqual([u, c], [undefined, before.c]);
  second.client.track("seen");
  second.client.consent.signal("wait", {});
  await second.pass(2_000);
  const [, seen] = first.server.events();
  assert.deepEqual([seen.event, seen.anonymousId, seen.userId], ["seen", a, undefined]);
});

test("a reset while nothing is granted makes no id", async () => {
  const { client, entries, pass } = tab();
  client.consent.signal("wait", { "*": null });
  client.consent.grant();
  client.reset();
  await pass(2_000);
  assert.equal(entries.size, 0);
});

test("a denial of all while a signal is not ready takes the ids at once", async () => {
  const first = granted();
  const { client, entries } = tab({}, first);
  client.consent.signal("wait", { "*": null });
  client.consent.deny();
  assert.equal(entries.size, 0);
});

test("defaults hold until an objection, which is then remembered without an id", async () => {
  const first = tab({ defaults: { analytics: true } });
  first.client.track("seen");
  await first.pass(2_000);
  assert.deepEqual(first.server.events()[0].context.consent, { purposes: {} });
  first.client.consent.deny();
  const again = tab({ defaults: { analytics: true } }, first);
  again.client.track("seen");
  await again.pass(2_000);
  assert.equal(first.server.events().length, 1);
  const [kept] = [...first.entries.values()].map((text) => JSON.parse(text));
  assert.equal(kept.a, undefined);
});

test("defaults are void under Global Privacy Control", async () => {
  const { client, server, pass } = tab({ defaults: { analytics: true } }, { parts: { gpc: true } });
  client.track("seen");
  await pass(10_000);
  assert.deepEqual(server.requests, []);
});

test("a grant runs out where a reset came last, too", async () => {
  const made = granted();
  made.client.identify("u1");
  await made.pass(2_000);
  made.client.reset();
  assert.notEqual(JSON.parse(made.entries.get("consentry_wk")).a, made.server.events()[0].anonymousId);
  await made.pass(396 * 864e5);
  assert.equal(tab({}, made).client.consent.get().analytics, undefined);
  assert.equal(made.entries.size, 0);
});

test("an opt-out is remembered without an id, until a grant", async () => {
  const first = granted();
  await first.pass(10);
  first.client.optOut();
  first.client.consent.deny();
  assert.deepEqual([...first.entries.values()].map((text) => Object.keys(JSON.parse(text))), [["c"]]);
  const again = tab({ defaults: { analytics: true } }, first);
  assert.equal(again.client.consent.get().analytics, false);
  again.client.consent.deny();
  assert.equal(first.entries.size, 1);
  again.client.consent.grant();
  assert.equal(again.client.consent.get().analytics, true);
});

test("the anonymous lane carries a name and a path, no id, no query and no property", async () => {
  const page = () => ({ url: "https://shop.example/p/1?email=a@b.co#x", title: "Ann's", referrer: "https://search.example/?q=ann" });
  const { client, entries, server, pass } = tab({ anonymous: true }, { parts: { page } });
  client.page("Home", { secret: 1 });
  client.track("seen");
  client.identify("u1");
  client.consent.deny();
  client.page();
  await pass(2_000);
  for (const { messageId, timestamp, ...event } of server.events())
    assert.deepEqual(event, { type: "page", context: { page: { url: "https://shop.example/p/1", path: "/p/1" }, consent: { purposes: { analytics: false } } } });
  assert.equal(server.events().length, 2);
  assert.equal(entries.size, 0);
});

test("the anonymous lane is silent after an opt-out, and carries only the events listed", async () => {
  const { client, server, pass } = tab({ anonymous: ["seen"] });
  client.page();
  client.track("seen");
  client.track("bought");
  await pass(2_000);
  assert.deepEqual(server.events().map(({ event }) => event), ["seen"]);
  client.optOut();
  client.track("seen");
  await pass(2_000);
  assert.equal(server.events().length, 1);
});

test("the anonymous lane takes whole names, not what begins with one or is a part of one", async () => {
  for (const [anonymous, event] of [[true, "page_viewed_by_doctor"], ["Order Completed, signed_up", "signed"], ["Order Completed, signed_up", ""]]) {
    const { client, server, pass } = tab({ anonymous });
    client.track(event);
    await pass(2_000);
    assert.deepEqual(server.events(), []);
  }
  const { client, server, pass } = tab({ anonymous: "Order Completed, signed_up" });
  for (const event of ["Order Completed", "signed_up"]) client.track(event);
  await pass(2_000);
  assert.deepEqual(server.events().map(({ event }) => event), ["Order Completed", "signed_up"]);
});

test("calls that wait for a choice are bounded; the oldest go and are counted", async () => {
  const { client, server, pass } = tab();
  for (let number = 0; number < 250; number++) client.track("seen", { number });
  await pass(100);
  client.consent.grant();
  await pass(2_000);
  assert.equal(server.events().length, 200);
  assert.equal(server.events()[0].properties.number, 50);
  assert.equal(server.batches()[0].body.dropped, 50);
});

test("a withdrawal in one tab reaches the others", async () => {
  const first = granted({}, { name: "a" });
  await first.pass(10);
  const other = tab({}, { ...first, name: "b" });
  other.client.track("seen");
  await first.pass(10);
  first.client.consent.withdraw();
  other.signals.stored();
  await first.pass(60_000);
  assert.deepEqual(first.server.events(), []);
  assert.equal(other.client.consent.get().analytics, false);
  assert.equal(first.entries.size, 0);
});

test("a page that heard nothing of a choice in another finds it before it sends or stores anything", async () => {
  const acts = {
    "a call": ({ client }) => client.track("seen"),
    "a return": ({ signals }) => signals.show(),
    "a going": ({ client, signals }) => (client.track("seen"), signals.hide()),
    "a flush": ({ client }) => (client.track("seen"), client.flush()),
    "a denial": ({ client }) => client.consent.deny("marketing"),
    "a signal": ({ client }) => client.consent.signal("own", { marketing: false }),
    "a reset": ({ client }) => client.reset(),
  };
  for (const [name, act] of Object.entries(acts)) {
    const first = granted({}, { name: "a" });
    await first.pass(10);
    const other = tab({}, { ...first, name: "b" });
    other.client.track("waiting");
    first.client.consent.withdraw();
    act(other);
    await first.pass(60_000);
    assert.deepEqual([first.server.events(), first.entries.size, other.client.consent.get().analytics], [[], 0, false], name);
  }
});

test("a page that heard nothing of an opt-out in another leaves it remembered, and takes it back with a grant alone", async () => {
  const first = granted({}, { name: "a" });
  await first.pass(10);
  const other = tab({}, { ...first, name: "b" });
  first.client.optOut();
  other.client.track("seen");
  await first.pass(10);
  assert.equal(JSON.parse(first.entries.get("consentry_wk")).c.o, 1);
  const third = tab({}, { ...first, name: "c" });
  first.client.consent.grant();
  third.client.optOut();
  await first.pass(10);
  assert.equal(JSON.parse(first.entries.get("consentry_wk")).c.o, 1);
});

test("a device that is cleared before anybody chose keeps what waits", async () => {
  const { client, signals, server, pass } = tab();
  client.track("seen");
  signals.stored();
  assert.deepEqual(client.consent.get(), { analytics: undefined });
  client.consent.grant();
  await pass(2_000);
  assert.deepEqual(server.events().map(({ event }) => event), ["seen"]);
});

test("a device that takes nothing leaves a choice in force on its page", async () => {
  const storage = { get: () => null, set: () => { throw new Error("full"); }, keys: () => [] };
  const { client, signals, server, pass } = granted({ storage });
  client.track("seen");
  for (const hear of [signals.stored, signals.hide, signals.show]) hear();
  client.track("again");
  await pass(2_000);
  assert.deepEqual(server.events().map(({ event }) => event), ["seen", "again"]);
});

test("a grant in one tab reaches the others", async () => {
  const first = tab({}, { name: "a" });
  const other = tab({}, { ...first, name: "b" });
  other.client.track("seen");
  first.client.consent.grant();
  other.signals.stored();
  await first.pass(2_000);
  assert.equal(first.server.events().length, 1);
});

test("a reset in one tab leaves the others their choice", async () => {
  const first = granted({}, { name: "a" });
  await first.pass(10);
  const other = tab({}, { ...first, name: "b" });
  first.client.reset();
  other.signals.stored();
  assert.equal(other.client.consent.get().analytics, true);
  assert.equal(first.entries.size, 1);
  other.client.track("seen");
  first.client.track("seen");
  await first.pass(2_000);
  assert.equal(first.server.events().length, 2);
});

test("a grant that could not be told is not told after its withdrawal", async () => {
  const { client, server, pass } = tab();
  server.next("down");
  client.consent.grant();
  await pass(100);
  client.consent.withdraw();
  await pass(60_000);
  assert.deepEqual(server.consents().map(({ action }) => action), ["grant", "withdraw"]);
});

test("a grant that could not be told is not told after its withdrawal in another tab", async () => {
  const first = tab({}, { name: "a" });
  first.server.next("down");
  first.client.consent.grant();
  await first.pass(100);
  const other = tab({}, { ...first, name: "b" });
  other.client.consent.withdraw();
  await first.pass(60_000);
  assert.deepEqual(first.server.consents().map(({ action }) => action), ["grant", "withdraw"]);
});

test("a withdrawal is told until it is heard, whatever is granted afterwards", async () => {
  const { client, server, pass } = granted();
  await pass(100);
  server.next("down");
  client.consent.withdraw();
  await pass(100);
  client.consent.grant();
  await pass(60_000);
  const told = server.consents().map(({ action, anonymousId }) => [action, anonymousId]);
  const [first, second] = [told[0][1], told[2][1]];
  assert.notEqual(first, second);
  assert.deepEqual(told, [["grant", first], ["withdraw", first], ["grant", second], ["withdraw", first]]);
});

test("an objection does not run out, as a grant does", async () => {
  const defaults = { analytics: true, marketing: true };
  for (const object of [(client) => client.optOut(), (client) => client.consent.deny()]) {
    const first = granted({ defaults });
    await first.pass(394 * 864e5);
    object(first.client);
    for (const days of [10, 400, 400]) {
      await first.pass(days * 864e5);
      const later = tab({ defaults }, first);
      later.client.track("seen", null, { purpose: "marketing" });
      await later.pass(2_000);
    }
    assert.deepEqual(first.server.events(), []);
  }
});

test("an objection where defaults hold is kept by the other tabs", async () => {
  const defaults = { analytics: true };
  const first = tab({ defaults }, { name: "a" });
  first.client.track("seen");
  await first.pass(2_000);
  const other = tab({ defaults }, { ...first, name: "b" });
  first.client.consent.deny();
  other.signals.stored();
  assert.equal(tab({ defaults }, first).client.consent.get().analytics, false);
});

test("a grant after an opt-out grants what it names, not what was granted before", async () => {
  const { client, server, pass } = granted();
  client.consent.grant("marketing");
  await pass(10);
  client.optOut();
  await pass(10);
  assert.deepEqual(server.consents().at(-1).purposes, ["analytics", "marketing"]);
  client.consent.grant("analytics");
  assert.deepEqual(client.consent.get(), { analytics: true, marketing: false });
});
