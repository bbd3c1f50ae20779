import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { missing, NOTHING, pause, snippet, startBrowser, startGateway, startSite, stored, until } from "./world.mjs";

let browser;
before(async () => {
  if (!missing) browser = await startBrowser();
});
after(async () => browser?.close());

/** A visit: own gateway, site and profile; `open` gives the browser. */
const visit = (name, pages, act, open = () => browser) =>
  test(name, { skip: missing }, async () => {
    const gateway = await startGateway();
    const made = Object.fromEntries(Object.entries(typeof pages === "function" ? pages(gateway.url) : pages).map(([path, html]) => [path, html]));
    const site = await startSite(gateway.url, "wk", made);
    const opened = await open();
    const context = await opened.newContext();
    const page = await context.newPage();
    const problems = [];
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => message.type() === "error" && /Content Security|Refused/.test(message.text()) && problems.push(message.text()));
    try {
      await act({ gateway, site, context, page, problems });
      assert.deepEqual(problems, []);
    } finally {
      await context.close();
      if (opened !== browser) await opened.close();
      await site.close();
      await gateway.close();
    }
  });

const ready = (page) => page.waitForFunction(() => window.consentry && window.consentry.consent);
const say = (page, ...call) => page.evaluate((given) => window.consentry.push(given), call);
const one = (attributes, rest = "") => (gateway) => ({ "/": snippet(gateway, attributes) + rest, "/next": snippet(gateway, attributes) + "next" });

visit("the snippet works under a strict policy: nothing before the grant, page and load time after it", one(), async ({ gateway, site, page }) => {
  await page.goto(site.url + "/?utm_source=news&email=a@b.co");
  await ready(page);
  await pause(300);
  assert.deepEqual(await stored(page), NOTHING);
  assert.deepEqual(gateway.requests, []);
  await say(page, "consent.grant", undefined, "n1");
  await until(() => gateway.named("page_loaded")[0], "the load time");
  const [view] = gateway.named("page");
  assert.deepEqual(view.context.page, { url: site.url + "/?utm_source=news&email=[redacted]", path: "/", title: "Test", referrer: "" });
  assert.deepEqual(view.context.campaign, { source: "news" });
  assert.equal(view.context.consent.notice, "n1");
  assert.ok(gateway.requests.every(({ type }) => type.startsWith("text/plain")));
  const { local, ...rest } = await stored(page);
  assert.deepEqual(Object.keys(local), ["consentry_wk"]);
  assert.deepEqual(rest, { session: {}, databases: [], cookies: [] });
  assert.ok(gateway.named("page_loaded")[0].properties.load > 0);
});

visit("denial and withdrawal leave nothing on the device", one(), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.deny");
  await say(page, "track", "seen");
  await pause(1_300);
  assert.deepEqual(await stored(page), NOTHING);
  assert.deepEqual(gateway.requests, []);
  await say(page, "consent.grant");
  await say(page, "track", "seen");
  await until(() => gateway.named("seen")[0], "the event");
  await say(page, "track", "unsent");
  await say(page, "consent.withdraw");
  await until(() => gateway.requests.some(({ path, body }) => path === "/v1/consent" && body.action === "withdraw"), "the withdrawal");
  assert.deepEqual(await stored(page), NOTHING);
  await page.goto(site.url + "/next");
  assert.equal(gateway.named("unsent").length, 0);
});

visit("what happens just before leaving is delivered, once", one("data-batch-delay=60000"), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await page.evaluate(() => (consentry.push(["track", "left"]), (location.href = "/next")));
  await page.waitForURL("**/next");
  await until(() => gateway.named("left")[0], "the event");
  await page.close();
  await until(() => gateway.named("page").length === 2, "the second page");
  assert.equal(gateway.named("left").length, 1);
  assert.ok(gateway.named("web_vitals_measured")[0].properties.cls >= 0);
  assert.equal(gateway.named("page")[0].anonymousId, gateway.named("page")[1].anonymousId);
  assert.equal(gateway.named("page")[0].context.sessionId, gateway.named("page")[1].context.sessionId);
});

