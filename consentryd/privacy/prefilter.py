"""Whether an event may pass without a closer look: no key tells, and no text or number in it could be personal data.

Texts repeat from event to event (currencies, categories, titles, addresses of pages). Those found harmless are remembered, a bounded
number of them, in memory only; what is new is joined and looked at in one go, so that an event costs what is new in it.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from consentryd.privacy.confirm import confirm
from consentryd.privacy.detect import Gate
from consentryd.privacy.finder import LONGEST_KEY, LONGEST_TEXT, MOST_KEYS, MOST_TEXTS, Finder
from consentryd.privacy.gate import gate_of
from consentryd.privacy.rules import KeyRule, Scope

_DEEPEST: Final = 12
_MOST_PARTS: Final = 256
_MOST_PARAMETERS: Final = 64
_WORD_ENDS: Final = bytes.maketrans(b'?&#;"\t', b" " * 6)
_CONFIRMED: Final = Gate.DIGITS | Gate.SHAPE | Gate.RUN | Gate.FOREIGN | Gate.QUERY
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_UUID_LENGTH: Final = 36
_TIME: Final = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?Z", re.ASCII)
_TIME_LENGTHS: Final = range(20, 28)

#: The shortest personal datum is an address such as a@b.co.
_SHORTEST_TEXT: Final = 6

#: Numbers of up to ten digits, and times in milliseconds from 2001 to 2033, are nobody's card or account.
_LEAST_NUMBER: Final = 10**10
_FIRST_TIME: Final = 10**12
_LAST_TIME: Final = 2 * 10**12


class Plain(NamedTuple):
    """Keys that tell nothing under a top-level field where `rules` for keys are in force."""

    part: str
    rules: frozenset[KeyRule]
    keys: set[str]


class Prefilter:
    """The first look at the events of one region."""

    def __init__(self, finder: Finder) -> None:
        self._finder: Final = finder
        self._texts: Final = finder.harmless
        self._plain: Final[dict[frozenset[KeyRule], dict[str, Plain]]] = {}
        self._words: Final[set[bytes]] = set()

    def clears(self, fields: dict[str, Any], scope: Scope) -> bool:
        """False when an event must be walked. Never changes its mind about one event, but for the cost."""
        fresh: list[str] = []
        plain = self._plain.get(scope.keys)
        if plain is None:
            plain = self._plain[scope.keys] = {}
        if not self._collect_fields(fields, plain, scope.keys, fresh):
            return False
        if fresh and not self._harmless('","'.join(fresh).encode("utf-8", "replace")):
            return False
        if len(self._texts) >= MOST_TEXTS:
            self._texts.clear()
        self._texts.update([text for text in fresh if len(text) <= LONGEST_TEXT])
        return True

    def _collect_fields(
        self, fields: dict[str, Any], parts: dict[str, Plain], keys: frozenset[KeyRule], fresh: list[str]
    ) -> bool:
        """Keys are remembered for each top-level field apart, because rules may name it (`properties.name`)."""
        if not self._are_plain(fields, _of(parts, "", keys)):
            return False
        for part, value in fields.items():
            kind = type(value)
            if kind is dict:
                if value and not self._collect(value, _of(parts, part, keys), fresh, 0):
                    return False
            elif kind is str:
                if value not in self._texts and not _is_plain_form(value):
                    fresh.append(value)
            elif value is None:
                continue
            elif not self._collect_list([value], _of(parts, part, keys), fresh, 0):
                return False
        return True

    def _collect(self, value: dict[str, Any], plain: Plain, fresh: list[str], depth: int) -> bool:  # noqa: C901  one loop for what a call a value would triple
        """Gather texts not seen before; False where a key or a number asks for a closer look."""
        if not plain.keys.issuperset(value) and not self._are_plain(value, plain):
            return False
        seen = self._texts
        for inner in value.values():
            kind = type(inner)
            if kind is str:
                if inner not in seen and len(inner) >= _SHORTEST_TEXT and not _is_plain_form(inner):
                    fresh.append(inner)
            elif kind is dict:
                if depth > _DEEPEST or not self._collect(inner, plain, fresh, depth + 1):
                    return False
            elif kind is list:
                if depth > _DEEPEST or not self._collect_list(inner, plain, fresh, depth + 1):
                    return False
            elif kind is int or kind is float:
                if inner >= _LEAST_NUMBER and not _FIRST_TIME <= inner < _LAST_TIME:
                    return False
            elif inner is not None and kind is not bool:
                return False
        return True

    def _collect_list(self, values: list[Any], plain: Plain, fresh: list[str], depth: int) -> bool:
        for inner in values:
            kind = type(inner)
            if kind is dict:
                if depth > _DEEPEST or not self._collect(inner, plain, fresh, depth + 1):
                    return False
            elif kind is list:
                if depth > _DEEPEST or not self._collect_list(inner, plain, fresh, depth + 1):
                    return False
            elif kind is str:
                if inner not in self._texts:
                    fresh.append(inner)
            elif not _is_small(inner):
                return False
        return True

    def _harmless(self, data: bytes) -> bool:
        data = b'"%b"' % data
        gate = gate_of(data)
        if gate and (gate & ~_CONFIRMED or confirm(data, gate) & ~Gate.QUERY):
            return False
        return not (gate & Gate.QUERY and self._telling_parameter(data))

    def _telling_parameter(self, data: bytes) -> bool:
        """Whether a word before an equals sign tells. Words are remembered, as keys are."""
        position, words = data.find(b"="), 0
        while position >= 0:
            word = data[max(0, position - LONGEST_KEY) : position].translate(_WORD_ENDS).rpartition(b" ")[2]
            words += 1
            if words > _MOST_PARAMETERS or (word not in self._words and not self._is_harmless_word(word)):
                return True
            position = data.find(b"=", position + 1)
        return False

    def _is_harmless_word(self, word: bytes) -> bool:
        if self._finder.parameter_class(word.decode(errors="replace")).hint is not None:
            return False
        if len(self._words) >= MOST_KEYS:
            self._words.clear()
        self._words.add(word)
        return True

    def _are_plain(self, keys: dict[str, Any], plain: Plain) -> bool:
        return all(key in plain.keys or self._is_plain(key, plain) for key in keys)

    def _is_plain(self, key: str, plain: Plain) -> bool:
        """Whether a key tells nothing, anywhere under its top-level field."""
        if not isinstance(key, str) or len(key) > LONGEST_KEY or gate_of(key.encode("utf-8", "replace")):
            return False
        if self._finder.key_class(key).tells(plain.part, plain.rules):
            return False
        if len(plain.keys) >= MOST_KEYS:
            plain.keys.clear()
        plain.keys.add(key)
        return True


def _of(parts: dict[str, Plain], part: str, keys: frozenset[KeyRule]) -> Plain:
    found = parts.get(part)
    if found is None:
        if len(parts) >= _MOST_PARTS:
            parts.clear()
        found = parts[part] = Plain(part, keys, set())
    return found


def _is_plain_form(text: str) -> bool:
    """UUIDs and times have many digits, and a form that nothing else has."""
    length = len(text)
    if length == _UUID_LENGTH:
        return _UUID.fullmatch(text) is not None
    return length in _TIME_LENGTHS and text[0] == "2" and _TIME.fullmatch(text) is not None


def _is_small(value: Any) -> bool:
    """Whether a value that is neither text nor container is nobody's number."""
    return value is None or (isinstance(value, int | float) and (value < _LEAST_NUMBER or _FIRST_TIME <= value < _LAST_TIME))
