"""The policy on the hot path: read an event's signals once, decide once for equal cases, remember both within bounds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from consentryd.config.settings import Consent
from consentryd.consent.decision import Case, SiteLane, Trace, weigh
from consentryd.consent.jurisdiction import Jurisdiction, Jurisdictions, load_jurisdictions
from consentryd.consent.purposes import load_purposes
from consentryd.consent.reader import Reader
from consentryd.consent.signals.reading import NO_SIGNALS, Invalid, Signals
from consentryd.model.decision import Decision
from consentryd.model.outcome import Reason

NOTHING_WITHDRAWN: frozenset[str] = frozenset()
MAX_REMEMBERED_BYTES = 4096


class Policy:
    """May this event be processed, and as what? Pure: time comes in, nothing is stored. Raises `ConfigError` when built."""

    def __init__(self, settings: Consent, on_invalid: Callable[[Invalid], None] = lambda _: None) -> None:
        """`on_invalid` is called for each refused signal of each event that is judged."""
        self.settings = settings
        self.purposes = load_purposes(settings)
        version, self._rows = load_jurisdictions(settings)
        self.digest = self._digest()
        self.version = f"p{version}.{self.digest[:6]}"
        self._on_invalid = on_invalid
        self._reader = Reader(settings, self.purposes)
        self._move(0)
        self._signals: dict[Any, Signals] = {}
        self._carried: dict[str, str] = {}
        self._token = 0
        self._tokens: dict[bytes, int] = {}

    def read(self, context: Mapping[str, Any], carried: Mapping[str, str], now: int) -> Signals:
        """The signals in an event's context and in the request that carried it (lower-case names). Never raises on input."""
        consent = context.get("consent")
        managed = context.get("consentManagement")
        if consent is None and managed is None and not carried:
            return NO_SIGNALS
        # compact JSON tells true from 1, which equal each other in Python
        try:
            body = orjson.dumps(consent) if managed is None else b"+" + orjson.dumps((consent, managed))
        except TypeError:
            # nothing that came as JSON gets here; without a key it is read anew
            return self._reader.read(consent, managed, carried, now)
        if carried != self._carried:
            self._carry(carried)
        key = (body, self._token) if carried else body
        signals = self._signals.get(key)
        if signals is None or now >= signals.until:
            signals = self._reader.read(consent, managed, carried, now)
            if len(body) + sum(map(len, carried.values())) <= MAX_REMEMBERED_BYTES:
                _remember(self._signals, key, signals, self.settings.remembered)
        return signals

    def count_invalid(self, signals: Signals) -> None:
        """An event was judged by these signals: tell of each that was refused."""
        for reason in signals.invalid:
            self._on_invalid(reason)

    def decide(
        self,
        signals: Signals,
        *,
        country: str | None,
        subdivision: str | None,
        event: str,
        lane: SiteLane,
        anonymous_events: tuple[str, ...],
        now: int,
        withdrawn: frozenset[str] = NOTHING_WITHDRAWN,
    ) -> Decision | Reason:
        """Let the event in by a lane, or name the reason why not. `withdrawn` holds the purposes the subject has withdrawn."""
        if now >= self._until or now < self._since:
            self._move(now)
        key = (signals, country, subdivision, event, lane, anonymous_events, withdrawn)
        try:
            return self._decisions[key]
        except KeyError:
            result = self.trace(signals, country, subdivision, event, lane, anonymous_events, now, withdrawn).result
            _remember(self._decisions, key, result, self.settings.remembered)
            return result

    def place(self, country: str | None, subdivision: str | None, now: int) -> Jurisdiction:
        """The jurisdiction in force at a place."""
        if not self._since <= now < self._until:
            self._move(now)
        return self._places.of(country, subdivision)

    def knows_lane(self, lane: str) -> bool:
        """Whether any row of the jurisdictions, of whatever date, has `anonymous` set to this."""
        return any(row.anonymous == lane for row in self._rows)

    def trace(
        self,
        signals: Signals,
        country: str | None,
        subdivision: str | None,
        event: str,
        lane: SiteLane,
        anonymous_events: tuple[str, ...],
        now: int,
        withdrawn: frozenset[str] = NOTHING_WITHDRAWN,
    ) -> Trace:
        """The same decision with each rule's say; `consent.explain` puts it in words."""
        if not self._since <= now < self._until:
            self._move(now)
        place = self._places.of(country, subdivision)
        purpose = self.purposes.of_event(event)
        return weigh(Case(self.settings, self.version, place, purpose, signals, withdrawn, event, lane, anonymous_events))

    def _carry(self, carried: Mapping[str, str]) -> None:
        """Keep what the current request carries, and a number for it: events of a batch share it, so it is hashed once."""
        if len(self._tokens) >= self.settings.remembered:
            self._tokens.clear()
            self._signals.clear()
        self._carried = dict(carried)
        # cookies may be long; their hash is not
        digest = hashlib.sha256(repr(self._carried).encode(errors="surrogatepass")).digest()
        self._token = self._tokens.setdefault(digest, len(self._tokens))

    def _move(self, now: int) -> None:
        """Put the rows in force at `now` to use, and forget decisions under others."""
        self._places = Jurisdictions(self._rows, now)
        self._since, self._until = self._places.since, self._places.until
        self._decisions: dict[Any, Decision | Reason] = {}

    def _digest(self) -> str:
        """SHA-256 of everything that decides: tables and settings."""
        rows = [row.model_dump(mode="json") for row in self._rows]
        purposes = [purpose.model_dump(mode="json") for purpose in self.purposes.by_name.values()]
        decisive = [
            rows,
            purposes,
            self.settings.model_dump(mode="json", exclude={"purposes_file", "jurisdictions_file", "remembered", "controller"}),
        ]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _remember(memory: dict[Any, Any], key: Any, value: Any, most: int) -> None:
    """Keep the value; the oldest makes room."""
    if len(memory) >= most and key not in memory:
        del memory[next(iter(memory))]
    memory[key] = value