const APP = `<main><a id="in" href="/next">in</a> <a id="out" href="https://other.example/p?token=1" target="x">out</a>
<button id="b" data-track="size_chosen" data-track-size="L">L</button>
<form id="f"><input name="email" value="ann@mail.example"><input name="card" value="4111111111111111"><button>go</button></form>
<div class="tall" id="tall"></div></main><script src="/app.js"></script>`;
const APP_JS = `document.getElementById("f").addEventListener("submit", (e) => e.preventDefault());
for (const a of document.querySelectorAll("a")) a.addEventListener("click", (e) => e.preventDefault());
document.getElementById("tall").append(...Array.from({ length: 400 }, () => document.createElement("p")));
for (const p of document.querySelectorAll("p")) p.textContent = "line";`;

visit("clicks, links, forms, scrolling, errors and in-page navigation are captured, values are not", (gateway) => ({ "/": snippet(gateway, "data-batch-delay=50") + APP, "/app.js": APP_JS, "/next": "" }), async ({ gateway, site, page, problems }) => {
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await page.click("#b");
  await page.click("#in");
  await page.click("#out");
  await page.click("#f button");
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight / 2));
  await until(() => gateway.named("scroll_depth_reached").length === 2, "half the page");
  await page.evaluate(() => scrollTo(0, 1e9));
  await until(() => gateway.named("scroll_depth_reached").length === 4, "all of the page");
  await page.evaluate(() => scrollTo(0, 0));
  await page.evaluate(() => scrollTo(0, 1e9));
  await page.evaluate(() => setTimeout(() => { throw new Error("broken for ann@mail.example"); }));
  await page.evaluate(() => history.pushState(null, "", "/cart?x=1"));
  await until(() => gateway.named("page").length === 2, "the second view");
  await until(() => gateway.named("error_occurred")[0], "the error");
  assert.deepEqual(gateway.named("scroll_depth_reached").map(({ properties }) => properties.percent), [25, 50, 75, 100]);
  assert.deepEqual(gateway.named("size_chosen")[0].properties, { size: "L" });
  assert.deepEqual(gateway.named("link_clicked").map(({ properties }) => properties), [
    { url: site.url + "/next", outbound: false, download: false },
    { url: "https://other.example/p?token=[redacted]", outbound: true, download: false },
  ]);
  assert.deepEqual(gateway.named("form_submitted")[0].properties, { form: "f", fields: ["email", "card"] });
  assert.match(gateway.named("error_occurred")[0].properties.message, /broken for \[email\]/);
  const second = gateway.named("page")[1].context.page;
  assert.equal(second.path, "/cart");
  assert.equal(second.referrer, site.url + "/");
  assert.ok(!JSON.stringify(gateway.requests).match(/ann@mail|41111111/));
  problems.length = 0;
});

visit("a router of the Navigation API has page views, one a page", one("data-batch-delay=50", '<a id="link" href="/link">link</a>'), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await page.evaluate(() => navigation.addEventListener("navigate", (event) => event.intercept({ handler: async () => undefined })));
  await page.evaluate(() => navigation.navigate("/cart").finished.then(() => undefined));
  await page.click("#link");
  await page.evaluate(() => history.pushState(null, "", "/end"));
  await until(() => gateway.named("page").some(({ context }) => context.page.path === "/end"), "the last view");
  assert.deepEqual(gateway.named("page").map(({ context }) => context.page.path), ["/", "/cart", "/link", "/end"]);
});

visit("what a page was scrolled just before an in-page navigation does not count for the next one", (gateway) => ({ "/": snippet(gateway, "data-batch-delay=50") + APP, "/app.js": APP_JS }), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await page.evaluate(() => {
    addEventListener("scroll", () => (history.pushState(null, "", "/cart"), setTimeout(() => consentry.track("later"), 500)), { once: true });
    scrollTo(0, 1e9);
  });
  await until(() => gateway.named("later")[0], "the event after it");
  assert.deepEqual(gateway.named("scroll_depth_reached"), []);
});

visit("clicks inside of web components are those of the elements around them", (gateway) => ({
  "/": snippet(gateway, "data-batch-delay=50") + '<fancy-button id="b" data-track="chosen" data-track-size="L"></fancy-button><a href="#more"><fancy-button id="in"></fancy-button></a><script src="/fancy.js"></script>',
  "/fancy.js": 'customElements.define("fancy-button", class extends HTMLElement { connectedCallback() { this.attachShadow({ mode: "open" }).append(Object.assign(document.createElement("b"), { textContent: "Go" })); } });',
}), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await page.click("#b b");
  await page.click("#in b");
  await until(() => gateway.named("link_clicked")[0], "the link");
  assert.deepEqual(gateway.named("chosen").map(({ properties }) => properties), [{ size: "L" }]);
});

