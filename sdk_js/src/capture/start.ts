/** Switches on what the settings ask for. */

import type { CaptureSettings, Client, Settings } from "../types.js";
import { captureClicks, captureLinks } from "./click.js";
import { captureErrors } from "./error.js";
import { captureForms } from "./form.js";
import { captureMedia } from "./media.js";
import { capturePages } from "./page.js";
import { capturePerformance } from "./performance.js";
import { captureScroll } from "./scroll.js";
import { on, type Report } from "./capture.js";

const MODULES: Record<keyof CaptureSettings, (report: Report, client: Client) => void> = {
  pages: capturePages,
  clicks: captureClicks,
  links: captureLinks,
  forms: captureForms,
  scroll: captureScroll,
  media: captureMedia,
  errors: captureErrors,
  performance: capturePerformance,
};

export const startCapture = (client: Client, settings: Settings): void => {
  const { capture = true } = settings;
  if (!capture) return;
  // nobody has seen a page that the browser loads ahead
  if ((document as Document & { prerendering?: boolean }).prerendering) return on("prerenderingchange", () => startCapture(client, settings));
  for (const [name, module] of Object.entries(MODULES))
    if ((capture as string).includes?.(name) ?? (capture as CaptureSettings)[name as keyof CaptureSettings] !== false)
      module((event, properties) => client.track(event, properties), client);
};
