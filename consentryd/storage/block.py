"""How one group commit is written in the log: columns as JSON, zstd-compressed; event ids as packed 64-bit hashes.

Measured against Arrow record batches: 2.3 us an event and 11 us a commit to write, where Arrow costs 5.6 us and 350 us (32 columns
have a fixed price that commits of a few events cannot carry). Reading converts many blocks at once, so Arrow is paid in bulk.
"""

from __future__ import annotations

import sys
import threading
from array import array
from collections.abc import Sequence
from typing import Any, Final

import orjson
import zstandard


class _Codecs(threading.local):
    """One of each for a thread: zstandard's objects crash when two threads use one at once."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
        self.decompressor = zstandard.ZstdDecompressor()


_CODECS: Final = _Codecs()


def encode(rows: Sequence[Sequence[Any]]) -> bytes:
    """Rows of `COLUMNS` values, as one block."""
    return _CODECS.compressor.compress(orjson.dumps(list(zip(*rows, strict=True))))


def decode(body: bytes) -> list[list[Any]]:
    """The columns of a block. Raises `zstandard.ZstdError` or `orjson.JSONDecodeError` if its bytes were changed."""
    columns: list[list[Any]] = orjson.loads(_CODECS.decompressor.decompress(body))
    return columns


def pack_hashes(hashes: Sequence[int]) -> bytes:
    """64-bit unsigned integers, little-endian, in the order given."""
    packed = array("Q", hashes)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()
