"""What every protocol adapter returns: the events of one request, and what its body says about all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from consentryd.model.event import RawEvent


class Envelope(NamedTuple):
    """Nothing of it is checked except that `key`, where present, is text. `sent_at` and `context` are the batch's own.

    `dropped` is how many events the sender says it lost before they could be sent, since it last said so.
    `partial`: it reads results, and sends again what they say is to be sent again.
    """

    events: Sequence[RawEvent]
    sent_at: Any = None
    context: Any = None
    key: str | None = None
    region: Any = None
    dropped: Any = None
    partial: bool = False
