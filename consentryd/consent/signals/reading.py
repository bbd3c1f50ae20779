"""What one consent signal says, in the operator's purposes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

NEVER = 2**62


class Invalid(StrEnum):
    """Why a signal was refused. The closed list; the value is the label of `consentry_consent_invalid_total{reason}`."""

    MALFORMED = "malformed"
    TRUNCATED = "truncated"
    TOO_LONG = "too_long"
    UNSUPPORTED_VERSION = "unsupported_version"
    UNKNOWN_SECTION = "unknown_section"
    EXPIRED = "expired"
    FUTURE_DATED = "future_dated"
    WRONG_SCOPE = "wrong_scope"
    OLD_POLICY = "old_policy"
    FORBIDDEN_INTEREST = "forbidden_interest"
    WRONG_NOTICE = "wrong_notice"


INVALID_TEXT: dict[Invalid, str] = {
    Invalid.MALFORMED: "The signal is not of its format: wrong type, alphabet, length, order or padding.",
    Invalid.TRUNCATED: "The signal ends before its format does.",
    Invalid.TOO_LONG: "The signal is longer than any honest one.",
    Invalid.UNSUPPORTED_VERSION: "The format's version is one that was retired or is not known.",
    Invalid.UNKNOWN_SECTION: "A GPP string names a section that is not known, so its meaning cannot be honoured.",
    Invalid.EXPIRED: "The choice is older than `consent.max_age_days`.",
    Invalid.FUTURE_DATED: "The choice lies further ahead than `consent.max_future_hours`.",
    Invalid.WRONG_SCOPE: "A TCF string with IsServiceSpecific 0: global scope was abolished.",
    Invalid.OLD_POLICY: "A TCF string under policy version 3 or older.",
    Invalid.FORBIDDEN_INTEREST: "A TCF string claims legitimate interest for purposes 3 to 6, which allow consent only.",
    Invalid.WRONG_NOTICE: "The grant names none of the notices in `consent.notices`.",
}


class InvalidSignal(ValueError):
    """A signal that must be refused. `detail` says where, never what was sent."""

    def __init__(self, reason: Invalid, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Reading(NamedTuple):
    """One signal in the operator's purposes. What it does not name it leaves open.

    `at` is when the person chose (UTC microseconds), `until` the moment from which this reading no longer holds. `child` marks a
    known child, `opt_in` a claim that the GDPR applies. `detail` is for people and never repeats the signal.
    """

    source: str
    grants: frozenset[str] = frozenset()
    denies: frozenset[str] = frozenset()
    opt_outs: frozenset[str] = frozenset()
    invalid: Invalid | None = None
    at: int | None = None
    until: int = NEVER
    child: bool = False
    opt_in: bool = False
    detail: str = ""


def refused(source: str, error: InvalidSignal, until: int = NEVER) -> Reading:
    return Reading(source, invalid=error.reason, until=until, detail=error.detail)


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """All signals that came with an event. Compared by identity: equal input yields the same object while it is remembered."""

    readings: tuple[Reading, ...] = ()
    until: int = NEVER
    invalid: tuple[Invalid, ...] = ()
    names: str = "none"

    @classmethod
    def of(cls, readings: tuple[Reading, ...]) -> Signals:
        """`until` is the first moment at which a reading no longer holds; `invalid` has an entry for each refused signal.

        `names` are the sources seen, for `consent_ref`: `own+gpc`, or `none`.
        """
        until = min((reading.until for reading in readings), default=NEVER)
        invalid = tuple(reading.invalid for reading in readings if reading.invalid)
        return cls(readings, until, invalid, "+".join(dict.fromkeys(reading.source for reading in readings)) or "none")

    def over(self, under: Signals) -> Signals:
        """These in the place of others said more generally, of which all but the grants still holds."""
        return Signals.of(self.readings + tuple(reading._replace(grants=frozenset()) for reading in under.readings))

    @property
    def child(self) -> bool:
        return any(reading.child for reading in self.readings)

    @property
    def opt_in(self) -> bool:
        return any(reading.opt_in for reading in self.readings)


NO_SIGNALS = Signals()
