"""Looking for a person in the bytes of files: proof that an erasure left nothing, by reading everything that is there."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from consentryd.storage.erasure import candidates
from consentryd.storage.lake import Lake, LakeFile

_FEW: Final = 12
_CHUNK: Final = 4 * 1024 * 1024
_KEY_BYTES: Final = 3
_SHORTEST: Final = 4
_ROWS: Final = 65_536
_LATER: Final = 0x80
_VARINT_TAIL_BITS: Final = 56
_LOCK: Final = re.compile(r".*\.lock")


class Found(NamedTuple):
    """Where something of the person was found. Never what."""

    path: str
    how: str


class ScanReport(NamedTuple):
    """What a scan read: files and bytes as they are, lake files decoded, and where something was found."""

    files: int
    size: int
    decoded: int
    found: tuple[Found, ...]


class Needles:
    """The byte sequences that would give the people away: their subjects in each form that our files use, and their identifiers."""

    def __init__(self, subjects: Collection[int], texts: Collection[str]) -> None:
        self.subjects = np.array(sorted(subjects), np.int64)
        self.texts = sorted({text for text in texts if len(text.encode()) >= _SHORTEST})
        forms = {form for subject in subjects for form in forms_of(subject)}
        forms |= {form for text in self.texts for form in (text.encode(), orjson.dumps(text)[1:-1])}
        self._forms = sorted(forms)
        self._table = None if len(self._forms) <= _FEW else _table(self._forms)

    def within(self, data: bytes | mmap.mmap) -> bool:
        if self._table is None:
            return any(data.find(form) >= 0 for form in self._forms)
        return any(self._in_chunk(bytes(data[start : start + _CHUNK + self._longest])) for start in range(0, len(data), _CHUNK))

    @property
    def _longest(self) -> int:
        return max(map(len, self._forms), default=0)

    def _in_chunk(self, chunk: bytes) -> bool:
        """Three bytes lead to the few places where one of the forms may begin."""
        assert self._table is not None
        if len(chunk) < _KEY_BYTES:
            return False
        values = np.frombuffer(chunk, np.uint8).astype(np.uint32)
        keys = values[:-2] | (values[1:-1] << 8) | (values[2:] << 16)
        by_key = self._table[1]
        return any(
            chunk.startswith(form, int(place))
            for place in np.flatnonzero(self._table[0][keys])
            for form in by_key[chunk[place : place + _KEY_BYTES]]
        )


def forms_of(subject: int) -> Iterator[bytes]:
    """A subject as SQLite, Arrow, SQLite's row ids, JSON and logs write it."""
    yield subject.to_bytes(8, "big")
    yield subject.to_bytes(8, "little")
    yield _varint(subject)
    yield str(subject).encode()
    yield f"{subject:016x}".encode()


def scan_files(root: Path, needles: Needles, others: Iterable[Path] = (), skip: Collection[str] = ()) -> ScanReport:
    """Search the bytes of every file under `root`, and of `others`, except names in `skip`. A file that goes meanwhile has gone."""
    files = size = 0
    found = []
    for path in [*_files(root), *(other for other in others if other.is_file())]:
        if path.name in skip or _LOCK.fullmatch(path.name):
            continue
        try:
            read, hit = _search(path, needles)
        except FileNotFoundError:
            continue
        files, size = files + 1, size + read
        if hit:
            found.append(Found(_name(path, root), "bytes"))
    return ScanReport(files, size, 0, tuple(found))


def scan_lake(lake: Lake, needles: Needles, whole: Collection[str] | None = None) -> ScanReport:
    """Decode lake files, whose compressed bytes tell nothing: of the subjects' buckets the subjects, of those in `whole` all text too.

    `whole` None: of all files everything.
    """
    near = {file.path for file in candidates(lake, needles.subjects.tolist())}
    found, decoded = [], 0
    for file in lake.state().files:
        everything = whole is None or file.path in whole
        if everything or file.path in near:
            decoded += 1
            if how := _search_events(lake, file, needles, everything=everything):
                found.append(Found(f"lake/{file.path}", how))
    return ScanReport(0, 0, decoded, tuple(found))


def _search_events(lake: Lake, file: LakeFile, needles: Needles, *, everything: bool) -> str | None:
    for table in lake.read(file, None if everything else ["subject"], rows=_ROWS):
        values = table["subject"].combine_chunks().fill_null(-1).to_numpy(zero_copy_only=False)
        if np.isin(values, needles.subjects).any():
            return "subject"
        if everything and _in_text(table, needles):
            return "text"
    return None


def _in_text(table: pa.Table, needles: Needles) -> bool:
    for column in table.columns:
        if not pa.types.is_string(column.type):
            continue
        distinct = pc.unique(column).drop_null()
        if needles.within(b"\n".join(text.encode() for text in distinct.to_pylist())):
            return True
    return False


def _search(path: Path, needles: Needles) -> tuple[int, bool]:
    with path.open("rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        if size == 0:
            return 0, False
        with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return size, needles.within(data)


def _files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink():
                yield path


def _name(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else path.name


def _table(forms: list[bytes]) -> tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], dict[bytes, list[bytes]]]:
    begins = np.zeros(1 << 24, np.bool_)
    by_key: dict[bytes, list[bytes]] = {}
    for form in forms:
        begins[int.from_bytes(form[:_KEY_BYTES], "little")] = True
        by_key.setdefault(form[:_KEY_BYTES], []).append(form)
    return begins, by_key


def _varint(value: int) -> bytes:
    """SQLite's variable-length integer: seven bits a byte, high ones first; beyond 56 bits nine bytes, the last one whole."""
    if value >> _VARINT_TAIL_BITS:
        head, tail = value >> 8, value & 0xFF
        return bytes(((head >> shift) & 0x7F) | _LATER for shift in range(49, -1, -7)) + bytes([tail])
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append((value & 0x7F) | _LATER)
    return bytes(reversed(digits))
