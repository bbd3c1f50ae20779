"""Files of any size, plain or compressed, line by line."""

from __future__ import annotations

import gzip
import io
import tracemalloc

import pytest
import zstandard

from consentryd.gateway.imports.source import LONGEST_LINE, Source

TEXT = b"one\n\n  two  \r\nthree"
LINES = [(1, b"one"), (3, b"two"), (4, b"three")]


@pytest.mark.parametrize(
    "data",
    [
        TEXT,
        gzip.compress(TEXT),
        gzip.compress(TEXT[:6]) + gzip.compress(TEXT[6:]),
        zstandard.compress(TEXT),
        zstandard.compress(TEXT[:6]) + zstandard.compress(TEXT[6:]),
        gzip.compress(TEXT) + bytes(2000),
        b"\xef\xbb\xbf" + TEXT,
        gzip.compress(b"\xef\xbb\xbf" + TEXT),
    ],
    ids=["plain", "gzip", "two gzip members", "zstd", "two zstd frames", "padded gzip", "byte order mark", "the same in gzip"],
)
def test_lines_come_with_their_numbers_and_the_position_ends_at_the_files_size(data: bytes) -> None:
    source = Source(io.BytesIO(data))
    assert list(source.lines()) == LINES
    assert source.position == len(data)
    assert not source.truncated


@pytest.mark.parametrize("data", [b"", gzip.compress(b"", mtime=0), b"\n\n"])
def test_a_file_without_lines_gives_none(data: bytes) -> None:
    source = Source(io.BytesIO(data))
    assert list(source.lines()) == []
    assert not source.truncated


@pytest.mark.parametrize(
    "compress", [gzip.compress, zstandard.ZstdCompressor(write_checksum=True).compress], ids=["gzip", "zstd"]
)
def test_a_damaged_archive_gives_what_can_be_read_and_says_so(compress) -> None:
    data = bytearray(compress(b"".join(b"line %d\n" % number for number in range(100_000))))
    data[len(data) // 2] ^= 0xFF
    source = Source(io.BytesIO(bytes(data)))
    lines = list(source.lines())
    assert source.truncated
    assert len(lines) < 100_000


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_a_compressed_file_that_ends_early_gives_its_whole_lines_and_says_so(compress) -> None:
    lines = [b"line %d %d" % (number, number * 7919 % 10007) for number in range(200_000)]
    data = compress(b"\n".join(lines))
    source = Source(io.BytesIO(data[: len(data) // 2]))
    found = [line for _, line in source.lines()]
    assert source.truncated
    assert found == lines[: len(found)]
    assert len(found) > 50_000


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_all_lines_before_what_is_no_compressed_data_are_given(compress) -> None:
    source = Source(io.BytesIO(compress(b"line\n" * 1000) + b"and something else"))
    assert len(list(source.lines())) == 1000
    assert source.truncated


def test_an_endless_line_is_skipped_in_bounded_memory() -> None:
    class Endless(io.RawIOBase):
        """The 64 MB line is made as it is read."""

        left = 64

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:
            if self.left < 0:
                return 0
            size = min(len(buffer), LONGEST_LINE)
            buffer[:size] = b"x" * size
            self.left -= 1
            if self.left < 0:
                size = 6
                buffer[:size] = b"\nnext\n"
            return size

    tracemalloc.start()
    lines = list(Source(io.BufferedReader(Endless())).lines())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lines == [(1, None), (2, b"next")]
    assert peak < 8 * LONGEST_LINE


def test_a_line_of_the_greatest_length_is_kept_whole() -> None:
    line = b"x" * (LONGEST_LINE - 1)
    assert list(Source(io.BytesIO(line + b"\n" + line)).lines()) == [(1, line), (2, line)]
