import assert from "node:assert/strict";
import { after, test } from "node:test";
import { build } from "esbuild";

const { outputFiles } = await build({ entryPoints: [new URL("../../src/banner/known.ts", import.meta.url).pathname], bundle: true, write: false, format: "esm" });
const { BANNERS } = await import("data:text/javascript;base64," + Buffer.from(outputFiles[0].text).toString("base64"));
after(() => delete globalThis.Osano);

for (const [OPT_OUT, marketing] of [["ACCEPT", false], ["DENY", true], [undefined, true]])
  test(`whoever lets Osano market is heard, unless they opted out of sale: ${OPT_OUT}`, () => {
    const heard = {};
    globalThis.Osano = { cm: { addEventListener: (name, job) => (heard[name] = job) } };
    BANNERS.osano.watch(() => {});
    heard["osano-cm-consent-saved"]({ ANALYTICS: "ACCEPT", MARKETING: "ACCEPT", PERSONALIZATION: "ACCEPT", OPT_OUT });
    const { analytics, marketing: told, attribution } = BANNERS.osano.read();
    assert.deepEqual([analytics, told, attribution], [true, marketing, marketing]);
  });
