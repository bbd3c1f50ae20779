import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { missing, NOTHING, startBrowser, startGateway, startSite, stored, until } from "./world.mjs";

let browser;
before(async () => {
  if (!missing) browser = await startBrowser();
});
after(async () => browser?.close());

const shop = async (act) => {
  const gateway = await startGateway();
  const site = await startSite(gateway.url);
  const context = await browser.newContext({ viewport: { width: 1100, height: 760 } });
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  try {
    await page.goto(site.url + "/index.html");
    await page.waitForSelector("#banner:not([hidden])");
    await act({ gateway, site, page });
    assert.deepEqual(problems, []);
  } finally {
    await context.close();
    await site.close();
    await gateway.close();
  }
};

test("a visitor who accepts buys two teas, and each step is an event", { skip: missing }, () =>
  shop(async ({ gateway, page }) => {
    if (process.env.SHOTS) await page.screenshot({ path: process.env.SHOTS + "/shop-banner.png" });
    await page.click('[data-choice="all"]');
    await page.click("text=Sencha");
    await page.click("text=Add to cart");
    await page.click("nav >> text=Teas");
    await page.click("text=Add to cart >> nth=1");
    await page.click("nav >> text=Cart");
    if (process.env.SHOTS) await page.screenshot({ path: process.env.SHOTS + "/shop-cart.png" });
    await page.click("text=Check out");
    await page.fill("[name=full_name]", "Ann Lee");
    await page.fill("[name=street]", "Secret Street 1");
    await page.fill("[name=card]", "4111111111111111");
    await page.click("text=Buy for");
    await page.waitForURL("**/thanks.html*");
    await page.close();
    await until(() => gateway.named("order_completed")[0] && gateway.named("page").length === 6, "the order");
    assert.equal(gateway.named("order_completed")[0].properties.revenue, 17.4);
    assert.deepEqual(gateway.named("product_added").map(({ properties }) => properties.product_id), ["sencha", "assam"]);
    assert.deepEqual(gateway.named("form_submitted")[0].properties.fields, ["full_name", "street", "card"]);
    assert.equal(new Set(gateway.events().map(({ anonymousId }) => anonymousId)).size, 1);
    assert.ok(!/Ann Lee|Secret Street|41111111/.test(JSON.stringify(gateway.requests)));
  }));

test("a visitor who refuses leaves no trace but the refusal, on every page", { skip: missing }, () =>
  shop(async ({ gateway, site, page }) => {
    assert.deepEqual(await stored(page), NOTHING);
    await page.click('[data-choice="none"]');
    await page.click("text=Add to cart");
    await page.goto(site.url + "/about.html");
    await page.waitForFunction(() => window.consentry?.consent?.get().analytics === false);
    assert.equal(await page.isVisible("#banner"), false);
    assert.deepEqual(await stored(page), { ...NOTHING, cookies: ["shop_choice"] });
    assert.deepEqual(gateway.requests, []);
  }));

test("a visitor takes the agreement back in the footer", { skip: missing }, () =>
  shop(async ({ gateway, page }) => {
    await page.click('[data-choice="analytics"]');
    await until(() => gateway.named("page")[0], "the view");
    await page.click("#choices");
    await page.click('[data-choice="none"]');
    await until(() => gateway.requests.some(({ body }) => body.action === "withdraw"), "the withdrawal");
    assert.deepEqual((await stored(page)).local, {});
  }));
