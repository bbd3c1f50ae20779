"""How quick the machine is at the moment: a piece of work that never changes, measured beside what is measured."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any


class Yardstick:
    """Parses some events and walks through them in Python, as a gateway's stages do.

    A gateway that needs twice the time where this needs twice the time has not become slower; the machine has.
    """

    def __init__(self, events: Sequence[bytes]) -> None:
        self._events = events

    def lay(self) -> float:
        """Microseconds of CPU an event."""
        started = time.thread_time()
        for event in self._events:
            _walk(json.loads(event))
        return (time.thread_time() - started) / len(self._events) * 1e6


def _walk(value: Any) -> int:
    if isinstance(value, dict):
        return sum(len(name) + _walk(inner) for name, inner in value.items())
    if isinstance(value, list):
        return sum(map(_walk, value))
    return hash(value) & 1
