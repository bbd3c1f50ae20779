"""The closer look: every key and leaf of one event, decoded, searched, and treated by the rules in force."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from consentryd.privacy.decode import base64_spans, plain
from consentryd.privacy.detect import Gate
from consentryd.privacy.detect.phone import is_phone_like
from consentryd.privacy.finder import Finder, Finding
from consentryd.privacy.gate import gate_of
from consentryd.privacy.key_class import PLAIN, KeyClass
from consentryd.privacy.redaction import BOUND_RULE, Action, Redaction
from consentryd.privacy.rules import Scope
from consentryd.privacy.treatment import DROPPED, Spot, Treatment, is_output

#: The bounds of one event's work. An event of 32 KiB that is encoded twice stays inside.
MOST_CHARACTERS: Final = 262_144
MOST_NODES: Final = 16_384
MOST_NESTING: Final = 64
MOST_DECODINGS: Final = 4
MOST_PASSES: Final = 4
MOST_BASE64: Final = 16

_LEAST_NUMBER: Final = 10**8
_SHORTEST_TEXT: Final = 4
_DIGIT: Final = re.compile(r"\d")
_LETTER_OR_DIGIT: Final = re.compile(r"[^\W_]")
_AT: Final = re.compile(r"@|\bat\b|%40|&#|＠|&commat;", re.IGNORECASE)
_PARAMETER: Final = re.compile(r"(?:^|(?<=[?&#;\s]))(?P<name>[\w.\[\]-]{1,64})=(?P<value>[^&#;\s\"]*)")


class Walk:
    """One event on its way through; `redactions` grows as it goes."""

    def __init__(self, finder: Finder, treatment: Treatment, scope: Scope, spot: Spot) -> None:
        self._finder = finder
        self._treatment = treatment
        self._scope = scope
        self._spot = spot
        self._characters = MOST_CHARACTERS
        self._nodes = MOST_NODES
        self.redactions: list[Redaction] = []

    def fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The event's fields, cleaned. Fields that must go altogether are gone."""
        cleaned: dict[str, Any] = self._object(fields, "", 0)
        return cleaned

    def _object(self, value: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        changed = False
        for key, inner in value.items():
            name = self._key(str(key), path)
            if name is None:
                changed = True
                continue
            here = f"{path}.{name}" if path else name
            kept = self._value(inner, here, self._finder.key_class(key), depth + 1)
            changed = changed or kept is not inner or name != key
            if kept is not DROPPED:
                result[name if name not in result else f"{name}_{len(result)}"] = kept
        return result if changed else value

    def _list(self, value: list[Any], path: str, about: KeyClass, depth: int) -> list[Any]:
        kept = [self._value(inner, f"{path}[{index}]", about, depth + 1) for index, inner in enumerate(value)]
        if all(new is old for new, old in zip(kept, value, strict=True)):
            return value
        return [None if inner is DROPPED else inner for inner in kept]

    def _value(self, value: Any, path: str, about: KeyClass, depth: int) -> Any:
        self._nodes -= 1
        if self._nodes < 0 or depth > MOST_NESTING:
            return self._beyond(path)
        if value is None or isinstance(value, bool):
            return value
        for rule in about.rules:
            if rule in self._scope.keys and (rule.rule.path is None or rule.rule.path.match(path)):
                return self._whole(value, path, rule.rule.action, rule.rule.detector, about.hint or "removed")
        if isinstance(value, dict):
            return self._object(value, path, depth)
        if isinstance(value, list):
            return self._list(value, path, about, depth)
        if about.hint is not None and _fits(about.hint, value):
            action = self._scope.action(about.hint, "", path)
            if action is not Action.KEEP:
                return self._whole(value, path, action, about.hint, about.hint)
        return self._leaf(value, path, about, depth)

    def _whole(self, value: Any, path: str, action: Action, rule: str, detector: str) -> Any:
        if action is Action.KEEP or is_output(value) or value == "":
            return value
        plain_value = orjson.dumps(value).decode() if isinstance(value, dict | list) else value
        treated = self._treatment.apply(action, detector, "", plain_value, self._spot._replace(path=path))
        if treated is DROPPED or treated != value:
            self.redactions.append(Redaction(path, rule, action))
            return treated
        return value

    def _leaf(self, value: Any, path: str, about: KeyClass, depth: int) -> Any:
        if isinstance(value, str):
            return self._text(value, path, about, depth, self._spot._replace(path=path))
        if isinstance(value, float) and value.is_integer():
            value_as_text = str(int(value))
        elif isinstance(value, int):
            value_as_text = str(value)
        else:
            return value
        if len(value_as_text) < len(str(_LEAST_NUMBER)):
            return value
        treated = self._text(value_as_text, path, about, depth, self._spot._replace(path=path))
        return value if treated == value_as_text else treated

    def _key(self, key: str, path: str) -> str | None:
        """A key without personal data; None when it must go."""
        if not gate_of(key.encode("utf-8", "replace")):
            return key
        spot = self._spot._replace(path=path, handle=None)
        before = len(self.redactions)
        cleaned = self._text(key, path, PLAIN, 0, spot)
        if cleaned is DROPPED:
            return None
        name = str(cleaned)
        for index, redaction in enumerate(self.redactions[before:], start=before):
            self.redactions[index] = redaction._replace(path=f"{path}.{name}" if path else name)
        return name

    def _text(self, text: str, path: str, about: KeyClass, depth: int, spot: Spot) -> Any:
        """A text, cleaned as often as it takes until nothing more is found."""
        if len(text) < _SHORTEST_TEXT or is_output(text):
            return text
        for _ in range(MOST_PASSES):
            cleaned = self._pass(text, path, about, depth, spot)
            if cleaned is DROPPED or cleaned == text:
                return cleaned
            text = cleaned
        return self._beyond(path)

    def _pass(self, text: str, path: str, about: KeyClass, depth: int, spot: Spot) -> Any:
        self._characters -= len(text)
        if self._characters < 0 or depth > MOST_NESTING:
            return self._beyond(path)
        gate = gate_of(text.encode("utf-8", "replace"))
        if not gate:
            return text
        if text[0] in "{[" and text[-1] in "}]":
            return self._json(text, path, about, depth, spot)
        if gate & Gate.ENCODED:
            decoded = text
            for _ in range(MOST_DECODINGS):
                before, decoded = decoded, plain(decoded)
                if before == decoded:
                    break
            else:
                return self._beyond(path)
            if decoded != text:
                cleaned = self._pass(decoded, path, about, depth + 1, spot)
                if cleaned != decoded:
                    return cleaned
        return self._search(text, gate, path, about, depth, spot)

    def _json(self, text: str, path: str, about: KeyClass, depth: int, spot: Spot) -> Any:
        try:
            value = orjson.loads(text)
        except ValueError:
            return self._search(text, int(~Gate.NONE), path, about, depth, spot)
        outer, self._spot = self._spot, spot
        cleaned = self._value(value, path, PLAIN, depth + 1)
        self._spot = outer
        if cleaned is value or cleaned is DROPPED:
            return text if cleaned is value else cleaned
        return orjson.dumps(cleaned).decode()

    def _search(self, text: str, gate: int, path: str, about: KeyClass, depth: int, spot: Spot) -> Any:
        cleaned: Any = text
        if gate & Gate.QUERY:
            cleaned = self._parameters(text, path, spot)
        if cleaned is not DROPPED:
            cleaned = self._spans(cleaned, self._finder.find(cleaned, gate, about), path, spot)
        if cleaned is not DROPPED and gate & Gate.RUN:
            cleaned = self._base64(cleaned, path, depth, spot)
        return cleaned

    def _parameters(self, text: str, path: str, spot: Spot) -> Any:
        pieces, last = [], 0
        for match in _PARAMETER.finditer(text):
            hint = self._finder.parameter_class(match["name"]).hint
            if hint is None or not match["value"] or is_output(match["value"]) or not _fits(hint, match["value"]):
                continue
            action = self._scope.action(hint, "", path)
            if action is Action.KEEP:
                continue
            treated = self._treatment.apply(action, hint, "", match["value"], spot)
            if treated == match["value"]:
                continue
            self.redactions.append(Redaction(path, hint, action))
            pieces += [text[last : match.start("value")], "" if treated is DROPPED else str(treated)]
            last = match.end()
        return "".join([*pieces, text[last:]]) if pieces else text

    def _spans(self, text: str, found: list[Finding], path: str, spot: Spot) -> Any:
        claimed: list[tuple[Finding, Action]] = []
        for finding in found:
            action = self._scope.action(finding.name, finding.kind, path)
            if action is Action.KEEP:
                continue
            for index, (other, its) in enumerate(claimed):
                if finding.start < other.end and other.start < finding.end:
                    wider = other._replace(start=min(other.start, finding.start), end=max(other.end, finding.end))
                    claimed[index] = (wider, its)
                    break
            else:
                claimed.append((finding, action))
        pieces, last = [], 0
        for finding, action in sorted(claimed):
            treated = self._treatment.apply(action, finding.name, finding.kind, text[finding.start : finding.end], spot)
            self.redactions.append(Redaction(path, finding.name, action))
            if treated is DROPPED:
                return DROPPED
            pieces += [text[last : finding.start], str(treated)]
            last = max(last, finding.end)
        return "".join([*pieces, text[last:]]) if pieces else text

    def _base64(self, text: str, path: str, depth: int, spot: Spot) -> Any:
        pieces, last = [], 0
        for start, end, decoded in base64_spans(text, MOST_BASE64 + 1):
            if len(pieces) >= 2 * MOST_BASE64 or depth > MOST_DECODINGS * 2:
                return self._beyond(path)
            cleaned = self._text(decoded, path, PLAIN, depth + 1, spot)
            if cleaned is DROPPED:
                return DROPPED
            if cleaned != decoded:
                pieces += [text[last:start], str(cleaned)]
                last = end
        return "".join([*pieces, text[last:]]) if pieces else text

    def _beyond(self, path: str) -> Any:
        self.redactions.append(Redaction(path, BOUND_RULE, Action.DROP))
        return DROPPED


def _fits(hint: str, value: Any) -> bool:
    """Whether a value under a telling key is what the key says: `mobile: "iPhone"` is no number, `email: "newsletter"` no address."""
    text = str(value)
    match hint:
        case "email":
            return _AT.search(text) is not None
        case "phone":
            return is_phone_like(text)
        case "age":
            return len(text) <= _SHORTEST_TEXT + 1
        case "name" | "secret" | "click_id" | "birth_date" | "url_id":
            return _LETTER_OR_DIGIT.search(text) is not None
        case "postal_address" | "coordinate":
            return _LETTER_OR_DIGIT.search(text) is not None
        case _:
            return _DIGIT.search(text) is not None and len(text) >= _SHORTEST_TEXT
