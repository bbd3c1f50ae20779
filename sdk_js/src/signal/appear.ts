/** Waits, ten seconds at most, for a function that another script defines on the window. */

import { guard } from "../guard.js";

type Api = (...args: never[]) => unknown;

export const whenDefined = <Found extends Api>(name: string, found: (api: Found) => void, tries = 20): void => {
  const api = (window as unknown as Record<string, Found | undefined>)[name];
  if (typeof api == "function") guard(found)(api);
  else if (tries) setTimeout(() => whenDefined(name, found, tries - 1), 500);
};
