"""Telephone numbers: E.164 anywhere, national forms of chosen countries, checked against the numbering plans in `phonenumbers`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

from consentryd.privacy.detect.detector import Detector, Finding, Gate, digits_of

_NATIONAL_CHARACTERS: Final = re.compile(
    r"(?:tel:)?\+?[\d\s().\-/]{6,24}(?:\s?(?:x|ext\.?|#)\s?\d{1,6})?", re.ASCII | re.IGNORECASE
)
_LEAST_DIGITS: Final = 6
_MOST_DIGITS: Final = 15
#: A link, a line of a contact's card or a word that says what number follows.
LINK: Final = (
    r"(?:tel\.?|telefon|telephone|sms|smsto|callto|facetime|phone|fax)(?:;[A-Za-z0-9_=;,-]{1,40})?:(?://)?[ \t\r\n]{0,2}"
)
#: A sign between two groups may stand between blanks, as in `+49 30 / 901820`.
_BETWEEN_BLANKS: Final = " [./-] "
#: A word ends here, or an extension begins, or an underscore parts it from the next.
_END: Final = r"(?!(?!x[0-9]{1,6}(?!\w)|_(?![0-9]))\w)"
_DATE: Final = re.compile(r"(?:19|20)[0-9]{2}([-/.])[01][0-9]\1[0-3][0-9](?![0-9])")
_BREAK: Final = re.compile(r"[ \t\r\n./()-]")
#: What has four digits in each group is a serial number sooner than a telephone's with something behind it.
_FOURS: Final = re.compile(r"[0-9]{4}(?:[ -][0-9]{4})+")
_LINE_END: Final = re.compile(r"[\r\n]")
#: What parts two groups of digits.
_GAP: Final = re.compile(r"(?<=[0-9)])[^0-9)]+")
#: The zero that is dialled inside a country, where it has no place.
_TRUNK: Final = re.compile(rf"(?<=[0-9)])({_BETWEEN_BLANKS}|[ \t\r\n./-]{{1,2}})\(?0\)?")


@cache
def _plan(code: str) -> tuple[tuple[frozenset[int], re.Pattern[str]], ...] | None:
    """Possible lengths and number patterns of every region with a calling code, if it is one; a few kilobytes a region, 245 regions."""
    country_code = int(code)
    if country_code not in COUNTRY_CODE_TO_REGION_CODE:
        return None
    plans = []
    for region in COUNTRY_CODE_TO_REGION_CODE[country_code]:
        metadata = PhoneMetadata.metadata_for_region(region) or PhoneMetadata.metadata_for_nongeo_region(country_code)
        if metadata is None or metadata.general_desc is None:
            continue
        kinds = (metadata.fixed_line, metadata.mobile, metadata.voip, metadata.personal_number, metadata.toll_free, metadata.premium_rate,
                 metadata.shared_cost, metadata.pager, metadata.uan)  # fmt: skip
        patterns = [kind.national_number_pattern for kind in kinds if kind is not None and kind.national_number_pattern]
        if patterns:
            plans.append((frozenset(metadata.general_desc.possible_length), re.compile(f"(?:{')|(?:'.join(patterns)})")))
    return tuple(plans)


def is_e164(digits: str) -> bool:
    """Whether digits (calling code first, no `+`) are a number that its country's plan gives out."""
    for width in (1, 2, 3):
        plan = _plan(digits[:width])
        if plan is not None:
            national = digits[width:]
            length = len(national)
            for lengths, pattern in plan:  # noqa: SIM110  a call less
                if length in lengths and pattern.fullmatch(national):
                    return True
            return False
    return False


def _is_international(text: str) -> bool:
    return _is_e164_of(text.replace("(0)", "")) or ("0" in text and _is_e164_of(_TRUNK.sub(r"\1", text, count=1)))


def _is_e164_of(text: str) -> bool:
    digits = digits_of(text)
    return _LEAST_DIGITS < len(digits) <= _MOST_DIGITS and is_e164(digits)


def _is_dialled(text: str) -> bool:
    """Behind 00 or 011. Digits without a break are somebody's count or id."""
    return _BREAK.search(text) is not None and _is_international(text.lstrip("(").removeprefix("011").lstrip("0 -./"))


