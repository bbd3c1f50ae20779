"""Whether an event may pass without a closer look: no key tells, and no text or number in it could be personal data.

Keys, texts and the form of whole events repeat. Those found harmless are remembered (`privacy.harmless`, `privacy.form`), a bounded
number of them, in memory only, so that an event costs what is new in it.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any, Final, NamedTuple

from consentryd.model.memory import keep, keep_seen
from consentryd.privacy.finder import LONGEST_KEY, MOST_KEYS, Finder
from consentryd.privacy.form import KNOWN, Forms
from consentryd.privacy.gate import gate_of
from consentryd.privacy.harmless import FIRST_TIME, LAST_TIME
from consentryd.privacy.rules import KeyRule, Scope

_PROPERTIES: Final = "properties"
_DEEPEST: Final = 12
_MOST_PARTS: Final = 256
_SHORTEST_BODY: Final = 3  # what is shorter holds nothing

#: Numbers of up to ten digits, and times, are nobody's card or account.
_LEAST_NUMBER: Final = 10**10


class Plain(NamedTuple):
    """Keys that tell nothing under a top-level field where `rules` for keys are in force."""

    part: str
    rules: frozenset[KeyRule]
    keys: set[str]


class Known(NamedTuple):
    """What is known under one set of rules for keys: `parts` by top-level field, and the `forms` of properties."""

    parts: dict[str, Plain]
    forms: Forms


class Prefilter:
    """The first look at the events of one region."""

    def __init__(self, finder: Finder) -> None:
        self._finder: Final = finder
        self._known: Final[dict[frozenset[KeyRule], Known]] = {}

    def clears(self, fields: dict[str, Any], scope: Scope, body: bytes | None = None) -> bool:
        """False when an event must be walked. Never changes its mind about one event, but for the cost.

        `body` is the JSON of `properties`. Properties repeat, too: those of a form (`form`) in which nothing was found are known again by
        its hash (SipHash with the process's own key).
        """
        known = self._known.get(scope.keys)
        if known is None:
            known = self._known[scope.keys] = Known({}, Forms())
        parts, forms = known
        top = parts.get("") or _of(parts, "", scope.keys)
        if not top.keys.issuperset(fields) and not self._are_plain(fields, top):
            return False
        form = forms.new(body) if body is not None and len(body) >= _SHORTEST_BODY else None
        fresh: list[str] = []
        own: list[str] = []
        texts = self._finder.harmless.texts
        for part, value in fields.items():
            kind = type(value)
            if kind is str:
                if value not in texts:
                    fresh.append(value)
            elif value and not (form is KNOWN and part == _PROPERTIES):
                found = own if part == _PROPERTIES else fresh
                box = value if kind is dict else [value]
                if not self._collect(box, parts.get(part) or _of(parts, part, scope.keys), found):
                    return False
        harmless = self._finder.harmless
        if (fresh and not harmless.clear(fresh)) or (own and not harmless.clear(own)):
            return False
        if form and forms.is_again(form) and all(map(harmless.knows, own)):
            forms.remember(form)
        return True

    def _collect(self, box: Any, plain: Plain, fresh: list[str]) -> bool:  # noqa: C901  one loop for what a call a value would triple
        """Gather texts not seen before, level by level; False where a key, a number or the depth asks for a closer look."""
        seen = self._finder.harmless.texts
        level = [box]
        for _ in repeat(None, _DEEPEST):
            below: list[Any] = []
            for each in level:
                values = each
                if type(each) is dict:
                    if not plain.keys.issuperset(each) and not self._are_plain(each, plain):
                        return False
                    values = each.values()
                for inner in values:
                    kind = type(inner)
                    if kind is str:
                        if inner not in seen:
                            fresh.append(inner)
                    elif kind is int or kind is float:
                        if inner >= _LEAST_NUMBER and not FIRST_TIME <= inner < LAST_TIME:
                            return False
                    elif kind is dict or kind is list:
                        below.append(inner)
                    elif inner is not None and kind is not bool:
                        return False
            if not below:
                return True
            level = below
        return False

    def _are_plain(self, keys: dict[str, Any], plain: Plain) -> bool:
        return all(key in plain.keys or self._is_plain(key, plain) for key in keys)

    def _is_plain(self, key: str, plain: Plain) -> bool:
        """Whether a key tells nothing, anywhere under its top-level field."""
        if not isinstance(key, str) or len(key) > LONGEST_KEY or gate_of(key.encode("utf-8", "replace")):
            return False
        if self._finder.key_class(key).tells(plain.part, plain.rules):
            return False
        keep_seen(plain.keys, key, MOST_KEYS)
        return True


def _of(parts: dict[str, Plain], part: str, keys: frozenset[KeyRule]) -> Plain:
    return parts.get(part) or keep(parts, part, Plain(part, keys, set()), _MOST_PARTS)
