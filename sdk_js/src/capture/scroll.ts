/** Scroll depth: 25, 50, 75 and 100 % of the page, each once per page. */

import { on, onNewPage, type Report } from "./capture.js";

export const captureScroll = (report: Report): void => {
  let reached = 0;
  let waiting = 0;
  const measure = (): void => {
    waiting = 0;
    const { scrollHeight } = document.documentElement;
    // one pixel of grace: zoomed pages end on fractions
    const percent = (100 * (scrollY + innerHeight + 1)) / scrollHeight;
    while (reached < 100 && reached + 25 <= percent) report("scroll_depth_reached", { percent: (reached += 25) });
  };
  onNewPage(() => {
    // what was about to be measured was the page before
    clearTimeout(waiting);
    waiting = reached = 0;
  });
  on("scroll", () => {
    waiting ||= setTimeout(measure, 100);
  });
};
