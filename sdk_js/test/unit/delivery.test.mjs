import assert from "node:assert/strict";
import { test } from "node:test";
import { clock, gateway, granted, START, tab } from "./device.mjs";

const chunks = (entries) => [...entries.keys()].filter((key) => key.includes(".q"));
const names = (server) => server.events().map(({ event }) => event);

test("a batch leaves when the delay is over, or at once when it is full", async () => {
  const { client, server, pass } = granted();
  client.track("one");
  await pass(900);
  assert.equal(server.batches().length, 0);
  await pass(200);
  assert.equal(server.batches().length, 1);
  for (let number = 0; number < 20; number++) client.track("many");
  await pass(20);
  assert.equal(server.batches().length, 2);
});

test("the envelope names the key and the time of sending; each event has its own id, time and library", async () => {
  const { client, server, pass } = granted();
  client.track("one", { a: 1 }, { timestamp: new Date(START - 5_000), context: { app: "shop" } });
  await pass(1_500);
  const { body } = server.batches()[0];
  assert.equal(body.writeKey, "wk");
  assert.equal(body.sentAt, new Date(START + 1_000).toISOString());
  assert.equal(body.partial, true, "the gateway tells what became of each event only to who says so");
  const [event] = body.batch;
  assert.equal(event.timestamp, new Date(START - 5_000).toISOString());
  assert.deepEqual(event.context.library, { name: "consentry-js", version: "0.1.0" });
  assert.equal(event.context.app, "shop");
  assert.ok(event.messageId && event.anonymousId);
});

test("no request is larger than 60 KB or has more than 100 events", async () => {
  const { client, server, pass } = granted();
  for (let number = 0; number < 300; number++) client.track("wide", { number, text: "é".repeat(number % 3 ? 10 : 900) });
  await pass(5_000);
  assert.equal(server.events().length, 300);
  assert.deepEqual(server.events().map(({ properties }) => properties.number), [...Array(300).keys()]);
  for (const { body } of server.batches()) {
    assert.ok(new TextEncoder().encode(JSON.stringify(body)).length < 64 * 1024);
    assert.ok(body.batch.length <= 100);
  }
});

test("an event above the gateway's limit is dropped and counted", async () => {
  const { client, server, pass } = granted();
  client.track("huge", { text: "x".repeat(40_000) });
  client.track("small");
  await pass(2_000);
  assert.deepEqual(names(server), ["small"]);
  assert.equal(server.batches()[0].body.dropped, 1);
});

test("an event that is not JSON is dropped and counted, and its neighbours go", async () => {
  const { client, server, pass } = granted();
  const round = {};
  round.round = round;
  client.track("round", round);
  client.track("big", { number: 10n });
  client.track("moody", { get size() { throw new Error("not today"); } });
  client.track("small");
  await pass(2_000);
  assert.deepEqual(names(server), ["small"]);
  assert.equal(server.batches()[0].body.dropped, 3);
});

test("calls that are made in one go are bounded; what comes last is dropped and counted", async () => {
  for (const agree of [true, false]) {
    const { client, server, pass } = agree ? granted() : tab();
    for (let number = 0; number < 30_000; number++) client.track("seen");
    await pass(5_000);
    client.consent.grant();
    client.track("after");
    await pass(5_000);
    const lost = server.batches().reduce((sum, { body }) => sum + (body.dropped || 0), 0);
    assert.equal(server.events().length + lost, 30_001);
    assert.ok(lost >= 19_999);
    assert.equal(names(server).at(-1), "after");
  }
});

for (const junk of ["[null]", "[1]", "{}", '[["x"]]', "5", "null", "{"])
  test(`what is no event among those on the device keeps none from going: ${junk}`, async () => {
    const { client, server, entries, pass } = granted({}, { entries: new Map([["consentry_wk.q1|1|1|x", junk]]) });
    client.track("one");
    await pass(5_000);
    assert.deepEqual([names(server), chunks(entries)], [["one"], []]);
  });

