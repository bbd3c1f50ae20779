"""Whether an event may pass without a closer look: no key tells, and no text or number in it could be personal data.

Keys, texts and the form of whole events repeat. Those found harmless are remembered (`privacy.harmless`, `privacy.form`), a bounded
number of them, in memory only, so that an event costs what is new in it.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any, Final, NamedTuple

from consentryd.privacy.finder import Finder
from consentryd.privacy.form import KNOWN, Forms
from consentryd.privacy.harmless import FIRST_TIME, LAST_TIME
from consentryd.privacy.pair import are_pairs
from consentryd.privacy.plain import PlainKeys
from consentryd.privacy.rules import KeyRule, Scope

_PROPERTIES: Final = "properties"
_DEEPEST: Final = 12
_SHORTEST_BODY: Final = 3  # what is shorter holds nothing

#: Numbers of up to ten digits, and times, are nobody's card or account.
_LEAST_NUMBER: Final = 10**10


class Known(NamedTuple):
    """What is known under one set of rules for keys: plain keys at the top, and the forms of properties."""

    top: PlainKeys
    forms: Forms


class Prefilter:
    """The first look at the events of one region."""

    def __init__(self, finder: Finder) -> None:
        self._finder: Final = finder
        self._known: Final[dict[frozenset[KeyRule], Known]] = {}

    def clears(self, fields: dict[str, Any], scope: Scope, body: bytes | None = None) -> bool:  # noqa: C901  one loop, no calls
        """False when an event must be walked. Never changes its mind about one event, but for the cost.

        `body` is the JSON of `properties`. Properties repeat, too: those of a form (`form`) in which nothing was found are known again by
        its hash (SipHash with the process's own key).
        """
        rules = scope.keys
        known = self._known.get(rules)
        if known is None:
            known = self._known[rules] = Known(self._finder.plain_keys("", rules), Forms())
        top, forms = known
        if not top.known.issuperset(fields) and not top.cover(fields):
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
                if not self._collect(box, self._finder.plain_keys(part, rules), found):
                    return False
        if form is KNOWN and not fresh:
            return True
        harmless = self._finder.harmless
        if (fresh and not harmless.clear(fresh)) or (own and not harmless.clear(own)):
            return False
        if form and forms.is_again(form) and all(map(harmless.knows, own)):
            forms.remember(form)
        return True

    def _collect(self, box: Any, plain: PlainKeys, fresh: list[str]) -> bool:  # noqa: C901, PLR0912  one loop for what a call a value would triple
        """Gather texts not seen before, level by level; False where a key, a number or the depth asks for a closer look."""
        seen = self._finder.harmless.texts
        level = [box]
        for _ in repeat(None, _DEEPEST):
            below: list[Any] = []
            for each in level:
                values = each
                if type(each) is dict:
                    if not plain.cover(each):
                        return False
                    values = each.values()
                for inner in values:
                    kind = type(inner)
                    if kind is str:
                        if inner not in seen:
                            fresh.append(inner)
                    elif kind is int or kind is float:
                        if not -_LEAST_NUMBER < inner < _LEAST_NUMBER and not FIRST_TIME <= inner < LAST_TIME:
                            return False
                    elif kind is dict or kind is list:
                        below.append(inner)
                    elif inner is not None and kind is not bool:
                        return False
                if below and (
                    plain.holds(each) if type(each) is dict else type(below[-1]) is list and self._are_told(each, plain)
                ):
                    return False
            if not below:
                return True
            level = below
        return False

    def _are_told(self, box: list[Any], plain: PlainKeys) -> bool:
        """Whether a list holds pairs of a name and a value, of which a name tells."""
        return are_pairs(box) and any(map(plain.tells_name, (name for name, _ in box)))
