/** What capturing modules share: how to report, and where the page's end is. */

import { guard } from "../guard.js";
import type { Properties } from "../types.js";

export type Report = (event: string, properties: Properties) => void;

/** Listens on the window while events go down, so that no handler of the page can hide them; errors of ours end here. */
export const on = <Type extends Event>(type: string, job: (event: Type) => void): void => addEventListener(type, guard(job) as EventListener, true);

/** The nearest element around an event's target that matches, also where shadow trees lie between them. */
export const closest = (event: Event, selector: string): HTMLElement | undefined =>
  (event.composedPath() as HTMLElement[]).find((element) => element.matches?.(selector));

const leaving: (() => void)[] = [];

/** Before each new page view: modules that count once per page start again. */
export const onNewPage = (job: () => void): unknown => leaving.push(job);

export const newPage = (): void => leaving.forEach((job) => job());