test("megabytes are dropped before their texts are gone through", () => {
  const { client } = granted();
  const text = "ab1.".repeat(2_000_000);
  const before = process.cpuUsage().user;
  client.track("huge", { text });
  // redacting it takes seconds
  assert.ok(process.cpuUsage().user - before < 500_000);
});

for (const [name, answer] of [
  ["no answer", "down"],
  ["a page in the gateway's place", { status: 200, text: "<!doctype html>" }],
  ["503", { status: 503 }],
  ["500", { status: 500 }],
  ["429", { status: 429 }],
])
  test(`${name}: the same events are sent again, once, under the same ids`, async () => {
    const { client, server, entries, pass } = granted();
    client.track("one");
    await pass(10);
    server.next(answer);
    await pass(1_500);
    assert.equal(chunks(entries).length, 1);
    await pass(10_000);
    assert.equal(server.batches().length, 2);
    assert.deepEqual(server.batches()[1].body.batch, server.batches()[0].body.batch);
    assert.equal(chunks(entries).length, 0);
  });

for (const status of [400, 401, 403, 404, 413])
  test(`${status}: one event is given up and counted`, async () => {
    const { client, server, entries, pass } = granted();
    client.track("one");
    await pass(10);
    server.next({ status });
    await pass(60_000);
    assert.equal(server.batches().length, 1);
    assert.equal(chunks(entries).length, 0);
    client.track("two");
    await pass(2_000);
    assert.equal(server.batches()[1].body.dropped, 1);
    client.track("three");
    await pass(2_000);
    assert.equal(server.batches()[2].body.dropped, undefined);
  });

test("413 halves the batch until it fits", async () => {
  const { client, server, pass } = granted();
  for (let number = 0; number < 40; number++) client.track("n" + number);
  const fits = ({ body }) => (body.batch.length > 10 ? { status: 413, text: "" } : { status: 200, text: '{"results":[]}' });
  server.next(fits, fits, fits, fits, fits, fits, fits);
  await pass(2_000);
  const kept = server.batches().filter(({ body }) => body.batch.length <= 10).flatMap(({ body }) => body.batch);
  assert.deepEqual(kept.map(({ event }) => event), [...Array(40).keys()].map((number) => "n" + number));
});

for (const text of ['{"results":{}}', '{"results":[null]}', '{"results":"none"}', "null", "<p>Sign in</p>", ""])
  test(`an answer that is not the gateway's has taken nothing: ${text}`, async () => {
    const { client, server, pass } = granted();
    server.next({ status: 200, text: '{"in_force":{}}' }, { status: 200, text });
    await pass(10);
    client.track("one");
    await client.flush();
    await pass(2_000);
    assert.deepEqual(names(server), ["one", "one"]);
    assert.equal(server.batches()[1].body.batch[0].messageId, server.batches()[0].body.batch[0].messageId);
  });

test("Retry-After is waited for", async () => {
  const { client, server, pass } = granted();
  client.track("one");
  await pass(10);
  server.next({ status: 429, after: "30" });
  await pass(29_000);
  client.track("two");
  await client.flush();
  assert.equal(server.batches().length, 1);
  await pass(5_000);
  assert.deepEqual(names(server).slice(1).sort(), ["one", "two"]);
});

test("Retry-After is waited for where events are added meanwhile, too, and an hour at most", async () => {
  const { client, server, pass } = granted();
  await pass(10);
  let answer;
  server.next(() => new Promise((done) => (answer = done)));
  client.track("one");
  await pass(1_500);
  client.track("two");
  await pass(100);
  answer({ status: 429, after: "30" });
  await pass(29_000);
  assert.equal(server.batches().length, 1);
  server.next({ status: 503, after: "31536000" });
  await pass(10_000);
  assert.equal(server.batches().length, 2);
  await pass(3_700_000);
  assert.deepEqual(server.batches().at(-1).body.batch.map(({ event }) => event), ["one", "two"]);
});

test("a clock that steps back holds nothing up", async () => {
  for (const trouble of ["down", { status: 503, after: "2" }]) {
    const time = clock();
    let back = 0;
    const { client, server, pass } = granted({}, { time: { ...time, now: () => time.now() - back } });
    await pass(10);
    server.next(trouble);
    client.track("one");
    await pass(1_500);
    back = 864e5;
    await pass(10_000);
    assert.deepEqual(names(server), ["one", "one"]);
  }
});

