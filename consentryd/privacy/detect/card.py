"""Payment card numbers: length and issuer range (ISO/IEC 7812), then the Luhn digit."""

from __future__ import annotations

import re
from typing import Final

from consentryd.privacy.detect.detector import Detector, Gate, digits_of, luhn

#: First and last prefix of an issuer's range, and the lengths it issues.
_RANGES: Final[tuple[tuple[int, int, frozenset[int]], ...]] = (
    (4, 4, frozenset({13, 16, 19})),  # Visa
    (51, 55, frozenset({16})),  # Mastercard
    (2221, 2720, frozenset({16})),  # Mastercard
    (34, 34, frozenset({15})),  # American Express
    (37, 37, frozenset({15})),
    (300, 305, frozenset({14, 16, 17, 18, 19})),  # Diners Club
    (3095, 3095, frozenset({14, 16, 17, 18, 19})),
    (36, 36, frozenset({14, 16, 17, 18, 19})),
    (38, 39, frozenset({14, 16, 17, 18, 19})),
    (6011, 6011, frozenset({16, 17, 18, 19})),  # Discover
    (644, 649, frozenset({16, 17, 18, 19})),
    (65, 65, frozenset({16, 17, 18, 19})),
    (3528, 3589, frozenset({16, 17, 18, 19})),  # JCB
    (1800, 1800, frozenset({15})),
    (2131, 2131, frozenset({15})),
    (62, 62, frozenset({16, 17, 18, 19})),  # UnionPay
    (81, 81, frozenset({16, 17, 18, 19})),
    (50, 50, frozenset(range(12, 20))),  # Maestro
    (56, 58, frozenset(range(12, 20))),
    (60, 61, frozenset(range(12, 20))),  # Maestro, RuPay
    (63, 64, frozenset(range(12, 20))),
    (66, 69, frozenset(range(12, 20))),
    (2200, 2204, frozenset(range(16, 20))),  # Mir
    (9792, 9792, frozenset({16})),  # Troy
)


def _by_first_digits() -> dict[str, frozenset[int]]:
    """Lengths by four-digit prefix: one look-up a candidate."""
    table: dict[str, frozenset[int]] = {}
    for first, last, lengths in _RANGES:
        scale = 10 ** (4 - len(str(first)))
        for prefix in range(first * scale, (last + 1) * scale):
            table[f"{prefix:04}"] = table.get(f"{prefix:04}", frozenset()) | lengths
    return table


_LENGTHS: Final = _by_first_digits()


def is_card(digits: str) -> bool:
    """Whether a number of an issuer's range and length, with a right check digit."""
    lengths = _LENGTHS.get(digits[:4])
    return lengths is not None and len(digits) in lengths and len(set(digits)) > 1 and luhn(digits)


CARD: Final = Detector(
    name="card",
    gate=Gate.DIGITS,
    pattern=re.compile(r"(?<![\w.+-])[1-9]\d{3}(?:[ -]?\d){8,15}(?![\w-])(?!\.\d)", re.ASCII),
    check=lambda match: is_card(digits_of(match[0])),
    id_like=True,
)

DETECTORS: Final = (CARD,)
