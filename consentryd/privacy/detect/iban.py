"""Bank account numbers: IBAN (ISO 13616) with the length of its country and the mod 97 check, in any case and spacing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from consentryd.privacy.detect.detector import Detector, Finding, Gate

#: SWIFT's IBAN registry: the length of each country's numbers.
LENGTHS: Final[dict[str, int]] = {
    country: int(length)
    for country, length in (
        pair.split(":")
        for pair in [
            "AD:24",
            "AE:23",
            "AL:28",
            "AT:20",
            "AZ:28",
            "BA:20",
            "BE:16",
            "BG:22",
            "BH:22",
            "BI:27",
            "BR:29",
            "BY:28",
            "CH:21",
            "CR:22",
            "CY:28",
            "CZ:24",
            "DE:22",
            "DJ:27",
            "DK:18",
            "DO:28",
            "EE:20",
            "EG:29",
            "ES:24",
            "FI:18",
            "FK:18",
            "FO:18",
            "FR:27",
            "GB:22",
            "GE:22",
            "GI:23",
            "GL:18",
            "GR:27",
            "GT:28",
            "HN:28",
            "HR:21",
            "HU:28",
            "IE:22",
            "IL:23",
            "IQ:23",
            "IS:26",
            "IT:27",
            "JO:30",
            "KW:30",
            "KZ:20",
            "LB:28",
            "LC:32",
            "LI:21",
            "LT:20",
            "LU:20",
            "LV:21",
            "LY:25",
            "MC:27",
            "MD:24",
            "ME:22",
            "MK:19",
            "MN:20",
            "MR:27",
            "MT:31",
            "MU:30",
            "NI:28",
            "NL:18",
            "NO:15",
            "OM:23",
            "PK:24",
            "PL:28",
            "PS:29",
            "PT:25",
            "QA:29",
            "RO:24",
            "RS:22",
            "RU:33",
            "SA:24",
            "SC:31",
            "SD:18",
            "SE:24",
            "SI:19",
            "SK:24",
            "SM:27",
            "SO:23",
            "ST:25",
            "SV:28",
            "TL:23",
            "TN:24",
            "TR:26",
            "UA:29",
            "VA:22",
            "VG:24",
            "XK:20",
            "YE:30",
        ]
    )
}

_RARE_GAPS: Final = str.maketrans("", "", "\t_/,")
_VALUES: Final = {ord(letter): str(value) for value, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ", start=10)}
_COUNTRIES: Final = {country: country.translate(_VALUES) for country in LENGTHS}


def _without_gaps(text: str) -> str:
    compact = text.replace(" ", "").replace("-", "").replace(".", "")
    return compact if compact.isalnum() else compact.translate(_RARE_GAPS)


def _valid(number: str) -> bool:
    account = number[4:]
    if not account.isdecimal():  # to translate letters takes three times as long
        account = account.translate(_VALUES)
    return int(account + _COUNTRIES[number[:2]] + number[2:4]) % 97 == 1


def end_of(match: re.Match[str]) -> int | None:
    """Where the number ends in the text, or None. What follows an account number in a sentence may look like more of it."""
    text, length = match[0], LENGTHS.get(match[0][:2].upper())
    if length is None:
        return None
    compact = _without_gaps(text)
    if len(compact) == length:
        return match.end() if _valid(compact.upper()) else None
    if len(compact) < length:
        return None
    taken = 0
    for position, character in enumerate(text):
        taken += character.isalnum()
        if taken == length:
            rest = text[position + 1 :]
            number = _without_gaps(text[: position + 1]).upper()
            return match.start() + position + 1 if not rest[:1].isalnum() and _valid(number) else None
    return None


class _Iban(Detector):
    __slots__ = ()

    def find(self, text: str) -> Iterator[Finding]:
        for match in self.pattern.finditer(text):
            end = end_of(match)
            if end is not None:
                yield Finding(match.start(), end, self.name, self.kind)


IBAN: Final = _Iban(
    name="iban",
    gate=Gate.DIGITS | Gate.RUN,
    pattern=re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[ .-]?[0-9]{2}(?:[ .-]?[A-Za-z0-9]){11,34}(?![A-Za-z0-9])", re.ASCII),
)

#: In groups of four, parted by other signs, all of one kind.
IBAN_PARTED: Final = _Iban(
    name="iban",
    gate=Gate.DIGITS | Gate.RUN,
    pattern=re.compile(
        r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?P<gap>  |[\t_/,])[A-Za-z0-9]{4}(?:(?P=gap)[A-Za-z0-9]{4}){1,6}"
        r"(?:(?P=gap)[A-Za-z0-9]{1,4})?(?![A-Za-z0-9])",
        re.ASCII,
    ),
)

DETECTORS: Final = (IBAN, IBAN_PARTED)
