"""Sets of buckets as bits: bit b of word w of a subject is bucket 64 w + b.

Words are uint64[w, n]: w words for each of n subjects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Final

import numpy as np
import numpy.typing as npt

from consentryd.storage.rollup import Days

Words = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
WORD: Final = 64
#: Up to so many rows, bits are moved one by one; beyond it, 16 at a time by a table.
_FEW: Final = 4_096

#: For each byte which of its bits are set.
_BITS: Final = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").astype(np.int64)


def words_of(buckets: int) -> int:
    return max(1, -(-buckets // WORD))


def spread(days: Days, places: Sequence[int], buckets: int) -> Words:
    """Days' bits as buckets' bits; day i is in bucket `places[i]`, which is not less than that of the day before."""
    runs = tuple((place, first, count) for place, first, count in _runs(places) if 0 <= place < buckets)
    single = all(count == 1 for _, _, count in runs) and len(runs) == runs[-1][0] - runs[0][0] + 1 if runs else False
    if single:
        found: Words = np.zeros((words_of(buckets), len(days)), np.uint64)
        _move(days.astype(np.uint64) >> np.uint64(runs[0][1]) & _ones(len(runs)), runs[0][0], len(runs), found)
        return found
    if len(days) < _FEW or buckets > WORD:
        return _gathered(days, runs, buckets)
    halves = np.ascontiguousarray(days).astype(days.dtype.newbyteorder("<"), copy=False).view("<u2")
    parts = days.dtype.itemsize // 2
    moved = _table(runs, buckets, 0)[halves[0::parts]]
    for part in range(1, parts):
        moved |= _table(runs, buckets, 16 * part)[halves[part::parts]]
    joined: Words = moved.astype(np.uint64)[None]
    return joined


def _gathered(days: Days, runs: Iterable[tuple[int, int, int]], buckets: int) -> Words:
    whole = days.astype(np.uint64)
    found = np.zeros((words_of(buckets), len(days)), np.uint64)
    for place, first, count in runs:
        there = (whole & (_ones(count) << np.uint64(first))) != 0
        found[place // WORD] |= there.astype(np.uint64) << np.uint64(place % WORD)
    return found


@lru_cache(maxsize=8)
def _table(runs: tuple[tuple[int, int, int], ...], buckets: int, low: int) -> Days:
    """By 16 days' bits, those from day `low` on, their buckets' bits: as narrow as can be, for a smaller table is faster."""
    every = np.arange(1 << 16, dtype=np.uint64) << np.uint64(low)
    found: Days = _gathered(every, runs, buckets)[0].astype(np.min_scalar_type((1 << buckets) - 1))
    return found


def _move(bits: Words, place: int, count: int, found: Words) -> None:
    """Set `count` bits from bucket `place` on."""
    word, off = divmod(place, WORD)
    found[word] |= bits << np.uint64(off)
    if off + count > WORD:
        found[word + 1] |= bits >> np.uint64(WORD - off)


def _runs(places: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Each bucket with its first day and its number of days."""
    first = 0
    for place, days in groupby(places):
        count = len(list(days))
        yield place, first, count
        first += count


def mask_of(places: Sequence[int], bucket: int) -> np.uint64:
    """The days that are in a bucket."""
    return np.uint64(sum(1 << day for day, place in enumerate(places) if place == bucket))


def later(words: Words, buckets: int) -> Words:
    """Every bucket moved on by so many; what moves out of the last word is lost."""
    whole, off = divmod(buckets, WORD)
    found = np.zeros_like(words)
    found[whole:] = words[: len(words) - whole] << np.uint64(off)
    if off:
        found[whole + 1 :] |= words[: max(0, len(words) - whole - 1)] >> np.uint64(WORD - off)
    return found


def trailing(words: Words, length: int) -> Words:
    """Buckets in which, or in the `length` - 1 before which, there is a bit."""
    found, reach = words, 1
    while reach < length:
        more = min(reach, length - reach)
        found = found | later(found, more)
        reach += more
    return found


def counts(words: Words, buckets: int, people: Ints | None = None, since: int = 0) -> Ints:
    """By bucket, how many subjects have it, each of which stands for so many `people`; buckets before `since` may be left out."""
    found = np.zeros((len(words) * WORD // 8, 8), np.int64)
    for number in range(since // 8, -(-buckets // 8)):
        byte = np.ascontiguousarray(words[number // 8]).astype("<u8", copy=False).view(np.uint8)[number % 8 :: 8]
        found[number] = np.bincount(byte, people, minlength=256) @ _BITS
    return found.reshape(-1)[:buckets]


def anywhere(words: Words) -> npt.NDArray[np.bool_]:
    """Which subjects have any bucket."""
    found: npt.NDArray[np.bool_] = np.bitwise_or.reduce(words, axis=0) != 0
    return found


def firsts(words: Words) -> Words:
    """Only the first bucket of each subject."""
    found = words & -words
    taken = np.zeros(words.shape[1], np.bool_)
    for word in found:
        word[taken] = 0
        taken |= word != 0
    return found


def sizes(words: Words) -> Ints:
    """By subject, how many buckets it has."""
    found: Ints = np.bitwise_count(words).sum(axis=0, dtype=np.int64)
    return found


def up_to_last(words: Words) -> Words:
    """Every bucket up to the last one that the subject has."""
    found = words.copy()
    for reach in (1, 2, 4, 8, 16, 32):
        found |= found >> np.uint64(reach)
    beyond = np.zeros(words.shape[1], np.bool_)
    for word in found[::-1]:
        word[beyond] = _ones(WORD)
        beyond |= word != 0
    return found


def _ones(count: int) -> np.uint64:
    return np.uint64((1 << count) - 1)
