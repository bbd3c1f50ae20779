"""Events on their way into the lake, sorted run by run in a nameless file of the region: sealing needs little memory, and a crash
leaves nothing behind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final, NamedTuple

import pyarrow as pa

from consentryd.storage.lake import partition
from consentryd.storage.order import Source, merge, sort

#: Enough that a run of a usual partition, a sixteenth of the events sorted at once, is one batch: such runs are merged in one step.
_BATCH_ROWS: Final = 1024
_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)


class _Run(NamedTuple):
    start: int
    size: int
    rows: int


class Spill:
    """Sorted runs of events by partition, in `folder` (made if missing), or in memory if that is None."""

    def __init__(self, folder: Path | None) -> None:
        self._runs: dict[tuple[str, int], list[_Run]] = defaultdict(list)
        if folder is not None:
            folder.mkdir(exist_ok=True)
        self._file: IO[bytes] = BytesIO() if folder is None else TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`

    def add(self, events: pa.Table) -> None:
        for key, part in partition(sort(events)):
            self._runs[key].append(self._write(part))

    def partitions(self) -> Iterator[tuple[str, int, Iterator[pa.Table]]]:
        """Month, bucket and sorted events of each partition."""
        for (month, bucket), runs in sorted(self._runs.items()):
            yield month, bucket, merge([Source(self._read(run), run.rows) for run in runs])

    def close(self) -> None:
        self._file.close()

    def _write(self, table: pa.Table) -> _Run:
        sink = pa.BufferOutputStream()  # into a file of Python's, Arrow takes the interpreter for each buffer of each column
        with pa.ipc.new_stream(sink, table.schema, options=_OPTIONS) as writer:
            writer.write_table(table, max_chunksize=_BATCH_ROWS)
        written = sink.getvalue()
        start = self._file.seek(0, 2)
        self._file.write(written)
        return _Run(start, written.size, table.num_rows)

    def _read(self, run: _Run) -> Iterator[pa.Table]:
        self._file.seek(run.start)
        with pa.ipc.open_stream(pa.py_buffer(self._file.read(run.size))) as reader:
            for batch in reader:
                yield pa.Table.from_batches([batch])
