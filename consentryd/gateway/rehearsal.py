"""A rehearsal: events go through the stages of the gateway, with keys of this run only and without a store."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, NamedTuple

import orjson

from consentryd.config.settings import Settings
from consentryd.consent.policy import Policy
from consentryd.gateway.clients import Clients
from consentryd.gateway.intake import Intake
from consentryd.gateway.pipeline import Pipeline, prepare
from consentryd.gateway.plan import TrackingPlans
from consentryd.gateway.protocols.envelope import Envelope
from consentryd.gateway.stages.consent import Consent
from consentryd.gateway.stages.person import Persons
from consentryd.gateway.stages.place import Named, Place, Told
from consentryd.gateway.stages.scene import Scenes
from consentryd.gateway.stages.scrub import Scrub
from consentryd.gateway.stages.validate import Validate
from consentryd.gateway.stages.view import Views
from consentryd.model.client import UNKNOWN_CLIENT
from consentryd.model.clock import moment_of
from consentryd.model.decision import Lane
from consentryd.model.event import COLUMNS, CleanEvent
from consentryd.model.key import ApiKey, KeyKind
from consentryd.model.outcome import OUTCOME_OF, Outcome, Reason
from consentryd.privacy.agent import AgentClassifier
from consentryd.privacy.country import CountryDatabase
from consentryd.privacy.pseudonym import Pseudonymiser
from consentryd.privacy.redaction import Action
from consentryd.privacy.rules import load_rules
from consentryd.privacy.scrub import Scrubber
from consentryd.privacy.seal import MemorySubjectKeys
from consentryd.storage.choice import NO_STANDING, Standing

_KEY_BYTES: Final = 32
_JSON: Final = ("properties", "redactions")


class Fate(NamedTuple):
    """What would become of one event: its row by column, without what is empty, or the reason why it has none."""

    outcome: Outcome
    reason: Reason | None = None
    region: str | None = None
    row: dict[str, Any] | None = None
    redactions: tuple[dict[str, Any], ...] = ()
    pseudonymised: tuple[str, ...] = ()


class Rehearsal:
    """One for a run. `country` is where a caller is whose events do not say it; with `granted` an event that carries no consent has every
    purpose granted. Raises `ConfigError` for settings that the gateway would not start with."""

    def __init__(self, settings: Settings, now: int, country: str | None = None, *, granted: bool = False) -> None:
        self._settings = settings
        self._now = now
        self._client = UNKNOWN_CLIENT._replace(country=country)
        privacy, regions = settings.privacy, settings.regions
        policy = Policy(settings.consent)
        consent = {"purposes": dict.fromkeys(policy.purposes.by_name, True), "notice": next(iter(settings.consent.notices), None)}
        self._granted = {"consent": consent} if granted else {}
        pseudonyms = {name: Pseudonymiser(secrets.token_bytes(_KEY_BYTES), secrets.token_bytes(_KEY_BYTES)) for name in regions}
        rules, wet = load_rules(privacy.rules), privacy.model_copy(update={"dry_run": False})
        self._scrubbers = {
            name: Scrubber(rules, secrets.token_bytes(_KEY_BYTES), name, wet, MemorySubjectKeys()) for name in regions
        }
        persons = Persons(settings.limits.id_chars)
        views = Views(privacy.query_parameters, privacy.titles)
        clients = Clients(CountryDatabase(privacy.country_database, city=privacy.city), AgentClassifier())
        self._pipeline = Pipeline(
            Validate(settings.limits, persons, Scenes(clients, policy, views), TrackingPlans(settings), privacy.bots),
            Place(regions, _NoHomes(regions.keys()), persons),
            Consent(policy, pseudonyms, dict.fromkeys(regions, _NoStandings())),
            Scrub(pseudonyms, self._scrubbers, views),
        )

    @property
    def counts(self) -> Counter[tuple[str, Action]]:
        """How often each rule changed something, in all regions."""
        return sum((scrubber.counts for scrubber in self._scrubbers.values()), Counter())

    def of(self, envelope: Envelope, site: str) -> list[Fate]:
        """What would become of the events of one request to a site."""
        key = ApiKey("key_rehearsal", KeyKind.SERVER, site, "", None, (), 0, None)
        told = envelope.context or {}
        context = {**self._granted, **told} if isinstance(told, dict) else told
        intake = Intake(key, self._now, self._client, envelope.sent_at, envelope.region, context)
        return [_fate(item) for item in self._pipeline.run(envelope.events, prepare(intake, self._settings))]


class _NoHomes:
    """Regions in which nobody is known."""

    def __init__(self, regions: AbstractSet[str]) -> None:
        self.regions = regions

    def since(self, region: str, identity: Named) -> int | None:  # noqa: ARG002  as a store is asked
        return None

    def look(self, regions: Collection[str], identities: Sequence[Named]) -> Mapping[str, Told]:  # noqa: ARG002  as stores are asked
        return dict.fromkeys(regions, ((), False))


class _NoStandings:
    """A region in which nobody has chosen anything."""

    any = False

    def look(self) -> None:
        """There is nothing to take in."""

    def of(self, user: bytes | None, anonymous: bytes | None) -> Standing:  # noqa: ARG002  as a store is asked
        return NO_STANDING


def _fate(item: CleanEvent | Reason) -> Fate:
    if isinstance(item, Reason):
        return Fate(OUTCOME_OF[item], item)
    row = {
        column.name: _shown(column.kind, orjson.loads(value) if column.name in _JSON else value)
        for column, value in zip(COLUMNS, item.row, strict=True)
        if value is not None
    }
    outcome = Outcome.ANONYMOUS if row["lane"] == Lane.ANONYMOUS else Outcome.STORED
    digests = {"userId": item.user, "anonymousId": item.anonymous, "previousId": item.previous, "email": item.email}
    named = tuple(name for name, digest in digests.items() if digest is not None)
    return Fate(outcome, None, item.region, row, tuple(row.pop("redactions", ())), named)


def _shown(kind: str, value: Any) -> Any:
    return moment_of(value).isoformat() if kind == "time" else value
