"""Finds: which keys tell, and which spans of a text are personal data."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import Final
from urllib.parse import unquote, unquote_to_bytes

from consentryd.model.memory import keep, keep_seen
from consentryd.privacy.detect import DETECTORS, FOR_GOODS, FOR_IDS, Detector, Finding
from consentryd.privacy.detect.location import USER_PATH
from consentryd.privacy.detect.network import IPV4
from consentryd.privacy.detect.phone import national
from consentryd.privacy.gate import EQUALS, gate_of
from consentryd.privacy.harmless import WORDS, Harmless
from consentryd.privacy.key_class import PLAIN, KeyClass, classify
from consentryd.privacy.label import holds_card, words_before
from consentryd.privacy.pair import VALUES
from consentryd.privacy.plain import LONGEST_KEY, MOST_KEYS, PlainKeys
from consentryd.privacy.rules import KeyRule, RuleTable, detector_names
from consentryd.privacy.treatment import without_outputs
from consentryd.privacy.work import MOST_FINDINGS

_MOST_PARTS: Final = 1024
_MOST_PARAMETERS: Final = 64
_MOST_LAYERS: Final = 4
_NO_VALUE: Final = frozenset({b"", b"=", b'"', b"&"})  # base64 ends so, and parameters that hold nothing
_JSON_KEY: Final = re.compile(rb'"([^"]*)"\s*:')
_PAIRS: Final = re.compile(rb"\[\s*\[\s*\"")
#: What may be a field's name and not its value.
_NAME: Final = re.compile(r"(?=.{1,64}\Z)[^\d:/?&]+(?:\d{1,2}[^\d:/?&]{0,32})?")
#: What no name of a field ends with.
_ADDRESS: Final = re.compile(r"[^\s@]@[^\s@]+\.[^\s@]+\Z")
_SCHEME_FOLLOWS: Final = b":authorization"  # and after it a credential, which detectors know
_NO_URL: Final = re.compile(rb"[ \"'(\[{<]")
_ASKED: Final = " ?:*"
#: Beside a word for these a number is a count: `{"label": "login", "value": 1}`.
_COUNTED: Final = frozenset({"name", "postal_address", "secret"})
_ENDS: Final = " ,;!?)"
_WORD_ENDS: Final = bytes.maketrans(b'?&#;"\t\n\r', b" " * 8)

#: A key that scrubbing has written.
_OWN: Final = re.compile(rf"\[(?:{'|'.join(map(re.escape, sorted(detector_names())))})(?::[a-p]{{32}})?\](?:_[0-9]+)?")


class Finder:
    """The detectors, and a bounded memory: `classes` of keys that are harmless in themselves, and `harmless` texts."""

    def __init__(self, rules: RuleTable, phone_countries: Iterable[str] = ()) -> None:
        countries = tuple(phone_countries)
        self._detectors: Final[tuple[Detector, ...]] = (*DETECTORS, *([national(countries)] if countries else []))
        self._rules: Final = rules
        self._by_gate: Final[dict[tuple[int, int], tuple[Detector, ...]]] = {}
        self.harmless: Final = Harmless(self.has_telling_parameter, self._has_telling_key, self.has_telling_label)
        self.classes: Final[dict[str, KeyClass]] = {}
        self._names: Final[dict[str, KeyClass]] = {}
        self._quiet: Final[set[int]] = set()  # names that tell nothing, by their hash: they may be somebody's
        self._plain: Final[dict[tuple[str, frozenset[KeyRule]], PlainKeys]] = {}
        self._parameters: Final[dict[str, KeyClass]] = {}
        self._words: Final[set[bytes]] = set()
        self._labels: Final[set[bytes]] = set()

    def key_class(self, key: str) -> KeyClass:
        found = self.classes.get(key)
        if found is None:
            found = PLAIN if _OWN.fullmatch(key) else classify(key, self._rules.hints, self._rules.keys)
            _remember(self.classes, key, found)
        return found

    def named(self, name: str) -> KeyClass:
        """The class of what a text says it is, as a key would. A number under a word for a name or a secret is a count. What stands in the
        place of data says nothing: a second look would take more than the first."""
        if "[" in name and without_outputs(name) != name:
            return PLAIN
        found = self._names.get(name)
        if found is None:
            if hash(name) in self._quiet or not _NAME.fullmatch(name.rstrip(_ASKED)) or ("@" in name and _ADDRESS.search(name)):
                return PLAIN
            found = classify(name, self._rules.hints, self._rules.keys)
            if found.quiet:
                keep_seen(self._quiet, hash(name), MOST_KEYS)
                return PLAIN
            if found.hint in _COUNTED:
                found = found._replace(plural=True)
            if not any(map(str.isdigit, name)):
                _remember(self._names, name, found)
        return found

    def inner_class(self, outer: KeyClass, key: str) -> KeyClass:
        """The class of a key in an object whose own key tells of it."""
        together = PLAIN if outer.holder is None else self.key_class(f"{outer.holder}_{key}")
        return outer.inner(self.key_class(key), together)

    def plain_keys(self, part: str, rules: frozenset[KeyRule]) -> PlainKeys:
        """The keys that tell nothing under a top-level field where `rules` for keys are in force."""
        plain = self._plain.get((part, rules))
        if plain is None:
            plain = PlainKeys(part, rules, self.key_class, self.named)
            if _may_be_kept(part):
                keep(self._plain, (part, rules), plain, _MOST_PARTS)
        return plain

    def parameter_class(self, name: str) -> KeyClass:
        found = self._parameters.get(name)
        if found is None:
            found = classify(name, self._rules.url_hints, self._rules.keys, self._rules.parameters)
            _remember(self._parameters, name, found)
        return found

    def find(self, text: str, gate: int, about: KeyClass) -> list[Finding]:
        """Confirmed spans in a text, in the detectors' order of claim; they may overlap. At most one more than `MOST_FINDINGS`."""
        among = self._detectors
        if about.id_like and text.isdigit():
            among = FOR_IDS
        elif about.goods and " " not in text:
            among = FOR_GOODS
        detectors = self._by_gate.get((gate, id(among)))
        if detectors is None:
            detectors = self._by_gate[gate, id(among)] = tuple(
                detector for detector in among if detector.gate & gate and not detector.unless & gate
            )
        found: list[Finding] = []
        lower = text.lower()
        for detector in detectors:
            if detector.sign not in lower or (about.version and detector is IPV4) or (about.location and detector is USER_PATH):
                continue
            before = len(found)
            found += islice(detector.find(text), MOST_FINDINGS + 1 - before)
            if len(found) > before and _is_rest_harmless(text, found[before:]):
                return found
        return found

    def has_telling_parameter(self, data: bytes) -> bool:
        """Whether a word before an equals sign tells, in an address inside an address as well. Words are remembered, as keys are."""
        for _ in range(_MOST_LAYERS):
            if self._has_telling_word(data):
                return True
            if b"%" not in data or EQUALS.search(data) is None:
                return False
            data = unquote_to_bytes(data)
        return True

    def _has_telling_word(self, data: bytes) -> bool:
        position, words = data.find(b"="), 0
        while position >= 0:
            if data[position + 1 : position + 2] in _NO_VALUE:
                position = data.find(b"=", position + 1)
                continue
            word = data[max(0, position - LONGEST_KEY) : position].translate(_WORD_ENDS).rpartition(b" ")[2]
            words += 1
            if words > _MOST_PARAMETERS or (word not in self._words and not self._is_harmless_word(word)):
                return True
            position = data.find(b"=", position + 1)
        return False

    def has_telling_label(self, data: bytes) -> bool:
        """Whether a word before a colon or an equals sign, or in a tag, tells as a key would. Words are remembered."""
        if b":" not in data and b"=" not in data and b"</" not in data:
            return False
        if data.startswith(b"http") and not _NO_URL.search(data):  # it has parameters
            return False
        if b":" in data and holds_card(data):
            return True
        for count, word in enumerate(words_before(data)):
            if count >= _MOST_PARAMETERS or (word not in self._labels and not self._is_harmless_label(word)):
                return True
        return False

    def _is_harmless_label(self, word: bytes) -> bool:
        hint = self.named(word.decode(errors="replace").removeprefix(":")).hint
        is_bare = word.startswith(b":")
        if hint is not None and (not is_bare or (hint == "secret" and word.lower() != _SCHEME_FOLLOWS)):
            return False
        _remember_word(self._labels, word)
        return True

    def _has_telling_key(self, data: bytes) -> bool:
        """Whether a key in JSON may tell, under some rule or by itself."""
        keys = [match[1].decode(errors="replace") for match in _JSON_KEY.finditer(data)]
        if not VALUES.isdisjoint(keys) or _PAIRS.search(data):
            return True
        return any(not about.quiet or about.holder is not None for about in map(self.key_class, keys))

    def _is_harmless_word(self, word: bytes) -> bool:
        if self.parameter_class(name_of(word.decode(errors="replace"))).hint is not None:
            return False
        _remember_word(self._words, word)
        return True


