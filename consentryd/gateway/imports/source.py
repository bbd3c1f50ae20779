"""The bytes to import: a file or standard input, plain, gzip or zstd (told by its first bytes), line by line in bounded memory."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

import zstandard

#: A longer line is malformed; events may have 32 KiB.
LONGEST_LINE: Final = 1 << 20
_CHUNK: Final = 1 << 18
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


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
    """`truncated` says afterwards that the compressed data ended too early or was damaged; the lines before that were given."""

    def __init__(self, file: BinaryIO) -> None:
        self._counted = Counted(file)
        self.truncated = False

    @property
    def position(self) -> int:
        """Bytes taken from the file so far, as they are in it."""
        return self._counted.position

    def lines(self) -> Iterator[tuple[int, bytes | None]]:
        """Line numbers from 1, and lines without their ends; None for one longer than `LONGEST_LINE`. Blank lines are left out."""
        for number, line in enumerate(self._split(), start=1):
            if number == 1 and line is not None:
                line = line.removeprefix(codecs.BOM_UTF8)  # noqa: PLW2901 -- what some editors begin a file with
            if line is None or (stripped := line.strip()):
                yield number, None if line is None else stripped

    def _split(self) -> Iterator[bytes | None]:
        reader = self._reader()
        while True:
            try:
                line = reader.readline(LONGEST_LINE)
                if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                    _skip_line(reader)
                    yield None
                    continue
            except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError):
                self.truncated = True
                return
            if not line:
                return
            yield line

    def _reader(self) -> BinaryIO:
        buffered = io.BufferedReader(self._counted, _CHUNK)
        magic = buffered.peek(4)[:4]
        if magic.startswith(_GZIP):
            return io.BufferedReader(gzip.GzipFile(fileobj=buffered), _CHUNK)
        if magic == _ZSTD:
            return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(buffered, read_across_frames=True), _CHUNK)
        return buffered


def _skip_line(reader: BinaryIO) -> None:
    while (rest := reader.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
        pass
