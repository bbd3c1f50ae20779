"""Events on their way into the lake, held compressed: sealing 200,000 of them needs a fraction of their size in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import pyarrow as pa

from consentryd.storage.lake import partition
from consentryd.storage.order import merge, sort

_BATCH_ROWS: Final = 4_096
_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)


class Spill:
    """Sorted runs of events by partition."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, int], list[pa.Buffer]] = defaultdict(list)

    def add(self, events: pa.Table) -> None:
        for key, part in partition(events):
            self._runs[key].append(_pack(sort(part)))

    def partitions(self) -> Iterator[tuple[str, int, Iterator[pa.Table]]]:
        """Month, bucket and sorted events of each partition, once: what was read is let go."""
        for month, bucket in sorted(self._runs):
            yield month, bucket, merge([_unpack(run) for run in self._runs.pop((month, bucket))])


def _pack(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=_OPTIONS) as writer:
        writer.write_table(table, max_chunksize=_BATCH_ROWS)
    return sink.getvalue()


def _unpack(run: pa.Buffer) -> Iterator[pa.Table]:
    with pa.ipc.open_stream(run) as reader:
        for batch in reader:
            yield pa.Table.from_batches([batch])
