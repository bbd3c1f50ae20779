"""The ids by which an event names its person, wherever they stand in what is stored of it: whole values, keys, and words of texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import quote, quote_plus

import orjson

from consentryd.privacy.treatment import DROPPED, is_output

#: Shorter ids are quantities, sizes and words as well.
SHORTEST: Final = 5

_ALNUM: Final = r"[^\W_]"
_PLAIN: Final = re.compile(r"[\w.~-]+", re.ASCII)  # in URLs and in JSON as it is
_PARTS: Final = ("properties", "traits", "event_id")

#: What becomes of an id: (the value that holds it, whether it is the whole of one, path) -> the value in its place, or `DROPPED`.
Treat = Callable[[Any, bool, str], Any]


class Identifiers:
    """The ids of one event that are long enough to be told from other values, as they stand in a text, in a URL and in JSON."""

    __slots__ = ("_ids", "_in_json", "_in_text", "_pattern")

    def __init__(self, ids: Iterable[str | None]) -> None:
        self._ids = [each for each in ids if each is not None and len(each) >= SHORTEST]
        self._in_text: list[str] = []
        self._in_json: list[bytes] = []
        for each in self._ids:
            self._in_text.append(each)
            if _PLAIN.fullmatch(each):
                self._in_json.append(each.encode())
            else:
                encodable = each.encode("utf-8", "replace")  # half a surrogate may come in a URL's query
                in_url = dict.fromkeys((quote(encodable, safe=""), quote_plus(encodable)))  # they differ where there is a blank
                self._in_text += in_url
                self._in_json += [orjson.dumps(text)[1:-1] for text in (encodable.decode(), *in_url)]
        self._pattern: re.Pattern[str] | None = None

    def stand_in(self, fields: dict[str, Any], body: bytes | None) -> bool:
        """Whether one stands in the texts of an event, or in the JSON of its properties. Asked for every event: loops, no calls."""
        if body is not None:
            for each in self._in_json:
                if body.find(each) >= 0:
                    return True
        for text in self._in_text:
            for value in fields.values():
                if value.__class__ is str and text in value:
                    return True
        return False

    def taken_out(self, fields: dict[str, Any], treat: Treat) -> dict[str, Any]:
        """The fields without them. Only properties and the event's id keep a whole value apart from others."""
        cleaned: dict[str, Any] = {}
        for part, value in fields.items():
            kept = self._value(value, part, part in _PARTS, treat)
            if kept is not DROPPED:
                cleaned[part] = kept
        return cleaned

    def _value(self, value: Any, path: str, whole: bool, treat: Treat) -> Any:
        if isinstance(value, str):
            if is_output(value):
                return value
            return treat(value, True, path) if whole and value in self._ids else self._text(value, path, treat)
        if isinstance(value, dict):
            return self._object(value, path, whole, treat)
        if isinstance(value, list):
            kept = [self._value(inner, f"{path}[{index}]", whole, treat) for index, inner in enumerate(value)]
            return [None if inner is DROPPED else inner for inner in kept]
        if isinstance(value, int) and not isinstance(value, bool) and str(value) in self._ids:
            return treat(value, whole, path)
        return value

    def _object(self, value: dict[str, Any], path: str, whole: bool, treat: Treat) -> dict[str, Any]:
        cleaned: dict[str, Any] = {}
        for key, inner in value.items():
            name = self._text(key, path, treat) if isinstance(key, str) else key
            kept = DROPPED if name is DROPPED else self._value(inner, f"{path}.{name}", whole, treat)
            if kept is not DROPPED:
                cleaned[name if name not in cleaned else f"{name}_{len(cleaned)}"] = kept
        return cleaned

    def _text(self, text: str, path: str, treat: Treat) -> Any:
        if not any(each in text for each in self._in_text):
            return text
        pieces, last = [], 0
        for match in self._words().finditer(text):
            treated = treat(match[0], False, path)
            if treated is DROPPED:
                return DROPPED
            pieces += [text[last : match.start()], str(treated)]
            last = match.end()
        return "".join([*pieces, text[last:]])

    def _words(self) -> re.Pattern[str]:
        """Whole words only: nothing that is a letter or a digit before or behind."""
        if self._pattern is None:
            forms = "|".join(map(re.escape, sorted(self._in_text, key=len, reverse=True)))
            self._pattern = re.compile(f"(?<!{_ALNUM})(?:{forms})(?!{_ALNUM})")
        return self._pattern
