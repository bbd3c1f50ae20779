"""What statements call the two views that they read. No text from outside can hold NUL, so no value can be taken for a view."""

from __future__ import annotations

from typing import Final

#: The rows that a query may see, of its range.
EVENTS: Final = "\0events\0"
#: All rows that it may see, up to now.
HISTORY: Final = "\0history\0"
