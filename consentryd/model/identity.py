"""The ways an event or a request names a data subject."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class IdentityKind(StrEnum):
    USER_ID = "user_id"
    ANONYMOUS_ID = "anonymous_id"
    EMAIL = "email"

    __hash__ = str.__hash__  # an enum's own is written in Python, and this one is hashed for every event


class Identity(NamedTuple):
    """One raw identifier of a data subject at a site. Lives in memory only; what is stored is its keyed digest."""

    kind: IdentityKind
    value: str


MAX_SUBJECT: Final = 2**63 - 1

BUCKETS: Final = 16
#: The bits above it are the number of the bucket.
BUCKET_SHIFT: Final = 59


def bucket_of(subject: int) -> int:
    """The lake bucket of a subject: the top four of its 63 random bits."""
    return subject >> BUCKET_SHIFT
