/** The global `consentry`: the same methods before and after the SDK has loaded, by path or by `push(["track", ...])`. */

export type Run = (path: string, args: unknown[]) => unknown;

const METHODS = "init track page screen identify group alias reset optOut flush consent.grant consent.deny consent.withdraw consent.get consent.onChange consent.signal";

export type Api = Record<string, unknown> & { push: (call: [string, ...unknown[]]) => unknown; consent: Record<string, unknown> };

export const makeApi = (run: Run): Api => {
  const api = { push: ([path, ...args]: [string, ...unknown[]]) => run(path, args), consent: {} } as Api;
  for (const path of METHODS.split(" ")) {
    const [first, second] = path.split(".") as [string, string?];
    (second ? api.consent : api)[second || first] = (...args: unknown[]) => run(path, args);
  }
  return api;
};
