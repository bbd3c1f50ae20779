"""National identity, tax and health numbers that carry a check digit and a form of their own.

Numbers that are only digits (BSN, PESEL, Steuer-ID, ... unparted) are told from other ids by their key, not here: one random number in
ten passes a check digit. Here stand those whose letters, grouping, dates or stronger checks make a chance match rare.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final, NamedTuple

from consentryd.privacy.detect.birth_number import (
    is_belgian,
    is_chinese,
    is_czech,
    is_finnish,
    is_italian,
    is_korean,
    is_mexican,
    is_norwegian,
    is_swedish,
)
from consentryd.privacy.detect.check_digit import (
    is_aadhaar,
    is_ahv,
    is_cnpj,
    is_cpf,
    is_dni,
    is_itin,
    is_nhs,
    is_nie,
    is_nir,
    is_pan,
    is_rut,
    is_sin,
    is_ssn,
    is_steuer_id,
    is_tfn,
)
from consentryd.privacy.detect.detector import Detector, Finding, Gate

KIND: Final = "national_id"


def _always(_: str) -> bool:
    return True


_NRIC_WEIGHTS: Final = (2, 7, 6, 5, 4, 3, 2)
_NRIC_LETTERS: Final = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK", "M": "XWUTRQPNJLK"}
_NRIC_OFFSETS: Final = {"S": 0, "F": 0, "T": 4, "G": 4, "M": 3}


def _is_nric(text: str) -> bool:
    """Singapore: a weighted sum of seven digits and an offset by the series, modulo 11, gives the letter."""
    series, digits, letter = text[0].upper(), text[1:8], text[8].upper()
    total = _NRIC_OFFSETS[series] + sum(weight * int(digit) for weight, digit in zip(_NRIC_WEIGHTS, digits, strict=True))
    return letter == _NRIC_LETTERS[series][total % 11]


class Number(NamedTuple):
    """One country's number: its form, and the check of a text of that form. `id_like` forms are digits only."""

    name: str
    form: str
    check: Callable[[str], bool] = _always
    id_like: bool = False