test("pauses double up to a minute", async () => {
  const { client, server, time, pass } = granted();
  client.track("one");
  await pass(10);
  const sent = [];
  const refuse = () => {
    sent.push(time.now());
    return { status: 503, text: "" };
  };
  server.next(...Array(10).fill(refuse));
  await pass(600_000);
  const gaps = sent.slice(1).map((at, index) => at - sent[index]);
  for (const [index, gap] of gaps.entries()) assert.ok(gap >= Math.min(60_000, 1000 * 2 ** index) * 0.5 && gap <= Math.min(60_000, 1000 * 2 ** index) + 300, `${gaps}`);
  assert.equal(server.batches().length, 11);
});

test("of a partly taken batch only the events marked retry come again", async () => {
  const { client, server, pass } = granted();
  client.track("one");
  client.track("two");
  client.track("three");
  await pass(10);
  server.next(({ body }) => ({
    status: 200,
    text: JSON.stringify({ accepted: 1, results: [{ id: body.batch[1].messageId, outcome: "retry" }, { id: body.batch[2].messageId, outcome: "dropped" }] }),
  }));
  await pass(20_000);
  assert.deepEqual(server.batches().map(({ body }) => body.batch.map(({ event }) => event)), [["one", "two", "three"], ["two"]]);
});

test("what could not be sent is on the device, and the next visit sends it once", async () => {
  const first = granted({}, { name: "a" });
  first.server.next("down", "down");
  first.client.track("one");
  await first.pass(1_700);
  assert.equal(chunks(first.entries).length, 1);
  const elsewhere = clock();
  await elsewhere.pass(100_000);
  const again = tab({}, { entries: first.entries, time: elsewhere, name: "b" });
  await again.pass(2_000);
  assert.deepEqual(names(again.server), ["one"]);
  assert.equal(chunks(first.entries).length, 0);
});

test("chunks left one by one go out together", async () => {
  const { client, server, entries, pass } = granted();
  await pass(10);
  server.next("down", "down");
  for (let number = 0; number < 10; number++) {
    client.track("n" + number);
    await pass(300);
  }
  assert.ok(chunks(entries).length > 3);
  await pass(30_000);
  assert.ok(server.batches().length <= 5, String(server.batches().length));
  assert.equal(new Set(names(server)).size, 10);
  assert.equal(chunks(entries).length, 0);
});

test("no batch that waited on the device is larger than others", async () => {
  const world = { entries: new Map(), name: "a" };
  const first = granted({}, world);
  await first.pass(10);
  first.server.next("down");
  first.client.track("kept");
  await first.pass(1_100);
  for (const [events, text] of [[1, 28_000], [90, 500], [1, 31_000], [1, 31_000], [50, 20], [99, 20]]) {
    for (let number = 0; number < events; number++) first.client.track("kept", { text: "x".repeat(text) });
    await first.pass(2);
  }
  const { server, pass } = tab({}, { entries: world.entries, name: "b" });
  await pass(10_000);
  assert.equal(server.events().length, 243);
  for (const { body } of server.batches()) assert.ok(body.batch.length <= 100 && JSON.stringify(body).length < 61_440, `${body.batch.length} events`);
});

test("the device keeps a megabyte; the oldest go and are counted", async () => {
  const { client, server, entries, pass } = granted();
  await pass(10);
  const down = Array(400).fill("down");
  server.next(...down);
  for (let number = 0; number < 60; number++) {
    client.track("n" + number, { text: "x".repeat(30_000) });
    await pass(400);
  }
  const bytes = chunks(entries).reduce((sum, key) => sum + entries.get(key).length, 0);
  assert.ok(bytes < 1_100_000 && bytes > 900_000, String(bytes));
  down.length = 0;
  await pass(60_000_000);
  const last = server.batches().filter(({ body }) => body.dropped);
  const delivered = new Set(names(server));
  assert.ok(last.at(-1).body.dropped >= 26, String(last.at(-1).body.dropped));
  assert.ok(delivered.has("n59"));
});

