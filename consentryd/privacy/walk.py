"""The closer look: every key and value of one event, in whatever it is nested."""

from __future__ import annotations

from typing import Any, Final

import orjson

from consentryd.privacy.finder import Finder
from consentryd.privacy.fit import fits
from consentryd.privacy.gate import gate_of
from consentryd.privacy.harmless import FIRST_TIME, LAST_TIME
from consentryd.privacy.key_class import PLAIN, KeyClass
from consentryd.privacy.plain import PlainKeys
from consentryd.privacy.redaction import Action
from consentryd.privacy.text import TextCleaner
from consentryd.privacy.treatment import DROPPED, Treatment, is_output, without_outputs
from consentryd.privacy.work import MOST_NESTING, Work

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
        return self._object(fields, "", 0, work)

    def _nested(self, value: Any, path: str, depth: int, work: Work) -> Any:
        return self._value(value, path, PLAIN, depth, work)

    def _object(self, value: dict[str, Any], path: str, depth: int, work: Work) -> dict[str, Any]:  # noqa: C901  one loop, no calls
        changes: dict[str, tuple[str | None, Any]] = {}
        renamed = False
        plain = work.plain if path else self._finder.plain_keys("", work.scope.keys)
        keys, texts, knows = plain.known, self._finder.harmless.texts, self._finder.harmless.knows
        for raw, inner in value.items():
            if not path:
                work.plain = self._finder.plain_keys(raw, work.scope.keys)
            if raw in keys or plain.take(raw):
                kind = type(inner)
                if kind is str:
                    if inner in texts or knows(inner):
                        continue
                elif kind is dict or kind is list:
                    if self._is_harmless(inner, work.plain, depth):
                        continue
                elif inner is None or kind is bool or _is_nobodys(inner):
                    continue
            key = raw if type(raw) is str else str(raw)
            about = self._finder.classes.get(key)
            name = key if about is not None else self._key(key, path, work)
            if name is None:
                changes[raw], renamed = (None, DROPPED), True
                continue
            here = f"{path}.{name}" if path else name
            kept = self._value(inner, here, about or self._finder.key_class(name), depth + 1, work)
            if name != raw:
                changes[raw], renamed = (name, kept), True
            elif kept is not inner:
                changes[raw] = name, kept
        return (_renamed if renamed else _changed)(value, changes) if changes else value

    def _is_harmless(self, box: Any, plain: PlainKeys, depth: int) -> bool:
        """Whether it is known of all that is in an object or a list that it is nobody's."""
        if depth > MOST_NESTING or (type(box) is dict and not plain.cover(box)):
            return False
        texts, knows = self._finder.harmless.texts, self._finder.harmless.knows
        for inner in box.values() if type(box) is dict else box:
            kind = type(inner)
            if kind is str:
                if inner not in texts and not knows(inner):
                    return False
            elif kind is dict or kind is list:
                if not self._is_harmless(inner, plain, depth + 1):
                    return False
            elif not (inner is None or kind is bool or _is_nobodys(inner)):
                return False
        return True

    def _list(self, value: list[Any], path: str, about: KeyClass, depth: int, work: Work) -> list[Any]:
        kept = [self._value(inner, f"{path}[{index}]", about, depth + 1, work) for index, inner in enumerate(value)]
        if all(new is old for new, old in zip(kept, value, strict=True)):
            return value
        return [None if inner is DROPPED else inner for inner in kept]

    def _value(self, value: Any, path: str, about: KeyClass, depth: int, work: Work) -> Any:  # noqa: PLR0911  one a kind
        if not work.enters(depth):
            return work.beyond(path)
        if value is None or value is True or value is False:
            return value
        if not about.quiet:
            told = self._by_key(value, path, about, work)
            if told is not None:
                return told
        if isinstance(value, str):
            return self._texts.clean(value, path, about, depth, work)
        if isinstance(value, dict):
            return self._object(value, path, depth, work)
        if isinstance(value, list):
            return self._list(value, path, about, depth, work)
        return self._number(value, path, about, depth, work)

    def _by_key(self, value: Any, path: str, about: KeyClass, work: Work) -> Any:
        """What the key alone decides; None when the value itself must be looked at."""
        for rule in about.rules:
            if work.scope.has(rule, path):
                return self._whole(value, path, rule.rule.action, rule.rule.detector, about.token, work)
        if about.hint is None or isinstance(value, dict | list):
            return None
        if not fits(about.hint, without_outputs(value) if isinstance(value, str) else value):
            return None
        action = work.scope.action(about.hint, "", path)
        return None if action is Action.KEEP else self._whole(value, path, action, about.hint, about.hint, work)

    def _whole(self, value: Any, path: str, action: Action, rule: str, detector: str, work: Work) -> Any:
        if action is Action.KEEP or is_output(value, detector) or value == "":
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


def _is_nobodys(number: Any) -> bool:
    kind = type(number)
    return (kind is int or kind is float) and (-_LEAST_NUMBER < number < _LEAST_NUMBER or FIRST_TIME <= number < LAST_TIME)


def _changed(value: dict[str, Any], changes: dict[str, tuple[str | None, Any]]) -> dict[str, Any]:
    """A copy with what changed under the same keys."""
    result = value.copy()
    for key, (_, kept) in changes.items():
        if kept is DROPPED:
            del result[key]
        else:
            result[key] = kept
    return result


def _renamed(value: dict[str, Any], changes: dict[str, tuple[str | None, Any]]) -> dict[str, Any]:
    """A copy where names change, too (None: the key must go). Two that become one lose nothing."""
    result: dict[str, Any] = {}
    for raw, inner in value.items():
        name, kept = changes.get(raw, (raw, inner))
        if name is not None and kept is not DROPPED:
            result[name if name not in result else f"{name}_{len(result)}"] = kept
    return result
