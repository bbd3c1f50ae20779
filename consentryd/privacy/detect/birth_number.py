"""Checks of national numbers that hold a birth date, whose form is known to fit: check digits, and whether there was such a day."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from functools import lru_cache
from operator import mul
from typing import Final

from stdnum import numdb

from consentryd.privacy.detect.detector import digits_of, luhn

_DIGITS: Final = b"0123456789"
_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TO_VALUES: Final = bytes.maketrans(_DIGITS, bytes(range(10)))
_NORWEGIAN: Final = ((3, 7, 6, 1, 8, 9, 4, 5, 2, 1), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1))
_KOREAN: Final = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5, 1)
_KOREAN_PLACES: Final = 96
_FINNISH_LETTERS: Final = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_FINNISH: Final = range(2, 900)  # others are for hospitals
_FIRST_OF_TEN: Final = 1954  # Czech numbers before it have nine digits
_LAST_MONTH: Final = 12
_FH: Final = 80  # a Norwegian number without a date
_CHINESE_CHECKS: Final = "0123456789X"
_MOST_DISTRICTS: Final = 4096
_PERIOD: Final = re.compile(r"\[([0-9]*)-([0-9]*)\]")  # before a Chinese county's name, if it had its number for a time only

#: Values of an Italian code's characters in odd and even places, its months, and the letters that tell codes of like people apart.
_ODD: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_ITALIAN_ODD: Final = bytes.maketrans(_DIGITS + _LETTERS, bytes(_ODD[:10] + _ODD))
_ITALIAN_EVEN: Final = bytes.maketrans(_DIGITS + _LETTERS, bytes([*range(10), *range(26)]))
_ITALIAN_MONTHS: Final = "ABCDEHLMPRST"
_ITALIAN_DIGITS: Final = str.maketrans("LMNPQRSTUV", "0123456789")
_ITALIAN_YEARS: Final = 20  # numbers below it are of this century
_ITALIAN_WOMEN: Final = 40

#: An \u00d1 stands between N and O.
_MEXICAN: Final = bytes.maketrans(_DIGITS + _LETTERS, bytes([*range(24), *range(25, 37)]))
_MEXICAN_STATES: Final = frozenset([
    "AS", "BC", "BS", "CC", "CH", "CL", "CM", "CS", "DF", "DG", "GR", "GT", "HG", "JC", "MC", "MN", "MS",
    "NE", "NL", "NT", "OC", "PL", "QR", "QT", "SL", "SP", "SR", "TC", "TL", "TS", "VZ", "YN", "ZS",
])  # fmt: skip
#: What RENAPO does not give out, for they are rude words.
_MEXICAN_WORDS: Final = frozenset([
    "BACA", "BAKA", "BUEI", "BUEY", "CACA", "CACO", "CAGA", "CAGO", "CAKA", "CAKO", "COGE", "COGI", "COJA", "COJE", "COJI", "COJO",
    "COLA", "CULO", "FALO", "FETO", "GETA", "GUEI", "GUEY", "JETA", "JOTO", "KACA", "KACO", "KAGA", "KAGO", "KAKA", "KAKO", "KOGE",
    "KOGI", "KOJA", "KOJE", "KOJI", "KOJO", "KOLA", "KULO", "LILO", "LOCA", "LOCO", "LOKA", "LOKO", "MAME", "MAMO", "MEAR", "MEAS",
    "MEON", "MIAR", "MION", "MOCO", "MOKO", "MULA", "MULO", "NACA", "NACO", "PEDA", "PEDO", "PENE", "PIPI", "PITO", "POPO", "PUTA",
    "PUTO", "QULO", "RATA", "ROBA", "ROBE", "ROBO", "RUIN", "SENO", "TETA", "VACA", "VAGA", "VAGO", "VAKA", "VUEI", "VUEY", "WUEI",
    "WUEY",
])  # fmt: skip


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        dt.date(year, month, day)
    except ValueError:
        return False
    return True


def _remainder(digits: str, weights: Sequence[int], modulus: int) -> int:
    total: int = sum(map(mul, digits.encode().translate(_TO_VALUES), weights))
    return total % modulus


def is_belgian(text: str) -> bool:
    """The last two digits are 97 less the rest modulo 97; of people born since 2000 with a 2 before the rest."""
    digits = digits_of(text)
    rest, check, month = int(digits[:9]), int(digits[9:]), int(digits[2:4])
    is_late = int(digits[:2]) + 2000 <= dt.date.today().year  # noqa: DTZ011  a year's turn matters to nobody
    fits = 97 - rest % 97 == check or (is_late and 97 - (2 * 10**9 + rest) % 97 == check)
    return fits and month <= _LAST_MONTH and int(digits) > 0


def is_swedish(text: str) -> bool:
    """Ten or twelve digits; a plus sign stands for a century more."""
    digits, today = digits_of(text), dt.date.today()  # noqa: DTZ011
    if len(digits) == len("YYYYMMDDNNNN"):
        year = int(digits[:4])
    else:
        century = today.year // 100 - (int(digits[:2]) > today.year % 100) - ("+" in text)
        year = century * 100 + int(digits[:2])
    return _is_day(year, int(digits[-8:-6]), int(digits[-6:-4])) and luhn(digits[-10:])


def is_finnish(text: str) -> bool:
    day, month, year, individual = int(text[:2]), int(text[2:4]), int(text[4:6]), int(text[7:10])
    century = 1800 if text[6] == "+" else 2000 if text[6] in "ABCDEF" else 1900
    letter = _FINNISH_LETTERS[int(text[:6] + text[7:10]) % len(_FINNISH_LETTERS)]
    return letter == text[10] and individual in _FINNISH and _is_day(century + year, month, day)


def is_norwegian(text: str) -> bool:
    digits = digits_of(text)
    if any(_remainder(digits, weights, 11) for weights in _NORWEGIAN):
        return False
    day, month, year, individual = int(digits[:2]), int(digits[2:4]), int(digits[4:6]), int(digits[6:9])
    century = _norwegian_century(year, individual)
    if day >= _FH or century is None:
        return False
    day, month = day - 40 * (day > 40), month - 40 * (month > 40)  # noqa: PLR2004  of D-numbers, and of others that are no real people's
    return _is_day(century + year, month, day) and dt.date(century + year, month, day) <= dt.date.today()  # noqa: DTZ011


def _norwegian_century(year: int, individual: int) -> int | None:
    if individual < 500:  # noqa: PLR2004  the ranges of Skatteetaten
        return 1900
    if individual < 750 and year >= 54:  # noqa: PLR2004
        return 1800
    if year < 40:  # noqa: PLR2004
        return 2000
    return 1900 if individual >= 900 else None  # noqa: PLR2004


def is_czech(text: str) -> bool:
    """Ten digits. The months of women are 50 more, and of days that were full another 20."""
    digits = digits_of(text)
    year = 1900 + int(digits[:2])
    year += 100 * (year < _FIRST_OF_TEN)
    return int(digits[:9]) % 11 % 10 == int(digits[9]) and _is_day(year, int(digits[2:4]) % 50 % 20, int(digits[4:6]))


def is_korean(text: str) -> bool:
    digits = digits_of(text)
    century = 1900 if digits[6] in "1256" else 2000 if digits[6] in "3478" else 1800
    if int(digits[7:9]) > _KOREAN_PLACES or not _is_day(century + int(digits[:2]), int(digits[2:4]), int(digits[4:6])):
        return False
    return (11 - _remainder(digits[:12], _KOREAN, 11)) % 10 == int(digits[12])


def is_chinese(text: str) -> bool:
    """ISO 7064 mod 11, 2; a district that was one in the year of birth."""
    year = int(text[6:10])
    return (
        text[17] == _CHINESE_CHECKS[(1 - 2 * int(text[:17], 13)) % 11]
        and _is_day(year, int(text[10:12]), int(text[12:14]))
        and any(first <= year <= last for first, last in _years_of(text[:6]))
    )


@lru_cache(_MOST_DISTRICTS)
def _years_of(district: str) -> tuple[tuple[int, int], ...]:
    """When a Chinese district had its number, by python-stdnum's table."""
    county = numdb.get("cn/loc").info(district)[-1][1].get("county")
    periods = [_PERIOD.match(name) for name in county.split(",")] if county else ()
    return tuple((int(period[1] or 0), int(period[2] or dt.MAXYEAR)) if period else (0, dt.MAXYEAR) for period in periods)


def is_italian(text: str) -> bool:
    text = text.upper()
    code = text.encode()
    if (sum(code[:15:2].translate(_ITALIAN_ODD)) + sum(code[1:15:2].translate(_ITALIAN_EVEN))) % 26 != code[15] - _LETTERS[0]:
        return False
    year, day = int(text[6:8].translate(_ITALIAN_DIGITS)), int(text[9:11].translate(_ITALIAN_DIGITS))
    century = 2000 if year < _ITALIAN_YEARS else 1900
    return _is_day(century + year, _ITALIAN_MONTHS.index(text[8]) + 1, day % _ITALIAN_WOMEN)


def is_mexican(text: str) -> bool:
    text = text.upper()
    values = text.encode().translate(_MEXICAN)
    if text[10] == "X" or (sum(map(mul, values[:17], range(18, 1, -1))) + values[17]) % 10:
        return False
    century = 1900 if text[16].isdecimal() else 2000
    is_known = text[11:13] in _MEXICAN_STATES and text[:4] not in _MEXICAN_WORDS
    return is_known and _is_day(century + int(text[4:6]), int(text[6:8]), int(text[8:10]))
