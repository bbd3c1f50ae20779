/** Takes personal data out of text, URLs and nested values before they leave the page. */

/** The gateway's limit for one event. */
export const EVENT_BYTES = 32768;

/** Lengths are bounded (RFC 5321 has 64 and 63) so that no text takes quadratic time. */
const EMAIL = /[\w.!$%'*+`{|}~-]{1,64}(@|%40)[\w-]{1,63}(\.[\w-]{1,63})+/g;

/** 9 digits and more, single separators allowed: phones, cards, national ids. */
const DIGITS = /\+?\d(?:[ .-]?\d){8,}/g;

/** JSON web tokens, UUIDs, and 20 and more characters without a break; tokens if they have both letters and digits. */
const TOKEN = /eyJ[\w.-]+|[\da-f]{8}(-[\da-f]{4,12}){4}|\w{20,}/gi;

const token = (run: string): string => (/\d/.test(run) && /[a-z]/i.test(run) ? "[token]" : run);

/** Query parameters whose value is nobody's business, whatever it looks like. */
const SECRET = /token|(^|[_-])key|auth|pass|pwd|secret|code|sess|^sid|sig|mail|phone|jwt|otp|clid$|name|user|nonce|state/i;

const digits = (least: number) => (run: string): string =>
  run.replace(/\D/g, "")[run[0] == "+" ? 8 : least] ? "[number]" : run;

/** E-mail addresses, and digit runs of 12 and more (9 after a plus): an order number or a time in seconds stays. */
export const redactText = (text: string): string => text.replace(EMAIL, "[email]").replace(DIGITS, digits(11));

const redactPart = (part: string): string => part.replace(EMAIL, "[email]").replace(TOKEN, token).replace(DIGITS, digits(8));

/** A URL without user-info; of its fragment only a route (`#/...`) is kept; secrets in path and query are replaced. */
export const redactUrl = (url: string): string => {
  if (!/^https?:/.test(url)) return url.replace(/:.*/s, ":");
  const { origin, pathname, search, hash } = new URL(url);
  const query = search.replace(/([^?&=]+)(=[^&]*)?/g, (pair, name) => redactPart(SECRET.test(name) ? name + "=[redacted]" : pair));
  return origin + redactPart(pathname) + query + redactPart(/^#!?\//.test(hash) ? (hash.split("?")[0] as string) : "");
};

/** A copy of a JSON value with all its texts redacted, unless `redact` is false. Throws on what is not JSON, or is more than an event may be. */
export const redactDeep = (value: unknown, redact?: boolean): unknown => {
  const json = JSON.stringify(value || undefined);
  // looked at first: redacting megabytes would hold the page for seconds
  return json && JSON.parse(json.length > EVENT_BYTES ? "" : json, (_key, item) => (redact !== false && typeof item == "string" ? redactText(item) : item));
};
