"""What a detector is: a pattern that is cheap to look for, and a check that makes sure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntFlag


class Gate(IntFlag):
    """The cheap signs, one pass over the bytes of an event, without which a family of detectors cannot match (`privacy.gate`)."""

    NONE = 0
    AT = 1
    ENCODED = 2
    PLUS = 4
    DIGITS = 8
    SHAPE = 16
    RUN = 32
    ADDRESS = 64
    QUERY = 128
    FILE_PATH = 256
    BASIC = 512


def always(_: re.Match[str]) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Detector:
    """One kind of personal data in free text.

    `pattern` never matches a quotation mark, and its ends look only at word characters, so that it finds in the JSON of an event
    what it finds in the event's texts. `check` confirms a match (checksum, table). `group` names the span to redact. Pure digits
    that are a whole value under a key such as `order_id` are ids, not findings, where `id_like` is set. `kind` is a family that
    a rule may name instead of the detector.
    """

    name: str
    gate: Gate
    pattern: re.Pattern[str]
    check: Callable[[re.Match[str]], bool] = always
    group: int | str = 0
    kind: str = ""
    id_like: bool = False

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """The spans of confirmed matches."""
        for match in self.pattern.finditer(text):
            if self.check(match):
                yield match.span(self.group)


def digits_of(text: str) -> str:
    return "".join(filter(str.isdecimal, text))


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B."""
    odd = sum(map(int, digits[-1::-2]))
    even = sum(_DOUBLED[int(digit)] for digit in digits[-2::-2])
    return (odd + even) % 10 == 0


_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
