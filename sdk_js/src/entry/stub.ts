/** For pages that call before the SDK has loaded: the calls wait in `consentry.q`. */

import { makeApi } from "./api";

const root = window as unknown as { consentry?: unknown };

if (!root.consentry) {
  const q: unknown[] = [];
  root.consentry = Object.assign(
    makeApi((path, args) => void q.push([path, ...args])),
    { q },
  );
}
