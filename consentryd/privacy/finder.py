"""Finds: which keys tell, which spans of a text are personal data, and whether an event may pass without a closer look."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from consentryd.privacy.detect import DETECTORS, Detector, Gate
from consentryd.privacy.detect.location import USER_PATH
from consentryd.privacy.detect.network import IPV4
from consentryd.privacy.detect.phone import national
from consentryd.privacy.gate import gate_of
from consentryd.privacy.key_class import KeyClass, classify
from consentryd.privacy.rules import RuleTable

#: Keys remembered as telling nothing, and classes of those that do.
_MOST_KEYS: Final = 20_000
_LONGEST_KEY: Final = 64

_NUMBER: Final = re.compile(rb"(?<![\w.+-])[0-9](?:[ ./-]?[0-9()]){8,}(?![\w-])")
_PARAMETER: Final = re.compile(r"(?:^|(?<=[?&#;\s\"]))([\w.%\[\]-]{1,64})=")
_NEEDS_WALK: Final = Gate.AT | Gate.ENCODED | Gate.SHAPE | Gate.ADDRESS | Gate.FILE_PATH | Gate.BASIC | Gate.PLUS | Gate.RUN


class Finding(NamedTuple):
    start: int
    end: int
    name: str
    kind: str


class Finder:
    """The detectors, and a memory of keys. The memory holds keys that are harmless in themselves, and is bounded."""

    def __init__(self, rules: RuleTable, phone_countries: Iterable[str] = ()) -> None:
        countries = tuple(phone_countries)
        self._detectors: Final[tuple[Detector, ...]] = (*DETECTORS, *([national(countries)] if countries else []))
        self._rules: Final = rules
        self._plain: Final[set[str]] = set()
        self._classes: Final[dict[str, KeyClass]] = {}
        self._parameters: Final[dict[str, KeyClass]] = {}

    def clears(self, fields: dict[str, Any], data: bytes, gate: int) -> bool:
        """Whether nothing in an event can be personal data: no sign in its JSON, and no key that tells."""
        if gate & _NEEDS_WALK or (gate & Gate.DIGITS and _suspicious_number(data)):
            return False
        if gate & Gate.QUERY and self._telling_parameter(data.decode()):
            return False
        return self._plain_keys(fields)

    def key_class(self, key: str) -> KeyClass:
        found = self._classes.get(key)
        if found is None:
            found = classify(key, self._rules.hints, self._rules.keys)
            _remember(self._classes, key, found)
        return found

    def parameter_class(self, name: str) -> KeyClass:
        found = self._parameters.get(name)
        if found is None:
            found = classify(name, (*self._rules.hints, *self._rules.parameters), self._rules.keys)
            _remember(self._parameters, name, found)
        return found

    def find(self, text: str, gate: int, about: KeyClass) -> list[Finding]:
        """Confirmed spans in a text, in the detectors' order of claim; they may overlap."""
        found = []
        whole_number = about.id_like and text.isdigit()
        for detector in self._detectors:
            if not detector.gate & gate or (whole_number and detector.id_like):
                continue
            if (about.version and detector is IPV4) or (about.location and detector is USER_PATH):
                continue
            found += [Finding(start, end, detector.name, detector.kind) for start, end in detector.find(text)]
        return found

    def _telling_parameter(self, text: str) -> bool:
        return any(self.parameter_class(name).hint is not None for name in _PARAMETER.findall(text))

    def _plain_keys(self, value: Any) -> bool:
        if isinstance(value, list):
            return all(self._plain_keys(inner) for inner in value if isinstance(inner, dict | list))
        if not self._plain.issuperset(value) and not all(map(self._is_plain, value)):
            return False
        return all(self._plain_keys(inner) for inner in value.values() if isinstance(inner, dict | list))

    def _is_plain(self, key: str) -> bool:
        if key in self._plain:
            return True
        about = self.key_class(key)
        if about.hint is not None or about.rules:
            return False
        if len(key) <= _LONGEST_KEY and not gate_of(key.encode()):
            if len(self._plain) >= _MOST_KEYS:
                self._plain.clear()
            self._plain.add(key)
        return True


def _suspicious_number(data: bytes) -> bool:
    """Whether there are nine digits that are not just a time in seconds or milliseconds, or the digits of a short id."""
    for match in _NUMBER.finditer(data):
        number = match[0]
        if not number.isdigit() or (len(number) >= 11 and not (len(number) == 13 and number[:1] == b"1")):  # noqa: PLR2004
            return True
    return False


def _remember(classes: dict[str, KeyClass], key: str, found: KeyClass) -> None:
    if len(key) > _LONGEST_KEY or gate_of(key.encode("utf-8", "replace")):
        return
    if len(classes) >= _MOST_KEYS:
        classes.clear()
    classes[key] = found