visit("a click on a label, which clicks its field as well, counts once", (gateway) => ({
  "/": snippet(gateway, "data-batch-delay=50") + '<label data-track="chosen"><b id="text">L</b><input type="checkbox" id="field"></label><button id="end" data-track="ended">End</button>',
}), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await page.click("#text");
  await page.click("#field");
  await page.click("#field");
  await page.click("#end");
  await until(() => gateway.named("ended")[0], "the last click");
  assert.equal(gateway.named("chosen").length, 3);
});

visit("a browser that does not time its navigations sees no error of ours", one("data-batch-delay=50"), async ({ gateway, site, context, page }) => {
  await context.addInitScript(() => (performance.getEntriesByType = () => []));
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await until(() => gateway.named("page")[0], "the view");
  await pause(300);
  assert.deepEqual(gateway.named("error_occurred"), []);
});

visit("of a page that is loaded ahead nothing is told before it is seen", one("data-batch-delay=50"), async ({ gateway, site, context, page }) => {
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await until(() => gateway.named("page_loaded").length === 1, "the first page");
  await context.addInitScript(() => {
    let ahead = true;
    Object.defineProperty(Document.prototype, "prerendering", { get: () => ahead });
    window.activate = () => ((ahead = false), document.dispatchEvent(new Event("prerenderingchange")));
  });
  await page.goto(site.url + "/next");
  await ready(page);
  await pause(500);
  const of = (path) => gateway.events().filter(({ context }) => context.page.path === path).map(({ event, type }) => event || type);
  assert.deepEqual(of("/next"), []);
  await page.evaluate(() => activate());
  await until(() => of("/next").length === 2, "the page and its load time");
  assert.deepEqual(of("/next"), ["page", "page_loaded"]);
});

visit("the first layout shift begins the first window of shifts", one("data-batch-delay=50"), async ({ gateway, site, context, page }) => {
  await context.addInitScript(() => {
    window.PerformanceObserver = class {
      constructor(heard) {
        this.heard = heard;
      }
      observe({ type }) {
        const at = [900, 1_800, 2_700, 3_600, 4_500, 5_400];
        if (type === "layout-shift") this.heard({ getEntries: () => at.map((startTime) => ({ startTime, value: 0.1, hadRecentInput: false })) });
      }
    };
  });
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await until(() => gateway.named("page_loaded")[0], "the load time");
  await page.goto(site.url + "/next");
  await until(() => gateway.named("web_vitals_measured")[0], "the web vitals");
  assert.equal(gateway.named("web_vitals_measured")[0].properties.cls, 0.6);
});

/** What was sent again, since its page did not live to see the answer, has the same id. */
const once = (events) => [...new Map(events.map((event) => [event.messageId, event])).values()];

visit("a page that comes back from the cache is a view again", one("data-batch-delay=50"), async ({ gateway, site, page }) => {
  const views = () => once(gateway.named("page")).map(({ context }) => context.page.path);
  const loads = () => once(gateway.named("page_loaded")).length;
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await until(() => loads() === 1, "the first view");
  await page.goto(site.url + "/next");
  await until(() => loads() === 2, "the next view");
  // what comes from the cache is not loaded, which is what Playwright would wait for
  await page.goBack({ waitUntil: "commit" });
  await until(() => views().length === 3, "the view after going back");
  assert.deepEqual(views(), ["/", "/next", "/"]);
  assert.equal(loads(), 2);
}, () => startBrowser(undefined, true));

visit("offline and back, over a reload: kept on the device, delivered once", one("data-batch-delay=50"), async ({ gateway, site, context, page }) => {
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await until(() => gateway.named("page")[0], "the first view");
  await context.setOffline(true);
  await say(page, "track", "offline");
  await until(async () => Object.keys((await stored(page)).local).length === 2, "the spool");
  await page.close();
  await context.setOffline(false);
  const again = await context.newPage();
  await again.goto(site.url + "/next");
  await until(() => gateway.named("offline")[0], "the event");
  await pause(1_500);
  assert.equal(gateway.named("offline").length, 1);
  assert.deepEqual(Object.keys((await stored(again)).local), ["consentry_wk"]);
});