@dataclass(frozen=True, slots=True)
class Phone(Detector):
    """Numbers of which only their plan says where they end. `pattern` goes on as long as digits follow, which may be those of something
    else: an amount, a time, a postcode."""

    is_number: Callable[[str], bool] = bool

    def find(self, text: str) -> Iterator[Finding]:
        match = self.pattern.search(text)
        while match is not None:
            end = self.end_of(match)
            if end is not None:
                yield Finding(match.start(), end, self.name, self.kind)
            match = self.pattern.search(text, end or match.end())

    def end_of(self, match: re.Match[str]) -> int | None:
        """Where the longest number ends that a match begins with; None if it begins with none."""
        text = match[0]
        line = _LINE_END.search(text)
        if line is not None and self.is_number(text[: line.start()]):
            return match.start() + line.start()
        if self.is_number(text):
            return match.end()
        if _FOURS.fullmatch(text):
            return None
        ends = [gap.start() for gap in _GAP.finditer(text)]
        return next((match.start() + end for end in reversed(ends) if self.is_number(text[:end])), None)


def is_phone_like(text: str) -> bool:
    """Whether a value under a key such as `phone` is a number in any country's habit of writing it."""
    if not _NATIONAL_CHARACTERS.fullmatch(text.strip()):
        return False
    return _LEAST_DIGITS <= len(digits_of(text)) <= _MOST_DIGITS + _LEAST_DIGITS


PHONE: Final = Phone(
    name="phone",
    gate=Gate.PLUS,
    sign="+",
    pattern=re.compile(
        rf"(?<![A-Za-z0-9+])(?:\+[ ]?\(?[0-9]\)?|\(\+[0-9]{{1,3}}\))"
        rf"(?:(?:[ \t\r\n_./-]{{0,2}}|{_BETWEEN_BLANKS})(?:\(0?[0-9]{{0,5}}\)|[0-9])){{6,14}}{_END}",
        re.ASCII,
    ),
    is_number=_is_international,
)

_MORE: Final = r"(?:[ \t./-]{0,2}(?:\(0?[0-9]{0,5}\)|[0-9]))"
PHONE_IDD: Final = Phone(
    name="phone",
    gate=Gate.DIGITS,
    sign="0",
    pattern=re.compile(
        rf"(?<![\w.+-])(?:\(00 ?[1-9][0-9]{{0,2}}\){_MORE}{{6,13}}"
        rf"|(?:00|(?<![0-9][ ,:])00[ ./]|011[ -])[1-9]{_MORE}{{8,13}})(?![\w-])",
        re.ASCII,
    ),
    is_number=_is_dialled,
)

#: In links, cards of contacts, and after a word.
PHONE_LINK: Final = Detector(
    name="phone",
    gate=Gate.DIGITS,
    sign=":",
    pattern=re.compile(
        rf"(?<!\w){LINK}(?P<number>\(?[0-9](?:(?:[ \t()./-]{{0,2}}|{_BETWEEN_BLANKS})[0-9]){{6,14}}){_END}",
        re.ASCII | re.IGNORECASE,
    ),
    check=lambda match: _DATE.match(match["number"]) is None,
    group="number",
)

PHONE_SENT: Final = Detector(
    name="phone",
    gate=Gate.DIGITS,
    pattern=re.compile(
        r"(?:(?<=wa\.me/)|(?<=send\?phone=)|(?<=send/\?phone=))[0-9]{7,15}(?!\w)",
        re.ASCII | re.IGNORECASE,
    ),
    check=lambda match: is_e164(match[0]),
)


@cache
def _national_plan(region: str) -> tuple[str, re.Pattern[str]] | None:
    metadata = PhoneMetadata.metadata_for_region(region)
    if metadata is None or metadata.general_desc is None or metadata.general_desc.national_number_pattern is None:
        return None
    return metadata.national_prefix or "", re.compile(metadata.general_desc.national_number_pattern)


def national(countries: Iterable[str]) -> Detector:
    """Numbers as written inside `countries` (ISO codes): with the trunk prefix, or with parted groups."""
    plans = [plan for plan in map(_national_plan, countries) if plan is not None]

    def is_number(text: str) -> bool:
        digits = digits_of(text)
        for prefix, pattern in plans:
            significant = digits.removeprefix(prefix)
            parted = significant != digits or len(re.findall(r"[0-9]+", text)) > 2  # noqa: PLR2004  two groups: a date, a range
            if parted and pattern.fullmatch(significant):
                return True
        return False

    return Phone(
        name="phone",
        gate=Gate.DIGITS,
        pattern=re.compile(r"(?<![\w.+/-])\(?[0-9](?:\)?[ ./-]{0,2}\(?[0-9]){7,13}(?![\w-])", re.ASCII),
        is_number=is_number,
        id_like=True,
    )


DETECTORS: Final = (PHONE, PHONE_IDD, PHONE_LINK, PHONE_SENT)
