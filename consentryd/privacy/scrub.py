"""Scrubbing: personal data is taken out of every field of an event before it is stored.

A cheap look at the whole event (`gate`) clears most of them; only an event with signs is walked, leaf by leaf, each leaf decoded as
often as it was encoded. Work is bounded for each event; what lies beyond the bound is dropped, not passed.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from operator import itemgetter
from typing import Any, Final, Protocol

import orjson

from consentryd.privacy.allowance import Allowance, Allowances
from consentryd.privacy.finder import Finder
from consentryd.privacy.habit import ENOUGH, Habits
from consentryd.privacy.identifier import Identifiers
from consentryd.privacy.prefilter import Prefilter
from consentryd.privacy.redaction import ALLOW_RULE, URL_RULE, USER_ID, Action, Redaction, Scrubbed
from consentryd.privacy.rules import RuleTable, Scope
from consentryd.privacy.seal import Place, SubjectKeys
from consentryd.privacy.treatment import Treatment
from consentryd.privacy.walk import Walk
from consentryd.privacy.work import Work

#: The parts of an event that `privacy.allow` narrows.
_NARROWED: Final = ("properties", "traits")
_RULE_AND_ACTION: Final = itemgetter(1, 2)


class ScrubSettings(Protocol):
    """What scrubbing needs of `config.settings.Privacy`."""

    @property
    def allow(self) -> Mapping[str, Mapping[str, Iterable[str]]]: ...
    @property
    def dry_run(self) -> bool: ...
    @property
    def coordinate_decimals(self) -> int: ...
    @property
    def phone_countries(self) -> Iterable[str]: ...


class Scrubber:
    """The scrubber of one region. `property_key` is the region's key for hashed properties (32 bytes).

    `subject_keys` holds the keys that `encrypt` seals with; without it, and for events that name nobody, `encrypt` drops.
    `counts` grows by one for each redaction, by (rule, action); in a dry run too.
    """

    def __init__(
        self,
        rules: RuleTable,
        property_key: bytes,
        region: str,
        settings: ScrubSettings,
        subject_keys: SubjectKeys | None = None,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._rules: Final = rules
        self._region: Final = region
        finder = Finder(rules, settings.phone_countries)
        self._prefilter: Final = Prefilter(finder)
        self._treatment: Final = Treatment(property_key, subject_keys, settings.coordinate_decimals, random)
        self._walk: Final = Walk(finder, self._treatment)
        self._habits: Final = Habits()
        self._allow: Final = {site: Allowances(events) for site, events in settings.allow.items()}
        self._dry: Final = settings.dry_run
        self.counts: Final[Counter[tuple[str, Action]]] = Counter()

    def scrub(
        self,
        event: str,
        site: str,
        fields: dict[str, Any],
        handle: bytes | None = None,
        body: bytes | None = None,
        identifiers: Identifiers | None = None,
    ) -> Scrubbed:
        """Clean all `fields` of an event (`properties`, `traits`, `event`, `title`, `path`, `event_id`, ... or any JSON at all).

        `event` is the name and `site` the site that rules are scoped to; `handle` is the digest of the identity whose key `encrypt`
        uses; `body` is the compact JSON of `fields["properties"]`, as `orjson.dumps` makes it, if the caller has it already; `identifiers`
        are the ids by which the event names its person. Nothing in `fields` is changed in place. Pure but for `counts` and the nonces of
        `encrypt`.
        """
        narrowed, dropped = self._narrow(event, site, fields) if self._allow else (fields, ())
        properties = narrowed.get("properties")
        if properties is not fields.get("properties"):
            body = None
        scope = self._rules.scope(site, event)
        in_a_row = self._habits.in_a_row(event)
        is_clear = False
        if in_a_row < ENOUGH:
            body = body or _body(narrowed)
            is_clear = self._prefilter.clears(narrowed, scope, body)
            if is_clear and in_a_row:
                self._habits.was_not(event)
        if is_clear and (identifiers is None or not identifiers.stand_in(narrowed, body)):
            if not dropped:
                return Scrubbed(narrowed, (), body)
            return self._result(fields, narrowed, dropped, body)
        work = Work(scope, Place(self._region, site, self._event_id(narrowed, scope, identifiers)), handle)
        cleaned = narrowed if is_clear else self._walked(event, narrowed, work)
        if body is None or cleaned.get("properties") is not properties:
            body = _body(cleaned)
        if identifiers is not None and identifiers.stand_in(cleaned, body):
            cleaned = identifiers.taken_out(cleaned, partial(self._treat_id, work))
            body = _body(cleaned)
        return self._result(fields, cleaned, (*dropped, *dict.fromkeys(work.redactions)), body)

    def note(self, scrubbed: Scrubbed, paths: Iterable[str]) -> Scrubbed:
        """The same, with what was redacted in URLs before, of which the fields at `paths` come."""
        noted = tuple(Redaction(path, URL_RULE, Action.TYPE) for path in paths)
        self.counts[URL_RULE, Action.TYPE] += len(noted)
        return Scrubbed(scrubbed.fields, (*noted, *scrubbed.redactions), scrubbed.properties)

    def scrub_text(self, event: str, site: str, text: str) -> str:
        """Clean one text, such as a line of a log; what must go altogether leaves an empty one."""
        return str(self.scrub(event, site, {"text": text}).fields.get("text", ""))

    def _walked(self, event: str, fields: dict[str, Any], work: Work) -> dict[str, Any]:
        cleaned = self._walk.fields(fields, work)
        if cleaned is fields:
            self._habits.was_not(event)
        else:
            self._habits.was_dense(event)
        return cleaned

    def _narrow(self, event: str, site: str, fields: dict[str, Any]) -> tuple[dict[str, Any], tuple[Redaction, ...]]:
        """What an allow-list lets pass, if the site has one, and what was left out."""
        of_site = self._allow.get(site)
        allowed = None if of_site is None else of_site.of_event(event)
        return (fields, ()) if allowed is None else _narrow(fields, allowed)

    def _treat_id(self, work: Work, value: Any, whole: bool, path: str) -> Any:
        """In a text an id is told to be one and no more, so that titles and paths stay few."""
        action = work.scope.action(USER_ID, "", path)
        if action is Action.HASH and not whole and path != "event_id":
            action = Action.TYPE
        treated = self._treatment.apply(action, USER_ID, "", value, path, work)
        if action is not Action.KEEP:
            work.record(path, USER_ID, action)
        return treated

    def _event_id(self, fields: dict[str, Any], scope: Scope, identifiers: Identifiers | None) -> str:
        """The id that will be stored, for sealed values are bound to it."""
        event_id = fields.get("event_id")
        if event_id is None:
            return ""
        work = Work(scope, Place(self._region, "", ""), None)
        stored = self._walk.fields({"event_id": event_id}, work)
        if identifiers is not None and identifiers.stand_in(stored, None):
            stored = identifiers.taken_out(stored, partial(self._treat_id, work))
        return str(stored.get("event_id"))

    def _result(
        self, before: dict[str, Any], after: dict[str, Any], redactions: tuple[Redaction, ...], body: bytes | None
    ) -> Scrubbed:
        if not redactions:
            return Scrubbed(after, (), body)
        self.counts.update(map(_RULE_AND_ACTION, redactions))
        if not self._dry:
            return Scrubbed(after, redactions, body)
        return Scrubbed(before, (), _body(before))


def _body(fields: Mapping[str, Any]) -> bytes | None:
    properties = fields.get("properties")
    return None if properties is None else _dumps(properties)


def _dumps(value: Any) -> bytes:
    """Compact JSON. Texts and numbers that JSON in UTF-8 cannot hold are written as the nearest that it can."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_encodable(value))


def _encodable(value: Any) -> Any:
    match value:
        case dict():
            return {_encodable(str(key)): _encodable(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_encodable(inner) for inner in value]
        case str():
            return value.encode("utf-8", "replace").decode()
        case bool() | None | float():
            return value
        case _:
            return str(value)


def _narrow(fields: dict[str, Any], allowed: Allowance) -> tuple[dict[str, Any], tuple[Redaction, ...]]:
    narrowed, dropped = dict(fields), []
    for part in _NARROWED:
        value = fields.get(part)
        if isinstance(value, dict) and (passed := allowed.of(value)) is not value:
            narrowed[part] = passed
            dropped.append(Redaction(part, ALLOW_RULE, Action.DROP))
    return narrowed, tuple(dropped)
