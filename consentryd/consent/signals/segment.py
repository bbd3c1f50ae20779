"""Segment's signal: `context.consent.categoryPreferences = {"Analytics": true, "C0004": false}`."""

from __future__ import annotations

from typing import Any

from consentryd.consent.purposes import Purposes
from consentryd.consent.signals.choice import choices, sorted_out
from consentryd.consent.signals.reading import Reading

SOURCE = "segment"


def read_segment(preferences: Any, purposes: Purposes) -> Reading:
    grants, denies = sorted_out(choices(preferences, "categoryPreferences").items(), purposes)
    return Reading(SOURCE, grants, denies)
