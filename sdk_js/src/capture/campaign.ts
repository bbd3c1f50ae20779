import { redactText } from "../redact.js";
import type { Properties } from "../types.js";

/** The UTM parameters of a URL, in the names of the Segment specification. */
export const campaignContext = (url: string): Properties | undefined => {
  let found: Properties | undefined;
  new URL(url).searchParams.forEach((value, name) => {
    if (/^utm_/.test(name)) (found ||= {})[name == "utm_campaign" ? "name" : name.slice(4)] = redactText(value);
  });
  return found;
};
