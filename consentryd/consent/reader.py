"""From an event's context and its request to `Signals`: which decoder reads what, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from consentryd.config.settings import Consent
from consentryd.consent.purposes import Purposes
from consentryd.consent.signals.browser import read_dnt, read_gpc
from consentryd.consent.signals.freshness import Freshness, Stale
from consentryd.consent.signals.google import decode_gcd, decode_gcs, read_google
from consentryd.consent.signals.gpp import read_gpp
from consentryd.consent.signals.own import is_child, read_own
from consentryd.consent.signals.reading import Invalid, InvalidSignal, Reading, Signals, refused
from consentryd.consent.signals.rudder import read_rudder
from consentryd.consent.signals.segment import read_segment
from consentryd.consent.signals.tcf import read_tcf
from consentryd.consent.signals.us_privacy import read_us_privacy
from consentryd.model.clock import DAY, HOUR

#: The name a request's query, header or cookie carries a signal by, to the kind of signal. In `context.consent` the kind is the name.
CARRIED: Final = {
    "sec-gpc": "gpc",
    "dnt": "dnt",
    "gdpr": "gdpr",
    "gdpr_consent": "tcf",
    "euconsent-v2": "tcf",
    "gpp": "gpp",
    "__gpp": "gpp",
    "gpp_sid": "gpp_sid",
    "__gpp_sid": "gpp_sid",
    "us_privacy": "us_privacy",
    "usprivacy": "us_privacy",
    "gcs": "gcs",
    "gcd": "gcd",
}
KINDS: Final = tuple(dict.fromkeys(CARRIED.values()))
FLAGS: Final = {True: "1", False: "0"}

#: What `context.consent` may hold besides: choices, and what belongs to them.
CHOICES: Final = frozenset({"purposes", "child", "categoryPreferences"})
BESIDE: Final = frozenset({"notice", "at"})

#: The words that a page or an SDK may say a browser's flag by; `unspecified` is DNT's own.
_FLAG_WORDS: Final = {
    "1": "1", "true": "1", "yes": "1", "0": "0", "false": "0", "no": "0", "unspecified": "0",
}  # fmt: skip

#: From a text, the applicable GPP sections and the limits of age to a reading, or None for no signal. Raises `InvalidSignal`.
Decoder = Callable[[str, str, Freshness], Reading | None]


class Reader:
    """Turns raw signals into readings. Reads everything given, and refuses rather than skips what it does not understand."""

    def __init__(self, settings: Consent, purposes: Purposes) -> None:
        self._settings = settings
        self._purposes = purposes
        self._notices = frozenset(settings.notices)
        scope, _, vendor = settings.tcf_scope.partition(":")
        self._decoders = decoders(settings, purposes, int(vendor) if scope == "vendor" else None)

    def read(self, consent: Any, managed: Any, carried: Mapping[str, str], now: int) -> Signals:
        """All signals of an event: `context.consent`, `context.consentManagement` and what its request carried."""
        freshness = Freshness(now, self._settings.max_age_days * DAY, self._settings.max_future_hours * HOUR)
        readings = tuple(reading for reading in self._readings(consent, managed, carried, freshness) if reading is not None)
        return Signals.of(readings)

    def _readings(self, consent: Any, managed: Any, carried: Mapping[str, str], freshness: Freshness) -> Iterator[Reading | None]:
        if consent is not None and not isinstance(consent, dict):
            yield Reading("own", invalid=Invalid.MALFORMED, detail="context.consent is not an object")
        body = consent if isinstance(consent, dict) else {}
        if not CHOICES.union(KINDS, BESIDE).issuperset(body) and CHOICES.union(KINDS).isdisjoint(body):
            yield Reading("own", invalid=Invalid.MALFORMED, detail="context.consent holds nothing that is known")
        yield from self._choices(body, managed, freshness)
        texts, odd = _texts(body, carried)
        sections = ",".join(text for kind, text in texts if kind == "gpp_sid")
        for kind, text in texts:
            if kind in self._decoders:
                yield tried(kind, partial(self._decoders[kind], text, sections, freshness))
        yield from (
            Reading(kind, invalid=Invalid.MALFORMED, detail=f"context.consent.{kind} is of the wrong type")
            for kind in odd
            if kind != "dnt" or kind in self._decoders
        )

    def _choices(self, body: dict[str, Any], managed: Any, freshness: Freshness) -> Iterator[Reading | None]:
        """Tables of names with yes or no."""
        if "purposes" in body:
            yield tried("own", lambda: read_own(body, self._purposes, self._notices, freshness))
        elif "child" in body:
            yield tried("own", lambda: Reading("own", child=is_child(body)))
        if "categoryPreferences" in body:
            yield tried("segment", lambda: read_segment(body, self._purposes, self._notices, freshness))
        if managed is not None:
            yield tried("rudder", lambda: read_rudder(managed, self._purposes))


def decoders(settings: Consent, purposes: Purposes, vendor: int | None) -> dict[str, Decoder]:
    """The kinds of text that say something, each with its decoder."""
    found: dict[str, Decoder] = {
        "tcf": lambda text, _, freshness: read_tcf(text, purposes, vendor, freshness),
        "gpp": lambda text, sections, freshness: read_gpp(text, sections, purposes, vendor, freshness),
        "us_privacy": lambda text, *_: read_us_privacy(text, purposes),
        "gcs": lambda text, *_: read_google(decode_gcs(text), purposes),
        "gcd": lambda text, *_: read_google(decode_gcd(text), purposes),
        "gpc": lambda text, *_: read_gpc(text, purposes),
        "gdpr": lambda text, *_: read_gdpr(text),
    }
    return found | {"dnt": lambda text, *_: read_dnt(text, purposes)} if settings.dnt == "deny" else found


def read_gdpr(text: str) -> Reading | None:
    """The claim that the GDPR applies (`1`) asks for a grant; that it does not (`0`) is not believed against the place."""
    if text not in {"0", "1"}:
        raise InvalidSignal(Invalid.MALFORMED, "gdpr is neither 0 nor 1")
    return Reading("gdpr", opt_in=True) if text == "1" else None


def tried(source: str, read: Callable[[], Reading | None]) -> Reading | None:
    """What was read, or the refusal as a reading."""
    try:
        return read()
    except Stale as error:
        return refused(source, error, error.until)
    except InvalidSignal as error:
        return refused(source, error)


def _texts(body: Mapping[str, Any], carried: Mapping[str, str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Kind and text of each signal, equal ones once, and the kinds whose value in the body is of no use."""
    found: dict[tuple[str, str], None] = {}
    odd: list[str] = []
    for kind in KINDS:
        value = body.get(kind)
        text = _text_of(kind, value)
        if text is not None:
            found[kind, text] = None
        elif value is not None:
            odd.append(kind)
    found.update(((CARRIED[name], text), None) for name, text in carried.items() if name in CARRIED)
    return list(found), odd


def _text_of(kind: str, value: Any) -> str | None:
    if isinstance(value, str):
        return _FLAG_WORDS.get(value.strip().casefold()) if kind in {"gpc", "dnt"} else value
    if kind in {"gpc", "dnt", "gdpr"} and (isinstance(value, bool) or value in (0, 1)):
        return FLAGS[bool(value)]
    if kind == "gpp_sid" and isinstance(value, list) and all(isinstance(number, int) for number in value):
        return ",".join(map(str, value))
    return None
