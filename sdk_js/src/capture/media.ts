/** Audio and video: play, 25, 50 and 75 %, and completion, each once per element and page. */

import { redactUrl } from "../redact.js";
import { on, onNewPage, type Report } from "./capture.js";

type MediaEvent = Event & { target: HTMLMediaElement };

export const captureMedia = (report: Report): void => {
  let told = new WeakMap<EventTarget, Set<string>>();
  onNewPage(() => (told = new WeakMap()));
  const once = (media: HTMLMediaElement, event: string, percent?: number): void => {
    const done = told.get(media) || new Set();
    if (done.has(event + percent)) return;
    told.set(media, done.add(event + percent));
    const { id, currentSrc, duration } = media;
    report("media_" + event, { media: id, source: redactUrl(currentSrc), duration: Math.round(duration), percent });
  };
  on<MediaEvent>("play", ({ target }) => once(target, "played"));
  on<MediaEvent>("ended", ({ target }) => once(target, "completed"));
  on<MediaEvent>("timeupdate", ({ target: media }) => {
    for (const percent of [25, 50, 75]) if (media.currentTime * 100 >= media.duration * percent) once(media, "progressed", percent);
  });
};
