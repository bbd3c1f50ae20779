/** Names as settings and calls give them: a list, or a text with commas. What is neither names nothing. */
export const namesIn = (given: unknown): string[] => String(given).split(/ *, */).filter((name) => /^[^[]/.test(name));
