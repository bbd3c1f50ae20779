"""Finds: which keys tell, which spans of a text are personal data, and whether an event may pass without a closer look."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from consentryd.privacy.confirm import confirm
from consentryd.privacy.detect import DETECTORS, Detector, Finding, Gate
from consentryd.privacy.detect.location import USER_PATH
from consentryd.privacy.detect.network import IPV4
from consentryd.privacy.detect.phone import national
from consentryd.privacy.gate import gate_of
from consentryd.privacy.key_class import KeyClass, classify
from consentryd.privacy.rules import RuleTable

#: Keys remembered as telling nothing, and classes of those that do.
_MOST_KEYS: Final = 20_000
_LONGEST_KEY: Final = 64

_MOST_PARAMETERS: Final = 64
_WORD_ENDS: Final = bytes.maketrans(b'?&#;"\t', b" " * 6)
_CONFIRMED: Final = Gate.DIGITS | Gate.SHAPE | Gate.RUN | Gate.FOREIGN | Gate.QUERY


class Finder:
    """The detectors, and a memory of keys. The memory holds keys that are harmless in themselves, and is bounded."""

    def __init__(self, rules: RuleTable, phone_countries: Iterable[str] = ()) -> None:
        countries = tuple(phone_countries)
        self._detectors: Final[tuple[Detector, ...]] = (*DETECTORS, *([national(countries)] if countries else []))
        self._rules: Final = rules
        self._harmless: Final[set[bytes]] = set()
        self._plain: Final[dict[str, set[str]]] = {}
        self._by_gate: Final[dict[int, tuple[Detector, ...]]] = {}
        self._classes: Final[dict[str, KeyClass]] = {}
        self._parameters: Final[dict[str, KeyClass]] = {}

    def clears(self, fields: dict[str, Any], data: bytes) -> bool:
        """Whether nothing in an event can be personal data: no candidate in its JSON, and no key that tells."""
        gate = gate_of(data)
        if gate and (gate & ~_CONFIRMED or confirm(data, gate) & ~Gate.QUERY):
            return False
        if gate & Gate.QUERY and self._telling_parameter(data):
            return False
        return self._plain_fields(fields)

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

    def _telling_parameter(self, data: bytes) -> bool:
        """Whether a word before an equals sign tells. Words are remembered, as keys are."""
        position, words = data.find(b"="), 0
        while position >= 0:
            word = data[max(0, position - _LONGEST_KEY) : position].translate(_WORD_ENDS).rpartition(b" ")[2]
            words += 1
            if words > _MOST_PARAMETERS or (word not in self._harmless and not self._is_harmless(word)):
                return True
            position = data.find(b"=", position + 1)
        return False

    def _is_harmless(self, word: bytes) -> bool:
        if self.parameter_class(word.decode(errors="replace")).hint is not None:
            return False
        if len(self._harmless) >= _MOST_KEYS:
            self._harmless.clear()
        if not gate_of(word):
            self._harmless.add(word)
        return True

    def _plain_fields(self, fields: dict[str, Any]) -> bool:
        """Whether no key tells. Remembered for each top-level field apart, because rules may name it (`traits.name`)."""
        for part, value in fields.items():
            if isinstance(value, dict | list) and not self._plain_keys(value, part, self._plain.setdefault(part, set())):
                return False
        return self._plain_keys(dict.fromkeys(fields), "", self._plain.setdefault("", set()))

    def _plain_keys(self, value: Any, part: str, plain: set[str]) -> bool:
        if isinstance(value, list):
            return all(self._plain_keys(inner, part, plain) for inner in value if isinstance(inner, dict | list))
        if not plain.issuperset(value) and not all(self._is_plain(key, part, plain) for key in value):
            return False
        for inner in value.values():
            if isinstance(inner, dict | list) and not self._plain_keys(inner, part, plain):
                return False
        return True

    def _is_plain(self, key: str, part: str, plain: set[str]) -> bool:
        if key in plain:
            return True
        about = self.key_class(key)
        if about.hint is not None or any(rule.may_cover(part) for rule in about.rules):
            return False
        if len(key) <= _LONGEST_KEY and not gate_of(key.encode()):
            if len(plain) >= _MOST_KEYS:
                plain.clear()
            plain.add(key)
        return True


def _remember(classes: dict[str, KeyClass], key: str, found: KeyClass) -> None:
    if len(key) > _LONGEST_KEY or gate_of(key.encode("utf-8", "replace")):
        return
    if len(classes) >= _MOST_KEYS:
        classes.clear()
    classes[key] = found
