"""DuckDB instances that outlive the snapshots they serve: to open one takes 20 ms, and it knows the footers of files it has read.

Each user has a cursor of an instance of its own, with views and settings that go with the cursor. An instance that wrote to disk is not
used again, so that what was spilled goes when the user does; and none is used for ever, for it remembers files that are gone.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from consentryd.storage.duck import duck

if TYPE_CHECKING:
    import duckdb

_IDLE: Final = 2
_USES: Final = 500
#: Footers stay in memory, the bytes of files do not: the system keeps those.
_SETTINGS: Final = ("parquet_metadata_cache = true", "enable_external_file_cache = false")


class _Instance:
    def __init__(self, config: Mapping[str, Any], spill: Path | None) -> None:
        self.uses = 0
        self.spill = spill
        self.root = duck().connect(config={**config, "temp_directory": "" if spill is None else str(spill)})
        for setting in _SETTINGS:
            self.root.execute(f"SET {setting}")

    @property
    def is_worn(self) -> bool:
        return self.uses >= _USES or (self.spill is not None and self.spill.exists())


class Pool:
    """Shared by threads. `config` is what DuckDB is opened with; `scratch` the folder for what it spills, or None for no such."""

    def __init__(self, config: Mapping[str, Any], scratch: Path | None) -> None:
        self._config = config
        self._scratch = scratch
        self._lock = threading.Lock()
        self._idle: list[_Instance] = []
        self._numbers = itertools.count()
        self._closed = False

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for one user; what it made is gone when the block ends."""
        instance = self._take()
        try:
            connection = instance.root.cursor()
            try:
                connection.execute("SET TimeZone = 'UTC'")
                yield connection
            finally:
                connection.close()
        finally:
            self._give(instance)

    @contextmanager
    def alone(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to an instance that nobody used before or will use after: its settings may be changed and locked."""
        self._make_scratch()
        with duck().connect(config={**self._config, "temp_directory": str(self._spill() or "")}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for instance in idle:
            instance.root.close()

    def _take(self) -> _Instance:
        with self._lock:
            instance = self._idle.pop() if self._idle else None
        self._make_scratch()
        instance = instance or _Instance(self._config, self._spill())
        instance.uses += 1
        return instance

    def _give(self, instance: _Instance) -> None:
        worn = instance.is_worn
        with self._lock:
            keep = not worn and not self._closed and len(self._idle) < _IDLE
            if keep:
                self._idle.append(instance)
        if not keep:
            instance.root.close()

    def _make_scratch(self) -> None:
        """DuckDB makes its own folder only; where it may not, it needs none."""
        if self._scratch is not None:
            with suppress(PermissionError):
                self._scratch.mkdir(exist_ok=True)

    def _spill(self) -> Path | None:
        if self._scratch is None:
            return None
        return self._scratch / f"query-{os.getpid()}-{next(self._numbers)}"
