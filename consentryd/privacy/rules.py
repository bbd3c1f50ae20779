"""The rule table: which action a finding meets. The operator's rules come first, then the shipped ones; the first that fits wins."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import translate
from functools import cache
from importlib import resources
from typing import Any, Final, Protocol

from consentryd.model.error import ConfigError
from consentryd.model.event import UTM
from consentryd.model.memory import keep
from consentryd.privacy.detect import DETECTORS
from consentryd.privacy.detect.national_id import NUMBERS
from consentryd.privacy.redaction import USER_ID, Action
from consentryd.privacy.words import without_accents, words_of

_MOST_SCOPES: Final = 4096
_ANY: Final = "*"
_TRAITS: Final = "traits."
#: What a path begins with: the fields of an event that hold text of its sender's.
_FIELDS: Final = frozenset(("event_id", "event", "title", "path", "host", "referrer_host", "properties", *UTM))
_LITERAL: Final = re.compile(r"[\w -]+")
_NO_LETTERS: Final = re.compile(r"\\.|\[[^\]]*\]|\(\?P[<=>][^>)]*[>)]?")
#: What names of sites and the wildcards for them are made of.
_SITES: Final = re.compile(r"[a-z0-9._?*-]+")
_CAPITAL: Final = re.compile(r"[A-Z]")

#: A detector and the keys that tell of it.
Hint = tuple[str, re.Pattern[str]]

#: What the ids of people are called in URLs.
URL_ID: Final = "url_id"

#: Detectors that only a key can point to.
KEY_DETECTORS: Final = frozenset(
    {"secret", "birth_date", "age", "coordinate", "name", "postal_address", "advertising_id", "click_id", "national_id", USER_ID}
)


class RuleSource(Protocol):
    """A rule as settings hold it (`config.settings.PiiRule`)."""

    @property
    def detector(self) -> str | None: ...
    @property
    def key(self) -> str | None: ...
    @property
    def action(self) -> str: ...
    @property
    def site(self) -> str: ...
    @property
    def event(self) -> str: ...
    @property
    def path(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Row:
    detector: str | None
    key: str | None
    action: str
    site: str = _ANY
    event: str = _ANY
    path: str = _ANY


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled row. `path` is None where any path fits; `part` is the top-level field it begins with, empty for any."""

    detector: str
    action: Action
    site: re.Pattern[str]
    event: re.Pattern[str]
    path: re.Pattern[str] | None
    part: str

    def covers(self, site: str, event: str) -> bool:
        return self.site.match(site) is not None and self.event.match(event) is not None


@dataclass(frozen=True, slots=True, eq=False)
class KeyRule:
    """A row for a key instead of a detector; its name in redactions is `key:` and the pattern."""

    pattern: re.Pattern[str]
    rule: Rule
    part: str

    def may_cover(self, part: str) -> bool:
        """Whether paths under the top-level field `part` may fit. `part` of a rule is empty where its path begins with a wildcard."""
        return self.part in {"", part}


#: For a detector: what paths begin with where other rules may hold, these (pattern, action), and the action at all others.
_Fitting = tuple[tuple[str, ...], tuple[tuple[re.Pattern[str], Action], ...], Action]


class Scope:
    """The rules that hold for one site and `event`."""

    def __init__(self, rules: Iterable[Rule], keys: Iterable[KeyRule], event: str = "") -> None:
        self.event: Final = event
        self._rules: Final = tuple(rules)
        self._fitting: Final[dict[tuple[str, str], _Fitting]] = {}
        self.keys: Final = frozenset(keys)

    def has(self, key: KeyRule, path: str) -> bool:
        """Whether a rule for a key holds here, at `path`."""
        return key in self.keys and (key.rule.path is None or key.rule.path.match(path) is not None)

    def action(self, detector: str, kind: str, path: str) -> Action:
        """What becomes of a finding of `detector` (of the family `kind`) at `path`."""
        fitting = self._fitting.get((detector, kind))
        if fitting is None:
            fitting = self._fitting[detector, kind] = self._fit({detector, kind, _ANY})
        parts, narrow, anywhere = fitting
        if path.startswith(parts):
            for pattern, action in narrow:
                if pattern.match(path):
                    return action
        return anywhere

    def _fit(self, names: set[str]) -> _Fitting:
        parts: list[str] = []
        narrow: list[tuple[re.Pattern[str], Action]] = []
        for rule in self._rules:
            if rule.detector in names:
                if rule.path is None:
                    return tuple(parts), tuple(narrow), rule.action
                parts.append(rule.part)
                narrow.append((rule.path, rule.action))
        return tuple(parts), tuple(narrow), Action.TYPE