NUMBERS: Final = (
    Number("us_ssn", r"[0-8][0-9]{2}(?P<part>[ -])[0-9]{2}(?P=part)[0-9]{4}", is_ssn),
    Number("us_itin", r"9[0-9]{2}(?P<part>[ -])[5-9][0-9](?P=part)[0-9]{4}", is_itin),
    Number("uk_nino", r"(?!BG|GB|KN|NK|NT|TN|ZZ)[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z][ ]?(?:[0-9]{2}[ ]?){3}[A-D]"),
    Number("uk_nhs", r"[0-9]{3}(?P<part>[ -])[0-9]{3}(?P=part)[0-9]{4}", is_nhs),
    Number("es_dni", r"[0-9]{8}-?[A-HJ-NP-TV-Z]", is_dni),
    Number("es_nie", r"[XYZ]-?[0-9]{7}-?[A-HJ-NP-TV-Z]", is_nie),
    Number("it_cf", r"(?i:[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z])", is_italian),
    Number("fr_nir", r"[12] ?[0-9]{2} ?[0-9]{2} ?[0-9][0-9AB] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}", is_nir),
    Number("de_steuer_id", r"[1-9][0-9][ /][0-9]{3}[ /][0-9]{3}[ /][0-9]{3}", is_steuer_id),
    Number("be_nn", r"[0-9]{2}\.?[0-9]{2}\.?[0-9]{2}-?[0-9]{3}\.?[0-9]{2}", is_belgian, id_like=True),
    Number("se_pnr", r"(?:19|20)?[0-9]{6}[-+][0-9]{4}", is_swedish),
    Number("fi_hetu", r"[0-3][0-9][01][0-9]{3}[-+ABCDEFUVWXY][0-9]{3}[0-9A-FHJ-NPR-Y]", is_finnish),
    Number("no_fnr", r"[0-9]{6}[ ]?[0-9]{5}", is_norwegian, id_like=True),
    Number("ch_ahv", r"756\.?[0-9]{4}\.?[0-9]{4}\.?[0-9]{2}", is_ahv),
    Number("cz_rc", r"[0-9]{6}/[0-9]{4}", is_czech),
    Number("br_cpf", r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", is_cpf),
    Number("br_cnpj", r"[0-9]{2}\.[0-9]{3}\.[0-9]{3}/[0-9]{4}-[0-9]{2}", is_cnpj),
    Number("cl_rut", r"[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9K]", is_rut),
    Number("mx_curp", r"(?i:[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9])", is_mexican),
    Number("in_aadhaar", r"[2-9][0-9]{3}(?P<part>[ -])[0-9]{4}(?P=part)[0-9]{4}", is_aadhaar),
    Number("in_pan", r"[A-Z]{3}[PCHFATBLJG][A-Z][0-9]{4}[A-Z]", is_pan),
    Number("cn_ric", r"[1-9][0-9]{5}(?:19|20)[0-9]{2}[01][0-9][0-3][0-9]{4}[0-9X]", is_chinese),
    Number("kr_rrn", r"[0-9]{6}-[0-9]{7}", is_korean),
    Number("sg_nric", r"[STFGM][0-9]{7}[A-Z]", _is_nric),
    Number("ca_sin", r"[1-79][0-9]{2}(?P<part>[ -])[0-9]{3}(?P=part)[0-9]{3}", is_sin),
    Number("au_tfn", r"[0-9]{3} [0-9]{3} [0-9]{3}", is_tfn),
)


class _NationalIds(Detector):
    """All numbers in one search: candidates by the union of the forms, then every number whose form the candidate has."""

    __slots__ = ()

    def find(self, text: str) -> Iterator[Finding]:
        for match in self.pattern.finditer(text):
            name = name_of(match[0], match.lastgroup)
            if name is not None:
                yield Finding(match.start(), match.end(), name, KIND)


def name_of(candidate: str, likely: str | None) -> str | None:
    """The number that a candidate is. Forms overlap: the one that matched first is tried first, then all."""
    number, form = FORMS[likely or ""]
    if (likely not in _LOOSE or form.fullmatch(candidate)) and number.check(candidate):
        return number.name
    return next((each.name for each, its in FORMS.values() if its.fullmatch(candidate) and each.check(candidate)), None)


_USUAL: Final = Gate.DIGITS | Gate.SHAPE
_PART: Final = re.compile(r"\(\?P<part>.*?\)|\(\?P=part\)")


def loose(number: Number) -> str:
    """A number's form in which two equal gaps may differ: fit to stand beside others in one expression."""
    return _PART.sub("[ -]", number.form)


def _union(numbers: Iterable[Number]) -> re.Pattern[str]:
    forms = "|".join(f"(?P<{number.name}>{loose(number)})" for number in numbers)
    return re.compile(rf"(?<![\w.+-])(?:{forms})(?![\w-])(?!\.[0-9])", re.ASCII)


def _family(numbers: tuple[Number, ...], *, id_like: bool) -> Detector:
    return _NationalIds(KIND, _USUAL, _union(numbers), kind=KIND, id_like=id_like)


def _rest(gate: int, names: Collection[str]) -> Detector:
    """The few numbers that show no other sign than `gate`."""
    return _NationalIds(KIND, gate, _union(number for number in NUMBERS if number.name in names), kind=KIND, unless=_USUAL)


FORMS: Final = {number.name: (number, re.compile(number.form, re.ASCII)) for number in NUMBERS}
_LOOSE: Final = {number.name for number in NUMBERS if loose(number) != number.form}

_REST: Final = (_rest(Gate.RUN, {"it_cf"}), _rest(Gate.PLUS, {"se_pnr", "fi_hetu"}))

DETECTORS: Final = (_family(NUMBERS, id_like=True), *_REST)

#: For whole values under a key such as `order_id`: only the numbers that no plain id looks like.
FOR_IDS: Final = (_family(tuple(number for number in NUMBERS if not number.id_like), id_like=False),)
