"""What a key says about its value. Keys repeat from event to event, so each is looked at once and remembered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from consentryd.privacy.rules import Hint, KeyRule
from consentryd.privacy.words import words_of

_NOT_LETTERS: Final = re.compile(r"[^a-z]+")
_ID_LIKE: Final = re.compile(
    r"(?:.*_)?(?:id|ids|uuid|guid|key|order|order_(?:no|number|ref)|sku|upc|ean|gtin|isbn|barcode|reference|ref|hash|sha|nonce|trace|span|timestamp|ts"
    r"|time|at|date|epoch|ms|millis|seq|sequence|serial|tracking_number|invoice|invoice_number|ticket|batch|lot|count|total|amount|size|bytes|seed"
    r"|build|version|snowflake|cursor|offset|position)"
)
#: Under these keys stand goods, whose numbers look like anything.
_GOODS: Final = re.compile(
    r"(?:.*_)?(?:skus?|upc|ean|gtin|isbn|issn|mpn|asin|barcode|(?:part|product|item|article|artikel|model|style|variant|lot|batch|tracking|catalogue?)"
    r"_?(?:no|nr|num|number|id|code|ref)|tracking|lot|batch)"
)
_VERSION: Final = re.compile(r"(?:.*_)?(?:version|ver|release|build|firmware|sdk|library|lib)(?:_(?:number|name|string|code))?")
_LOCATION: Final = re.compile(r"(?:.*_)?(?:path|page|url|uri|href|link|route|location|referrer|referer|screen|endpoint|pathname)")

#: Detectors whose keys tell in the plural, too, and with a number behind them. Cards and the like have a form by which they are found,
#: and `cards` are more often something on a page.
_NUMBERED: Final = frozenset(
    [
        "email",
        "phone",
        "secret",
        "name",
        "birth_date",
        "user_id",
        "ip",
        "coordinate",
        "mac",
        "imei",
        "user_agent",
        "advertising_id",
        "click_id",
    ]
)
_IN_PLURAL: Final = _NUMBERED | {"postal_address", "national_id"}
_NUMBER: Final = re.compile(r"(?<=[^\W\d_])_?[0-9]{1,2}")

#: Detectors whose keys tell of everything in an object under them.
_INHERITED: Final = frozenset(
    {"email", "phone", "secret", "name", "postal_address", "birth_date", "national_id", "user_id", "iban", "coordinate"}
)

#: What stands beside the datum in such an object, and is none.
_ASIDE: Final = re.compile(
    r"(?:.*_)?(?:type|kind|label|status|state|verified|valid|count|total|max|min|used|input|output|country|country_code|city|town|region|province|county"
    r"|locale|language|lang|currency|brand|source|method|provider|mode|channel|platform|os|model|version|device|format|length|strength"
    r"|network|carrier|created|updated|expires|expiry|expires_in|expires_at|created_at|updated_at|verified_at|ttl|scope|enabled|primary|default)"
    r"|(?:is|has)_.*"
)

#: Keys of objects that tell about a person, whose own keys say less: `customer: {"name": ...}` is a `customer_name`.
_HOLDER: Final = re.compile(
    r"(?:.*_)?(?P<holder>user|customer|person|visitor|member|patient|guest|passenger|buyer|recipient|sender|contact|employee|student|card_?holder"
    r"|account_?holder|attendee|participant|author|owner|subscriber|travell?er|applicant|payer|payee|assignee|reviewer|commenter)s?|(?P<name>name)s?"
    r"|(?:.*_)?(?P<person>(?:shipping|billing|delivery)_(?:details|info|contact)|(?:ship|bill|sold|deliver)_to"
    r"|(?:user|person|customer)_(?:data|info|details|properties|attributes|traits|profile))"
)

#: Keys that analytics libraries reserve, as others that say the same; without its sign none of them would say so.
_RESERVED: Final = {
    "$name": "person_name",
    "$set": "person_traits",
    "$set_once": "person_traits",
    "_ga": "ga_client_id",
    "_gid": "ga_client_id",
    "_gl": "ga_client_id",
}

#: Keys of objects in a person's object that are about the same person.
_SAME: Final = re.compile(r"(?:.*_)?(?:profile|details?|info|data|attributes|traits|personal|identity|account)")


class KeyClass(NamedTuple):
    """`hint` names the detector that a key's whole value belongs to; `rules` are the rules for the key; `quiet` has neither, and
    `token` stands for what a rule takes out. `goods` have numbers of any form. Under a `plural` key a number is a count. `holder` is whose
    person's object the key has, by a word; `aside` is what is no datum in an object whose key tells; under the `same` key a person's object
    goes on."""

    hint: str | None = None
    rules: tuple[KeyRule, ...] = ()
    id_like: bool = False
    goods: bool = False
    version: bool = False
    location: bool = False
    quiet: bool = True
    token: str = "removed"  # noqa: S105  what is written, no secret
    plural: bool = False
    holder: str | None = None
    aside: bool = False
    same: bool = False

    def tells(self, part: str, rules: frozenset[KeyRule]) -> bool:
        """Whether the key itself decides, or may decide by one of `rules`, about values under the top-level field `part`."""
        return self.hint is not None or any(rule in rules and rule.may_cover(part) for rule in self.rules)

    @property
    def bequeaths(self) -> bool:
        """Whether the key tells of the keys in an object under it."""
        return self.holder is not None or self.hint in _INHERITED

    def inner(self, own: KeyClass, together: KeyClass) -> KeyClass:
        """The class of a key in an object under this one: by itself `own`, with this key's holder before it `together`."""
        if own.hint is not None:
            return own
        if self.hint in _INHERITED:
            return own if own.aside else own._replace(hint=self.hint, quiet=False, plural=self.plural)
        if together.hint is None:
            return own._replace(holder=self.holder) if own.same and own.holder is None else own
        return own._replace(hint=together.hint, quiet=False, plural=together.plural)


