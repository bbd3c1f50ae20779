"""What can go wrong, told once: losses to a callback and as numbers, a choice that was not recorded as an exception."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Optional


class Failure(NamedTuple):
    """An event that will never be stored, and why.

    `reason` is `queue_full`, `spool_error`, `not_json`, `too_large`, `expired`, `closed`, `refused` (the gateway refused the request;
    `status` says how) or one of the gateway's reasons for refusing an event, such as `invalid_time`. `event` is what would have been sent,
    None where it is not known. It may hold personal data: think before you log it.
    """

    reason: str
    event: Optional[dict[str, Any]] = None
    status: Optional[int] = None


OnFailure = Callable[[Failure], None]


class Stats(NamedTuple):
    """Events since the client was made, in this process.

    `declined` are those that the gateway deliberately did not keep, such as for want of consent. `lost` are final failures, those that
    were never accepted too. `waiting` includes what a spool directory held before.
    """

    accepted: int = 0
    delivered: int = 0
    declined: int = 0
    lost: int = 0
    waiting: int = 0


class ConsentryError(Exception):
    """A choice was not recorded. `status` is the gateway's, None when it could not be reached; `code` is the one of its error."""

    def __init__(self, message: str, status: Optional[int] = None, code: Optional[str] = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
