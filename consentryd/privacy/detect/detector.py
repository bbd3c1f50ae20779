"""What a detector is: a pattern that is cheap to look for, and a check that makes sure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple


class Gate:
    """The cheap signs, seen in one pass over the bytes of an event, without which a family of detectors cannot match (`privacy.gate`).

    Plain integers to be joined with `|`: an `IntFlag` costs a microsecond for each `&`.
    """

    AT: Final = 1
    ENCODED: Final = 2
    PLUS: Final = 4
    DIGITS: Final = 8
    SHAPE: Final = 16
    RUN: Final = 32
    ADDRESS: Final = 64
    QUERY: Final = 128
    FILE_PATH: Final = 256
    FOREIGN: Final = 512
    FRAGMENT: Final = 1024
    AGENT: Final = 2048
    ALL: Final = 4095


class Finding(NamedTuple):
    """A confirmed span of a text."""

    start: int
    end: int
    name: str
    kind: str


def always(_: re.Match[str]) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Detector:
    """One kind of personal data in free text.

    `pattern` never matches a quotation mark, and its ends look only at word characters, so that it finds in the JSON of an event
    what it finds in the event's texts. `check` confirms a match (checksum, table). `group` names the span to redact. Pure digits
    that are a whole value under a key such as `order_id` are ids, not findings, where `id_like` is set. `kind` is a family that
    a rule may name instead of the detector. `sign` stands in every match, letter case aside: where it is not, there is no need to look;
    nor under one of the gates `unless`, where another detector of the family looks for more.
    """

    name: str
    gate: int
    pattern: re.Pattern[str]
    check: Callable[[re.Match[str]], bool] = always
    group: int | str = 0
    kind: str = ""
    id_like: bool = False
    sign: str = ""
    unless: int = 0

    def find(self, text: str) -> Iterator[Finding]:
        """The confirmed matches."""
        for match in self.pattern.finditer(text):
            if self.check(match):
                yield Finding(*match.span(self.group), self.name, self.kind)


def digits_of(text: str) -> str:
    """The ASCII digits of a text."""
    return text if text.isdecimal() else text.encode("ascii", "ignore").translate(None, _NO_DIGITS).decode()


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B, of at most 28 digits. 256 is 1 modulo 255: the remainder of bytes read as one number is their sum."""
    text = digits.encode()
    return int.from_bytes(text[-1::-2].translate(_VALUES) + text[-2::-2].translate(_DOUBLED)) % 255 % 10 == 0


_DIGITS = b"0123456789"
_NO_DIGITS = bytes(byte for byte in range(128) if byte not in _DIGITS)
_VALUES = bytes.maketrans(_DIGITS, bytes(range(10)))
_DOUBLED = bytes.maketrans(_DIGITS, bytes([0, 2, 4, 6, 8, 1, 3, 5, 7, 9]))
