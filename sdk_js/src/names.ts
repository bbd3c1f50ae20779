/** Names as settings and calls give them: a list, or a text with commas. */
export const namesIn = (given: unknown): string[] => String(given).split(/ *, */).filter((name) => name);