visit("a gateway that goes away and comes back gets everything once", one("data-batch-delay=20"), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await until(() => gateway.named("page")[0], "the first view");
  gateway.state.down = true;
  for (let number = 0; number < 30; number++) await say(page, "track", "n", { number });
  await pause(500);
  gateway.state.down = false;
  await until(() => gateway.named("n").length >= 30, "the events");
  await pause(1_000);
  assert.deepEqual(gateway.named("n").map(({ properties }) => properties.number).sort((a, b) => a - b), [...Array(30).keys()]);
});

visit("two tabs that failed do not send twice", one("data-batch-delay=20"), async ({ gateway, site, context, page }) => {
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await until(() => gateway.named("page")[0], "the first view");
  const other = await context.newPage();
  await other.goto(site.url + "/next");
  await ready(other);
  await until(() => gateway.named("page").length === 2, "the other view");
  await context.setOffline(true);
  for (let number = 0; number < 10; number++) {
    await say(page, "track", "n", { number });
    await say(other, "track", "n", { number: 10 + number });
  }
  const waiting = async () => Object.keys((await stored(page)).local).reduce((sum, key) => sum + +(key.split("|")[1] || 0), 0);
  await until(async () => (await waiting()) >= 20, "the spool");
  await context.setOffline(false);
  await until(() => gateway.named("n").length >= 20, "the events");
  await pause(2_500);
  assert.deepEqual(gateway.named("n").map(({ properties }) => properties.number).sort((a, b) => a - b), [...Array(20).keys()]);
  await say(page, "consent.withdraw");
  await until(async () => (await other.evaluate(() => consentry.consent.get().analytics)) === false, "the other tab's withdrawal");
});

visit("where the browser grants no lock, what waits on the device is sent all the same", one("data-batch-delay=20"), async ({ gateway, site, context, page }) => {
  await context.addInitScript(() => Object.defineProperty(Navigator.prototype, "locks", { get: () => ({ request: () => Promise.reject(new DOMException("no", "SecurityError")) }) }));
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await until(() => gateway.named("page_loaded")[0], "the first view");
  await context.setOffline(true);
  await say(page, "track", "offline");
  await until(async () => Object.keys((await stored(page)).local).length > 1, "the spool");
  await context.setOffline(false);
  await until(() => gateway.named("offline").length, "the event");
});

visit("Global Privacy Control denies advertising whatever is granted", one('data-purposes="analytics,marketing"'), async ({ gateway, site, context, page }) => {
  await context.addInitScript(() => Object.defineProperty(Navigator.prototype, "globalPrivacyControl", { get: () => true }));
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await say(page, "track", "advertised", {}, { purpose: "marketing" });
  await until(() => gateway.named("page")[0], "the view");
  assert.equal(gateway.named("advertised").length, 0);
  assert.equal(gateway.named("page")[0].context.consent.purposes.marketing, false);
});

const TCF_JS = `window.__tcfapi = (command, version, callback) => { window.tell = (status, consents) => callback({ gdprApplies: true, eventStatus: status, tcString: "CSTRING", publisher: { consents } }, true); tell("cmpuishown", {}); };`;
visit("a TCF banner grants and takes back", (gateway) => ({ "/": '<script src="/tcf.js"></script>' + snippet(gateway), "/tcf.js": TCF_JS }), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await page.waitForFunction(() => window.tell);
  await pause(1_200);
  assert.deepEqual(gateway.requests, []);
  await page.evaluate(() => tell("useractioncomplete", { 1: true, 8: true, 9: true }));
  await until(() => gateway.named("page")[0], "the view");
  assert.equal(gateway.named("page")[0].context.consent.tcf, "CSTRING");
  await page.evaluate(() => tell("useractioncomplete", { 1: true, 8: false, 9: true }));
  await until(async () => !Object.keys((await stored(page)).local).length, "the withdrawal");
});

visit("TCF that is switched on is read as by default", (gateway) => ({ "/": '<script src="/tcf.js"></script>' + snippet(gateway, "data-tcf"), "/tcf.js": TCF_JS }), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await page.waitForFunction(() => window.tell);
  await page.evaluate(() => tell("useractioncomplete", { 1: true, 8: true, 9: true }));
  await until(() => gateway.named("page")[0], "the view");
});

