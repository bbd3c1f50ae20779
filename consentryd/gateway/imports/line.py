"""What a line of an imported file can be, besides an event."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol

from consentryd.model.event import RawEvent


class Unread(StrEnum):
    """Why a line gives no event. `NOT_A_PAGE` is as it should be: an image, a redirect, a form that was sent."""

    MALFORMED = "malformed"
    NOT_A_PAGE = "not_a_page"


class Read(NamedTuple):
    """An event, and the region that its line declares, unchecked; None if it declares none."""

    event: RawEvent
    region: str | None = None


class LineReader(Protocol):
    def read(self, line: bytes) -> Read | Unread:
        """The event of a line without its line end. Lines are read in their order."""
        ...
