"""The bytes behind compressed ones, as far as they can be had."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import BinaryIO, Final, Protocol

import zstandard

#: Taken from the file at a time. 4 bytes of zstd may stand for 128 KiB, so that this bounds memory to 32 MiB.
_PIECE: Final = 1024


class Decompressor(Protocol):
    """Of one gzip member or one zstd frame. `eof`: it is complete, and `unused_data` comes after it."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def gzip_member() -> Decompressor:
    return zlib.decompressobj(wbits=31)


def zstd_frame() -> Decompressor:
    return zstandard.ZstdDecompressor().decompressobj()


class Inflated(io.RawIOBase):
    """Members or frames, one after another, each by a decompressor that `begin` makes; zeros between them are padding.

    Ends where the data does or is damaged. `damaged` says the latter, and that the last member is not complete.
    """

    def __init__(self, file: BinaryIO, begin: Callable[[], Decompressor]) -> None:
        self._file = file
        self._begin = begin
        self._member: Decompressor | None = None
        self._rest = b""
        self._ready = memoryview(b"")
        self.damaged = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready and not self.damaged:
            piece = self._rest or self._file.read(_PIECE)
            if not piece:
                self.damaged = self._member is not None
                break
            self._ready = memoryview(self._inflate(piece))
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _inflate(self, piece: bytes) -> bytes:
        self._rest = b""
        if self._member is None:
            piece = piece.lstrip(b"\0")
            if not piece:
                return b""
            self._member = self._begin()
        try:
            inflated = self._member.decompress(piece)
        except (zlib.error, zstandard.ZstdError):
            self.damaged = True
            return b""
        if self._member.eof:
            self._rest = self._member.unused_data
            self._member = None
        return inflated
