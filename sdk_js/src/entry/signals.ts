import { follow } from "../signal/follow.js";

(window as unknown as Record<string, unknown>).consentrySignals = follow;
