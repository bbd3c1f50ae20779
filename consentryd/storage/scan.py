"""Looking for a person in the bytes of files: proof that an erasure left nothing, by reading everything that is there."""

from __future__ import annotations

import mmap
import os
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
_SHORTEST: Final = 6
_ROWS: Final = 65_536
_LATER: Final = 0x80
_VARINT_TAIL_BITS: Final = 56


class Found(NamedTuple):
    """Where something of the person was found, and what kind of thing. `subject`: their number, so their data. `text`: an identifier of
    theirs, which may stand in somebody else's data as well.
    """

    path: str
    kind: str


class ScanReport(NamedTuple):
    """What a scan read: files and bytes as they are, lake files decoded, and where something was found."""

    files: int = 0
    size: int = 0
    decoded: int = 0
    found: tuple[Found, ...] = ()

    def plus(self, other: ScanReport) -> ScanReport:
        return ScanReport(
            self.files + other.files, self.size + other.size, self.decoded + other.decoded, (*self.found, *other.found)
        )

    def of(self, kind: str) -> list[str]:
        """The files in which something of this kind was found."""
        return sorted({found.path for found in self.found if found.kind == kind})


class Needles:
    """The byte sequences that would give the people away: their subjects in each form that our files use, and their identifiers.

    Identifiers of less than six bytes are not looked for: they stand everywhere by chance.
    """

    def __init__(self, subjects: Collection[int], texts: Collection[str]) -> None:
        self.subjects = np.array(sorted(subjects), np.int64)
        self.texts = sorted({text for text in texts if len(text.encode()) >= _SHORTEST})
        self._kinds = {form: "text" for text in self.texts for form in (text.encode(), orjson.dumps(text)[1:-1])}
        self._kinds |= {form: "subject" for subject in subjects for form in forms_of(subject)}
        self._longest = max(map(len, self._kinds), default=0)
        self._table = None if len(self._kinds) <= _FEW else _table(sorted(self._kinds))

    def kinds_in(self, data: bytes | mmap.mmap) -> set[str]:
        """Which kinds of thing stand in the bytes."""
        if self._table is None:
            return {kind for form, kind in self._kinds.items() if data.find(form) >= 0}
        found: set[str] = set()
        for start in range(0, len(data), _CHUNK):
            found.update(self._in_chunk(bytes(data[start : start + _CHUNK + self._longest])))
        return found

    def _in_chunk(self, chunk: bytes) -> Iterator[str]:
        """Three bytes lead to the few places where one of the forms may begin."""
        assert self._table is not None
        if len(chunk) < _KEY_BYTES:
            return
        begins, by_key = self._table
        values = np.frombuffer(chunk, np.uint8).astype(np.uint32)
        keys = values[:-2] | (values[1:-1] << 8) | (values[2:] << 16)
        for place in np.flatnonzero(begins[keys]).tolist():
            for form in by_key[chunk[place : place + _KEY_BYTES]]:
                if chunk.startswith(form, place):
                    yield self._kinds[form]


def forms_of(subject: int) -> Iterator[bytes]:
    """A subject as SQLite, Arrow, SQLite's row ids, JSON and logs write it."""
    yield subject.to_bytes(8, "big")
    yield subject.to_bytes(8, "little")
    yield _varint(subject)
    yield str(subject).encode()
    yield f"{subject:016x}".encode()


def scan_files(root: Path, needles: Needles, others: Iterable[Path] = ()) -> ScanReport:
    """Search the bytes of every file under `root`, and of `others`. A file that goes meanwhile has gone."""
    files = size = 0
    found = []
    for path in [*_files(root), *others]:
        try:
            read, kinds = _search(path, needles)
        except FileNotFoundError:
            continue
        files, size = files + 1, size + read
        found += [Found(_name(path, root), kind) for kind in sorted(kinds)]
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
            found += [
                Found(f"lake/{file.path}", kind) for kind in sorted(_search_events(lake, file, needles, everything=everything))
            ]
    return ScanReport(0, 0, decoded, tuple(found))


def _search_events(lake: Lake, file: LakeFile, needles: Needles, *, everything: bool) -> set[str]:
    found: set[str] = set()
    for table in lake.read(file, None if everything else ["subject"], rows=_ROWS):
        values = table["subject"].combine_chunks().fill_null(-1).to_numpy(zero_copy_only=False)
        if np.isin(values, needles.subjects).any():
            found.add("subject")
        if everything:
            found |= _kinds_in_text(table, needles)
    return found


def _kinds_in_text(table: pa.Table, needles: Needles) -> set[str]:
    found: set[str] = set()
    for column in table.columns:
        if pa.types.is_string(column.type):
            found |= needles.kinds_in("\n".join(pc.unique(column).drop_null().to_pylist()).encode())
    return found


def _search(path: Path, needles: Needles) -> tuple[int, set[str]]:
    with path.open("rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        if size == 0:
            return 0, set()
        with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return size, needles.kinds_in(data)


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
