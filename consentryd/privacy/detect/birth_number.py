"""Checks of national numbers that hold a birth date, whose form is known to fit: check digits, and whether there was such a day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from operator import mul
from typing import Final

from consentryd.privacy.detect.detector import digits_of, luhn

_TO_VALUES: Final = bytes.maketrans(b"0123456789", bytes(range(10)))
_NORWEGIAN: Final = ((3, 7, 6, 1, 8, 9, 4, 5, 2, 1), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1))
_KOREAN: Final = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5, 1)
_KOREAN_PLACES: Final = 96
_FINNISH_LETTERS: Final = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_FINNISH: Final = range(2, 900)  # others are for hospitals
_FIRST_OF_TEN: Final = 1954  # Czech numbers before it have nine digits
_LAST_MONTH: Final = 12
_FH: Final = 80  # a Norwegian number without a date


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
