/** Nothing here runs: what the reference shows has to pass a strict compiler. */

import { init, type Client } from "../../src/entry/index.js";

interface Order {
  revenue: number;
  currency?: string;
}

const order: Order = { revenue: 19.9 };
const names = ["analytics", "marketing"] as const;
const button = document.createElement("button");
const consentry: Client = init({ key: "csy_write_...", host: "https://events.example.com", purposes: names, defaults: { analytics: true } });

consentry.track("order_completed", order);
consentry.track("seen", null, { purpose: "marketing" });
consentry.page("Shop", "Home", null, { context: { a: 1 } });
consentry.page(null, "Home");
consentry.page();
consentry.screen("Cart", order);
consentry.identify("u-1", order);
consentry.identify(7);
consentry.identify({ plan: "pro" });
consentry.identify(null, { plan: "pro" });
consentry.group("g-1", order);
consentry.alias("u-2");
consentry.consent.grant(names, "2026-12");
consentry.consent.signal("own", null);
button.onclick = consentry.consent.withdraw;
button.addEventListener("click", consentry.consent.grant);
