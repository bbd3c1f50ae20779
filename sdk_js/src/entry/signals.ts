import { follow } from "../signal/follow";

(window as unknown as Record<string, unknown>).consentrySignals = follow;
