"""One metrics page for all workers.

A scrape reaches one worker of many. Each worker therefore leaves its numbers in a file every second, and whichever is asked puts its own
fresh ones beside the files of the others; the label `worker` keeps the series apart, and a sum over it is the gateway's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from consentryd.gateway.day_keys import DayKeys

INTERVAL_S: Final = 1.0


class Worker(NamedTuple):
    """One process of the gateway. `board` is the directory that the workers share, None if there is only one; `keys` are the daily keys that
    they share, None in a process that does not serve."""

    number: int = 0
    board: Path | None = None
    keys: DayKeys | None = None

    @property
    def file(self) -> Path | None:
        return None if self.board is None else self.board / f"{self.number}.json"


def expose(registry: CollectorRegistry, worker: Worker) -> bytes:
    """The page in Prometheus's text format. Reads files: not for the event loop."""
    snapshots = [(worker.number, _snapshot(registry))]
    if worker.board is not None:
        for path in sorted(worker.board.glob("*.json")):
            if path != worker.file:
                snapshots += _read(path)
    page = CollectorRegistry()
    page.register(_Merged(snapshots))
    return generate_latest(page)


async def publish(registry: CollectorRegistry, worker: Worker) -> None:
    """Leaves this worker's numbers on the board until it is cancelled, and takes them away then. Where the disk does not take them now, it
    may the next time."""
    if worker.file is None:
        return
    try:
        while True:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(_write, worker.file, _snapshot(registry))
            await asyncio.sleep(INTERVAL_S)
    finally:
        with contextlib.suppress(OSError):
            worker.file.unlink()


def _snapshot(registry: CollectorRegistry) -> list[Any]:
    """Families as JSON, without the times at which series began: they double the page and change with every restart."""
    return [[family.name, family.documentation, family.type, _samples(family)] for family in registry.collect()]


def _samples(family: Metric) -> list[Any]:
    return [[sample.name, sample.labels, sample.value] for sample in family.samples if not sample.name.endswith("_created")]


def _write(path: Path, snapshot: list[Any]) -> None:
    fresh = path.with_suffix(".fresh")
    fresh.write_bytes(orjson.dumps(snapshot))
    fresh.replace(path)


def _read(path: Path) -> Iterator[tuple[int, list[Any]]]:
    """A file that is gone again belongs to a worker that is gone."""
    try:
        yield int(path.stem), orjson.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return


class _Merged(Collector):
    def __init__(self, snapshots: list[tuple[int, list[Any]]]) -> None:
        self._snapshots = snapshots

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for number, snapshot in self._snapshots:
            for name, text, type_, samples in snapshot:
                family = families.setdefault(name, Metric(name, text, type_))
                for sample, labels, value in samples:
                    family.add_sample(sample, {**labels, "worker": str(number)}, value)
        return families.values()
