"""Looking for a person in the bytes of files: proof that an erasure left nothing, by reading everything that is there."""

from __future__ import annotations

import gzip
import mmap
import os
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from consentryd.storage.erasure import candidates
from consentryd.storage.held_file import is_database, parts
from consentryd.storage.lake import Lake, LakeFile, holds
from consentryd.storage.rollup import SUFFIX

_FEW: Final = 12
_CHUNK: Final = 4 * 1024 * 1024
_KEY_BYTES: Final = 3
_SHORTEST: Final = 6
_ROWS: Final = 65_536
_LATER: Final = 0x80
_VARINT_TAIL_BITS: Final = 56
_EVENTS: Final = frozenset({".parquet", SUFFIX})


class Found(NamedTuple):
    """Where something of the person was found, and what kind of thing. `subject`: their number, so their data. `text`: an identifier of
    theirs, which may stand in somebody else's data as well, or their number as somebody wrote it there.
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
        texts = {text for text in texts if len(text.encode()) >= _SHORTEST}
        self.kinds = {form: "text" for text in texts for form in (text.encode(), orjson.dumps(text)[1:-1])}
        self.kinds |= {form: "subject" for subject in subjects for form in forms_of(subject)}
        self._written = {form for subject in subjects for form in _written(subject)}
        self.longest = max(map(len, self.kinds), default=0)
        self._lookup = None if len(self.kinds) <= _FEW else _Lookup(self.kinds)

    def kind(self, form: bytes, *, of_others: bool) -> str:
        """What a sequence is that was found. `of_others`: where numbers stand in text only if a sender or an analyst wrote them."""
        return "text" if of_others and form in self._written else self.kinds[form]

    def within(self, data: bytes | mmap.mmap | pa.Buffer) -> set[bytes]:
        """Which of the sequences stand in the bytes."""
        if self._lookup is None:
            searched = data.to_pybytes() if isinstance(data, pa.Buffer) else data
            return {form for form in self.kinds if searched.find(form) >= 0}
        view = memoryview(data)
        found: set[bytes] = set()
        for start in range(0, len(view), _CHUNK):
            found.update(self._lookup.within(bytes(view[start : start + _CHUNK + self.longest])))
        view.release()
        return found


class _Lookup:
    """Finds thousands of sequences in one pass: two bytes tell where one may begin, three more places of these few, then it is compared."""

    def __init__(self, forms: Iterable[bytes]) -> None:
        self._pairs = np.zeros(1 << 16, np.bool_)
        self._triples = np.zeros(1 << 24, np.bool_)
        self._by_key: dict[bytes, list[bytes]] = {}
        for form in forms:
            self._pairs[int.from_bytes(form[:2], "little")] = True
            self._triples[int.from_bytes(form[:_KEY_BYTES], "little")] = True
            self._by_key.setdefault(form[:_KEY_BYTES], []).append(form)

    def within(self, chunk: bytes) -> Iterator[bytes]:
        for place in self._places(chunk):
            for form in self._by_key[chunk[place : place + _KEY_BYTES]]:
                if chunk.startswith(form, place):
                    yield form

    def _places(self, chunk: bytes) -> list[int]:
        if len(chunk) < _KEY_BYTES:
            return []
        values = np.frombuffer(chunk, np.uint8)
        even = np.flatnonzero(self._pairs[np.frombuffer(chunk, "<u2", len(chunk) // 2)]) * 2
        odd = np.flatnonzero(self._pairs[np.frombuffer(chunk, "<u2", (len(chunk) - 1) // 2, 1)]) * 2 + 1
        places = np.concatenate([even, odd])
        places = places[places <= len(chunk) - _KEY_BYTES]
        keys = values[places].astype(np.uint32)
        keys |= values[places + 1].astype(np.uint32) << 8
        keys |= values[places + 2].astype(np.uint32) << 16
        return places[self._triples[keys]].tolist()  # type: ignore[no-any-return]


def forms_of(subject: int) -> Iterator[bytes]:
    """A subject as SQLite, Arrow, SQLite's row ids, JSON and logs write it."""
    yield subject.to_bytes(8, "big")
    yield subject.to_bytes(8, "little")
    yield _varint(subject)
    yield from _written(subject)


