"""Check digits of national numbers whose form is known to fit: a few operations each, where a general library first takes the text apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import mul
from typing import Final

from consentryd.privacy.detect.detector import digits_of, luhn

_TO_VALUES: Final = bytes.maketrans(b"0123456789", bytes(range(10)))
_DNI_LETTERS: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
_NIE_FIRST: Final = str.maketrans("XYZ", "012")
_ADVERTISED: Final = frozenset({"078051120", "457555462", "219099999"})  # printed on specimens
_ITIN_GROUPS: Final = frozenset([*range(50, 66), *range(70, 89), *range(90, 93), *range(94, 100)])  # IRS, Publication 1915
_REPEATS: Final = frozenset({2, 3})
_RUT_WEIGHTS: Final = (9, 8, 7, 6, 5, 4, 9, 8)
_CORSICA: Final = {"2A": "19", "2B": "18"}

#: Verhoeff's multiplication table of the dihedral group of ten, and his permutations.
_TIMES: Final = [
    [(i + j) % 5 if i < 5 > j else (i + j) % 5 + 5 if i < 5 else (i - j) % 5 + 5 if j < 5 else (i - j) % 5 for j in range(10)]  # noqa: PLR2004
    for i in range(10)
]


def _permutations() -> list[list[int]]:
    rows = [list(range(10)), [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
    while len(rows) < 8:  # noqa: PLR2004  the eighth is the first again
        rows.append([rows[-1][digit] for digit in rows[1]])
    return rows


_PERMUTED: Final = _permutations()


def _values(text: str) -> bytes:
    return digits_of(text).encode().translate(_TO_VALUES)


def weighted(weights: Sequence[int], modulus: int) -> Callable[[str], bool]:
    """The sum of the digits, each times its weight, is a multiple of `modulus`."""
    return lambda text: sum(map(mul, _values(text), weights)) % modulus == 0


is_nhs: Final = weighted(range(10, 0, -1), 11)
is_tfn: Final = weighted((1, 4, 3, 7, 5, 8, 6, 9, 10), 11)
is_ahv: Final = weighted((1, 3) * 6 + (1,), 10)


def is_sin(text: str) -> bool:
    return luhn(digits_of(text))


def is_ssn(text: str) -> bool:
    """Areas 000, 666 and 9xx, group 00 and serial 0000 are given to nobody."""
    digits = digits_of(text)
    unused = digits[:3] in {"000", "666"} or digits[0] == "9" or digits[3:5] == "00" or digits[5:] == "0000"
    return not unused and digits not in _ADVERTISED


def is_itin(text: str) -> bool:
    return int(digits_of(text)[3:5]) in _ITIN_GROUPS


def is_dni(text: str) -> bool:
    return text[-1] == _DNI_LETTERS[int(digits_of(text)) % 23]


def is_nie(text: str) -> bool:
    return is_dni(text[0].translate(_NIE_FIRST) + text[1:])


def _double(first: Sequence[int], second: Sequence[int]) -> Callable[[str], bool]:
    """Two check digits, each by weights modulo 11; the second counts the first in. Brazil."""

    def check(text: str) -> bool:
        values = _values(text)
        found = [-sum(map(mul, values, weights)) % 11 % 10 for weights in (first, second)]
        return any(values[:-2]) and found == list(values[-2:])

    return check


is_cpf: Final = _double(range(10, 1, -1), range(11, 1, -1))
is_cnpj: Final = _double((5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2), (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2))


def is_steuer_id(text: str) -> bool:
    """One digit of the first ten stands there twice or three times, all others once at most; ISO 7064 mod 11, 10."""
    values = _values(text)
    repeated = [count for count in map(values[:10].count, set(values[:10])) if count > 1]
    if len(repeated) != 1 or repeated[0] not in _REPEATS:
        return False
    check = 5
    for value in values[:10]:
        check = ((check or 10) * 2 % 11 + value) % 10
    return ((check or 10) * 2 % 11 + values[10]) % 10 == 1


def is_aadhaar(text: str) -> bool:
    """Verhoeff; no palindromes."""
    values = _values(text)
    check = 0
    for place, value in enumerate(reversed(values)):
        check = _TIMES[check][_PERMUTED[place % 8][value]]
    return check == 0 and values != values[::-1]


def is_rut(text: str) -> bool:
    """Weights 9 to 4 from the right, modulo 11. Chile."""
    return text[-1] == "0123456789K"[sum(map(mul, _values(text[:-1])[::-1], _RUT_WEIGHTS)) % 11]


def is_nir(text: str) -> bool:
    """97 less the rest modulo 97; 2A and 2B, Corsica, count as 19 and 18. France."""
    compact = text.replace(" ", "")
    department = compact[5:7]
    number = compact[:5] + _CORSICA.get(department, department) + compact[7:13]
    return number.isdecimal() and 97 - int(number) % 97 == int(compact[13:])


def is_pan(text: str) -> bool:
    return text[5:9] != "0000"
