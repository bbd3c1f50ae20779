import RudderAnalytics from "@rudderstack/rudder-sdk-node";
import { follow } from "./rounds.mjs";

const [, , dataPlaneUrl, writeKey] = process.argv;
const options = { dataPlaneUrl, flushInterval: 100, retryCount: 100, axiosRetryConfig: { retryDelay: () => 250 } };
const analytics = new RudderAnalytics(writeKey, { ...options, errorHandler: (error) => console.error(String(error)) });
await follow(
  (call, message) => analytics[call](message),
  () => analytics.flush(),
);
