// A gateway that records, a site with a strict Content-Security-Policy, and a headless Chromium with a fresh profile.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const DIST = join(ROOT, "consentryd/gateway/sdk");
const SHOP = join(ROOT, "consentryd/gateway/demo/shop");
const CHROMIUM = process.env.CHROMIUM || "/usr/bin/chromium";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

/** Why the browser tests are skipped; false when they run. In CI a missing browser is a failure. */
export const missing = !existsSync(CHROMIUM) && !process.env.CI && `no browser at ${CHROMIUM}`;

const listen = (server, port = 0) => new Promise((done) => server.listen(port, "127.0.0.1", () => done(server.address().port)));

const bodyOf = async (request) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
};

const scriptOf = (path) => {
  const [, version] = /^\/sdk\/([\d.]+)\/signals\.js$/.exec(path) || [];
  return version ? "signals.js" : { "/sdk.js": "sdk.js", "/core.js": "core.js", "/stub.js": "stub.js" }[path];
};

/** Answers 200 to everything unless `state.down`; `requests` holds path, parsed body and time. */
export const startGateway = async () => {
  const requests = [];
  const state = { down: false, answer: undefined };
  const handle = async (request, response) => {
    const path = request.url.split("?")[0];
    const origin = request.headers.origin;
    if (origin) response.setHeader("Access-Control-Allow-Origin", origin).setHeader("Access-Control-Allow-Credentials", "true");
    const script = scriptOf(path);
    if (script) return response.setHeader("Content-Type", "text/javascript").end(await readFile(join(DIST, script)));
    if (state.down) return request.socket.destroy();
    if (request.method !== "POST") return response.writeHead(404).end();
    const type = request.headers["content-type"];
    requests.push({ path, type, gpc: request.headers["sec-gpc"], body: JSON.parse(await bodyOf(request)) });
    response.setHeader("Content-Type", "application/json").end(JSON.stringify(state.answer || { accepted: 1, results: [] }));
  };
  const server = createServer((request, response) => void handle(request, response).catch(() => response.destroy()));
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    state,
    events: () => requests.filter(({ path }) => path === "/v1/batch").flatMap(({ body }) => body.batch),
    named: (name) => requests.filter(({ path }) => path === "/v1/batch").flatMap(({ body }) => body.batch).filter(({ type, event }) => (event || type) === name),
    close: () => (server.closeAllConnections(), new Promise((done) => server.close(done))),
  };
};

/** A site of pages given as HTML, under a policy that allows no inline code and no eval. */
export const startSite = async (gateway, key = "wk", pages = {}) => {
  const policy = `default-src 'none'; script-src 'self' ${gateway}; connect-src ${gateway}; style-src 'self'; img-src 'self'; media-src 'self'; form-action 'self'`;
  const server = createServer(async (request, response) => {
    const path = request.url.split(/[?#]/)[0];
    const page = pages[path];
    if (page !== undefined) {
      const script = path.endsWith(".js");
      if (!script) response.setHeader("Content-Security-Policy", policy);
      return response.setHeader("Content-Type", script ? "text/javascript" : "text/html; charset=utf-8").end(page);
    }
    const file = await readFile(join(SHOP, path === "/" ? "index.html" : path)).catch(() => null);
    if (!file || path.includes("..")) return response.writeHead(404).end();
    const told = { "{{GATEWAY}}": gateway, "{{WRITE_KEY}}": key, "{{NOTICE}}": "shop-1" };
    const isPage = extname(path) === ".html" || path === "/";
    const text = isPage ? Object.entries(told).reduce((page, [mark, value]) => page.replaceAll(mark, value), file.toString()) : file;
    response.setHeader("Content-Type", TYPES[extname(path)] || "text/html").end(text);
  });
  const port = await listen(server);
  return { url: `http://127.0.0.1:${port}`, close: () => (server.closeAllConnections(), new Promise((done) => server.close(done))) };
};

/**
 * `userAgent` for the whole browser: a context's own is forgotten by beacons that outlive their page. Playwright switches the back-forward
 * cache off, unless `cache`.
 */
export const startBrowser = (userAgent, cache) =>
  chromium.launch({
    executablePath: CHROMIUM,
    ignoreDefaultArgs: cache ? ["--disable-back-forward-cache"] : [],
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", ...(userAgent ? ["--user-agent=" + userAgent] : [])],
  });

export const snippet = (gateway, attributes = "") => `<!doctype html><title>Test</title><script async src="${gateway}/sdk.js" data-key="wk" ${attributes}></script>`;

/** Waits until `check` holds, thirty seconds at most: a machine may be busy. */
export const until = async (check, what = "it") => {
  for (let looks = 0; looks < 600; looks++) {
    if (await check()) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`${what} did not happen`);
};

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Everything a page can keep on a device. */
export const stored = async (page) => {
  const [local, session, databases] = await page.evaluate(async () => [{ ...localStorage }, { ...sessionStorage }, (await indexedDB.databases()).map(({ name }) => name)]);
  const cookies = (await page.context().cookies()).map(({ name }) => name);
  return { local, session, databases, cookies };
};

export const NOTHING = { local: {}, session: {}, databases: [], cookies: [] };