visit("the gateway's address may end with a slash", (gateway) => ({ "/": '<script src="/tcf.js"></script>' + snippet(gateway, `data-host="${gateway}/"`), "/tcf.js": TCF_JS }), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await page.waitForFunction(() => window.consentrySignals);
  await page.evaluate(() => tell("useractioncomplete", { 1: true, 8: true, 9: true }));
  await until(() => gateway.named("page")[0], "the view");
  await say(page, "track", "seen");
  await page.goto("about:blank");
  await until(() => gateway.named("seen")[0], "what was handed to the beacon");
});

visit("banners that fail break nothing, and the page's own choice stands", (gateway) => ({
  "/": '<script src="/broken.js"></script>' + snippet(gateway, 'data-banner="klaro"'),
  "/broken.js": `window.klaro = { getManager() { throw new Error("not set up"); } };
window.__tcfapi = () => { throw new Error("no stub"); };
window.__gpp = (command, callback) => callback(null, false);
window.dataLayer = []; function gtag() { dataLayer.push(arguments); } gtag("consent", "update", { ad_storage: "denied" });`,
}), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await page.waitForFunction(() => window.consentrySignals && consentry.consent.get().attribution === false);
  await say(page, "consent.grant");
  await until(() => gateway.named("page")[0], "the view");
});

const GOOGLE_JS = `window.dataLayer = []; function gtag() { dataLayer.push(arguments); } gtag("consent", "default", { analytics_storage: "denied" }); window.gtag = gtag;`;
visit("Google consent mode: a default says nothing, an update grants or denies", (gateway) => ({ "/": '<script src="/g.js"></script>' + snippet(gateway), "/g.js": GOOGLE_JS }), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await page.waitForFunction(() => window.consentrySignals);
  assert.equal(await page.evaluate(() => consentry.consent.get().analytics), undefined);
  await page.evaluate(() => gtag("consent", "update", { analytics_storage: "granted" }));
  await until(() => gateway.named("page")[0], "the view");
  await page.evaluate(() => gtag("consent", "update", { analytics_storage: "denied" }));
  assert.equal(await page.evaluate(() => consentry.consent.get().analytics), false);
  assert.deepEqual((await stored(page)).local, {});
});

visit("blocked storage breaks nothing and still delivers", one(), async ({ gateway, site, context, page }) => {
  await context.addInitScript(() => Object.defineProperty(window, "localStorage", { get: () => { throw new DOMException("blocked", "SecurityError"); } }));
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await say(page, "track", "seen");
  await until(() => gateway.named("seen")[0], "the event");
});

visit("a second snippet changes nothing", (gateway) => ({ "/": snippet(gateway) + snippet(gateway) }), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await ready(page);
  await pause(300);
  await say(page, "consent.grant");
  await until(() => gateway.named("page_loaded")[0], "the page");
  assert.equal(gateway.named("page").length, 1);
  assert.deepEqual(gateway.named("error_occurred"), []);
});

visit("an element of our name, and nonsense among the early calls, do not keep the SDK from starting", (gateway) => ({
  "/": `<!doctype html><div id="consentry"></div>${snippet(gateway)}`,
  "/early": `<script src="/early.js"></script>${snippet(gateway)}`,
  "/early.js": 'var navigation = {}; window.consentry = [null, 5, "x", ["nope"], ["consent.nope"], ["nope.nope"], ["consent.grant"], ["track", "early"]];',
}), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await until(() => gateway.named("page")[0], "the page");
  await page.goto(site.url + "/early");
  await until(() => gateway.named("early")[0], "the queued call");
});

visit("Trusted Types keep signals.js away, and nothing else", (gateway) => ({
  "/": `<!doctype html><meta http-equiv="Content-Security-Policy" content="require-trusted-types-for 'script'"><script src="/layer.js"></script>${snippet(gateway)}`,
  "/layer.js": "window.dataLayer = [];",
}), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await until(() => gateway.named("page")[0], "the page");
});

visit("where there are no beacons, what leaving leaves waits on the device", one("data-batch-delay=60000"), async ({ gateway, site, context, page }) => {
  await context.addInitScript(() => Object.defineProperty(Navigator.prototype, "sendBeacon", { value: undefined }));
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await say(page, "track", "last");
  await page.goto(site.url + "/next");
  await until(() => gateway.named("last")[0], "the event");
});

