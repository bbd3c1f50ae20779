"""Looks for personal data without taking it out: what is stored already, and lines of logs."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from consentryd.privacy.finder import Finder
from consentryd.privacy.prefilter import Prefilter
from consentryd.privacy.redaction import Action
from consentryd.privacy.rules import load_rules
from consentryd.privacy.seal import Place
from consentryd.privacy.treatment import Spots, Treatment
from consentryd.privacy.walk import Walk
from consentryd.privacy.work import Work

_SHAPE_CHARS: Final = 48


class Sighting(NamedTuple):
    """One datum: where (keys without personal data), which detector found it, and its form with every letter and digit replaced."""

    path: str
    detector: str
    shape: str


class Inspector:
    """All detectors under the shipped rules, whatever an operator's own rules keep. What scrubbing left behind is no sighting.

    `decimals` are those of coordinates that scrubbing leaves. Addresses of the machine itself (127.0.0.1, ::) are nobody's.
    """

    def __init__(self, phone_countries: Iterable[str] = (), decimals: int = 1) -> None:
        self._rules: Final = load_rules()
        finder = Finder(self._rules, phone_countries)
        self._prefilter: Final = Prefilter(finder)
        self._observer: Final = _Observer(decimals)
        self._walk: Final = Walk(finder, self._observer)

    def look(self, event: str, site: str, fields: dict[str, Any]) -> list[Sighting]:
        """What is found in the fields of an event, or in any JSON at all."""
        scope = self._rules.scope(site, event)
        if self._prefilter.clears(fields, scope):
            return []
        self._observer.forget()
        work = Work(scope, Place("", "", ""), None)
        self._walk.fields(fields, work)
        found = dict.fromkeys((redaction.path, redaction.rule) for redaction in work.redactions)
        seen = ((path, rule, self._observer.shape(path, rule)) for path, rule in found)
        return [Sighting(path, rule, shape) for path, rule, shape in seen if shape is not None]

    def clean(self, text: str) -> str:
        """A name, fit for a report."""
        fields = self._walk.fields({"name": text}, Work(self._rules.scope("", ""), Place("", "", ""), None))
        return str(fields.get("name", ""))


def shape_of(value: Any) -> str:
    """Every letter as `a` or `A`, every digit as `9`; what parts them stays."""
    text = str(value)
    masked = "".join(map(_masked, text[:_SHAPE_CHARS]))
    return masked if len(text) <= _SHAPE_CHARS else masked + "\u2026"


def _masked(character: str) -> str:
    if character.isalpha():
        return "A" if character.isupper() else "a"
    return "9" if character.isnumeric() else character


class _Observer(Treatment):
    """Treats as scrubbing does, and remembers of the last event what was treated where. `own` is where the machine itself was seen."""

    def __init__(self, decimals: int) -> None:
        super().__init__(b"", None, decimals, bytes)
        self._shapes: Final[dict[tuple[str | None, str], str]] = {}
        self._own: Final[set[tuple[str | None, str]]] = set()

    def forget(self) -> None:
        self._shapes.clear()
        self._own.clear()

    def shape(self, path: str, detector: str) -> str | None:
        """The form of what was found at a path; None of an address of the machine. What stood in a key was found at no path of its own."""
        for where in ((path, detector), (None, detector)):
            if where in self._shapes:
                return self._shapes[where]
            if where in self._own:
                return None
        return ""

    def apply(self, action: Action, detector: str, kind: str, value: Any, path: str, spots: Spots) -> Any:
        treated = super().apply(action, detector, kind, value, path, spots)
        if detector == "ip" and _is_own(str(value)):
            self._own.update([(path, detector), (None, detector)])
        elif treated is not value and treated != value:
            shape = shape_of(value)
            self._shapes.setdefault((path, detector), shape)
            self._shapes.setdefault((None, detector), shape)
        return treated


def _is_own(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