def name_of(word: str) -> str:
    """What a parameter is called, of which browsers encode brackets and umlauts."""
    for _ in range(_MOST_LAYERS if "%" in word else 0):
        decoded = unquote(word)
        if decoded == word:
            break
        word = decoded
    return word


def _is_rest_harmless(text: str, found: list[Finding]) -> bool:
    """Whether nothing but words stands around what was found: then no other detector need look."""
    if len(found) > 1:
        return False
    start, end, _, _ = found[0]
    if (start and text[start - 1] != " ") or (end < len(text) and text[end] not in _ENDS):
        return False  # it may be part of something longer
    return bool(WORDS.fullmatch(text, 0, start) and WORDS.fullmatch(text, end))


def _remember_word(words: set[bytes], word: bytes) -> None:
    if not gate_of(word):  # else it may be personal data itself
        keep_seen(words, word, MOST_KEYS)


def _remember(classes: dict[str, KeyClass], key: str, found: KeyClass) -> None:
    if _may_be_kept(key):
        keep(classes, key, found, MOST_KEYS)


def _may_be_kept(key: str) -> bool:
    """Not overlong keys, nor such as may be personal data themselves."""
    return isinstance(key, str) and len(key) <= LONGEST_KEY and not gate_of(key.encode("utf-8", "replace"))
