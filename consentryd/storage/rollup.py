"""Who was active on which days, of one lake file: what counting questions read in place of the file's events.

A rollup belongs to one file, which never changes: when the file is merged, rewritten for an erasure or dropped, its rollup goes with it, so
that none outlives an event it was made from. Subjects stand in it uncompressed, where a search of the files' bytes finds them.

On disk: `MAGIC`, a digest of all that follows, the header's length, the header (JSON), then three arrays, little-endian, each aligned to 8.
"""

from __future__ import annotations

import hashlib
import mmap
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

MAGIC: Final = b"CROLLUP1"
SUFFIX: Final = ".rollup"
DIGEST_BYTES: Final = 16
_LENGTH_BYTES: Final = 8
_HEAD: Final = len(MAGIC) + DIGEST_BYTES + _LENGTH_BYTES
_ALIGNED: Final = 8
_DIGESTED: Final = len(MAGIC) + DIGEST_BYTES
_NARROW: Final = 32

Days = npt.NDArray[np.unsignedinteger[Any]]


class Section(NamedTuple):
    """Rows [`start`, `end`) are of the events of this name; of all events for None, those without a name too. `totals`: events by day."""

    site: str
    purpose: str
    event: str | None
    start: int
    end: int
    totals: tuple[int, ...]


class Rollup(NamedTuple):
    """Of the consented events of a file that have a subject and a purpose.

    `edges`: starts of the local days of `zone`, and the end of the last, UTC microseconds. `received`: bounds of `received_at`. `subjects`
    int64, ascending, each once. A row says that the subject numbered `codes` (uint32) was there on the days whose bits are set in `days`
    (bit i: day i; uint32, or uint64 beyond 32 days). Within a section no subject has two rows.
    """

    zone: str
    edges: tuple[int, ...]
    received: tuple[int, int]
    sections: tuple[Section, ...]
    subjects: npt.NDArray[np.int64]
    codes: npt.NDArray[np.uint32]
    days: Days


def width_of(edges: tuple[int, ...]) -> type[np.uint32 | np.uint64]:
    """What the days between the edges fit in."""
    return np.uint32 if len(edges) - 1 <= _NARROW else np.uint64


def write(path: Path, rollup: Rollup) -> None:
    """Not synced to the disk: what a power failure leaves half-written has the wrong digest, and is made anew."""
    header = orjson.dumps({
        "zone": rollup.zone,
        "edges": rollup.edges,
        "received": rollup.received,
        "sections": [tuple(section) for section in rollup.sections],
        "subjects": len(rollup.subjects),
        "rows": len(rollup.codes),
    })  # fmt: skip
    parts: list[Any] = [len(header).to_bytes(_LENGTH_BYTES, "little"), header.ljust(_aligned(len(header)))]
    for array in (rollup.subjects, rollup.codes, rollup.days):
        data = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        parts += [data, bytes(_aligned(data.nbytes) - data.nbytes)]
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        digest.update(part)
    with path.open("xb") as sink:
        sink.write(MAGIC + digest.digest())
        sink.writelines(parts)


def read(path: Path, *, verify: bool = True) -> Rollup | None:
    """The rollup, its arrays mapped from the file; None if it is not there or, as far as `verify` looks, not whole."""
    try:
        with path.open("rb") as handle:
            data = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    except (FileNotFoundError, ValueError):
        return None
    if len(data) < _HEAD or data[: len(MAGIC)] != MAGIC or (verify and not _is_whole(data)):
        return None
    length = int.from_bytes(data[_DIGESTED:_HEAD], "little")
    header: dict[str, Any] = orjson.loads(data[_HEAD : _HEAD + length])
    edges = tuple(header["edges"])
    place = _HEAD + _aligned(length)
    subjects = np.frombuffer(data, "<i8", header["subjects"], place)
    place += subjects.nbytes
    codes = np.frombuffer(data, "<u4", header["rows"], place)
    place += _aligned(codes.nbytes)
    days: Days = np.frombuffer(data, np.dtype(width_of(edges)).newbyteorder("<"), header["rows"], place)
    sections = tuple(Section._make((*spans, tuple(totals))) for *spans, totals in header["sections"])
    first, last = header["received"]
    return Rollup(header["zone"], edges, (first, last), sections, subjects, codes, days)


def _is_whole(data: mmap.mmap) -> bool:
    view = memoryview(data)
    try:
        digest = hashlib.blake2b(view[_DIGESTED:], digest_size=DIGEST_BYTES).digest()
    finally:
        view.release()
    return digest == data[len(MAGIC) : _DIGESTED]


def _aligned(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED
