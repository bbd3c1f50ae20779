"""API keys: who may do what, for which site."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class KeyKind(StrEnum):
    """What a key allows. Write keys are public (they stand in pages); the others are secrets."""

    WRITE = "write"
    SERVER = "server"
    PRIVACY = "privacy"
    READ = "read"


class ApiKey(NamedTuple):
    """A key as the gateway knows it. The secret is not here: only its SHA-256 is stored.

    `region` pins all events of the key to a region. `origins` is the CORS allow-list (empty: any origin). `min_group_size` is the smallest
    group of people that answers to a read key may show; the setting's or the question's holds where it is larger.
    """

    id: str
    kind: KeyKind
    site: str
    name: str
    region: str | None
    origins: tuple[str, ...]
    created_at: int
    revoked_at: int | None
    min_group_size: int = 0
