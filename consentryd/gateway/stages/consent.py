"""PlacedEvent -> ConsentedEvent: granted, counted anonymously, or dropped.

What the event and its request say is weighed with what the subject chose before: a stored refusal stands before every signal, a stored
grant after all of them, where otherwise the place's default would refuse. A grant that an event carries never lifts a stored refusal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from consentryd.config.settings import Site
from consentryd.consent.policy import Policy
from consentryd.consent.signals.reading import NO_SIGNALS, Signals
from consentryd.gateway.stages.passage import Passage
from consentryd.gateway.stages.person import ANONYMOUS_ID, Digests, digests_of
from consentryd.gateway.stages.staged import ConsentedEvent, PlacedEvent
from consentryd.model.clock import DAY
from consentryd.model.decision import Decision, Lane
from consentryd.model.outcome import Reason
from consentryd.privacy.pseudonym import Pseudonymiser
from consentryd.storage.choice import NO_STANDING, Standing

#: Signals, country and subdivision, event name, and the purposes refused: what a request's events are decided by.
Case = tuple[Signals, tuple[str | None, str | None], str, frozenset[str]]


class Tally(Protocol):
    def note(self, placed: PlacedEvent, purpose: str, signals: Signals, decision: Decision | Reason, passage: Passage) -> None:
        """Count what the signals of an event said."""
        ...


class Standings(Protocol):
    """Where a region's identities stand (`storage.standing`). `any` tells whether anybody has chosen anything."""

    any: bool

    def look(self) -> Any:
        """Take in what was committed since the last look."""
        ...

    def of(self, user: bytes | None, anonymous: bytes | None) -> Standing:
        """What both identities' subjects refused, and the grants that cover either."""
        ...


#: Looked up once: through their classes, members of an enum cost a search each time.
ANONYMOUS: Final = Lane.ANONYMOUS

#: Refusals for want of a grant, which a stored grant overcomes; of anonymous decisions those whose ref ends in the rule `default`.
WANTING: Final = frozenset({Reason.NO_CONSENT, Reason.NOT_ALLOWED_ANONYMOUSLY})
DEFAULT_RULE: Final = "/default"


