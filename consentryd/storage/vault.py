"""Files that only their key opens: what was collected for a person waits in one, and goes by destroying the key.

Chunks of 64 KiB under AES-256-GCM; each chunk's nonce is its number and its tag says whether it is the last, so nothing can be left out,
moved or cut off (the STREAM construction).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consentryd.model.error import CorruptStore

CHUNK: Final = 64 * 1024
_TAG_BYTES: Final = 16
_MORE: Final = b"more"
_LAST: Final = b"last"


class VaultWriter:
    """Writes `path` anew; durable and complete once the `with` block ends without an error, gone if it ends with one."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._cipher = AESGCM(key)
        self._pending = bytearray()
        self._chunks = 0
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._file: IO[bytes] = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")

    def write(self, data: bytes) -> None:
        self._pending += data
        while len(self._pending) > CHUNK:
            self._flush(self._pending[:CHUNK], _MORE)
            del self._pending[:CHUNK]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._file:
            if kind is not None:
                self._path.unlink(missing_ok=True)
                return
            self._flush(self._pending, _LAST)
            self._file.flush()
            os.fsync(self._file.fileno())

    def _flush(self, chunk: bytes | bytearray, mark: bytes) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._chunks), bytes(chunk), mark))
        self._chunks += 1


def read_vault(path: Path, key: bytes) -> Iterator[bytes]:
    """The content, a chunk at a time. Raises `CorruptStore` if the file is missing, was changed or is not of this key."""
    cipher, number = AESGCM(key), 0
    try:
        with path.open("rb") as file:
            chunk = file.read(CHUNK + _TAG_BYTES)
            while chunk:
                following = file.read(CHUNK + _TAG_BYTES)
                yield cipher.decrypt(_nonce(number), chunk, _MORE if following else _LAST)
                chunk, number = following, number + 1
    except (InvalidTag, FileNotFoundError):
        raise CorruptStore(f"the export {path} is missing, or not what was written") from None
    if number == 0:
        raise CorruptStore(f"the export {path} is empty")


def read_lines(path: Path, key: bytes) -> Iterator[bytes]:
    """The content's lines, without their ends."""
    rest = b""
    for chunk in read_vault(path, key):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
