/** The client: calls wait until the visitor's choice is known, then become events and go to the outbox. */

import { CALLS, readCall, type Call } from "./call.js";
import { ADVERTISING, NOTHING, openChoice } from "./choice.js";
import { pageContext } from "./context.js";
import { openDevice } from "./device.js";
import { guard } from "./guard.js";
import { namesIn } from "./names.js";
import { isTemporary, openOutbox } from "./outbox.js";
import type { Answer, Page, Platform } from "./platform/platform.js";
import type { OpenSpool } from "./spool.js";
import type { Asked, Client, Properties, Purposes, Settings } from "./types.js";
import { VERSION } from "./version.js";

const SESSION_MS = 18e5;
/** Work on the page's main thread pauses after this long. */
const SLICE_MS = 2;
/** Calls kept in memory while the visitor has not chosen. */
const WAITING_CALLS = 200;
/** Calls kept in memory while there was no time to look at them. */
const NEW_CALLS = 1e4;

/** What a build adds to the core. */
export interface Extras {
  _spool?: OpenSpool;
  _campaign?: (url: string) => Properties | undefined;
}

export const createClient = (settings: Settings, platform: Platform, extras: Extras = {}): Client => {
  const purpose = settings.purpose || "analytics";
  const purposes = namesIn(settings.purposes || purpose);
  const device = openDevice(platform, "consentry_" + settings.key, settings.consentDays || 395);
  const choice = openChoice(device, settings, purposes);
  const outbox = openOutbox(platform, device, settings, choice._of, extras._spool);
  const listeners = new Set<(purposes: Purposes) => void>();
  let calls: Call[] = [];
  let planned = 0;
  let changedIds: unknown;
  let told: Purposes;
  /** Granted while a signal was not ready: the gateway hears of it when it is in force. */
  let owed: string[] = [];

  const purposeOf = (call: Call): string => call._options.purpose || purpose;
  const anyGranted = (): boolean => Object.values(told).some((state) => state);

  const put = (call: Call, event: Properties, lane: string): void => {
    const messageId = platform.id();
    const json = JSON.stringify({ ...event, messageId, timestamp: new Date(call._time) });
    outbox._add([json, platform.bytes(json), lane, messageId, platform.now()]);
  };

  /** Consented: with the visitor's ids and session as of the call. */
  const finish = (call: Call): void => {
    const { _event: event, _time: time } = call;
    const kept = device._kept;
    const page = event.context as Page | undefined;
    kept.a ||= platform.id();
    if (event.type == "alias") event.previousId ||= kept.u || kept.a;
    kept.u = (event.userId as string) || kept.u;
    if (!(time - (kept.l as number) <= SESSION_MS)) kept.s = time;
    // a clock that was ahead, and a time to come, keep no session open
    kept.l = Math.min(platform.now(), Math.max(time, kept.l || 0));
    changedIds = 1;
    event.context = {
      campaign: page && extras._campaign?.(page.url),
      ...call._options.context,
      ...(page && { page: pageContext(page) }),
      sessionId: kept.s,
      consent: { purposes: choice._stated(), notice: kept.c.n, at: kept.c.t, ...choice._raw },
      library: { name: "consentry-js", version: VERSION },
    };
    put(call, { anonymousId: kept.a, ...event, userId: kept.u }, purposeOf(call));
  };

  /** The anonymous lane: what was seen, by nobody. */
  const finishAnonymous = (call: Call): void => {
    const { type, event, context } = call._event;
    const { url = "", path } = context ? pageContext(context as Page) : {};
    put(call, { type, event, context: { page: { url: (url as string).split(/[?#]/)[0], path }, consent: { purposes: { [purposeOf(call)]: false } } } }, "");
  };

  const anonymously = ({ _event: { type, event = type + "_viewed" } }: Call): unknown => {
    const allowed = settings.anonymous;
    return allowed && !device._kept.c.o && namesIn(allowed === true ? "page_viewed,screen_viewed" : allowed).includes(event as string);
  };

  /** Decides about one call; true when it has to wait for the visitor. */
  const decide = (call: Call): unknown => {
    const state = choice._of(purposeOf(call));
    if (state) return finish(call);
    return anonymously(call) ? finishAnonymous(call) : state == null;
  };

  /** What other pages have chosen comes first: word of it may come late, or never to a page that rests in the cache. */
  const sync = (): void => {
    if (!device._moved()) return;
    device._load();
    // what is gone was withdrawn
    if (!device._kept.a) device._kept.c.p ||= NOTHING;
    settle();
  };

  /** Works through the calls, a slice at a time unless the page is going. */
  const pump = (all?: unknown): void => {
    sync();
    const until = platform.now() + SLICE_MS;
    const work = calls;
    const waiting: Call[] = (calls = []);
    while (work[0] && (all || platform.now() < until)) {
      const call = work.shift() as Call;
      try {
        if (decide(call)) waiting.push(call);
      } catch {
        outbox._lose(1);
      }
    }
    while (waiting[WAITING_CALLS]) outbox._lose(1), waiting.shift();
    calls = waiting.concat(work);
    if (changedIds) device._save();
    changedIds = 0;
    outbox._ready();
    if (work[0]) plan();
  };

  const plan = (): void => {
    if (!planned++) platform.later(() => ((planned = 0), pump()), 0);
  };

  const caller = (type: string) => (...args: unknown[]): void => {
    try {
      if (calls[NEW_CALLS]) throw 0;
      const call = readCall(type, args, platform.now(), settings.redact);
      call._event.context = platform.page?.();
      calls.push(call);
    } catch {
      outbox._lose(1);
    }
    plan();
  };

  /** Acts on whatever the last change of choice or signals has changed; `named` are the purposes that the page has named. */
  const settle = (named?: string[], action = "withdraw"): void => {
    const before = told;
    let { a } = device._kept;
    told = choice._all();
    const taken = Object.keys(before).filter((name) => before[name] && told[name] === false);
    const moved = JSON.stringify(before) != JSON.stringify(told);
    if (!moved && !named) return;
    if (anyGranted()) device._kept.a ||= platform.id();
    // unless a grant only waits for a signal
    else if ((named || taken[0] || purposes.every((name) => told[name] === false)) && Object.keys(told).every((name) => !(told[name] ?? device._kept.c.p?.[name])))
      device._clear();
    if (device._kept.a || device._kept.c.o || (settings.defaults && device._kept.c.p)) device._save();
    if (taken[0] || !device._kept.a) outbox._purge();
    pump();
    a ||= device._kept.a;
    const notice = device._kept.c.n;
    if (!named && !taken[0]) named = owed.splice(0), (action = "grant");
    owed = owed.concat(named || []).filter((name) => told[name] == null);
    /** The gateway hears what still holds; ten tries over two minutes, since nothing may be kept on the device for it. */
    const tell = async (tries: number): Promise<void> => {
      sync();
      const purposes = (named || taken).filter((name) => a && (!told[name] || device._kept.a != a) != (action == "grant"));
      if (purposes[0] && isTemporary((await platform.send("/v1/consent", JSON.stringify({ writeKey: settings.key, anonymousId: a, action, purposes, notice })).catch(() => ({}) as Answer)).status) && tries < 10)
        platform.later(() => tell(tries + 1), 2e3 * tries);
    };
    tell(1);
    if (moved) listeners.forEach((listener) => guard(listener)(told));
  };

  const chooser = (action: string, out?: 1) => guard((asked?: Asked, notice?: string): void => {
    sync();
    const granted = action == "grant";
    // as a button's listener it is handed the click
    const list = !(asked as { target?: unknown })?.target && asked;
    const names = list ? namesIn(list) : granted ? purposes : Object.keys(choice._all());
    if (!names[0] && list) return;
    const said: Purposes = Object.fromEntries(names.map((name) => [name, granted]));
    const kept = device._kept;
    kept.c = { p: { ...kept.c.p, ...said, ...(!list && !granted && NOTHING) }, n: notice || settings.notice, t: platform.now(), o: out || (!granted && kept.c.o) };
    settle(names, action);
  });

  const client = {
    consent: {
      grant: chooser("grant"),
      deny: chooser("deny"),
      withdraw: chooser("withdraw"),
      get: choice._all,
      onChange(listener: (purposes: Purposes) => void) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      signal: guard((name: string, said: Purposes | null, raw?: string) => {
        sync();
        // nothing yet: wait for it
        choice._signals[name] = { ...(said || { "*": null }) };
        if (raw) choice._raw[name] = raw;
        settle();
      }),
    },
    reset: guard(() => {
      pump(1);
      outbox._lose(calls.splice(0).length);
      device._kept = { a: device._kept.a && platform.id(), c: device._kept.c };
      settle([]);
    }),
    optOut: () => chooser("withdraw", 1)(),
    async flush() {
      pump(1);
      return outbox._resume();
    },
  } as unknown as Client;
  for (const type in CALLS) (client as unknown as Properties)[type] = caller(type);

  if (platform.gpc && settings.gpc !== false) choice._signals.gpc = settings.gpc == "all" ? NOTHING : ADVERTISING;
  if (platform.dnt && settings.dnt) choice._signals.gpc = NOTHING;
  told = choice._all();
  platform.listen?.({
    hide: guard(() => {
      pump(1);
      outbox._leave();
    }),
    show() {
      sync();
      outbox._resume();
    },
    stored: sync,
  });
  if (anyGranted()) outbox._resume();
  else if (!device._kept.a) outbox._purge();
  return client;
};
