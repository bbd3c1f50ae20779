"""The closer look: every key and value of one event, in whatever it is nested."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from consentryd.privacy.finder import Finder
from consentryd.privacy.fit import fits
from consentryd.privacy.gate import gate_of
from consentryd.privacy.harmless import FIRST_TIME, LAST_TIME
from consentryd.privacy.key_class import PLAIN, KeyClass
from consentryd.privacy.pair import VALUES, are_pairs, names_in
from consentryd.privacy.plain import PlainKeys
from consentryd.privacy.redaction import KEEP, Action
from consentryd.privacy.text import TextCleaner
from consentryd.privacy.treatment import DROPPED, Treatment, is_output, without_outputs
from consentryd.privacy.words import words_of
from consentryd.privacy.work import MOST_NESTING, Work

_NAMES: Final = frozenset({"name", "Name", "NAME"})
_ACCOUNTS: Final = frozenset({"card", "iban"})
_ADDRESSES: Final = frozenset({"email", "phone", "postal_address"}) | _ACCOUNTS
#: In these a name beside a telephone number or an address is a person's, too; else it is that of a way to send things.
_DELIVERIES: Final = (".shipping", ".billing", ".delivery")
_GROUP: Final = "group"
#: Objects whose name beside an e-mail address is no person's.
_NOBODY: Final = re.compile(
    r"(?i:.*(?:compan(?:y|ies)|organi[sz]ations?|orgs?|accounts?|stores?|shops?|merchants?|vendors?|sellers?|brands?|business|suppliers?|hotels?|restaurants?"
    r"|locations?|branch|venues?|products?|forms?|campaigns?|lists?|templates?|newsletters?|teams?|groups?|workspaces?|tenants?|projects?|plans?|pages?"
    r"|apps?|sites?|devices?))"
)
_LONG: Final = re.compile(r"(?:.*_)?long(?:_?e[67])?")
_LAST_KEY: Final = re.compile(r"\A.*\.|\[[0-9]+\]")

#: Numbers with fewer digits are nobody's, and so are times.
_LEAST_NUMBER: Final = 10**8


class Walk:
    """Walks events of one region. Objects and lists without findings are returned as they are, not copied."""

    def __init__(self, finder: Finder, treatment: Treatment) -> None:
        self._finder: Final = finder
        self._treatment: Final = treatment
        self._texts: Final = TextCleaner(finder, treatment, self._nested)

    def fields(self, fields: dict[str, Any], work: Work) -> dict[str, Any]:
        """The fields, cleaned; `work` records what was done. Fields that must go altogether are gone."""
        return self._object(fields, "", PLAIN, 0, work)

    def _nested(self, value: Any, path: str, depth: int, work: Work) -> Any:
        return self._value(value, path, PLAIN, depth, work)

    def _object(  # noqa: C901, PLR0912, PLR0915  one loop, no calls
        self, value: dict[str, Any], path: str, about: KeyClass, depth: int, work: Work
    ) -> dict[str, Any]:
        tells = about.bequeaths
        result = value
        names: dict[str, str] = {}
        told = PLAIN if VALUES.isdisjoint(value) else self._called(value)
        valued = () if told.quiet else VALUES
        has_address = has_place = False
        plain = work.plain if path else self._finder.plain_keys("", work.scope.keys)
        keys, texts, knows = () if tells else plain.known, self._finder.harmless.texts, self._finder.harmless.knows
        for raw, inner in value.items():
            if raw in keys or (not tells and raw not in valued and plain.take(raw)):
                kind = type(inner)
                if kind is str:
                    if inner in texts or knows(inner):
                        continue
                elif kind is int or kind is float:
                    if -_LEAST_NUMBER < inner < _LEAST_NUMBER or FIRST_TIME <= inner < LAST_TIME:
                        continue
                elif kind is dict or kind is list:
                    if path and raw not in plain.holders and self._is_harmless(inner, plain, depth):
                        continue
                elif inner is None or kind is bool:
                    continue
            if not path:
                work.plain = self._finder.plain_keys(raw, work.scope.keys)
            key = raw if type(raw) is str else str(raw)
            known = self._finder.classes.get(key)
            name = key if known is not None else self._key(key, path, work)
            if name is None:
                kept = DROPPED
            else:
                here = f"{path}.{name}" if path else name
                of = self._finder.inner_class(about, name) if tells else known or self._finder.key_class(name)
                if raw in valued and of.quiet:
                    of = told
                kept = self._value(inner, here, of, depth + 1, work)
                if of is not PLAIN:
                    if of.hint in _ADDRESSES and not has_address:
                        has_address = (kept is not inner or is_output(inner)) and _is_of_somebody(of.hint, name, path)
                    has_place = has_place or of.hint == "coordinate"
            if kept is not inner:
                if raw == "number" and work.redactions and work.redactions[-1].rule == "card":
                    has_address = True
                if result is value:
                    result = value.copy()
                if kept is DROPPED:
                    del result[raw]
                    continue
                result[raw] = kept
            if name is not None and name != raw:
                names[raw] = name
        if has_address and not _NAMES.isdisjoint(result):
            result = self._without_name(result, path, depth, work)
        if has_place:
            result = self._with_place(result, path, depth, work)
        return _renamed(result, names) if names else result

    def _without_name(self, box: dict[str, Any], path: str, depth: int, work: Work) -> dict[str, Any]:
        """What is left of an object with somebody's address or card: `name` is that person's, but for a company's, a shop's or a form's."""
        if ("." not in path and work.scope.event == _GROUP) or _NOBODY.fullmatch(_LAST_KEY.sub("", path)):
            return box
        left = box.copy()
        for key in _NAMES & box.keys():
            about = self._finder.key_class(key)
            if about.hint is None:
                left[key] = self._value(box[key], f"{path}.{key}" if path else key, _name_like(about), depth + 1, work)
                if left[key] is DROPPED:
                    del left[key]
        return left

    def _with_place(self, box: dict[str, Any], path: str, depth: int, work: Work) -> dict[str, Any]:
        """An object with a coordinate: in it `long` is one, too, and elsewhere what is long."""
        left = box
        for key, inner in box.items():
            if not isinstance(inner, dict | list) and _LONG.fullmatch(words_of(str(key))):
                about = self._finder.key_class(str(key))
                if about.hint is None:
                    of = about._replace(hint="coordinate", quiet=False)
                    kept = self._value(inner, f"{path}.{key}" if path else str(key), of, depth + 1, work)
                    left = left if kept is inner else _replaced(left, key, kept)
        return left

    def _called(self, box: dict[str, Any]) -> KeyClass:
        """What an object with a value says it is."""
        told = PLAIN
        for about in map(self._finder.named, names_in(box)):
            if about.hint is not None:
                return about
            if told.quiet:
                told = about
        return told

    def _is_harmless(self, box: Any, plain: PlainKeys, depth: int) -> bool:
        """Whether it is known of all that is in an object or a list that it is nobody's."""
        if depth > MOST_NESTING or (not plain.cover(box) if type(box) is dict else are_pairs(box)):
            return False
        texts, knows = self._finder.harmless.texts, self._finder.harmless.knows
        may_hold = type(box) is dict
        for inner in box.values() if may_hold else box:
            kind = type(inner)
            if kind is str:
                if inner not in texts and not knows(inner):
                    return False
            elif kind is int or kind is float:
                if not (-_LEAST_NUMBER < inner < _LEAST_NUMBER or FIRST_TIME <= inner < LAST_TIME):
                    return False
            elif kind is dict or kind is list:
                if (may_hold and plain.holds(box)) or not self._is_harmless(inner, plain, depth + 1):
                    return False
                may_hold = False
            elif inner is not None and kind is not bool:
                return False
        return True

    def _list(self, value: list[Any], path: str, about: KeyClass, depth: int, work: Work) -> list[Any]:
        if about.plural:
            about = about._replace(plural=False)
        if about.quiet and are_pairs(value):
            kept = [self._pair(inner, f"{path}[{index}]", depth + 1, work) for index, inner in enumerate(value)]
        else:
            kept = [self._value(inner, f"{path}[{index}]", about, depth + 1, work) for index, inner in enumerate(value)]
        if all(new is old for new, old in zip(kept, value, strict=True)):
            return value
        return [None if inner is DROPPED else inner for inner in kept]

    def _pair(self, pair: list[Any], path: str, depth: int, work: Work) -> Any:
        about = self._finder.named(pair[0])
        if about.quiet:
            return self._value(pair, path, about, depth, work)
        name, value = (self._value(pair[i], f"{path}[{i}]", of, depth + 1, work) for i, of in enumerate((PLAIN, about)))
        if name is pair[0] and value is pair[1]:
            return pair
        return [None if inner is DROPPED else inner for inner in (name, value)]

    def _value(self, value: Any, path: str, about: KeyClass, depth: int, work: Work) -> Any:  # noqa: PLR0911  one a kind
        work.nodes -= 1
        if work.nodes < 0 or depth > MOST_NESTING:
            return work.beyond(path)
        if value is None or value is True or value is False:
            return value
        if about is not PLAIN and not about.quiet:
            told = self._by_key(value, path, about, work)
            if told is not None:
                return told
        if isinstance(value, str):
            left = self._texts.clean(value, path, about, depth, work)
            if left is value or about is PLAIN or about.quiet or not isinstance(left, str):
                return left
            told = self._by_key(left, path, about, work)
            return left if told is None else told  # what is left may be what the key tells of: a second look would find it
        if isinstance(value, dict):
            return self._object(value, path, about, depth, work)
        if isinstance(value, list):
            return self._list(value, path, about, depth, work)
        return self._number(value, path, about, depth, work)

    def _by_key(self, value: Any, path: str, about: KeyClass, work: Work) -> Any:
        """What the key alone decides; None when the value itself must be looked at."""
        for rule in about.rules:
            if work.scope.has(rule, path):
                return self._whole(value, path, rule.rule.action, rule.rule.detector, about.token, work)
        if about.hint is None or isinstance(value, dict | list) or (about.plural and not isinstance(value, str)):
            return None
        if not fits(about.hint, without_outputs(value) if isinstance(value, str) else value):
            return None
        action = work.scope.action(about.hint, "", path)
        return None if action is KEEP else self._whole(value, path, action, about.hint, about.hint, work)

    def _whole(self, value: Any, path: str, action: Action, rule: str, detector: str, work: Work) -> Any:
        if action is KEEP or is_output(value, detector) or value == "":
            return value
        subject = orjson.dumps(value).decode() if isinstance(value, dict | list) else value
        treated = self._treatment.apply(action, detector, "", subject, path, work)
        if treated is DROPPED or treated != value:
            work.record(path, rule, action)
            return treated
        return value

    def _number(self, value: float, path: str, about: KeyClass, depth: int, work: Work) -> Any:
        if not -_LEAST_NUMBER < value < _LEAST_NUMBER and (isinstance(value, int) or value.is_integer()):
            text = str(abs(int(value)))
            treated = self._texts.clean(text, path, about, depth, work)
            return value if treated == text else treated
        return value

    def _key(self, key: str, path: str, work: Work) -> str | None:
        """A key without personal data; None when it must go."""
        if not gate_of(key.encode("utf-8", "replace")):
            return key
        before, handle = len(work.redactions), work.handle
        work.handle = None  # a sealed key could not be found again
        cleaned = self._texts.clean(key, path, PLAIN, 0, work)
        work.handle = handle
        name = None if cleaned is DROPPED else str(cleaned)
        here = path if name is None else f"{path}.{name}" if path else name
        work.redactions[before:] = [redaction._replace(path=here) for redaction in work.redactions[before:]]
        return name


def _is_of_somebody(hint: str, name: str, path: str) -> bool:
    """Whether what a key holds is an address or an account of the person whose name stands beside it."""
    if hint in _ACCOUNTS:
        return True
    return not _NOBODY.match(name) if hint == "email" else path.endswith(_DELIVERIES)


def _name_like(about: KeyClass) -> KeyClass:
    return about._replace(hint="name", quiet=False)


def _replaced(box: dict[str, Any], key: str, kept: Any) -> dict[str, Any]:
    """A copy with another value, or without the key."""
    left = {**box, key: kept}
    if kept is DROPPED:
        del left[key]
    return left


def _renamed(value: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """A copy where keys have other names. Two that become one lose nothing."""
    result: dict[str, Any] = {}
    for raw, inner in value.items():
        name = names.get(raw, raw)
        result[name if name not in result else f"{name}_{len(result)}"] = inner
    return result