visit("calls made before the SDK is there are kept in order, and analytics.js calls are served", (gateway) => ({ "/": '<script src="/early.js"></script>' + snippet(gateway, "data-analytics"), "/early.js": 'window.consentry = [["track", "early"], ["consent.grant"]]; window.analytics = [["track", "segment_early", { a: 1 }]];' }), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await until(() => gateway.named("segment_early")[0], "the queued call");
  await page.evaluate(() => analytics.track("segment_late", {}, () => (window.called = true)));
  await until(() => gateway.named("segment_late")[0], "the served call");
  assert.equal(gateway.named("early").length, 1);
  assert.equal(await page.evaluate(() => window.called), true);
});

/** What analytics.js' snippet (5.2) leaves: an array with methods that queue each call, and the page that they saw behind its arguments. */
const SNIPPET_JS = `
{
const analytics = (window.analytics = window.kept = []);
analytics.methods = ["trackSubmit", "trackClick", "trackLink", "trackForm", "pageview", "identify", "reset", "group", "track", "ready", "alias", "debug", "page", "screen", "once", "off", "on", "addSourceMiddleware", "addIntegrationMiddleware", "setAnonymousId", "addDestinationMiddleware", "register"];
for (const name of analytics.methods)
  analytics[name] = (...args) => {
    if (window.analytics.initialized) return window.analytics[name](...args);
    if (/^(track|screen|alias|group|page|identify)$/.test(name)) args.push({ __t: "bpc", p: location.pathname, u: location.href, s: location.search, t: document.title, r: document.referrer });
    analytics.push([name, ...args]);
    return analytics;
  };
analytics.load = () => 0;
analytics.load("KEY");
analytics.page();
analytics.track("bought", { total: 5 });
analytics.track("seen");
analytics.ready(() => { throw new Error("the page's own"); });
analytics.trackLink(null, "nothing");
analytics.ready(() => (window.called = "ready"));
addEventListener("load", () => {
  analytics.trackLink(document.querySelectorAll("a"), (link) => "followed_" + link.id, { a: 1 });
  analytics.trackForm(document.querySelector("form"), "sent");
});
}
window.consentry = [["consent.grant"]];`;
visit("the snippet of analytics.js is served, with what it has queued and every method that it has", (gateway) => ({
  "/": '<a id="more" href="#more">More</a><form><input name="length"><button>Send</button></form><script src="/early.js"></script>' + snippet(gateway, 'data-analytics data-capture="off"'),
  "/early.js": SNIPPET_JS,
}), async ({ gateway, site, page, problems }) => {
  await page.goto(site.url + "/?token=swordfish1");
  await until(() => gateway.named("seen")[0], "the queued call");
  const calls = gateway.events().map(({ type, event, properties }) => [event || type, properties]);
  assert.deepEqual(calls, [["page", undefined], ["bought", { total: 5 }], ["seen", undefined]]);
  await until(() => page.evaluate(() => window.called === "ready"), "the callback");
  assert.deepEqual(problems.splice(0), ["Error: the page's own"]);
  await page.evaluate(() => {
    kept.track("late").register({}).setAnonymousId("a");
    analytics.push(["track", "pushed"]);
  });
  await page.click("a");
  await page.click("button");
  await until(() => gateway.named("sent")[0], "the form");
  assert.deepEqual(["late", "pushed", "followed_more", "sent"].map((name) => gateway.named(name).length), [1, 1, 1, 1]);
  assert.deepEqual(gateway.named("followed_more")[0].properties, { a: 1 });
});

visit("a burst of 500 events arrives whole, and no piece of our work holds the page longer than 5 ms", one("data-capture=off"), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  const warm = () => page.evaluate(() => { for (let number = 0; number < 100; number++) consentry.track("warm", { number }); });
  await warm();
  await until(() => gateway.named("warm").length === 100, "the warm-up");
  const session = await page.context().newCDPSession(page);
  const slices = [];
  session.on("Tracing.dataCollected", ({ value }) => slices.push(...value));
  await session.send("Tracing.start", { traceConfig: { includedCategories: ["devtools.timeline"] }, transferMode: "ReportEvents" });
  await page.evaluate(() => { for (let number = 0; number < 500; number++) consentry.track("n", { number, text: "mail ann@mail.example about size L" }); });
  await until(() => gateway.named("n").length >= 500, "the events");
  const done = new Promise((resolve) => session.once("Tracing.tracingComplete", resolve));
  await session.send("Tracing.end");
  await done;
  const ours = slices.filter(({ name, args }) => name === "FunctionCall" && String(args?.data?.url).endsWith("/sdk.js"));
  const worst = Math.max(...ours.map(({ tdur = 0 }) => tdur)) / 1_000;
  console.log(`# 500 events: ${ours.length} pieces of work, the longest ${worst.toFixed(2)} ms of processor time`);
  assert.deepEqual(gateway.named("n").map(({ properties }) => properties.number), [...Array(500).keys()]);
  assert.ok(gateway.requests.filter(({ path }) => path === "/v1/batch").every(({ body }) => body.batch.length <= 100));
  assert.ok(ours.length > 0);
  assert.ok(worst <= 5, `${worst} ms`);
});

