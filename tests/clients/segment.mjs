import { Analytics } from "@segment/analytics-node";
import { follow } from "./rounds.mjs";

const [, , host, writeKey] = process.argv;
const analytics = new Analytics({ writeKey, host, flushInterval: 100, maxRetries: 20 });
analytics.on("error", ({ code, reason }) => console.error(code, String(reason)));
await follow(
  (call, message) => analytics[call](message),
  () => analytics.closeAndFlush({ timeout: 60_000 }),
);
