"""PlacedEvent -> ConsentedEvent: granted, counted anonymously, or dropped.

What the event and its request say is weighed with what the subject chose before: a stored refusal stands before every signal, a stored
grant after all of them, where otherwise the place's default would refuse. A grant that an event carries never lifts a stored refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from consentryd.config.settings import Site
from consentryd.consent.policy import Policy
from consentryd.consent.signals.reading import NO_SIGNALS, Signals
from consentryd.gateway.stages.passage import Passage
from consentryd.model.clock import DAY
from consentryd.model.decision import Decision, Lane
from consentryd.model.event import ConsentedEvent, PlacedEvent
from consentryd.model.identity import IdentityKind
from consentryd.model.made import made
from consentryd.model.outcome import Reason
from consentryd.privacy.pseudonym import Pseudonymiser
from consentryd.storage.choice import NO_STANDING, Standing
from consentryd.storage.standing import Standings

Digests = tuple[bytes | None, bytes | None, bytes | None]


class Tally(Protocol):
    def note(self, placed: PlacedEvent, purpose: str, signals: Signals, decision: Decision | Reason, passage: Passage) -> None:
        """Count what the signals of an event said."""
        ...


#: Looked up once: through their classes, members of an enum cost a search each time.
ANONYMOUS: Final = Lane.ANONYMOUS
USER_ID: Final = IdentityKind.USER_ID
ANONYMOUS_ID: Final = IdentityKind.ANONYMOUS_ID

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

    def check_consent(self, placed: PlacedEvent, passage: Passage) -> ConsentedEvent | Reason:
        (event, region), intake = placed, passage.intake
        now = intake.received_at
        digests, standing = self._look(placed, passage)
        signals = self._policy.read(event.context, intake.signals, now)
        decision = self._decide(signals, placed, passage, standing.refused)
        if standing.granted and _is_wanting(decision):
            decision = self._granted(standing, placed, now) or decision
        if decision.__class__ is Reason:
            return decision
        if decision.lane is ANONYMOUS:
            return made(ConsentedEvent, (event, region, decision, None, None, None))
        if event.user_id is None and event.anonymous_id is None:
            return self._count_nobody(placed, decision, passage.site)
        return made(ConsentedEvent, (event, region, decision, *(digests or self._digests(placed, intake.key.site))))

    def _decide(self, signals: Signals, placed: PlacedEvent, passage: Passage, refused: frozenset[str]) -> Any:
        """The policy's decision, or the reason why not; for one request, equal cases are asked once."""
        event = placed.event
        client = event.client
        key = (signals, client[:2], event.event, refused)
        decision = passage.decisions.get(key)
        if decision is None:
            site = passage.site
            decision = passage.decisions[key] = self._policy.decide(
                signals,
                country=client.country or site.country,
                subdivision=client.subdivision,
                event=event.event,
                lane=site.anonymous_lane,
                anonymous_events=tuple(site.anonymous_events),
                now=passage.intake.received_at,
                withdrawn=refused,
            )
            if signals is not NO_SIGNALS and self._tally is not None:
                self._tally.note(placed, self._policy.purposes.of_event(event.event).name, signals, decision, passage)
        return decision

    def _look(self, placed: PlacedEvent, passage: Passage) -> tuple[Digests | None, Standing]:
        """The event's digests and where they stand; neither while nobody in the region has chosen anything."""
        standings = self._standings[placed.region]
        if placed.region not in passage.looked:
            standings.refresh()
            passage.looked.add(placed.region)
        if not standings.any:
            return None, NO_STANDING
        digests = self._digests(placed, passage.intake.key.site)
        return digests, standings.of(*digests[:2])

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
        return ConsentedEvent(
            placed.event, placed.region, decision._replace(lane=Lane.ANONYMOUS, visitor=False), None, None, None
        )

    def _digests(self, placed: PlacedEvent, site: str) -> Digests:
        identity = self._pseudonyms[placed.region].identity
        _, _, _, user, anonymous, _, _, previous, *_ = placed.event
        return (
            identity(site, USER_ID, user) if user else None,
            identity(site, ANONYMOUS_ID, anonymous) if anonymous else None,
            identity(site, ANONYMOUS_ID, previous) if previous else None,
        )


def _is_wanting(decision: Decision | Reason) -> bool:
    """Whether nothing but the want of a grant stands against the event."""
    if isinstance(decision, Reason):
        return decision in WANTING
    return decision.lane is Lane.ANONYMOUS and decision.ref.endswith(DEFAULT_RULE)
