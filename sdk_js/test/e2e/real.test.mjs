// Against the real gateway, which serves the SDK too; what was stored is read back from its store.
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { after, before, test } from "node:test";
import { PERSON, RealGateway, run, skip } from "./gateway.mjs";
import { pause, startBrowser, startSite } from "./world.mjs";

let browser;
let gateway;
let site;
before(async () => {
  if (skip) return;
  browser = await startBrowser(PERSON);
  gateway = await RealGateway.open();
  const html = `<!doctype html><title>Real</title><script async src="${gateway.url}/sdk.js" data-key="${gateway.keys.write_key}" data-batch-delay="50"></script>`;
  const snippet = await run("snippet", "--config", gateway.config, "--url", gateway.url, "--key", gateway.keys.write_key);
  site = await startSite(gateway.url, "", { "/": html, "/next": html, "/snippet": `<!doctype html><title>Snippet</title>${snippet}`, "/broken": `<!doctype html><title>Broken</title>${snippet.replace("sha384-", "sha384-A")}` });
});
after(async () => {
  await browser?.close();
  await site?.close();
  await gateway?.stop();
  if (gateway) await rm(gateway.directory, { recursive: true });
});

const visit = async (act) => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const say = (...call) => page.evaluate((given) => window.consentry.push(given), call);
  await page.goto(site.url);
  await page.waitForFunction(() => window.consentry?.consent);
  await act({ context, page, say });
  await context.close();
};

test("the printed snippet runs under its hash, and a script of another hash does not", { skip }, () =>
  visit(async ({ page, say }) => {
    await page.goto(site.url + "/broken");
    await page.waitForLoadState("load");
    assert.equal(await page.evaluate(() => typeof window.consentry), "undefined");
    await page.goto(site.url + "/snippet");
    await page.waitForFunction(() => window.consentry?.consent);
    await say("consent.grant");
    await say("track", "from_snippet");
    assert.equal((await gateway.named("from_snippet", 1)).length, 1);
  }));

test("a burst of 500 events is stored, each once, consented, without an id of ours in clear", { skip }, () =>
  visit(async ({ page, say }) => {
    await say("consent.grant", undefined, "n1");
    await page.evaluate(() => { for (let number = 0; number < 500; number++) consentry.track("burst", { number }); });
    const stored = await gateway.named("burst", 500);
    assert.equal(stored.length, 500);
    assert.deepEqual([...new Set(stored.map(({ lane, purpose }) => `${lane} ${purpose}`))], ["consented analytics"]);
    const { a } = await page.evaluate(() => JSON.parse(Object.values({ ...localStorage })[0]));
    assert.ok(!JSON.stringify(stored).includes(a));
  }));

test("events survive a restart of the gateway in between, each stored once", { skip }, () =>
  visit(async ({ page, say }) => {
    await say("consent.grant");
    await say("track", "around_restart", { number: -1 });
    await gateway.named("around_restart", 1);
    await gateway.stop();
    for (let number = 0; number < 20; number++) await say("track", "around_restart", { number });
    await pause(300);
    await page.goto(site.url + "/next");
    await gateway.start();
    assert.equal((await gateway.named("around_restart", 21)).length, 21);
  }));

test("after a denial nothing is stored; after a withdrawal nothing more", { skip }, () =>
  visit(async ({ page, say }) => {
    await say("consent.deny");
    await say("track", "never");
    await say("consent.grant");
    await say("track", "meanwhile");
    await gateway.named("meanwhile", 1);
    const told = page.waitForResponse((response) => response.url().endsWith("/v1/consent"));
    await say("consent.withdraw");
    assert.equal((await told).status(), 200);
    await say("track", "never");
    await page.goto(site.url + "/next");
    await pause(500);
    assert.equal((await gateway.named("never", 0)).length, 0);
  }));