class RuleTable:
    """All rules and key hints, compiled once. Look-ups by site and event are remembered for a bounded number of pairs."""

    def __init__(
        self,
        rows: Iterable[RuleSource],
        hints: Iterable[Hint],
        parameters: Iterable[Hint],
    ) -> None:
        compiled = [_compile(row, number) for number, row in enumerate(rows)]
        self._rules: Final = tuple(rule for rule in compiled if isinstance(rule, Rule))
        self.keys: Final = tuple(rule for rule in compiled if isinstance(rule, KeyRule))
        self.hints: Final = tuple(hints)
        self.url_hints: Final = tuple((URL_ID if name == USER_ID else name, pattern) for name, pattern in self.hints)
        self.parameters: Final = tuple(parameters)
        self._scopes: Final[dict[tuple[str, str], Scope]] = {}

    def scope(self, site: str, event: str) -> Scope:
        scope = self._scopes.get((site, event))
        if scope is None:
            rules = (rule for rule in self._rules if rule.covers(site, event))
            scope = Scope(rules, (key for key in self.keys if key.rule.covers(site, event)), event)
            keep(self._scopes, (site, event), scope, _MOST_SCOPES)
        return scope


def load_rules(own: Iterable[RuleSource] = ()) -> RuleTable:
    """The operator's rules before the shipped ones. Raises `ConfigError` for an unknown detector or a key that is no pattern."""
    document = shipped()
    rows: list[RuleSource] = [*own, *(_Row(**{"detector": None, "key": None, **row}) for row in document["rule"])]
    return RuleTable(rows, _patterns(document["hint"]), _patterns(document["parameter"]))


@cache
def shipped() -> dict[str, Any]:
    """`config/pii_rules.toml` as it stands."""
    text = resources.files("consentryd.config").joinpath("pii_rules.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def detector_names() -> frozenset[str]:
    """Everything that a rule may name: detectors, families and those found by key only."""
    return (
        frozenset(name for detector in DETECTORS for name in (detector.name, detector.kind) if name)
        | {number.name for number in NUMBERS}
        | KEY_DETECTORS
        | {_ANY}
    )


def _patterns(rows: Iterable[Mapping[str, str]]) -> list[Hint]:
    return [(row["detector"], re.compile(without_accents(row["keys"]))) for row in rows]


def _compile(row: RuleSource, number: int) -> Rule | KeyRule:
    if row.path.startswith(_TRAITS) and not isinstance(row, _Row):
        raise ConfigError(
            f"privacy.rules.{number}.path: {row.path} is nowhere. Traits are stored as properties: "
            f"write properties.{row.path[len(_TRAITS) :]}, "
            'and event = "identify" if it is for identify calls only.'
        )
    if not _SITES.fullmatch(row.site):
        raise ConfigError(
            f"privacy.rules.{number}.site: {row.site} fits no site: their names are of lower-case letters, digits, dots, dashes and "
            "underscores."
        )
    name = row.detector if row.detector is not None else f"key:{row.key}"
    if row.detector is not None and row.detector not in detector_names():
        alike = get_close_matches(row.detector, detector_names(), 1)
        meant = f"Did you mean {alike[0]}?" if alike else "See docs/scrubbing.md."
        raise ConfigError(f"privacy.rules.{number}.detector: there is no detector {row.detector}. {meant}")
    part = _literal_part(row.path)
    if part and part not in _FIELDS and not isinstance(row, _Row):
        raise ConfigError(
            f"privacy.rules.{number}.path: {row.path} is nowhere. A path begins with the name of a field, such as properties.{row.path}."
        )
    rule = Rule(name, Action(row.action), glob(row.site), glob(row.event), None if row.path == _ANY else glob(row.path), part)
    if row.key is None:
        return rule
    try:
        return KeyRule(re.compile(_in_words(row.key, number)), rule, part)
    except re.error as error:
        raise ConfigError(f"privacy.rules.{number}.key: is no regular expression: {error}.") from None


def _in_words(key: str, number: int) -> str:
    """A literal key in the spelling that keys are compared in: `userAgent` is `user_agent`. Raises `ConfigError` for a pattern that fits no
    key, since it asks for capitals."""
    if _LITERAL.fullmatch(key):
        if words_of(key):
            return words_of(key)
        raise ConfigError(f"privacy.rules.{number}.key: {key} fits no key: there is no letter or digit in it.")
    if "(?i" not in key and _CAPITAL.search(_NO_LETTERS.sub("", key)):
        raise ConfigError(
            f"privacy.rules.{number}.key: {key} fits no key: keys are compared as lower_snake_case (userAgent is user_agent)."
        )
    return without_accents(key)


def glob(pattern: str) -> re.Pattern[str]:
    """A pattern with `*` and `?` for the whole of a name."""
    return re.compile(translate(pattern.replace("[", "[[]")))


def _literal_part(path: str) -> str:
    part = path.partition(".")[0]
    return "" if set(part) & set("*?") else part
