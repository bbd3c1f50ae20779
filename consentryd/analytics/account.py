"""Questions about accounts: the groups that subjects act for, in the place of the subjects.

An event belongs to the account that it names itself, else to the one of its subject's last group call up to then. An account's subjects
lie in many buckets, so its events are gathered from all of a region's and put together before a kernel sees them. Regions stay apart: an
account with people in two of them is one in each.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa

from consentryd.analytics.asked import Asked
from consentryd.analytics.execution import ROW_BYTES, TOGETHER_ROWS
from consentryd.analytics.region_view import Span
from consentryd.analytics.stream import Int64s, Stream
from consentryd.analytics.streaming import Selection, Texts, to_stream
from consentryd.model.error import Unprocessable

#: What an event costs from its gathering to its stream: its account, time, mask and a value or two.
EVENT_BYTES: Final = ROW_BYTES // 2

T = TypeVar("T")


def streams_of(
    asked: Asked,
    selection: Selection,
    span: Span,
    work: Callable[[Stream], T],
    name: Hashable,
    texts: Texts | None = None,
    join: Callable[[list[T]], T] | None = None,
) -> Iterator[T]:
    """What `work` makes of the subjects' events, or where the selection is of accounts, of theirs; else as `Execution.streams`."""
    if selection.account is None:
        return asked.execution.streams(selection, span, work, name, texts, join)
    return _of_accounts(asked, selection, span, work, texts or Texts())


def _of_accounts(asked: Asked, selection: Selection, span: Span, work: Callable[[Stream], T], texts: Texts) -> Iterator[T]:
    """`Stream.subject` is an account's number in this run.

    Raises `Unprocessable` for a sample, which is one of subjects, and when the events are too many to be put together.
    """
    if asked.question.sampling < 1:
        raise Unprocessable("invalid", "A sample is one of subjects: accounts would lose some of theirs.", field="sampling")
    most = asked.execution.memory_bytes // EVENT_BYTES
    gathered: dict[str, list[pa.Table]] = {}
    codes: dict[str, int] = {}
    rows = 0
    for region, table in asked.execution.partials(selection.statement, span):
        rows += table.num_rows
        if rows > most:
            raise Unprocessable(
                "too_expensive",
                "The accounts have more events than can be put together: narrow the range or the events.",
                estimate_mb=rows * EVENT_BYTES >> 20,
                limit_mb=asked.execution.memory_bytes >> 20,
            )
        gathered.setdefault(region, []).append(_numbered(table, codes))
    for tables in gathered.values():
        for part in _parts(pa.concat_tables(tables, promote_options="permissive")):
            yield work(to_stream(selection, part, texts))


def _numbered(table: pa.Table, codes: dict[str, int]) -> pa.Table:
    """The rows with accounts' names replaced by numbers, the same in all tables of a run."""
    encoded = table["s"].combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    own = np.array([codes.setdefault(name, len(codes)) for name in encoded.dictionary.to_pylist()], np.int64)
    numbers: Int64s = own[encoded.indices.to_numpy()] if len(own) else np.empty(0, np.int64)
    return table.set_column(table.schema.get_field_index("s"), "s", pa.array(numbers))


def _parts(table: pa.Table) -> Iterator[pa.Table]:
    """The rows in parts that hold whole accounts."""
    count = -(-table.num_rows // TOGETHER_ROWS) or 1
    if count == 1:
        yield table
        return
    accounts = table["s"].to_numpy()
    for part in range(count):
        yield table.filter(pa.array(accounts % count == part))
