"""The properties that an allow-list lets pass: `total`, or of an object `contact.city` only, of a list of objects `items.price`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from consentryd.privacy.rules import glob

_ANY: Final = "*"


class Allowances:
    """What one site's events may keep: by an event's own name, else by the first pattern that fits it, `*` last."""

    def __init__(self, events: Mapping[str, Iterable[str]]) -> None:
        self._named: Final = {event: Allowance(names) for event, names in events.items()}
        patterns = sorted(self._named.items(), key=lambda item: item[0] == _ANY)
        self._patterns: Final = [(glob(event), allowed) for event, allowed in patterns if set(event) & set("*?")]

    def of_event(self, event: str) -> Allowance | None:
        """None: everything passes."""
        named = self._named.get(event)
        return named or next((allowed for pattern, allowed in self._patterns if pattern.match(event)), None)


class Allowance:
    """`whole` are the keys that pass with all that is in them, `within` those of which a part does."""

    def __init__(self, names: Iterable[str]) -> None:
        self.whole: Final = frozenset(names)
        parts: dict[str, list[str]] = {}
        for name in self.whole:
            key, dot, rest = name.partition(".")
            if dot and key and rest and key not in self.whole:
                parts.setdefault(key, []).append(rest)
        self.within: Final = {key: Allowance(rests) for key, rests in parts.items()}

    def of(self, box: dict[str, Any]) -> dict[str, Any]:
        """What passes; the object itself if all of it does."""
        if self.whole.issuperset(box):
            return box
        passed = {}
        for key, inner in box.items():
            if key in self.whole:
                passed[key] = inner
            elif key in self.within and (part := self.within[key].part_of(inner)):
                passed[key] = part
        return box if passed == box else passed

    def part_of(self, inner: Any) -> Any:
        """What passes of an object, or of the objects in a list; nothing of what is neither."""
        if isinstance(inner, list):
            return [part for part in map(self.part_of, inner) if part]
        return self.of(inner) if isinstance(inner, dict) else None
