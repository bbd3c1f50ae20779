/** What the SDK's callers see: settings, options, consent, events. Nothing here exists at run time. */

export type Properties = Record<string, unknown>;

/** What a call is given: an object of any type, those of interfaces too. */
export type Given = Readonly<Record<string, any>> | null;

/** A name, or a list of names; or the event that a button hands its listener, which counts as nothing. */
export type Asked = string | readonly string[] | { target: unknown } | null;

/** Purpose to choice. `undefined`: nothing was said about it; `null`: a signal is not ready, wait for it. */
export type Purposes = Record<string, boolean | null | undefined>;

export interface CaptureSettings {
  /** Page views: the first, in-page navigation, and pages that come back from the back-forward cache. */
  pages?: boolean;
  /** Clicks on elements with `data-track`. */
  clicks?: boolean;
  /** Clicks on links, with `outbound` for other hosts. */
  links?: boolean;
  /** Form submissions: field names, never values. */
  forms?: boolean;
  /** 25, 50, 75 and 100 % of the page seen, each once per page. */
  scroll?: boolean;
  /** Play, progress (25, 50, 75 %) and completion of audio and video. */
  media?: boolean;
  /** Uncaught errors and rejections, ten a page at most. */
  errors?: boolean;
  /** Load time and web vitals. */
  performance?: boolean;
}

export interface Settings {
  /** The site's write key. */
  key: string;
  /** The gateway's address, such as `https://events.example`. In the browser the script's own origin by default. */
  host?: string;
  /** Purposes the banner asks for; `consent.grant()` without a list grants these. Default: `["analytics"]`. */
  purposes?: string | readonly string[];
  /** Purpose of a call that names none. Default: `"analytics"`. */
  purpose?: string;
  /** Purposes that hold until the visitor objects. Only where the law is opt-out; void under Global Privacy Control. */
  defaults?: Purposes;
  /** Version of the privacy notice the visitor sees; goes with every choice. */
  notice?: string;
  /** How long a grant is remembered on the device. Default: 395 days. */
  consentDays?: number;
  /** Global Privacy Control: `"ads"` (default) denies advertising and sale, `"all"` everything, `false` nothing. */
  gpc?: "ads" | "all" | false;
  /** Count `navigator.doNotTrack` as a denial of everything. Default: false. */
  dnt?: boolean;
  /** IAB TCF: the publisher's own consents (default), the consents of a vendor by its number, or not at all. */
  tcf?: "publisher" | number | string | false;
  /** IAB GPP opt-outs. Default: true. */
  gpp?: boolean;
  /** Google consent mode in `dataLayer`. Default: true. */
  google?: boolean;
  /** Calls that may leave without a grant, stripped of every id: `true` for page and screen views, or event names. Default: false. */
  anonymous?: boolean | string | readonly string[];
  /** What is captured by itself: all (default), none, a list of names, or switches. */
  capture?: boolean | string | readonly string[] | CaptureSettings;
  /** Follow the consent banner on the page: its name, or `true` to find out. See `docs/sdk-js.md`. Default: false. */
  banner?: boolean | string;
  /** Take over `window.analytics`, replaying what it has queued. Default: false. */
  analytics?: boolean;
  /** Strip e-mail addresses and long digit runs from properties and traits. URLs are always stripped. Default: true. */
  redact?: boolean;
  /** Send when this many events wait. Default: 20. */
  batchEvents?: number;
  /** Send this long after the first waiting event, in milliseconds. Default: 1000. */
  batchDelay?: number | string;
}

export interface Options {
  /** What the event is for, if not the default purpose. */
  purpose?: string;
  /** When it happened: a date, or milliseconds since the epoch. */
  timestamp?: Date | number | string;
  /** Added to the event's context. */
  context?: Given;
}

export interface Consent {
  /** The visitor agrees to these purposes (default: those of the settings). */
  grant(purposes?: Asked, notice?: string): void;
  /** The visitor refuses these purposes (default: all). What waited for them is dropped. */
  deny(purposes?: Asked, notice?: string): void;
  /** The visitor takes a grant back (default: all): ids and queue are deleted at once and the gateway is told. */
  withdraw(purposes?: Asked, notice?: string): void;
  /** The choice in force, from the visitor and all signals; the most restrictive wins. */
  get(): Purposes;
  /** Calls back after each change; returns the function that ends it. */
  onChange(listener: (purposes: Purposes) => void): () => void;
  /** What a banner or browser signal says; null: nothing yet, wait for it. `raw` is the signal's own string, sent along as proof. */
  signal(name: string, purposes: Purposes | null, raw?: string): void;
}

export interface Client {
  track(event: string, properties?: Given, options?: Options): void;
  page(name?: string | null, properties?: Given, options?: Options): void;
  page(category: string | null, name: string | null, properties?: Given, options?: Options): void;
  screen(name: string, properties?: Given, options?: Options): void;
  identify(userId: string | number | Given, traits?: Given, options?: Options): void;
  group(groupId: string | number, traits?: Given, options?: Options): void;
  alias(userId: string | number, previousId?: string | number): void;
  /** Forget who is using the device (at log-out): new ids from here on. The consent choice stays. */
  reset(): void;
  /** Withdraw everything and remember only that, until `consent.grant` is called. */
  optOut(): void;
  /** Send what waits now; resolves when the gateway has answered or could not be reached. */
  flush(): Promise<void>;
  consent: Consent;
}
