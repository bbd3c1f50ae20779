import assert from "node:assert/strict";
import { after, test } from "node:test";
import { build } from "esbuild";

const { outputFiles } = await build({ entryPoints: [new URL("../../src/banner/known.ts", import.meta.url).pathname], bundle: true, write: false, format: "esm" });
const { BANNERS } = await import("data:text/javascript;base64," + Buffer.from(outputFiles[0].text).toString("base64"));
after(() => {
  delete globalThis.Osano;
  delete globalThis.klaro;
});

for (const [OPT_OUT, marketing] of [["ACCEPT", false], ["DENY", true], [undefined, true]])
  test(`whoever lets Osano market is heard, unless they opted out of sale: ${OPT_OUT}`, () => {
    const heard = {};
    globalThis.Osano = { cm: { addEventListener: (name, job) => (heard[name] = job) } };
    BANNERS.osano.watch(() => {});
    heard["osano-cm-consent-saved"]({ ANALYTICS: "ACCEPT", MARKETING: "ACCEPT", PERSONALIZATION: "ACCEPT", OPT_OUT });
    const { analytics, marketing: told, attribution } = BANNERS.osano.read();
    assert.deepEqual([analytics, told, attribution], [true, marketing, marketing]);
  });

for (const [said, consents, analytics] of [
  ["all of a purpose", { matomo: true, hotjar: true }, true],
  ["one of a purpose and not another", { matomo: true, hotjar: false }, false],
  ["another service and not ours", { consentry: false, matomo: true, hotjar: true }, false],
  ["ours and not another service", { consentry: true, matomo: true, hotjar: false }, true],
  ["nothing of the purpose", { ads: true }, false],
])
  test(`in Klaro they let in ${said}`, () => {
    const services = Object.keys(consents).map((name) => ({ name, purposes: [name == "ads" ? "marketing" : "analytics"] }));
    globalThis.klaro = { getManager: () => ({ confirmed: true, consents, config: { services } }) };
    assert.equal(BANNERS.klaro.read().analytics, analytics);
  });
