"""Keys that tell nothing about their values: neither by a hint nor by a rule that may hold where they stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from consentryd.model.memory import keep_seen
from consentryd.privacy.gate import gate_of
from consentryd.privacy.key_class import KeyClass
from consentryd.privacy.pair import VALUES, names_in
from consentryd.privacy.rules import KeyRule

_BOXES: Final = (dict, list)

#: Keys remembered, and how long they may be.
MOST_KEYS: Final = 20_000
LONGEST_KEY: Final = 64


class PlainKeys:
    """`known` are those seen under a top-level field where `rules` for keys are in force; `holders` those of them that tell of the keys of
    an object under them."""

    def __init__(
        self, part: str, rules: frozenset[KeyRule], class_of: Callable[[str], KeyClass], named: Callable[[str], KeyClass]
    ) -> None:
        self.known: Final[set[str]] = set()
        self.holders: Final[set[str]] = set()
        self._telling: Final[set[str]] = set()
        self._values: Final[set[str]] = set()  # plain, but what stands beside them is to be looked at
        self._part: Final = part
        self._rules: Final = rules
        self._class_of: Final = class_of
        self._named: Final = named

    def cover(self, keys: dict[str, Any]) -> bool:
        """Whether all keys of an object are plain, and none holds personal data itself."""
        if self.known.issuperset(keys):
            return True
        unknown = set(keys) - self.known
        return (
            self._telling.isdisjoint(keys)
            and (unknown <= self._values or all(map(self.take, unknown)))
            and (VALUES.isdisjoint(unknown) or not self._is_told(keys))
        )

    def _is_told(self, box: dict[str, Any]) -> bool:
        """Whether an object with a value calls it something that tells."""
        return any(map(self.tells_name, names_in(box)))

    def tells_name(self, name: str) -> bool:
        """Whether a text that names a value tells about it, as a key would."""
        return self._named(name).tells(self._part, self._rules)

    def holds(self, box: dict[str, Any]) -> bool:
        """Whether an object with plain keys holds another, or a list, of which its key tells."""
        return not self.holders.isdisjoint(box) and any(type(box[key]) in _BOXES for key in self.holders & box.keys())

    def take(self, key: str) -> bool:
        """Whether a key that is not known is plain."""
        if key in self._values:
            return True
        if key in self._telling or not isinstance(key, str) or len(key) > LONGEST_KEY or gate_of(key.encode("utf-8", "replace")):
            return False
        about = self._class_of(key)
        is_plain = not about.tells(self._part, self._rules)
        if is_plain and about.holder is not None:
            if len(self.holders) >= MOST_KEYS:  # one forgotten while its key is known would be passed
                return False
            self.holders.add(key)
        known = self._values if key in VALUES else self.known
        keep_seen(known if is_plain else self._telling, key, MOST_KEYS)
        return is_plain
