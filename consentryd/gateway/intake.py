"""What a request says about all its events: whose key, when, from what kind of machine, with which consent signals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from consentryd.model.client import Client
from consentryd.model.key import ApiKey


@dataclass(slots=True)
class Intake:
    """The request around a batch of events. No address, no user agent: `client` is all that is left of them.

    `received_at` is UTC microseconds. `sent_at` and `context` are the batch's own, unchecked. `region` is the one the sender
    declared, unchecked too. `signals` holds the parts of the request that bear on consent, by lower-case name (`sec-gpc`, `dnt`, `gdpr`,
    `gdpr_consent`, `euconsent-v2`, `gpp`, `gpp_sid`, `us_privacy`, `__gpp`, `__gpp_sid`, `gcs`, `gcd`), only those present.
    `visitor` is the fingerprint of the day, which only tokens of the anonymous lane are made of.
    `size` is the inflated body in bytes: no event is larger than that (0: unknown).
    `partial`: the sender reads what became of each event, and sends again only what is to be sent again; else all of it.
    """

    key: ApiKey
    received_at: int
    client: Client
    sent_at: Any = None
    region: Any = None
    context: Any = None
    signals: Mapping[str, str] = field(default_factory=dict)
    visitor: bytes | None = None
    size: int = 0
    partial: bool = False