class Consent:
    """The stage. Identities are digested here, with the region's key, because what a subject chose is kept under those digests."""

    def __init__(
        self,
        policy: Policy,
        pseudonyms: Mapping[str, Pseudonymiser],
        standings: Mapping[str, Standings],
        tally: Tally | None = None,
    ) -> None:
        self._policy = policy
        self._pseudonyms = pseudonyms
        self._standings = standings
        self._tally = tally
        self._max_age = policy.settings.max_age_days * DAY
        self._notices = frozenset(policy.settings.notices)

    def check_consents(self, events: Sequence[PlacedEvent], passage: Passage) -> list[ConsentedEvent | Reason]:
        site = passage.intake.key.site
        digests = [
            placed.event.person.digests.get(placed.region)
            or digests_of(placed.event.person, placed.region, site, self._pseudonyms)
            for placed in events
        ]
        standings = self._look(events, digests, passage)
        declared = passage.intake.key.region or passage.intake.region
        if len(self._standings) > 1 and (declared or passage.apart):
            standings = [
                self._bound(standing, placed, passage)
                if declared or placed.event.person.apart or placed.event.previous_id is not None
                else standing
                for standing, placed in zip(standings, events, strict=True)
            ]
        scenes = [placed.event.scene for placed in events]
        for scene in scenes:
            if scene.signals.invalid:
                self._policy.count_invalid(scene.signals)
        cases = [
            (scene.signals, scene.place, placed.event.event, standing.refused)
            for placed, scene, standing in zip(events, scenes, standings, strict=True)
        ]
        decided = passage.decisions
        decisions: list[Any] = [
            decided.get(case) or self._weigh(case, placed, passage) for case, placed in zip(cases, events, strict=True)
        ]
        if standings.count(NO_STANDING) < len(events):
            decisions = [self._overcome(*parts, passage) for parts in zip(decisions, events, standings, strict=True)]
        return [
            decision if decision.__class__ is Reason else self._admit(placed, decision, of, passage)
            for placed, decision, of in zip(events, decisions, digests, strict=True)
        ]

    def _admit(self, placed: PlacedEvent, decision: Decision, digests: Digests, passage: Passage) -> ConsentedEvent | Reason:
        event, region = placed.event, placed.region
        if decision.lane is ANONYMOUS:
            return ConsentedEvent(event, region, decision)
        user, anonymous = digests
        if user is None and anonymous is None:
            return self._count_nobody(placed, decision, passage.site)
        previous = None
        if event.previous_id is not None:
            previous = self._pseudonyms[region].identity(passage.intake.key.site, ANONYMOUS_ID, event.previous_id)
        return ConsentedEvent(event, region, decision, user, anonymous, previous)

    def _overcome(
        self, decision: Decision | Reason, placed: PlacedEvent, standing: Standing, passage: Passage
    ) -> Decision | Reason:
        """The decision, unless nothing but the want of a grant is in the way and a stored one is there."""
        if standing.granted and _is_wanting(decision):
            return self._granted(standing, placed, passage.intake.received_at) or decision
        return decision

    def _weigh(self, case: Case, placed: PlacedEvent, passage: Passage) -> Decision | Reason:
        """The policy's decision, or the reason why not, of a case that is new in this request."""
        signals, (country, subdivision), event, refused = case
        site = passage.site
        decision = passage.decisions[case] = self._policy.decide(
            signals,
            country=country or site.country,
            subdivision=subdivision,
            event=event,
            lane=site.anonymous_lane,
            anonymous_events=tuple(site.anonymous_events),
            now=passage.intake.received_at,
            withdrawn=refused,
        )
        if signals is not NO_SIGNALS and self._tally is not None:
            self._tally.note(placed, self._policy.purposes.of_event(event).name, signals, decision, passage)
        return decision

    def _look(self, events: Sequence[PlacedEvent], digests: Sequence[Digests], passage: Passage) -> list[Standing]:
        """Where the events' identities stand; not asked while nobody in the region has chosen anything."""
        for placed in events:
            if placed.region not in passage.looked:
                self._standings[placed.region].look()
                passage.looked[placed.region] = self._standings[placed.region].any
        if True not in passage.looked.values():
            return [NO_STANDING] * len(events)
        return [
            self._standings[placed.region].of(*of) if passage.looked[placed.region] else NO_STANDING
            for placed, of in zip(events, digests, strict=True)
        ]

    def _bound(self, standing: Standing, placed: PlacedEvent, passage: Passage) -> Standing:
        """A standing with what the person refused in other regions: one that was declared, and that of a user whose device another one
        knows, may know nothing of it."""
        refused, site, person = standing.refused, passage.intake.key.site, placed.event.person
        previous = placed.event.previous_id
        for region, standings in self._standings.items():
            if region not in passage.looked:
                standings.look()
                passage.looked[region] = standings.any
            if region != placed.region and passage.looked[region]:
                refused |= standings.of(*digests_of(person, region, site, self._pseudonyms)).refused
                if previous is not None:
                    refused |= standings.of(None, self._pseudonyms[region].identity(site, ANONYMOUS_ID, previous)).refused
        return standing if refused == standing.refused else standing._replace(refused=refused)

    def _granted(self, standing: Standing, placed: PlacedEvent, now: int) -> Decision | None:
        """What the newest stored grant of the event's purpose lets in: fresh, and under a notice in force."""
        purpose = self._policy.purposes.of_event(placed.event.event).name
        for grant in standing.granted:
            fresh = now - grant.at <= self._max_age and (not self._notices or grant.notice in self._notices)
            if grant.purpose == purpose and fresh:
                return Decision(Lane.CONSENTED, purpose, f"ledger:{placed.region}/{grant.entry}")
        return None

    def _count_nobody(self, placed: PlacedEvent, decision: Decision, site: Site) -> ConsentedEvent | Reason:
        """An event that might travel as a person's but names nobody (a pixel, a line of an access log) is counted, where its name may be."""
        sensitive = self._policy.purposes.by_name[decision.purpose].sensitive
        if sensitive or site.anonymous_lane == "off" or placed.event.event not in site.anonymous_events:
            return Reason.MISSING_IDENTITY
        return ConsentedEvent(placed.event, placed.region, decision._replace(lane=Lane.ANONYMOUS, visitor=False))


def _is_wanting(decision: Decision | Reason) -> bool:
    """Whether nothing but the want of a grant stands against the event."""
    if isinstance(decision, Reason):
        return decision in WANTING
    return decision.lane is Lane.ANONYMOUS and decision.ref.endswith(DEFAULT_RULE)