visit("methods called before loading wait in the stub, with init among them", (gateway) => ({ "/": `<!doctype html><title>Stub</title><script src="${gateway}/stub.js"></script><script src="/early.js"></script><script async src="${gateway}/core.js"></script>`, "/early.js": 'consentry.track("early", { a: 1 }); consentry.init({ key: "wk", batchDelay: 20 }); consentry.consent.grant("analytics");' }), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await until(() => gateway.named("early")[0], "the event");
  assert.deepEqual(gateway.named("early")[0].properties, { a: 1 });
  assert.equal(gateway.named("page").length, 0);
});

const GPP_JS = `window.__gpp = (command, callback) => callback({ eventName: "listenerRegistered", pingData: { gppString: "DBABLA~BVQ", signalStatus: "ready", parsedSections: { usnat: [{ SaleOptOut: 1, SharingOptOut: 2 }] } } }, true);`;
visit("a GPP opt-out refuses advertising and leaves statistics to the visitor", (gateway) => ({ "/": '<script src="/gpp.js"></script>' + snippet(gateway, 'data-purposes="analytics,marketing"'), "/gpp.js": GPP_JS }), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await page.waitForFunction(() => window.consentrySignals && consentry.consent.get().marketing === false);
  await say(page, "consent.grant");
  await until(() => gateway.named("page")[0], "the view");
  const { purposes, gpp } = gateway.named("page")[0].context.consent;
  assert.deepEqual([purposes.analytics, purposes.marketing, gpp], [true, false, "DBABLA~BVQ"]);
});

const BANNERS = {
  cookiebot: [
    'window.Cookiebot = { hasResponse: false, consent: {} };',
    (analytics) => `Cookiebot.hasResponse = true; Cookiebot.consent = { statistics: ${analytics}, marketing: false, preferences: false }; dispatchEvent(new Event("CookiebotOn${analytics ? "Accept" : "Decline"}"));`,
  ],
  onetrust: [
    'window.OnetrustActiveGroups = ",C0001,C0002,"; window.OneTrust = { IsAlertBoxClosed: () => window.closed_ === true };',
    (analytics) => `window.closed_ = true; window.OnetrustActiveGroups = ",C0001,${analytics ? "C0002," : ""}"; dispatchEvent(new Event("OneTrustGroupsUpdated"));`,
  ],
  klaro: [
    'const m = { confirmed: false, consents: {}, config: { services: [{ name: "consentry", purposes: ["analytics"] }] }, watch: (w) => (window.watcher = w) }; window.klaro = { getManager: () => m };',
    (analytics) => `Object.assign(klaro.getManager(), { confirmed: true, consents: { consentry: ${analytics} } }); watcher.update();`,
  ],
  osano: [
    'window.heard = {}; window.Osano = { cm: { addEventListener: (name, job) => { heard[name] = job; if (name === "osano-cm-initialized") job(undefined); } } };',
    (analytics) => `heard["osano-cm-consent-saved"]({ ANALYTICS: "${analytics ? "ACCEPT" : "DENY"}", MARKETING: "DENY", PERSONALIZATION: "DENY" });`,
  ],
  didomi: [
    'window.asked = true; window.status_ = {}; window.Didomi = { shouldUserStatusBeCollected: () => asked, getCurrentUserStatus: () => ({ purposes: status_ }), on: (name, job) => (window.heard = job) };',
    (analytics) => `window.asked = false; window.status_ = { cookies: { enabled: ${analytics} }, measure_content_performance: { enabled: ${analytics} }, select_personalized_ads: { enabled: false } }; heard();`,
  ],
};
for (const [name, [script, answer]] of Object.entries(BANNERS))
  visit(`the banner ${name} is followed: no answer, yes, no`, (gateway) => ({ "/": '<script src="/banner.js"></script>' + snippet(gateway, "data-banner"), "/banner.js": script }), async ({ gateway, site, page }) => {
    await page.goto(site.url);
    await page.waitForFunction(() => window.consentrySignals);
    assert.notEqual(await page.evaluate(() => consentry.consent.get().analytics), true);
    assert.deepEqual(gateway.requests, []);
    await page.evaluate(answer(true));
    await until(() => gateway.named("page")[0], "the view");
    await page.evaluate(answer(false));
    assert.equal(await page.evaluate(() => consentry.consent.get().analytics), false);
    assert.deepEqual((await stored(page)).local, {});
  });

