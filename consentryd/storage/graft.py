"""Replacing row groups of a Parquet file: the bytes of all others are copied as they are, only their places are written anew.

A file is sorted by subject, so one person stands in one row group of a month, or two; to encode the rest again costs 2 us an event.
Field numbers are those of parquet.thrift (Apache Parquet format 2.10).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

import pyarrow as pa

from consentryd.storage.thrift import Struct, decode, encode

MAGIC: Final = b"PAR1"
_TAIL_BYTES: Final = 8
_CHUNK_BYTES: Final = 1024 * 1024

_FILE_SCHEMA, _FILE_ROWS, _FILE_GROUPS = 2, 3, 4
_GROUP_COLUMNS, _GROUP_ROWS, _GROUP_OFFSET, _GROUP_SIZE, _GROUP_ORDINAL = 1, 3, 5, 6, 7
_CHUNK_OFFSET, _CHUNK_META = 2, 3
_META_SIZE, _META_DATA, _META_INDEX, _META_DICTIONARY = 7, 9, 10, 11

#: What a chunk may point at besides its pages; we write none of it, and a file that has some is not grafted.
_OTHERS_IN_CHUNK: Final = (4, 6, 8, 9)
_BLOOM_IN_META: Final = 14
_LIST, _STRUCT = 9, 12

Source: TypeAlias = IO[bytes] | pa.NativeFile


class NotGraftable(ValueError):
    """The file has parts that would have to be moved too. Rewrite it."""


def graft(source: Path, target: Path, numbers: Collection[int], fresh: Callable[[int], pa.Buffer | None]) -> int:
    """Write `target` as `source` with each row group of these numbers exchanged for the only one of a file of the same schema, whose bytes
    `fresh` gives by the number, or left out.

    The file's bytes reach the disk before this returns; its size in bytes. Raises `NotGraftable`.
    """
    groups: list[Struct] = []
    with source.open("rb") as old, target.open("xb") as sink:
        footer = _checked_footer(old)
        sink.write(MAGIC)
        for number, group in enumerate(_groups(footer)):
            if number not in numbers:
                groups.append(_copy(old, group, sink))
            elif (other := fresh(number)) is not None:
                part = pa.BufferReader(other)
                own = decode(_footer(part))
                if own[_FILE_SCHEMA] != footer[_FILE_SCHEMA]:
                    raise NotGraftable("a row group is of another schema")
                (new,) = _groups(own)
                groups.append(_copy(part, new, sink))
        for ordinal, group in enumerate(groups):
            if _GROUP_ORDINAL in group:
                group[_GROUP_ORDINAL] = group[_GROUP_ORDINAL][0], ordinal
        footer[_FILE_GROUPS] = _LIST, (_STRUCT, groups)
        footer[_FILE_ROWS] = footer[_FILE_ROWS][0], sum(group[_GROUP_ROWS][1] for group in groups)
        written = encode(footer)
        sink.write(written + len(written).to_bytes(4, "little") + MAGIC)
        sink.flush()
        os.fsync(sink.fileno())
        return sink.tell()


def _checked_footer(file: IO[bytes]) -> Struct:
    data = _footer(file)
    footer = decode(data)
    if encode(footer) != data:
        raise NotGraftable("the footer is not written as we write it")
    return footer


def _footer(file: Source) -> bytes:
    file.seek(-_TAIL_BYTES, os.SEEK_END)
    tail: bytes = file.read(_TAIL_BYTES)
    size = int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC:
        raise NotGraftable("the file does not end as a Parquet file does")
    file.seek(-_TAIL_BYTES - size, os.SEEK_END)
    found: bytes = file.read(size)
    return found


def _groups(footer: Struct) -> list[Struct]:
    groups: list[Struct] = footer[_FILE_GROUPS][1][1]
    return groups


def _copy(file: Source, group: Struct, sink: IO[bytes]) -> Struct:
    """Append a row group's bytes; the group as it stands in the new file."""
    metas = [_meta(chunk) for chunk in group[_GROUP_COLUMNS][1][1]]
    start = min(_start(meta) for meta in metas)
    end = max(_start(meta) + meta[_META_SIZE][1] for meta in metas)
    move = sink.tell() - start
    file.seek(start)
    _pump(file, sink, end - start)
    for meta in metas:
        for field in (_META_DATA, _META_INDEX, _META_DICTIONARY):
            _shift(meta, field, move)
    for chunk in group[_GROUP_COLUMNS][1][1]:
        if chunk[_CHUNK_OFFSET][1]:
            _shift(chunk, _CHUNK_OFFSET, move)
    _shift(group, _GROUP_OFFSET, move)
    return group


def _meta(chunk: Struct) -> Struct:
    meta: Struct = chunk[_CHUNK_META][1]
    if any(field in chunk for field in _OTHERS_IN_CHUNK) or _BLOOM_IN_META in meta:
        raise NotGraftable("a column has an index or a bloom filter")
    return meta


def _start(meta: Struct) -> int:
    places: list[Any] = [meta[field][1] for field in (_META_DATA, _META_DICTIONARY) if field in meta]
    return int(min(places))


def _shift(struct: Struct, field: int, by: int) -> None:
    if field in struct:
        kind, value = struct[field]
        struct[field] = kind, value + by


def _pump(file: Source, sink: IO[bytes], size: int) -> None:
    left = size
    while left:
        chunk = file.read(min(left, _CHUNK_BYTES))
        if not chunk:
            raise NotGraftable("the file is shorter than its footer says")
        sink.write(chunk)
        left -= len(chunk)
