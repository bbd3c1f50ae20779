"""Payment card numbers: length and issuer range (ISO/IEC 7812), then the Luhn digit.

Grouped numbers may be of any range that a scheme owns. Of digits only, four random numbers of 16 in a hundred would pass that, so they
must be of a range and a length that is issued.
"""

from __future__ import annotations

import re
from typing import Final

from consentryd.privacy.detect.detector import Detector, Gate, digits_of, luhn

_Ranges = tuple[tuple[int, int, frozenset[int]], ...]

#: First and last prefix of an issuer's range, and its lengths.
_ISSUED: Final[_Ranges] = (
    (4, 4, frozenset({13, 16, 19})),  # Visa
    (51, 55, frozenset({16})),  # Mastercard
    (2221, 2720, frozenset({16})),  # Mastercard
    (34, 34, frozenset({15})),  # American Express
    (37, 37, frozenset({15})),
    (300, 305, frozenset({14, 16})),  # Diners Club
    (3095, 3095, frozenset({14, 16})),
    (36, 36, frozenset({14, 16})),
    (38, 39, frozenset({14, 16})),
    (6011, 6011, frozenset({16, 17, 18, 19})),  # Discover
    (644, 649, frozenset({16, 17, 18, 19})),
    (65, 65, frozenset({16, 17, 18, 19})),
    (3528, 3589, frozenset({16, 17, 18, 19})),  # JCB
    (1800, 1800, frozenset({15})),
    (2131, 2131, frozenset({15})),
    (62, 62, frozenset({16, 17, 18, 19})),  # UnionPay
    (8100, 8171, frozenset({16, 17, 18, 19})),
    *(
        (prefix, prefix, frozenset(range(12, 20))) for prefix in (5018, 5020, 5038, 5612, 5641, 5893, 6304, 6331, 6333, 6334)
    ),  # Maestro
    *(
        (prefix, prefix, frozenset(range(12, 20)))
        for prefix in (6390, 6703, 6706, 6709, 6759, 6761, 6762, 6763, 6767, 6771, 6799)
    ),
    (5085, 5089, frozenset({16})),  # RuPay
    (6069, 6085, frozenset({16})),
    (2200, 2204, frozenset(range(16, 20))),  # Mir
    (9792, 9792, frozenset({16})),  # Troy
)

#: What schemes own besides, and hardly issue.
_OWNED: Final[_Ranges] = (
    (300, 305, frozenset({17, 18, 19})),  # Diners Club
    (3095, 3095, frozenset({17, 18, 19})),
    (36, 36, frozenset({17, 18, 19})),
    (38, 39, frozenset({17, 18, 19})),
    (81, 81, frozenset({16, 17, 18, 19})),  # UnionPay
    (50, 50, frozenset(range(12, 20))),  # Maestro
    (56, 58, frozenset(range(12, 20))),
    (60, 61, frozenset(range(12, 20))),  # Maestro, RuPay
    (63, 64, frozenset(range(12, 20))),
    (66, 69, frozenset(range(12, 20))),
)


def _by_first_digits(ranges: _Ranges) -> dict[str, frozenset[int]]:
    """Lengths by four-digit prefix: one look-up a candidate. Of equal lengths there is one set: one for each prefix would take 3 MB."""
    table: dict[str, frozenset[int]] = {}
    known: dict[frozenset[int], frozenset[int]] = {}
    for first, last, lengths in ranges:
        scale = 10 ** (4 - len(str(first)))
        for prefix in range(first * scale, (last + 1) * scale):
            joined = table.get(f"{prefix:04}", frozenset()) | lengths
            table[f"{prefix:04}"] = known.setdefault(joined, joined)
    return table


_BARE: Final = _by_first_digits(_ISSUED)
_GROUPED: Final = _by_first_digits(_ISSUED + _OWNED)


def is_card(text: str) -> bool:
    """Whether digits, maybe in groups, are a number of an issuer's range and length with a right check digit."""
    digits = digits_of(text)
    lengths = (_BARE if len(digits) == len(text) else _GROUPED).get(digits[:4])
    return lengths is not None and len(digits) in lengths and digits.count(digits[0]) < len(digits) and luhn(digits)


def is_issued(text: str) -> bool:
    """Whether digits are a number of a range and length that is issued, with a right check digit, whatever parts them."""
    digits = digits_of(text)
    return is_card(digits) and not (len(digits) == _CHINESE and text[-1:] in "xX")


_CHINESE: Final = 17  # digits of a national number, before a check digit that may be an X

#: Twelve digits and more without a gap are the whole number: what follows is a count, a year or a security code.
CARD: Final = Detector(
    name="card",
    gate=Gate.DIGITS,
    pattern=re.compile(
        r"(?<![\w.+-])[1-9]\d{3}(?:\d{8,15}|(?!\d{8})(?:[ -]?\d){8,15})(?![\w-])(?!\.(?!0{1,2}(?![\w.]))\d)", re.ASCII
    ),
    check=lambda match: is_card(match[0]),
    id_like=True,
)

#: Before or behind other groups of digits: a security code, the month of expiry, an amount. It may begin in any group, but is of
#: 14 to 16 digits only or grouped as it is embossed, for many stretches of many groups have a right check digit. Five groups of four with
#: dashes are a voucher's.
CARD_AMONG: Final = Detector(
    name="card",
    gate=Gate.DIGITS,
    pattern=re.compile(
        r"(?<![\w.+-])(?=(?P<number>[1-9]\d{3}(?:(?P<gap>[ -])(?:\d{4}(?P=gap)\d{4}(?P=gap)\d{4}|\d{6}(?P=gap)\d{4,5})"
        r"|\d{10,12}(?!-)))(?!\w|\.\d|-[A-Za-z]|-\d{4}))[1-9]",
        re.ASCII,
    ),
    check=lambda match: is_card(match["number"]),
    group="number",
    id_like=True,
)

#: Groups parted by other signs, all of one kind; after a sign (E.164 has 15 digits at most) or `No.`; before a single letter.
CARD_PARTED: Final = Detector(
    name="card",
    gate=Gate.DIGITS,
    pattern=re.compile(
        r"(?:(?<![\w.+-])(?<!\d[\t/,])(?<!\d  )"
        r"[1-9]\d{3}(?P<gap>  | - |[\t_/,.])(?:\d{4}(?P=gap)\d{4}(?P=gap)\d{4}|\d{6}(?P=gap)\d{5})(?!(?P=gap)\d{4})"
        r"|(?:(?<=-)(?<![\w.+-]-)|(?<=[Nn][or]\.))[1-9]\d{3}(?:[ -]?\d){8,15}|(?<=\+)(?<![\w.+-]\+)[1-9]\d{3}(?:[ -]?\d){12,15})"
        r"(?![\w-])(?!\.\d)"
        r"|(?<![\w.+-])[1-9]\d{3}(?:[ -]?\d){8,15}(?=-?[A-Za-z](?![\w-]))",
        re.ASCII,
    ),
    check=lambda match: is_issued(match.string[match.start() : match.end() + 1]),
)

#: The first track of a magnetic stripe (ISO/IEC 7813), which has the holder's name.
TRACK: Final = Detector(
    name="card",
    gate=Gate.DIGITS,
    sign="^",
    pattern=re.compile(r"%?[A-Z](?P<number>[1-9]\d{11,18})\^[^^?\"\r\n]{1,30}(?:\^[\w ]{0,60}\??)?", re.ASCII),
    check=lambda match: is_card(match["number"]),
)

DETECTORS: Final = (TRACK, CARD, CARD_AMONG, CARD_PARTED)