test("without storage the queue stays in memory, bounded at 1,000; the oldest go and are counted", async () => {
  const broken = () => {
    throw new Error("blocked");
  };
  const { client, server, pass } = granted({ storage: { get: broken, set: broken, keys: broken } });
  await pass(10);
  server.next("down", "down", "down");
  client.track("first");
  await pass(2_000);
  for (let number = 0; number < 1_200; number++) client.track("n" + number);
  await pass(100_000);
  const delivered = server.batches().slice(3);
  assert.equal(new Set(delivered.flatMap(({ body }) => body.batch.map(({ event }) => event))).size, 1_000);
  assert.equal(delivered.reduce((sum, { body }) => sum + (body.dropped || 0), 0), 201);
});

test("events older than the gateway's memory of ids are not sent a second time", async () => {
  const time = clock();
  const sent = [];
  const send = (path) => (path === "/v1/batch" && sent.push(time.now()), Promise.resolve({ status: 503, after: "3600", text: "" }));
  const { client, entries, pass } = granted({}, { time, parts: { send } });
  client.track("one");
  await pass(9 * 864e5);
  assert.ok(sent.length > 1 && sent.at(-1) < START + 7 * 864e5 + 1_000);
  assert.equal(chunks(entries).length, 0);
});

test("on the way out everything is handed to the beacon, and what it does not take to the device", async () => {
  const beacons = [];
  const { client, server, signals, entries, pass } = granted({}, { parts: { beacon: (path, body) => beacons.push([path, JSON.parse(body)]) < 2 } });
  for (let number = 0; number < 150; number++) client.track("n" + number);
  signals.hide();
  assert.deepEqual(beacons.map(([path, body]) => [path, body.batch.length]), [["/v1/batch", 100], ["/v1/batch", 50]]);
  assert.equal(chunks(entries).length, 1);
  signals.show();
  await pass(1_000);
  assert.equal(server.events().length, 50);
});

test("while the gateway fails, leaving keeps events on the device instead of risking them", async () => {
  const beacons = [];
  const { client, server, signals, entries, pass } = granted({}, { parts: { beacon: (path, body) => beacons.push(body) } });
  await pass(10);
  server.next("down", "down");
  client.track("one");
  await pass(1_200);
  client.track("two");
  signals.hide();
  assert.deepEqual(beacons, []);
  assert.equal(chunks(entries).length, 2);
  signals.show();
  await pass(60_000);
  assert.deepEqual([...new Set(names(server))].sort(), ["one", "two"]);
});

test("two tabs that come back online send what is on the device once", async () => {
  let held = Promise.resolve();
  const lock = (name, job) => (held = held.then(job));
  const world = { time: clock(), server: gateway(), entries: new Map() };
  const first = granted({}, { ...world, name: "a", parts: { lock } });
  await first.pass(2_000);
  const second = tab({}, { ...world, name: "b", parts: { lock } });
  world.server.next("down", "down");
  first.client.track("one");
  second.client.track("two");
  await first.pass(1_300);
  assert.ok(chunks(world.entries).length > 0);
  first.signals.show();
  second.signals.show();
  await first.pass(60_000);
  const ids = world.server.batches().slice(2).flatMap(({ body }) => body.batch.map(({ messageId }) => messageId));
  assert.equal(ids.length, 2);
  assert.equal(new Set(ids).size, 2);
});

test("flush resolves when the gateway has answered", async () => {
  const { client, server } = granted();
  client.track("one");
  await client.flush();
  assert.deepEqual(names(server), ["one"]);
});

test("a burst is worked through in slices", async () => {
  let now = START;
  const jobs = [];
  const { client } = granted({}, { parts: { now: () => (now += 0.05), later: (job) => jobs.push(job) } });
  for (let number = 0; number < 500; number++) client.track("n" + number);
  let slices = 0;
  while (jobs.length && slices < 1000) {
    const before = now;
    jobs.shift()();
    slices++;
    assert.ok(now - before < 5, `slice of ${now - before} ms`);
    if (slices > 400) break;
  }
  assert.ok(slices > 10);
});
