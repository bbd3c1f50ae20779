// Against the real gateway, in a process of its own; what was stored is read back from its store.
//   GATEWAY_PYTHON   a Python that has the gateway; without it these tests are skipped
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { missing, pause, startBrowser, startSite, until } from "./world.mjs";

const PYTHON = process.env.GATEWAY_PYTHON;
const MAIN = ["-c", "import sys; from consentryd.gateway.cli import main; sys.exit(main())"];
const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const SDK = join(ROOT, "consentryd/gateway/sdk/sdk.js");
const skip = missing || (!PYTHON && "GATEWAY_PYTHON names no Python with the gateway");
// the gateway drops headless browsers as bots
const PERSON = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

const freePort = () =>
  new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

const run = async (...args) => (await promisify(execFile)(PYTHON, [...MAIN, ...args], { cwd: ROOT, maxBuffer: 1 << 26 })).stdout;

class RealGateway {
  async start() {
    this.process = spawn(PYTHON, [...MAIN, "serve", "--config", this.config, "--port", String(this.port)], { cwd: ROOT, stdio: "ignore" });
    await until(() => fetch(this.url + "/readyz").then(({ ok }) => ok, () => false), "the start of the gateway");
  }

  async stop() {
    const ended = new Promise((done) => this.process.once("exit", done));
    this.process.kill("SIGTERM");
    await ended;
  }

  async events() {
    return JSON.parse(await run("events", "--config", this.config, "--last", "2000", "--json"));
  }

  static async open() {
    const made = new RealGateway();
    made.directory = await mkdtemp(join(tmpdir(), "consentry-sdk-"));
    made.config = join(made.directory, "consentry.toml");
    made.keys = JSON.parse(await run("init", made.directory, "--json"));
    made.port = await freePort();
    made.url = `http://127.0.0.1:${made.port}`;
    await made.start();
    return made;
  }
}

let browser;
let gateway;
let site;
before(async () => {
  if (skip) return;
  browser = await startBrowser();
  gateway = await RealGateway.open();
  const html = `<!doctype html><title>Real</title><script async src="/sdk.js" data-host="${gateway.url}" data-key="${gateway.keys.write_key}" data-batch-delay="50"></script>`;
  site = await startSite(gateway.url, "", { "/": html, "/next": html, "/sdk.js": await readFile(SDK, "utf8") });
});
after(async () => {
  await browser?.close();
  await site?.close();
  await gateway?.stop();
  if (gateway) await rm(gateway.directory, { recursive: true });
});

const visit = async (act) => {
  const context = await browser.newContext({ userAgent: PERSON });
  const page = await context.newPage();
  const say = (...call) => page.evaluate((given) => window.consentry.push(given), call);
  await page.goto(site.url);
  await page.waitForFunction(() => window.consentry?.consent);
  await act({ context, page, say });
  await context.close();
};

const named = async (name) => (await gateway.events()).filter(({ event }) => event === name);

test("a burst of 500 events is stored, each once, consented, without an id of ours in clear", { skip }, () =>
  visit(async ({ page, say }) => {
    await say("consent.grant", undefined, "n1");
    await page.evaluate(() => { for (let number = 0; number < 500; number++) consentry.track("burst", { number }); });
    await until(async () => (await named("burst")).length >= 500, "the burst");
    const stored = await named("burst");
    assert.equal(stored.length, 500);
    assert.deepEqual([...new Set(stored.map(({ lane, purpose }) => `${lane} ${purpose}`))], ["consented analytics"]);
    const { a } = await page.evaluate(() => JSON.parse(Object.values({ ...localStorage })[0]));
    assert.ok(!JSON.stringify(stored).includes(a));
  }));

test("events survive a restart of the gateway in between, each stored once", { skip }, () =>
  visit(async ({ page, say }) => {
    await say("consent.grant");
    await say("track", "around_restart", { number: -1 });
    await until(async () => (await named("around_restart")).length === 1, "the first event");
    await gateway.stop();
    for (let number = 0; number < 20; number++) await say("track", "around_restart", { number });
    await pause(300);
    await page.goto(site.url + "/next");
    await gateway.start();
    await until(async () => (await named("around_restart")).length >= 21, "the rest");
    assert.equal((await named("around_restart")).length, 21);
  }));

test("after a denial nothing is stored; after a withdrawal nothing more", { skip }, () =>
  visit(async ({ page, say }) => {
    await say("consent.deny");
    await say("track", "never");
    await say("consent.grant");
    await say("track", "meanwhile");
    await until(async () => (await named("meanwhile")).length === 1, "the event");
    const told = page.waitForResponse((response) => response.url().endsWith("/v1/consent"));
    await say("consent.withdraw");
    assert.equal((await told).status(), 200);
    await say("track", "never");
    await page.goto(site.url + "/next");
    await pause(500);
    assert.equal((await named("never")).length, 0);
  }));
