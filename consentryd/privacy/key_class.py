"""What a key says about its value. Keys repeat from event to event, so each is looked at once and remembered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from consentryd.privacy.rules import KeyRule

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_WORD: Final = re.compile(r"[^0-9a-z]+")
_NOT_LETTERS: Final = re.compile(r"[^a-z]+")
_ID_LIKE: Final = re.compile(
    r"(?:.*_)?(?:id|ids|uuid|guid|key|order|order_(?:no|number|ref)|sku|upc|ean|gtin|isbn|barcode|reference|ref|hash|sha|nonce|trace|span|timestamp|ts"
    r"|time|at|date|epoch|ms|millis|seq|sequence|serial|tracking_number|invoice|invoice_number|ticket|batch|lot|count|total|amount|size|bytes|seed"
    r"|build|version|snowflake|cursor|offset|position)"
)
_VERSION: Final = re.compile(r"(?:.*_)?(?:version|ver|release|build|firmware|sdk|library|lib)(?:_(?:number|name|string|code))?")
_LOCATION: Final = re.compile(r"(?:.*_)?(?:path|page|url|uri|href|link|route|location|referrer|referer|screen|endpoint|pathname)")


class KeyClass(NamedTuple):
    """`hint` names the detector that a key's whole value belongs to; `rules` are the rules for the key; `quiet` has neither, and
    `token` stands for what a rule takes out."""

    hint: str | None = None
    rules: tuple[KeyRule, ...] = ()
    id_like: bool = False
    version: bool = False
    location: bool = False
    quiet: bool = True
    token: str = "removed"  # noqa: S105  what is written, no secret

    def tells(self, part: str, rules: frozenset[KeyRule]) -> bool:
        """Whether the key itself decides, or may decide by one of `rules`, about values under the top-level field `part`."""
        return self.hint is not None or any(rule in rules and rule.may_cover(part) for rule in self.rules)


PLAIN: Final = KeyClass()


def words_of(key: str) -> str:
    """A key in lower_snake_case: `userEmail`, `user-email` and `User Email` are `user_email`."""
    return _NOT_WORD.sub("_", _CAMEL.sub("_", key).lower()).strip("_")


def classify(key: str, hints: Sequence[tuple[str, re.Pattern[str]]], rules: Sequence[KeyRule]) -> KeyClass:
    """The class of a key by the first hint whose pattern fits the whole of it, and all rules that do."""
    words = words_of(key)
    hint = next((detector for detector, pattern in hints if pattern.fullmatch(words)), None)
    fitting = tuple(rule for rule in rules if rule.pattern.fullmatch(words))
    return KeyClass(
        hint,
        fitting,
        _ID_LIKE.fullmatch(words) is not None,
        _VERSION.fullmatch(words) is not None,
        _LOCATION.fullmatch(words) is not None,
        quiet=hint is None and not fitting,
        token=hint or _NOT_LETTERS.sub("_", words).strip("_") or "removed",
    )
