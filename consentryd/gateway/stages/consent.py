"""PlacedEvent -> ConsentedEvent: granted, counted anonymously, or dropped."""

from __future__ import annotations

from collections.abc import Mapping

from consentryd.config.settings import Site
from consentryd.consent.policy import Policy
from consentryd.gateway.stages.passage import Passage
from consentryd.model.decision import Decision, Lane
from consentryd.model.event import ConsentedEvent, PlacedEvent
from consentryd.model.identity import IdentityKind
from consentryd.model.outcome import Reason
from consentryd.privacy.pseudonym import Pseudonymiser


class Consent:
    """The stage. Identities are digested here, with the region's key, because what a subject chose is kept under those digests."""

    def __init__(self, policy: Policy, pseudonyms: Mapping[str, Pseudonymiser]) -> None:
        self._policy = policy
        self._pseudonyms = pseudonyms

    def check_consent(self, placed: PlacedEvent, passage: Passage) -> ConsentedEvent | Reason:
        event, site, now = placed.event, passage.site, passage.intake.received_at
        signals = self._policy.read(event.context, passage.intake.signals, now)
        decision = self._policy.decide(
            signals,
            country=event.client.country or site.country,
            subdivision=event.client.subdivision,
            event=event.event,
            lane=site.anonymous_lane,
            anonymous_events=tuple(site.anonymous_events),
            now=now,
        )
        if isinstance(decision, Reason):
            return decision
        if decision.lane is Lane.ANONYMOUS:
            return ConsentedEvent(event, placed.region, decision, None, None, None)
        if event.user_id is None and event.anonymous_id is None:
            return _count_nobody(placed, decision, site)
        return ConsentedEvent(event, placed.region, decision, *self._digests(placed, passage.intake.key.site))

    def _digests(self, placed: PlacedEvent, site: str) -> tuple[bytes | None, bytes | None, bytes | None]:
        event, identity = placed.event, self._pseudonyms[placed.region].identity
        user = event.user_id and identity(site, IdentityKind.USER_ID, event.user_id)
        anonymous = event.anonymous_id and identity(site, IdentityKind.ANONYMOUS_ID, event.anonymous_id)
        previous = event.previous_id and identity(site, IdentityKind.ANONYMOUS_ID, event.previous_id)
        return user or None, anonymous or None, previous or None


def _count_nobody(placed: PlacedEvent, decision: Decision, site: Site) -> ConsentedEvent | Reason:
    """An event that might travel as a person's but names nobody (a pixel, a line of an access log) is counted, where its name may be."""
    if site.anonymous_lane == "off" or placed.event.event not in site.anonymous_events:
        return Reason.MISSING_IDENTITY
    return ConsentedEvent(placed.event, placed.region, decision._replace(lane=Lane.ANONYMOUS, visitor=False), None, None, None)
