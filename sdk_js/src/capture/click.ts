/** Clicks: elements with `data-track`, and links. Never what stands in a field, never a link's text. */

import { redactUrl } from "../redact.js";
import { closest, on, type Report } from "./capture.js";

/** `data-track-size="L"` becomes `size: "L"`. */
const attributes = (element: HTMLElement): Record<string, unknown> => {
  const found: Record<string, unknown> = {};
  for (const { name, value } of element.attributes) if (/^data-track-/.test(name)) found[name.slice(11).replace(/-/g, "_")] = value;
  return found;
};

/** With the first or the middle button. */
const onClick = (job: (event: MouseEvent) => void): void =>
  ["click", "auxclick"].forEach((type) => on<MouseEvent>(type, (event) => event.button < 2 && job(event)));

export const captureClicks = (report: Report): void => {
  let last: unknown;
  onClick((event) => {
    const element = closest(event, "[data-track]");
    // a click on a label is at once another one, on its field
    if (element && element != last) report(element.dataset.track as string, attributes(element));
    last = element;
    setTimeout(() => (last = 0));
  });
};

export const captureLinks = (report: Report): void =>
  onClick((event) => {
    const link = closest(event, "a[href],area[href]") as HTMLAnchorElement | undefined;
    if (link && !link.dataset.track) report("link_clicked", {
      url: redactUrl(link.href),
      outbound: /^http/.test(link.href) && link.host != location.host,
      download: link.hasAttribute("download"),
    });
  });
