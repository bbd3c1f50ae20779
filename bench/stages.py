"""What an event costs on the loop before its commit: python -m bench.stages [--events 20000] [--runs 7]

Takes the example shop's events, each with a grant, in batches of 100 through parsing, reading and the stages of the pipeline, in one
process and without a store's commit. Prints microseconds of CPU an event, the least of all runs, by stage.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.corpus import shop_events
from consentryd.config.settings import Region, Settings, Storage
from consentryd.gateway.compose import House, open_stores
from consentryd.gateway.intake import Intake
from consentryd.gateway.pipeline import prepare
from consentryd.gateway.protocols.segment import parse, read_envelope
from consentryd.gateway.worker import settle
from consentryd.model.client import UNKNOWN_CLIENT
from consentryd.model.clock import SystemClock
from consentryd.model.key import ApiKey, KeyKind

BATCH = 100
KEY = ApiKey("key_s", KeyKind.SERVER, "shop", "", None, (), 0, None)


class Tally:
    """CPU microseconds by stage, and of each the least over the runs."""

    def __init__(self) -> None:
        self.least: dict[str, float] = {}
        self._now: dict[str, float] = {}

    def time(self, name: str, work: Callable[[], Any]) -> Any:
        started = time.thread_time()
        result = work()
        self._now[name] = self._now.get(name, 0.0) + time.thread_time() - started
        return result

    def close(self, events: int) -> None:
        """A run is over."""
        for name, seconds in self._now.items():
            self.least[name] = min(self.least.get(name, 1e9), seconds / events * 1e6)
        self._now.clear()


def run(house: House, bodies: Sequence[bytes], tally: Tally) -> None:
    """All bodies through the way of an event, stage by stage."""
    for body in bodies:
        parsed = tally.time("parse", lambda body=body: parse(body))
        items: Any = tally.time("read", lambda parsed=parsed: read_envelope(parsed, None, BATCH)).events
        intake = Intake(KEY, house.clock.now(), UNKNOWN_CLIENT)
        passage = prepare(intake, house.settings)
        for stage in house.pipeline.stages:
            items = tally.time(stage.__name__, lambda stage=stage, items=items, passage=passage: stage(items, passage))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000, help="different events (default %(default)s)")
    parser.add_argument("--runs", type=int, default=7, help="runs over all of them (default %(default)s)")
    options = parser.parse_args()
    events = shop_events(options.events, granted=True)
    bodies = [b'{"batch":[' + b",".join(events[at : at + BATCH]) + b"]}" for at in range(0, len(events) - BATCH + 1, BATCH)]
    with tempfile.TemporaryDirectory(prefix="consentry-stages-") as directory:
        settings = Settings(
            storage=Storage(data_dir=Path(directory)), regions={"eu": Region(countries=["*"]), "us": Region(countries=["US"])}
        )
        stores = open_stores(settings, None, SystemClock())
        try:
            settle()
            tally = Tally()
            for _ in range(options.runs):
                house = House(settings, stores, SystemClock())
                tally.time("all, with letting go", lambda house=house: run(house, bodies, tally))
                tally.close(len(bodies) * BATCH)
                house.close()
        finally:
            for store in stores.values():
                store.close()
    print(f"{len(events):,} events of {sum(map(len, events)) / len(events):.0f} bytes, us of CPU an event:")
    print("  " + ", ".join(f"{name} {least:.2f}" for name, least in tally.least.items()))


if __name__ == "__main__":
    main()
