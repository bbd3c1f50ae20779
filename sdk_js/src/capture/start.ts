/** Switches on what the settings ask for. */

import type { CaptureSettings, Client, Settings } from "../types";
import { captureClicks, captureLinks } from "./click";
import { captureErrors } from "./error";
import { captureForms } from "./form";
import { captureMedia } from "./media";
import { capturePages } from "./page";
import { capturePerformance } from "./performance";
import { captureScroll } from "./scroll";
import { on, type Report } from "./capture";

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
