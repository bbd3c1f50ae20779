"""From bytes on the wire to a document: read within a size and a time, inflate within a size.

Content types are not believed: browsers label beacons text/plain, and one SDK labels gzipped JSON as a form.
"""

from __future__ import annotations

import asyncio
import io
import re
import zlib
from collections.abc import Callable
from typing import Any, Final

import brotli
import zstandard
from aiohttp import web

from consentryd.model.error import BadRequest, TooLarge, Unavailable, UnsupportedMedia

_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPED: Final = 0x184D2A50
_ZSTD_REPEATED: Final = 1
_ZSTD_HEAD: Final = 18  # the longest header with its magic
_MAX_CODINGS: Final = 2
#: Senders that compress each event by itself send as many members as events.
_MAX_MEMBERS: Final = 1024
#: Bytes that a member's decoder is given at a time: of what it leaves over it makes a copy.
_PIECE_BYTES: Final = 4096
_PADDING: Final = re.compile(rb"\0*")
_MAX_ZSTD_WINDOW: Final = 8 * 1024 * 1024  # what RFC 8878 asks of every decoder; larger windows cost memory before the first byte


class Room:
    """Bytes that a process may hold of bodies of which more is to come: clients may take their time, and be many."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0

    def take(self, size: int, held: int) -> None:
        """For a body of which `held` bytes are there. Raises `Unavailable` if there is no room for so many more; a body that comes alone has
        room, however large it may be."""
        if self.taken + size > self.most and self.taken > held:
            raise Unavailable("overloaded", "Too many request bodies are arriving at once.", retry_after=1)
        self.taken += size

    def give_back(self, size: int) -> None:
        self.taken -= size


ARRIVING: Final = Room(64 * 1024 * 1024)


async def read(request: web.BaseRequest, limit: int, timeout_s: float) -> bytes:
    """The body as sent, at most `limit` bytes, within `timeout_s`. Raises `TooLarge`; `Unavailable` for one that comes too slowly, which
    may be as good as any, and while too many are coming; `BadRequest` for one that breaks off."""
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    content = request.content
    if content.is_eof():
        body = content.read_nowait(-1)
    else:
        try:
            async with asyncio.timeout(timeout_s):
                body = await _read_chunks(content, limit)
        except TimeoutError:
            raise Unavailable("body_too_slow", "The request body did not arrive in time.") from None
        except ConnectionError:  # for the log: nobody is there to read it
            raise BadRequest("bad_body", "The request body did not arrive.") from None
    if len(body) > limit:
        raise _too_large(limit)
    return body


async def _read_chunks(content: Any, limit: int) -> bytes:
    chunks = bytearray()
    try:
        while chunk := await content.readany():
            ARRIVING.take(len(chunk), len(chunks))
            chunks += chunk
            if len(chunks) > limit:
                raise _too_large(limit)
        return bytes(chunks)
    finally:
        ARRIVING.give_back(len(chunks))


def _too_large(limit: int) -> TooLarge:
    return TooLarge("body_too_large", "The request body is larger than the limit.", limit_bytes=limit)


def inflate(body: bytes, content_encoding: str | None, limit: int) -> bytes:
    """The body with its content codings undone, never more than `limit` bytes.

    Raises `UnsupportedMedia` for a coding that is not gzip, deflate, br or zstd, `BadRequest` for bytes that are not what the coding
    says, `TooLarge` as soon as more than `limit` bytes come out.
    """
    if content_encoding is None:
        return _inflate_unlabelled(body, limit)
    codings = [coding for part in content_encoding.split(",") if (coding := part.strip().lower()) not in ("", "identity")]
    if len(codings) > _MAX_CODINGS:
        raise UnsupportedMedia("unsupported_encoding", "The body has more content codings than are undone.", limit=_MAX_CODINGS)
    for coding in reversed(codings):
        decoder = _DECODERS.get(coding)
        if decoder is None:
            raise UnsupportedMedia("unsupported_encoding", "Content-Encoding must be gzip, deflate, br or zstd.")
        body = _decode(decoder, body, limit)
    return body if codings else _inflate_unlabelled(body, limit)


def _inflate_unlabelled(body: bytes, limit: int) -> bytes:
    if body.startswith(_GZIP_MAGIC):
        return _decode(_gunzip, body, limit)
    if body.startswith(_ZSTD_MAGIC):
        return _decode(_unzstd, body, limit)
    return body


def _decode(decoder: Callable[[bytes, int], bytes], body: bytes, limit: int) -> bytes:
    try:
        inflated = decoder(body, limit)
    except (zlib.error, brotli.error, zstandard.ZstdError, EOFError):
        raise BadRequest("bad_encoding", "The body is not what its Content-Encoding says, or it is cut off.") from None
    if len(inflated) > limit:
        raise TooLarge("body_too_large", "The inflated request body is larger than the limit.", limit_bytes=limit)
    return inflated


def _gunzip(body: bytes, limit: int) -> bytes:
    """Raises `EOFError` also for more members than anyone has reason for: each costs a decoder, whatever is in it."""
    inflated = bytearray()
    at = 0
    for _ in range(_MAX_MEMBERS):
        at = _gunzip_member(body, at, inflated, limit)
        if at == len(body) or len(inflated) > limit:
            return bytes(inflated)
    raise EOFError


def _gunzip_member(body: bytes, at: int, inflated: bytearray, limit: int) -> int:
    """Adds what the member at `at` holds, up to a byte beyond `limit`; where the next one begins."""
    decompressor = zlib.decompressobj(wbits=31)
    while not decompressor.eof and len(inflated) <= limit:
        piece = body[at : at + _PIECE_BYTES]
        if not piece:
            raise EOFError
        at += len(piece)
        inflated += decompressor.decompress(piece, limit + 1 - len(inflated))
    padding = _PADDING.match(body, at - len(decompressor.unused_data))
    return len(body) if padding is None else padding.end()


def _undeflate(body: bytes, limit: int) -> bytes:
    """RFC 9110 says zlib; clients send raw deflate as well. A zlib header's two bytes are a multiple of 31."""
    zlib_header = len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0  # noqa: PLR2004
    decompressor = zlib.decompressobj(wbits=15 if zlib_header else -15)
    inflated = decompressor.decompress(body, limit + 1)
    if len(inflated) <= limit and not decompressor.eof:
        raise EOFError
    return inflated


