"""Segment's signal: `context.consent.categoryPreferences = {"Analytics": true, "C0004": false}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consentryd.consent.purposes import Purposes
from consentryd.consent.signals.choice import choices, sorted_out
from consentryd.consent.signals.freshness import Freshness
from consentryd.consent.signals.own import check_notice, dated
from consentryd.consent.signals.reading import Reading

SOURCE = "segment"


def read_segment(consent: Mapping[str, Any], purposes: Purposes, notices: frozenset[str], freshness: Freshness) -> Reading:
    """Read `categoryPreferences`, and `notice` and `at` beside them as our own signal has them; raise `InvalidSignal` on anything else.

    Segment's SDKs send no notice: without one the grants count.
    """
    grants, denies = sorted_out(choices(consent["categoryPreferences"], "categoryPreferences").items(), purposes)
    if consent.get("notice") is not None:
        check_notice(consent["notice"], grants, notices)
    return dated(Reading(SOURCE, grants, denies), consent, freshness)
