"""From an event's context and its request to `Signals`: which decoder reads what, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from consentryd.config.settings import Consent
from consentryd.consent.purposes import Purposes
from consentryd.consent.signals.freshness import Freshness, Stale
from consentryd.consent.signals.own import SOURCE as OWN
from consentryd.consent.signals.own import read_own
from consentryd.consent.signals.reading import NEVER, Invalid, InvalidSignal, Reading, Signals, refused
from consentryd.consent.signals.rudder import SOURCE as RUDDER
from consentryd.consent.signals.rudder import read_rudder
from consentryd.consent.signals.segment import SOURCE as SEGMENT
from consentryd.consent.signals.segment import read_segment
from consentryd.model.clock import DAY, HOUR


class Reader:
    def __init__(self, settings: Consent, purposes: Purposes) -> None:
        self._settings = settings
        self._purposes = purposes
        self._notices = frozenset(settings.notices)

    def read(self, consent: Any, managed: Any, carried: Mapping[str, str], now: int) -> Signals:
        freshness = Freshness(now, self._settings.max_age_days * DAY, self._settings.max_future_hours * HOUR)
        readings = tuple(self._readings(consent, managed, carried, freshness))
        return Signals(readings, min((reading.until for reading in readings), default=NEVER))

    def _readings(self, consent: Any, managed: Any, carried: Mapping[str, str], freshness: Freshness) -> Iterator[Reading]:
        if consent is not None and not isinstance(consent, dict):
            yield Reading(OWN, invalid=Invalid.MALFORMED, detail="context.consent is not an object")
            consent = None
        consent = consent or {}
        if "purposes" in consent:
            yield tried(OWN, lambda: read_own(consent, self._purposes, self._notices, freshness))
        if "categoryPreferences" in consent:
            yield tried(SEGMENT, lambda: read_segment(consent["categoryPreferences"], self._purposes))
        if managed is not None:
            yield tried(RUDDER, lambda: read_rudder(managed, self._purposes))


def tried(source: str, read: Any) -> Reading:
    try:
        reading: Reading = read()
    except Stale as error:
        return refused(source, error, error.until)
    except InvalidSignal as error:
        return refused(source, error)
    return reading
