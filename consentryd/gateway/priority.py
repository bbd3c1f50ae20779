"""Whose turn it is where two threads want a processor."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import Final

#: How much nicer threads of questions and of housekeeping are than others: where both want a processor, taking events gets three
#: quarters of it.
NICER: Final = 5


def step_back() -> None:
    """Lets this thread, and those that it starts, wait for the ones that take events. Only Linux has priorities of single threads."""
    if sys.platform == "linux":
        own = threading.get_native_id()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + NICER)
