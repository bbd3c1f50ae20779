"""Bits in base64url text, as IAB consent strings carry them: strict alphabet, strict length, zero padding."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from consentryd.consent.signals.reading import Invalid, InvalidSignal

#: The longest real strings have about 2,000 characters; a header holds 8,190.
MAX_CHARS: Final = 16_384

#: Producers fill up to whole characters (6 bits), whole bytes (8) or whole groups of both (24).
PADDINGS: Final = frozenset({6, 8, 24})

_ALPHABET = re.compile(r"[A-Za-z0-9_-]+")
_FIBONACCI = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584, 4181, 6765, 10946, 17711, 28657, 46368)


class Ids(NamedTuple):
    """A set of ids from 1 to 65,535: as a bit field of `size` bits, first id first, or as closed ranges."""

    size: int = 0
    field: int = 0
    ranges: tuple[tuple[int, int], ...] = ()

    def has(self, number: int) -> bool:
        if self.field:
            return 1 <= number <= self.size and bool(self.field >> (self.size - number) & 1)
        return any(start <= number <= end for start, end in self.ranges)

    def each(self) -> Iterator[int]:
        if self.field:
            yield from (number for number in range(1, self.size + 1) if self.has(number))
        for start, end in self.ranges:
            yield from range(start, end + 1)


class Bits:
    """Reads one segment from its first bit on. Raises `InvalidSignal` at the first thing that is wrong."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARS:
            raise InvalidSignal(Invalid.TOO_LONG, "a segment is too long")
        if not text:
            raise InvalidSignal(Invalid.TRUNCATED, "a segment is empty")
        if not _ALPHABET.fullmatch(text):
            raise InvalidSignal(Invalid.MALFORMED, "a character is not base64url")
        whole = text + "A" * (-len(text) % 4)
        # as text: to cut a piece out of a number costs as much as the whole number is long
        self._bits = f"{int.from_bytes(b64decode(whole, b'-_')):0{len(whole) * 6}b}"[: len(text) * 6]
        self._at = 0

    def number(self, bits: int) -> int:
        end = self._at + bits
        if end > len(self._bits):
            raise self._truncated()
        value = int(self._bits[self._at : end] or "0", 2)
        self._at = end
        return value

    def flag(self) -> bool:
        return self.number(1) == 1

    def members(self, bits: int) -> frozenset[int]:
        """A bit field as the set of its positions, counted from 1."""
        field = self.number(bits)
        return frozenset(position for position in range(1, bits + 1) if field >> (bits - position) & 1)

    def letters(self, count: int) -> str:
        numbers = [self.number(6) for _ in range(count)]
        if max(numbers) > 25:
            raise InvalidSignal(Invalid.MALFORMED, "a letter is not from A to Z")
        return "".join(chr(65 + number) for number in numbers)

    def ids(self, *, fibonacci: bool = False) -> Ids:
        """A vendor set: the highest id, then a bit field or ranges."""
        size = self.number(16)
        if not self.flag():
            return Ids(size, self.number(size))
        ranges = self.fibonacci_ranges(size) if fibonacci else self.ranges()
        if ranges and ranges[-1][1] > size:
            raise InvalidSignal(Invalid.MALFORMED, "a range ends behind the highest id")
        return Ids(size, 0, ranges)

    def ranges(self) -> tuple[tuple[int, int], ...]:
        """12 bits of count, then single ids or ranges of 16-bit ids, in rising order."""
        found: list[tuple[int, int]] = []
        last = 0
        for _ in range(self.number(12)):
            is_range, start = self.flag(), self.number(16)
            end = self.number(16) if is_range else start
            if not last < start <= end:
                raise InvalidSignal(Invalid.MALFORMED, "ranges are not in rising order")
            last = end
            found.append((start, end))
        return tuple(found)

    def fibonacci_ranges(self, most: int) -> tuple[tuple[int, int], ...]:
        """12 bits of count, then offsets from the last id, and lengths, in Fibonacci code. An id above `most` is the last that is read."""
        found: list[tuple[int, int]] = []
        last = 0
        for _ in range(self.number(12)):
            is_range = self.flag()
            start = last + self.fibonacci()
            last = start + self.fibonacci() if is_range else start
            found.append((start, last))
            if last > most:
                break
        return tuple(found)

    def fibonacci(self) -> int:
        """A number from 1 on, as a sum of Fibonacci numbers, closed by two ones."""
        last = self._at + len(_FIBONACCI)
        end = self._bits.find("11", self._at, last)
        if end < 0:
            if len(self._bits) < last:
                raise self._truncated()
            raise InvalidSignal(Invalid.MALFORMED, "a Fibonacci code has no end")
        code = self._bits[self._at : end + 1]
        self._at = end + 2
        return _sum(code)

    def rest(self) -> int:
        """How many bits are left, padding included."""
        return len(self._bits) - self._at

    def end(self, paddings: frozenset[int] = PADDINGS) -> frozenset[int]:
        """The paddings with which this segment ends here. Raises when anything but a known padding of zeros follows."""
        if "1" in self._bits[self._at :]:
            raise InvalidSignal(Invalid.MALFORMED, "the padding is not zero")
        possible = frozenset(padding for padding in paddings if _padded(self._at, padding) * 6 == len(self._bits))
        if not possible:
            raise InvalidSignal(Invalid.MALFORMED, "a segment has the wrong length")
        return possible

    def _truncated(self) -> InvalidSignal:
        return InvalidSignal(Invalid.TRUNCATED, f"a segment ends at bit {len(self._bits)}")


@lru_cache(maxsize=1024)
def _sum(code: str) -> int:
    return sum(weight for weight, bit in zip(_FIBONACCI, code, strict=False) if bit == "1")


def _padded(bits: int, padding: int) -> int:
    """Characters that hold so many bits, filled up to a multiple of `padding`."""
    filled = -(-bits // padding) * padding
    return -(-filled // 6)
