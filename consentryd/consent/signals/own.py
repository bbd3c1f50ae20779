"""Our own signal: `context.consent = {"purposes": {"analytics": true, "marketing": false}, "notice": "2026-11"}`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from consentryd.consent.purposes import Purposes
from consentryd.consent.signals.choice import choices, sorted_out
from consentryd.consent.signals.freshness import Freshness
from consentryd.consent.signals.reading import Invalid, InvalidSignal, Reading
from consentryd.model.clock import SECOND, parse_moment

SOURCE = "own"


def read_own(consent: Mapping[str, Any], purposes: Purposes, notices: frozenset[str], freshness: Freshness) -> Reading:
    """Read `purposes`, `notice` and `at`; raise `InvalidSignal` on anything that is not exactly that.

    In `purposes` true grants, false denies and null says that the person has not answered yet.

    `at` (optional) is ISO 8601 text with an offset, or milliseconds since the epoch. With `notices` configured a grant counts
    only under one of them; denials always count.
    """
    answered = {
        name: value for name, value in choices(consent["purposes"], "purposes", unanswered=True).items() if value is not None
    }
    grants, denies = sorted_out(answered.items(), purposes)
    check_notice(consent.get("notice"), grants, notices)
    return dated(Reading(SOURCE, grants, denies, child=is_child(consent)), consent, freshness)


def check_notice(notice: Any, grants: frozenset[str], notices: frozenset[str]) -> None:
    """Raise `InvalidSignal` for grants under a notice that is none of `notices`, if there are any."""
    if notice is not None and not isinstance(notice, str):
        raise InvalidSignal(Invalid.MALFORMED, "notice is not text")
    if grants and notices and notice not in notices:
        raise InvalidSignal(Invalid.WRONG_NOTICE, "the grant names no current notice")


def dated(reading: Reading, consent: Mapping[str, Any], freshness: Freshness) -> Reading:
    """The reading with the time of the choice, where `at` says it. Raises `InvalidSignal`, of a choice out of its time too."""
    if consent.get("at") is None:
        return reading
    at = moment(consent["at"])
    return reading._replace(at=at, until=freshness.until(at))


def is_child(consent: Mapping[str, Any]) -> bool:
    child = consent.get("child", False)
    if not isinstance(child, bool):
        raise InvalidSignal(Invalid.MALFORMED, "child is neither true nor false")
    return child


def moment(value: Any) -> int:
    """UTC microseconds of ISO 8601 text with an offset, or of whole milliseconds since the epoch."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**43:
        return value * 1000
    if not isinstance(value, str):
        raise InvalidSignal(Invalid.MALFORMED, "at is not a time")
    try:
        parsed = parse_moment(value)
    except ValueError:
        raise InvalidSignal(Invalid.MALFORMED, "at is not a time") from None
    if parsed.tzinfo is None:
        raise InvalidSignal(Invalid.MALFORMED, "at has no offset")
    return int((parsed - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * SECOND)