def _written(subject: int) -> tuple[bytes, bytes]:
    return str(subject).encode(), f"{subject:016x}".encode()


def scan_files(root: Path, needles: Needles, others: Iterable[Path] = (), but: Collection[Path] = ()) -> ScanReport:
    """Search the bytes of every file under `root`, and of `others`, except `but`. A file that goes meanwhile has gone."""
    return scan_paths(root, [path for path in [*_files(root), *others] if path not in but], needles)


def scan_paths(root: Path, paths: Iterable[Path], needles: Needles) -> ScanReport:
    """Search the bytes of these files, told by their names under `root`."""
    files = size = 0
    found = []
    for path in paths:
        try:
            read, kinds = _search(path, needles)
        except FileNotFoundError:
            continue
        files, size = files + 1, size + read
        found += [Found(_name(path, root), kind) for kind in sorted(kinds)]
    return ScanReport(files, size, 0, tuple(found))


def scan_lake(lake: Lake, needles: Needles, *, everything: bool) -> ScanReport:
    """Decode lake files, whose compressed bytes tell nothing: `everything` of all of them, or the subjects in those of their buckets."""
    files = lake.state().files if everything else candidates(lake, needles.subjects.tolist())
    found = [
        Found(f"lake/{file.path}", kind)
        for file in files
        for kind in sorted(_search_events(lake, file, needles, everything=everything))
    ]
    return ScanReport(0, 0, len(files), tuple(found))


def _search_events(lake: Lake, file: LakeFile, needles: Needles, *, everything: bool) -> set[str]:
    found: set[str] = set()
    for table in lake.read(file, None if everything else ["subject"], rows=_ROWS):
        if holds(table, needles.subjects).any():
            found.add("subject")
        if everything:
            found |= _kinds_in_text(table, needles)
    return found


def _kinds_in_text(table: pa.Table, needles: Needles) -> set[str]:
    """The bytes of a column's texts stand one behind the other: what is found may begin in one text and end in the next, so look again."""
    found: set[str] = set()
    for column in table.columns:
        if not pa.types.is_string(column.type):
            continue
        texts = column.combine_chunks()
        data = texts.buffers()[2]
        for form in needles.within(data) if data is not None else ():
            if pc.any(pc.match_substring(texts.cast(pa.binary()), form)).as_py():
                found.add(needles.kind(form, of_others=True))
    return found


def _search(path: Path, needles: Needles) -> tuple[int, set[str]]:
    if is_database(path):
        return _search_database(path, needles)
    with path.open("rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        if size == 0:
            return 0, set()
        with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = needles.within(data)
    if path.suffix == ".gz":
        found |= _unpacked(path, needles)
    return size, {needles.kind(form, of_others=path.suffix in _EVENTS) for form in found}


def _unpacked(path: Path, needles: Needles) -> set[bytes]:
    """What stands in a log that was put away, as far as it can be unpacked."""
    found, part = set[bytes](), bytearray()
    with suppress(OSError, EOFError, zlib.error), gzip.open(path) as source:
        while read := source.read1(_CHUNK):
            part += read
            if len(part) >= _CHUNK:
                found |= needles.within(bytes(part))
                del part[: len(part) - needles.longest]
    return found | needles.within(bytes(part))


def _search_database(path: Path, needles: Needles) -> tuple[int, set[str]]:
    size = path.stat().st_size
    found = {form for part in parts(path, needles.longest) for form in needles.within(part)}
    return size, {needles.kind(form, of_others=True) for form in found}


def _files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink():
                yield path


def _name(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else path.name


def _varint(value: int) -> bytes:
    """SQLite's variable-length integer: seven bits a byte, high ones first; beyond 56 bits nine bytes, the last one whole."""
    if value >> _VARINT_TAIL_BITS:
        head, tail = value >> 8, value & 0xFF
        return bytes(((head >> shift) & 0x7F) | _LATER for shift in range(49, -1, -7)) + bytes([tail])
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append((value & 0x7F) | _LATER)
    return bytes(reversed(digits))
