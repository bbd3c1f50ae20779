"""Finds: which keys tell, and which spans of a text are personal data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from consentryd.privacy.detect import DETECTORS, Detector, Finding
from consentryd.privacy.detect.location import USER_PATH
from consentryd.privacy.detect.network import IPV4
from consentryd.privacy.detect.phone import national
from consentryd.privacy.gate import gate_of
from consentryd.privacy.key_class import KeyClass, classify
from consentryd.privacy.rules import RuleTable

#: Keys remembered as telling nothing, and classes of those that do.
MOST_KEYS: Final = 20_000
LONGEST_KEY: Final = 64


class Finder:
    """The detectors, and a memory of keys. The memory holds keys that are harmless in themselves, and is bounded."""

    def __init__(self, rules: RuleTable, phone_countries: Iterable[str] = ()) -> None:
        countries = tuple(phone_countries)
        self._detectors: Final[tuple[Detector, ...]] = (*DETECTORS, *([national(countries)] if countries else []))
        self._rules: Final = rules
        self._by_gate: Final[dict[int, tuple[Detector, ...]]] = {}
        self._classes: Final[dict[str, KeyClass]] = {}
        self._parameters: Final[dict[str, KeyClass]] = {}

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

    def is_clean_key(self, key: str) -> bool:
        """Whether a key is remembered, which only keys without personal data are."""
        return key in self._classes

    def find(self, text: str, gate: int, about: KeyClass) -> list[Finding]:
        """Confirmed spans in a text, in the detectors' order of claim; they may overlap."""
        detectors = self._by_gate.get(gate)
        if detectors is None:
            detectors = self._by_gate[gate] = tuple(detector for detector in self._detectors if detector.gate & gate)
        found: list[Finding] = []
        whole_number = about.id_like and text.isdigit()
        for detector in detectors:
            if whole_number and detector.id_like:
                continue
            if (about.version and detector is IPV4) or (about.location and detector is USER_PATH):
                continue
            found += detector.find(text)
        return found


def _remember(classes: dict[str, KeyClass], key: str, found: KeyClass) -> None:
    if len(key) > LONGEST_KEY or gate_of(key.encode("utf-8", "replace")):
        return
    if len(classes) >= MOST_KEYS:
        classes.clear()
    classes[key] = found
