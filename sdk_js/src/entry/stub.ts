/** For pages that call before the SDK has loaded: the calls wait in `consentry.q`. */

import type { Client, Purposes } from "../types.js";
import { makeApi, type Api, type Run } from "./api.js";

type Listener = (purposes: Purposes) => void;

/** Looks for the SDK, a tenth of a second apart: where it is kept away a page must not wait for ever. */
const LOOKS = 50;

const root = window as unknown as { consentry?: unknown };

if (!root.consentry) {
  const q: unknown[] = [];
  const wait: Run = (path, args) => void q.push([path, ...args]);

  const flushed = async (looks = LOOKS): Promise<void> => {
    if (root.consentry != api) return (root.consentry as Client).flush();
    if (looks) return new Promise((done) => setTimeout(() => done(flushed(looks - 1)), 100));
  };

  const listen = (listener: Listener): (() => void) => {
    let heard: unknown = 1;
    wait("consent.onChange", [(purposes: Purposes) => heard && listener(purposes)]);
    return () => (heard = 0);
  };

  const answers: Record<string, (...args: never[]) => unknown> = { flush: () => flushed(), "consent.get": () => ({}), "consent.onChange": listen };
  const early: Run = (path, args) => (answers[path] ? answers[path](...(args as never[])) : wait(path, args));
  // a page that has kept the stub goes on with it
  const api: Api & { q: unknown[] } = Object.assign(makeApi((path, args) => (root.consentry == api ? early(path, args) : (root.consentry as Api).push([path, ...args]))), { q });
  root.consentry = api;
}
