// A device with a clock, a network and other tabs, under the test's hand.
import { createNode, memoryStorage } from "../../dist/node.mjs";

export const START = Date.UTC(2026, 10, 21, 9);

/** Timers run when time passes, never by themselves. */
export const clock = () => {
  let now = START;
  let timers = [];
  const later = (job, ms) => timers.push({ at: now + ms, job });
  const settle = () => new Promise((done) => setImmediate(done));
  /** Lets `ms` pass, running what falls due on the way. */
  const pass = async (ms) => {
    const end = now + ms;
    await settle();
    for (;;) {
      timers.sort((a, b) => a.at - b.at);
      if (!timers.length || timers[0].at > end) break;
      const { at, job } = timers.shift();
      now = Math.max(now, at);
      job();
      await settle();
    }
    now = end;
  };
  return { now: () => now, later, pass };
};

/** A gateway that records what it gets and answers as told. */
export const gateway = () => {
  const requests = [];
  const answers = [];
  const answer = (path, body) => {
    const request = { path, body: JSON.parse(body) };
    requests.push(request);
    const next = answers.shift();
    if (next === "down") return Promise.reject(new Error("down"));
    return Promise.resolve(typeof next === "function" ? next(request) : { status: 200, text: '{"accepted":1,"results":[]}', ...next });
  };
  const batches = () => requests.filter(({ path }) => path === "/v1/batch");
  return {
    requests,
    answer,
    batches,
    events: () => batches().flatMap(({ body }) => body.batch),
    consents: () => requests.filter(({ path }) => path === "/v1/consent").map(({ body }) => body),
    /** The next answers: a partial answer, a function of the request, or "down". */
    next: (...given) => answers.push(...given),
  };
};

/** One tab: a client with its hands on a shared device, clock and gateway. */
export const tab = (settings = {}, world = {}) => {
  const time = world.time || clock();
  const server = world.server || gateway();
  const entries = world.entries || new Map();
  const signals = {};
  let serial = world.serial || 0;
  const client = createNode(
    { key: "wk", host: "", storage: memoryStorage(entries), ...settings },
    {
      send: server.answer,
      now: time.now,
      later: time.later,
      random: () => 0.5,
      id: () => "id-" + world.name + ++serial,
      listen: (given) => Object.assign(signals, given),
      ...world.parts,
    },
  );
  return { client, time, server, entries, signals, pass: time.pass };
};

export const granted = (settings, world) => {
  const made = tab(settings, world);
  made.client.consent.grant();
  return made;
};
