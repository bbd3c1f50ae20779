"""Token buckets in bounded memory."""

from __future__ import annotations

from collections import OrderedDict

from consentryd.model.clock import SECOND


class RateLimit:
    """A bucket per name: `rate` requests a second, bursts of `burst`.

    Remembers the `capacity` names seen last. A forgotten name starts full again, which errs to the client's side; to be forgotten it
    takes `capacity` other names in the time its bucket needs to refill.
    """

    def __init__(self, rate: float, burst: float, capacity: int = 65_536) -> None:
        self._rate = rate / SECOND
        self._burst = max(burst, 1.0)
        self._capacity = capacity
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: str, now: int) -> float:
        """Takes one token at `now` (microseconds). 0.0 if there was one, else the seconds until there will be."""
        buckets = self._buckets
        held = buckets.get(name)
        tokens = self._burst if held is None else min(self._burst, held[0] + max(0, now - held[1]) * self._rate)
        wait = 0.0 if tokens >= 1.0 else (1.0 - tokens) / self._rate / SECOND
        buckets[name] = (tokens - 1.0 if wait == 0.0 else tokens, now)
        buckets.move_to_end(name)
        if len(buckets) > self._capacity:
            buckets.popitem(last=False)
        return wait