const MEDIA_JS = `window.media = document.createElement("audio"); media.id = "song"; document.body.append(media);
Object.defineProperties(media, { duration: { value: 200 }, currentTime: { get: () => window.at || 0 } });
window.happen = (type, at) => { window.at = at; media.dispatchEvent(new Event(type)); };`;
visit("media tell of play, each quarter and the end once", (gateway) => ({ "/": snippet(gateway, "data-batch-delay=20") + '<body><script src="/media.js"></script>', "/media.js": MEDIA_JS }), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await ready(page);
  await say(page, "consent.grant");
  await page.evaluate(() => {
    happen("play", 0);
    for (const at of [0, 49, 50, 51, 101, 20, 150, 199]) happen("timeupdate", at);
    happen("play", 199);
    happen("ended", 200);
  });
  await until(() => gateway.named("media_completed")[0], "the end");
  assert.deepEqual(gateway.named("media_progressed").map(({ properties }) => properties.percent), [25, 50, 75]);
  assert.equal(gateway.named("media_played").length, 1);
  assert.equal(gateway.named("media_played")[0].properties.media, "song");
});

const STUB_JS = `window.heard = [];
window.known = consentry.consent.get().analytics;
consentry.consent.onChange(() => heard.push("unheard"))();
consentry.consent.onChange((purposes) => heard.push(purposes.analytics));
consentry.init({ key: "wk", batchDelay: 60000 });
consentry.consent.grant();
consentry.track("early");
window.flushed = consentry.flush().then(() => "flushed");`;
visit("the stub answers as the SDK does: with a promise, what is known, and an end of listening", (gateway) => ({ "/": `<!doctype html><title>Stub</title><script src="${gateway}/stub.js"></script><script src="/early.js"></script><script async src="${gateway}/core.js"></script>`, "/early.js": STUB_JS }), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  assert.equal(await page.evaluate(() => flushed), "flushed");
  assert.equal(gateway.named("early").length, 1);
  assert.deepEqual(await page.evaluate(() => [heard, window.known]), [[true], undefined]);
});

visit("a page that has kept the queue, or the stub, goes on with it", (gateway) => ({
  "/": '<script src="/queue.js"></script>' + snippet(gateway, "data-batch-delay=50 data-capture=off"),
  "/queue.js": 'window.kept = window.consentry = [["consent.grant"]];',
  "/stub": `<!doctype html><script src="${gateway}/stub.js"></script><script src="/stub.js"></script><script async src="${gateway}/sdk.js" data-key="wk" data-batch-delay=50 data-capture=off></script>`,
  "/stub.js": "window.kept = consentry; window.track = consentry.track;",
}), async ({ gateway, site, page }) => {
  await page.goto(site.url);
  await ready(page);
  await page.evaluate(() => kept.push(["track", "pushed"]));
  await until(() => gateway.named("pushed")[0], "the event of the queue");
  await page.goto(site.url + "/stub");
  await page.waitForFunction(() => consentry !== kept);
  const known = await page.evaluate(() => (track("called"), kept.push(["track", "pushed_late"]), [kept.consent.get(), typeof kept.consent.onChange(() => 0)]));
  await until(() => gateway.named("pushed_late")[0], "the events of the stub");
  assert.equal(gateway.named("called").length, 1);
  assert.deepEqual(known, [{ analytics: true }, "function"]);
});

visit("a page that waits for the stub's flush goes on where the SDK is kept away", (gateway) => ({ "/": `<!doctype html><title>Stub</title><script src="${gateway}/stub.js"></script>` }), async ({ site, page }) => {
  await page.goto(site.url);
  assert.equal(await page.evaluate(() => consentry.flush().then(() => "gone on")), "gone on");
});
