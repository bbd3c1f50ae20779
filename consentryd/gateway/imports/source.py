"""The bytes to import: a file or standard input, plain, gzip or zstd (told by its first bytes), line by line in bounded memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, Final

from consentryd.gateway.imports.inflated import Inflated, gzip_member, zstd_frame

#: A longer line is malformed; events may have 32 KiB.
LONGEST_LINE: Final = 1 << 20
_CHUNK: Final = 1 << 18
_BEGINNINGS: Final = {b"\x1f\x8b": gzip_member, b"\x28\xb5\x2f\xfd": zstd_frame}
_BOM: Final = b"\xef\xbb\xbf"


class Counted(io.RawIOBase):
    """Passes bytes on and counts them in `position`, for the progress bar."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)


class Source:
    """`truncated` says afterwards that the compressed data ended too early or was damaged; the whole lines before that were given."""

    def __init__(self, file: BinaryIO) -> None:
        self._counted = Counted(file)
        self._inflated: Inflated | None = None

    @property
    def position(self) -> int:
        """Bytes taken from the file so far, as they are in it."""
        return self._counted.position

    @property
    def truncated(self) -> bool:
        return self._inflated is not None and self._inflated.damaged

    def lines(self) -> Iterator[tuple[int, bytes | None]]:
        """Line numbers from 1, and lines without their ends; None for one longer than `LONGEST_LINE`. Blank lines are left out."""
        for number, line in enumerate(self._split(), start=1):
            if line is None or (stripped := line.strip()):
                yield number, None if line is None else stripped

    def _split(self) -> Iterator[bytes | None]:
        reader = self._reader()
        while line := reader.readline(LONGEST_LINE):
            if line.endswith(b"\n"):
                yield line
            elif len(line) == LONGEST_LINE:
                _skip_line(reader)
                yield None
            elif not self.truncated:
                yield line

    def _reader(self) -> BinaryIO:
        reader: io.BufferedReader[Counted | Inflated] = io.BufferedReader(self._counted, _CHUNK)
        magic = reader.peek(4)
        begin = next((begin for beginning, begin in _BEGINNINGS.items() if magic.startswith(beginning)), None)
        if begin is not None:
            self._inflated = Inflated(reader, begin)
            reader = io.BufferedReader(self._inflated, _CHUNK)
        if reader.peek(3).startswith(_BOM):
            reader.read(3)
        return reader


def _skip_line(reader: BinaryIO) -> None:
    while (rest := reader.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
        pass