PLAIN: Final = KeyClass()


def classify(key: str, hints: Sequence[Hint], rules: Sequence[KeyRule], parameters: Sequence[Hint] = ()) -> KeyClass:
    """The class of a key by the first hint whose pattern fits the whole of it, and all rules that do.

    Of a URL's parameter also by `parameters`. A key that no hint fits may be a plural, or have a number behind it.
    """
    words = _RESERVED.get(key) or words_of(key)
    hint = _first(words, (*hints, *parameters))
    plural = False
    if hint is None:
        hint, plural = _variant(words, hints)
    fitting = tuple(rule for rule in rules if rule.pattern.fullmatch(words))
    holder = _HOLDER.fullmatch(words)
    is_goods = _GOODS.fullmatch(words) is not None
    found = KeyClass(
        hint,
        fitting,
        is_goods or _ID_LIKE.fullmatch(words) is not None,
        is_goods,
        _VERSION.fullmatch(words) is not None,
        _LOCATION.fullmatch(words) is not None,
        quiet=hint is None and not fitting,
        token=hint or (_NOT_LETTERS.sub("_", words).strip("_") if fitting else "") or PLAIN.token,
        plural=plural,
        holder=None if holder is None or hint is not None else holder["holder"] or holder["name"] or "person",
        aside=_ASIDE.fullmatch(words) is not None,
        same=_SAME.fullmatch(words) is not None,
    )
    return PLAIN if found == PLAIN else found  # most are, and to compare with one object is cheapest


def _first(words: str, hints: Sequence[Hint]) -> str | None:
    return next((detector for detector, pattern in hints if pattern.fullmatch(words)), None)


def _variant(words: str, hints: Sequence[Hint]) -> tuple[str | None, bool]:
    """The hint for a key that is another one in the plural, or with a number behind it; and whether it is a plural."""
    numbered = _NUMBER.search(words, max(0, len(words) - 3))
    if numbered is not None and numbered.end() == len(words):
        hint = _first(words[: numbered.start()], hints)
        if hint in _NUMBERED:
            return hint, False
    for one in _singulars(words):
        hint = _first(one, hints)
        if hint in _IN_PLURAL:
            return hint, True
    return None, False


def _singulars(words: str) -> Iterator[str]:
    if words.endswith("s") and not words.endswith("ss"):
        yield words[:-1]
        if words.endswith("es"):
            yield words[:-2]
