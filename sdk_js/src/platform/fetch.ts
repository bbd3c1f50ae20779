/** POST by `fetch`, as Node and React Native have it. */

import type { Answer } from "./platform.js";

export type Fetch = (url: string, init: { method: string; body: string; headers: Record<string, string> }) => Promise<{
  status: number;
  headers: { get(name: string): string | null };
  text(): Promise<string>;
}>;

export const fetchSend =
  (host: string, fetch: Fetch) =>
  async (path: string, body: string): Promise<Answer> => {
    const answer = await fetch(host.replace(/\/*$/, path), { method: "POST", body, headers: { "Content-Type": "text/plain" } });
    return { status: answer.status, after: answer.headers.get("Retry-After"), text: await answer.text() };
  };
