// `consentry demo`, clicked through in a browser; what was stored is read back.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { namedOnce, PERSON, skip, start, stop } from "./gateway.mjs";
import { NOTHING, startBrowser, stored, until } from "./world.mjs";

let browser;
let directory;
let demo;
let shop;
let gateway;
before(async () => {
  if (skip) return;
  browser = await startBrowser(PERSON);
  directory = await mkdtemp(join(tmpdir(), "consentry-demo-"));
  demo = start(["demo", "--directory", directory, "--port", "0", "--shop-port", "0"], { stdio: ["ignore", "pipe", "ignore"] });
  let said = "";
  demo.stdout.on("data", (part) => (said += part));
  await until(() => said.includes("Ctrl-C"), "the start of the demo");
  [shop, gateway] = ["shop", "gateway"].map((what) => new RegExp(`The ${what} is at +(\\S+)`).exec(said)[1]);
});
after(async () => {
  await browser?.close();
  if (demo) await stop(demo);
  if (directory) await rm(directory, { recursive: true });
});

const named = (name) => namedOnce(gateway, join(directory, "consentry.toml"), name, 1);

test("clicking through the demo's shop fills the store, after the yes only", { skip }, async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  await page.goto(shop);
  await page.waitForSelector("#banner:not([hidden])");
  assert.deepEqual(await stored(page), NOTHING);
  await page.click('[data-choice="all"]');
  await page.click("text=Sencha");
  await page.click("text=Add to cart");
  await page.click("nav >> text=Cart");
  await page.click("text=Check out");
  for (const [field, text] of Object.entries({ full_name: "Ann Lee", street: "Secret Street 1", card: "4111111111111111" })) await page.fill(`[name=${field}]`, text);
  await page.click("text=Buy for");
  await page.waitForURL("**/thanks.html*");
  await page.close();
  const [order] = await named("order_completed");
  assert.equal(order.lane, "consented");
  assert.equal(Number(order.revenue), 9.5);
  assert.equal((await named("product_added")).length, 1);
  assert.deepEqual(problems, []);
  await context.close();
});