def _unbrotli(body: bytes, limit: int) -> bytes:
    decompressor = brotli.Decompressor()
    inflated: bytes = decompressor.process(body, output_buffer_limit=limit + 1)
    while len(inflated) <= limit and not decompressor.is_finished():
        more = decompressor.process(b"", output_buffer_limit=limit + 1 - len(inflated))
        if not more:
            raise EOFError
        inflated += more
    return inflated


def _unzstd(body: bytes, limit: int) -> bytes:
    with zstandard.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW).stream_reader(
        io.BytesIO(body), read_across_frames=True
    ) as reader:
        inflated: bytes = reader.read(limit + 1)
    if len(inflated) <= limit:
        _check_zstd_end(body)
    return inflated


def _check_zstd_end(body: bytes) -> None:
    """The reader takes the end of the body for the end of a frame. Raises `EOFError` where a frame goes on, and for more frames than anyone
    has reason for."""
    at = 0
    for _ in range(_MAX_MEMBERS):
        at = _end_of_frame(body, at)
        if at >= len(body):
            break
    if at != len(body):
        raise EOFError


def _end_of_frame(body: bytes, at: int) -> int:
    """RFC 8878, section 3.1: a header, blocks that each tell their size and whether they are the last, a checksum of four bytes if the
    header says so; or a frame to be skipped, which tells its size."""
    head = body[at : at + _ZSTD_HEAD]
    if int.from_bytes(head[:4], "little") & ~0xF == _ZSTD_SKIPPED:
        return at + 8 + int.from_bytes(head[4:8], "little")
    checksum = 4 if zstandard.get_frame_parameters(head).has_checksum else 0
    at += zstandard.frame_header_size(head)
    last = 0
    while not last:
        if at + 3 > len(body):
            raise EOFError
        block = int.from_bytes(body[at : at + 3], "little")
        last, kind, size = block & 1, block >> 1 & 3, block >> 3
        at += 3 + (1 if kind == _ZSTD_REPEATED else size)
    return at + checksum


_DECODERS: Final[dict[str, Callable[[bytes, int], bytes]]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _undeflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}
