"""The decision: an ordered list of rules, most restrictive first. The first that answers wins; its trace is the explanation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from consentryd.config.settings import Consent
from consentryd.consent.jurisdiction import Jurisdiction
from consentryd.consent.purposes import Purpose
from consentryd.consent.signals.reading import Reading, Signals
from consentryd.model.decision import Decision, Lane
from consentryd.model.outcome import Reason

SiteLane = Literal["auto", "off", "counts", "daily"]


class Case(NamedTuple):
    """Everything a decision depends on."""

    settings: Consent
    version: str
    jurisdiction: Jurisdiction
    purpose: Purpose
    signals: Signals
    withdrawn: frozenset[str]
    event: str
    lane: SiteLane
    anonymous_events: tuple[str, ...]

    @property
    def regime(self) -> str:
        """The regime in force for this case: opt-in for sensitive purposes, known children and where a signal says so."""
        return "opt-in" if self.demand else self.jurisdiction.regime

    @property
    def demand(self) -> str:
        """Why a grant is needed whatever the place says, or nothing."""
        if self.purpose.sensitive:
            return "the purpose is sensitive"
        if self.signals.child:
            return "the visitor is a known child"
        return "a signal says that the GDPR applies" if self.signals.opt_in else ""

    def speakers(self, field: Literal["grants", "denies", "opt_outs"]) -> list[Reading]:
        """The readings that name the purpose in this field."""
        return [reading for reading in self.signals.readings if self.purpose.name in getattr(reading, field)]


class Finding(NamedTuple):
    """What a rule says: `Lane.CONSENTED` lets the event in, a reason refuses it, None passes on to the next rule."""

    verdict: Literal[Lane.CONSENTED] | Reason | None
    saw: str


class Step(NamedTuple):
    """One line of a trace. Steps after the winner are there, unasked: `finding` is None."""

    rule: str
    finding: Finding | None


def check_withdrawn(case: Case) -> Finding:
    if case.purpose.name in case.withdrawn:
        return Finding(Reason.WITHDRAWN, "the data subject has withdrawn this purpose")
    return Finding(None, "no stored withdrawal of this purpose")


def check_opt_out(case: Case) -> Finding:
    speakers = case.speakers("opt_outs")
    if speakers:
        return Finding(Reason.OPTED_OUT, f"{_names(speakers)} opts out of this purpose")
    return Finding(None, "no opt-out signal covers this purpose")


def check_denied(case: Case) -> Finding:
    denying, granting = case.speakers("denies"), case.speakers("grants")
    if not denying:
        return Finding(None, "no signal denies this purpose")
    if granting and _newer(case, granting, denying):
        return Finding(None, f"{_names(denying)} denies this purpose, {_names(granting)} granted it later")
    return Finding(Reason.CONSENT_DENIED, f"{_names(denying)} denies this purpose")


def check_invalid(case: Case) -> Finding:
    bad = [f"{reading.source} is {reading.invalid}" for reading in case.signals.readings if reading.invalid]
    if bad:
        return Finding(Reason.CONSENT_INVALID, f"{', '.join(bad)}: counts as denial")
    return Finding(None, "every signal is well-formed, fresh and in scope")


def check_grant(case: Case) -> Finding:
    granting = case.speakers("grants")
    if granting:
        return Finding(Lane.CONSENTED, f"{_names(granting)} grants this purpose")
    return Finding(None, "no signal grants this purpose")


def check_exempt(case: Case) -> Finding:
    exemption = case.jurisdiction.exemption
    if not exemption:
        return Finding(None, "the place knows no exemption")
    if exemption not in case.settings.exemptions:
        return Finding(None, f"the place knows the exemption {exemption}, the operator does not claim it")
    if case.demand or not case.purpose.measurement:
        return Finding(None, f"the exemption {exemption} does not cover this: {case.demand or 'the purpose is not measurement'}")
    return Finding(Lane.CONSENTED, f"the exemption {exemption} covers this purpose")


def check_default(case: Case) -> Finding:
    if case.regime == "opt-out":
        return Finding(Lane.CONSENTED, "the place allows it until somebody objects")
    return Finding(Reason.NO_CONSENT, case.demand or "the place asks for a grant")


#: The order of decision. The suppression list stands before it, in the store.
RULES: Final[tuple[tuple[str, Callable[[Case], Finding]], ...]] = (
    ("withdrawal", check_withdrawn),
    ("opt-out", check_opt_out),
    ("denial", check_denied),
    ("invalid", check_invalid),
    ("grant", check_grant),
    ("exempt", check_exempt),
    ("default", check_default),
)


class Trace(NamedTuple):
    """A decision with its reasons: each rule in order, the one that won, and what became of the event."""

    case: Case
    steps: tuple[Step, ...]
    winner: str
    lane: str
    result: Decision | Reason


def weigh(case: Case) -> Trace:
    """Ask the rules in order until one answers, then place the event in a lane."""
    steps: list[Step] = []
    winner, verdict = "", None
    for name, rule in RULES:
        finding = rule(case) if verdict is None else None
        steps.append(Step(name, finding))
        if finding is not None and finding.verdict is not None:
            winner, verdict = name, finding.verdict
    assert verdict is not None
    ref = f"{case.version}/{case.regime}/{case.signals.names}/{winner}"
    if verdict is Lane.CONSENTED:
        return Trace(case, tuple(steps), winner, "it travels as the person's", Decision(Lane.CONSENTED, case.purpose.name, ref))
    lane, result = put_anonymous(case, verdict, ref)
    return Trace(case, tuple(steps), winner, lane, result)


#: Refusals by the person, rather than for want of a grant.
OBJECTIONS: Final = frozenset({Reason.WITHDRAWN, Reason.OPTED_OUT, Reason.CONSENT_DENIED, Reason.CONSENT_INVALID})


def put_anonymous(case: Case, refusal: Reason, ref: str) -> tuple[str, Decision | Reason]:
    """What is left without a grant: a count, where site and place allow one and the event's name is on the list.

    Somebody who objected is counted at most: no daily token is made of their address.
    """
    lane = case.jurisdiction.anonymous if case.lane == "auto" else case.lane
    objected = refusal in OBJECTIONS
    if lane == "off":
        return "the anonymous lane is off", refusal
    if objected and case.settings.anonymous_after_denial == "nothing":
        return "nothing is counted of people who objected", refusal
    if case.purpose.sensitive:
        return "sensitive purposes are never counted", refusal
    if case.event not in case.anonymous_events:
        return "the event's name is not on the list for counting", refusal if objected else Reason.NOT_ALLOWED_ANONYMOUSLY
    decision = Decision(Lane.ANONYMOUS, case.purpose.name, ref, visitor=lane == "daily" and not objected)
    return ("it is counted with a token of the day" if decision.visitor else "it is counted without any id"), decision


def _names(readings: list[Reading]) -> str:
    return " and ".join(dict.fromkeys(reading.source for reading in readings))


def _newer(case: Case, granting: list[Reading], denying: list[Reading]) -> bool:
    """Whether conflicts go to the newest, all are dated, and the newest grant is later than every denial."""
    if case.settings.conflict != "newest":
        return False
    granted = [reading.at for reading in granting if reading.at is not None]
    denied = [reading.at for reading in denying if reading.at is not None]
    return bool(granted) and len(denied) == len(denying) and max(granted) > max(denied)
