"""The secret keys of a region. Nothing stored in one region can be joined to another's: every key is the region's own."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RegionKeys:
    """32 random bytes each: `identity` peppers identity digests, `dedup` event-id hashes, `property` hashed property values, `subject` wraps
    the subjects' own encryption keys."""

    identity: bytes = field(repr=False)
    dedup: bytes = field(repr=False)
    property: bytes = field(repr=False)
    subject: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> RegionKeys:
        return cls(*(secrets.token_bytes(32) for _ in range(4)))
