import assert from "node:assert/strict";
import { test } from "node:test";
import { redactDeep, redactText, redactUrl } from "../../dist/node.mjs";

for (const [before, after] of [
  ["write to ann.lee+shop@mail.example.co please", "write to [email] please"],
  ["ann%40mail.example", "[email]"],
  ["card 4111 1111 1111 1111", "card [number]"],
  ["card 4111-1111-1111-1111.", "card [number]."],
  ["call +49 30 1234567", "call [number]"],
  ["order 1234567890 paid", "order 1234567890 paid"],
  ["2026-11-21T09:00:00.000Z", "2026-11-21T09:00:00.000Z"],
  ["size 2x3, version 1.2.3", "size 2x3, version 1.2.3"],
  ["icon@2x", "icon@2x"],
])
  test(`text: ${before}`, () => assert.equal(redactText(before), after));

for (const [before, after] of [
  ["https://a.example/p/1?size=L&color=red", "https://a.example/p/1?size=L&color=red"],
  ["https://ann:pw@a.example/x", "https://a.example/x"],
  ["https://a.example/x#section", "https://a.example/x"],
  ["https://a.example/x#/cart/2", "https://a.example/x#/cart/2"],
  ["https://a.example/x#/cart?token=abc", "https://a.example/x#/cart"],
  ["https://a.example/x#access_token=abc", "https://a.example/x"],
  ["https://a.example/?token=abc&reset_code=1&api_key=x&gclid=9&fbclid=7&page=2", "https://a.example/?token=[redacted]&reset_code=[redacted]&api_key=[redacted]&gclid=[redacted]&fbclid=[redacted]&page=2"],
  ["https://a.example/?to=ann%40post.example&ann@post.example", "https://a.example/?to=[email]&[email]"],
  ["https://a.example/reset/eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", "https://a.example/reset/[token]"],
  ["https://a.example/o/3f2504e0-4f89-41d3-9a0c-0305e82c3301", "https://a.example/o/[token]"],
  ["https://a.example/s/a1b2c3d4e5f6a7b8c9d0e1", "https://a.example/s/[token]"],
  ["https://a.example/blog/10-ways-to-cook-a-very-good-dinner", "https://a.example/blog/10-ways-to-cook-a-very-good-dinner"],
  ["https://a.example/tel/030-123456789", "https://a.example/tel/[number]"],
  ["https://a.example/?utm_source=news&utm_campaign=autumn_2026", "https://a.example/?utm_source=news&utm_campaign=autumn_2026"],
  ["mailto:ann@mail.example", "mailto:"],
  ["tel:+4930123", "tel:"],
  ["javascript:alert(1)", "javascript:"],
  ["", ""],
])
  test(`URL: ${before}`, () => assert.equal(redactUrl(before), after));

test("nested values are redacted, other types stay", () => {
  const before = { list: ["ann@mail.example", 5, null, true], deep: { note: "4111111111111111" }, when: new Date(0) };
  assert.deepEqual(redactDeep(before), { list: ["[email]", 5, null, true], deep: { note: "[number]" }, when: "1970-01-01T00:00:00.000Z" });
});

test("redaction is done once for all", () => {
  for (const text of ["ann@mail.example", "4111111111111111", "https://a.example/?token=x&m=a@b.co"]) {
    assert.equal(redactText(redactText(text)), redactText(text));
    if (text.startsWith("http")) assert.equal(redactUrl(redactUrl(text)), redactUrl(text));
  }
});

test("long hostile text takes no long time", () => {
  const before = process.cpuUsage().user;
  for (const piece of ["a.", "1 ", "a@", "%40", "_1a", "=&", "eyJ.", "-a0"]) {
    redactText(piece.repeat(10_000));
    redactUrl("https://a.example/?" + piece.repeat(10_000));
  }
  // a quadratic pattern needs minutes here
  assert.ok(process.cpuUsage().user - before < 20_000_000);
});
