/** Load time once the page is loaded; web vitals when it is hidden for the first time. Milliseconds; `cls` has no unit. */

import { guard } from "../guard.js";
import { on, type Report } from "./capture.js";

type Entry = PerformanceEntry & { value: number; hadRecentInput: boolean; interactionId?: number };

/** Nothing where this browser does not measure it. */
const observe = guard((type: string, job: (entry: Entry) => void) =>
  new PerformanceObserver((list) => (list.getEntries() as Entry[]).forEach(job)).observe({ type, buffered: true }),
);

const loadTime = guard((report: Report): void => {
  const entry = performance.getEntriesByType("navigation")[0] as PerformanceNavigationTiming;
  report("page_loaded", { ttfb: Math.round(entry.responseStart), dom: Math.round(entry.domContentLoadedEventEnd), load: Math.round(entry.loadEventEnd) });
});

export const capturePerformance = (report: Report): void => {
  const vitals: Record<string, number> = { cls: 0 };
  let first = 0;
  let last = -1e3;
  let sum = 0;
  observe("largest-contentful-paint", ({ startTime }) => (vitals.lcp = startTime));
  observe("paint", ({ name, startTime }) => /^first-c/.test(name) && (vitals.fcp = startTime));
  // the slowest interaction
  observe("event", ({ interactionId, duration }) => interactionId && (vitals.inp = Math.max(duration, vitals.inp || 0)));
  // layout shifts less than a second apart, five seconds at most, count together; the worst such window is the score
  observe("layout-shift", ({ startTime, value, hadRecentInput }) => {
    if (hadRecentInput) return;
    if (startTime - last > 1e3 || startTime - first > 5e3) (first = startTime), (sum = 0);
    last = startTime;
    vitals.cls = Math.max(vitals.cls as number, (sum += value));
  });
  const loaded = (): unknown => setTimeout(loadTime, 0, report);
  document.readyState == "complete" ? loaded() : on("load", loaded);
  let told = 0;
  on("visibilitychange", () => {
    if (document.hidden && !told++) report("web_vitals_measured", Object.fromEntries(Object.entries(vitals).map(([name, value]) => [name, +value.toFixed(3)])));
  });
};
