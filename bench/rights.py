"""How fast people's rights are: erase one person, a thousand, export ten thousand events, with ingestion going on beside it.

    python -m bench.rights [--events 20000000] [--keep DIR]

Builds a region of that many events straight into the lake (no HTTP), in one process, then measures in another, whose memory counts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from consentryd.config.settings import Region, Settings, Storage
from consentryd.gateway.compose import House, open_stores
from consentryd.gateway.intake import Intake
from consentryd.gateway.protocols.segment import read_event
from consentryd.gateway.worker import settle
from consentryd.model.client import Client
from consentryd.model.clock import DAY, SystemClock
from consentryd.model.event import COLUMNS
from consentryd.model.identity import BUCKETS, IdentityKind
from consentryd.model.key import ApiKey, KeyKind
from consentryd.rights.demand import read_demand
from consentryd.rights.desk import Caller, Desk
from consentryd.rights.office import open_offices
from consentryd.rights.runner import Runner
from consentryd.storage.database import open_database
from consentryd.storage.delta import DeltaLake
from consentryd.storage.schema import ARROW_TYPES, EVENT_SCHEMA, use_system_memory

MONTHS = 6
EVENTS_A_PERSON = 50
HEAVY_EVENTS = 10_000
START = 1_764_547_200_000_000  # 2025-12-01T00:00:00Z
KEY = ApiKey("key_w", KeyKind.WRITE, "shop", "", None, (), 0, None)
OFFICER = Caller("key_p", ("shop",))
GRANT = {"consent": {"purposes": {"analytics": True}}}
NAMES = ["Product Viewed", "Cart Viewed", "Order Completed", "page_viewed"]


def settings_of(root: Path) -> Settings:
    return Settings(storage=Storage(data_dir=root, min_free_bytes=0), regions={"eu": Region(countries=["*"])})


def user(number: int) -> str:
    return f"user-{number:07}"


def subjects_of(people: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 2**63 - 1, people, dtype=np.int64)


def build(root: Path, events: int) -> None:
    """Person 0 has HEAVY_EVENTS events, all others about EVENTS_A_PERSON."""
    people = max(2_000, events // EVENTS_A_PERSON)
    subjects = subjects_of(people)
    settings, clock = settings_of(root), SystemClock()
    stores = open_stores(settings, None, clock)
    house = House(settings, stores, clock)
    index_people(stores["eu"].root, house, subjects)
    house.close()
    for store in stores.values():
        store.close()
    lake = DeltaLake(root / "eu")
    added = []
    with lake.writing():
        for month in range(MONTHS):
            for bucket in range(BUCKETS):
                own = subjects[subjects >> 59 == bucket]
                count = events // MONTHS // BUCKETS
                heavy = HEAVY_EVENTS // MONTHS if subjects[0] >> 59 == bucket else 0
                table = shop_table(own, subjects[0], count, heavy, month, bucket)
                file = lake.write(
                    str(np.datetime64(START // 10**6 + month * 31 * 86_400, "s").astype("datetime64[M]")), bucket, [table]
                )
                assert file is not None
                added.append(file)
        lake.commit(added, sealed=0)


def index_people(root: Path, house: House, subjects: np.ndarray) -> None:
    digest = house.pseudonyms["eu"].identity
    connection = open_database(root / "region.db", "region")
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO identity (digest, subject, known, created_at) VALUES (?, ?, 1, 0)",
        sorted((digest("shop", IdentityKind.USER_ID, user(number)), int(subject)) for number, subject in enumerate(subjects)),
    )
    connection.execute("COMMIT")
    connection.close()


def shop_table(own: np.ndarray, heavy: int, count: int, heavy_count: int, month: int, bucket: int) -> pa.Table:
    rng = np.random.default_rng(month * BUCKETS + bucket)
    subject = np.sort(np.concatenate([rng.choice(own, count), np.full(heavy_count, heavy, np.int64)]))
    rows = len(subject)
    times = START + month * 31 * DAY + rng.integers(0, 28 * DAY, rows)
    numbers = rng.integers(0, 2**62, rows)
    pick = rng.integers(0, len(NAMES), rows)
    columns = {
        "event_id": pa.array([f"{number:032x}" for number in numbers]),
        "site": pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), ["shop"]).cast(pa.string()),
        "type": pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), ["track"]).cast(pa.string()),
        "event": pa.DictionaryArray.from_arrays(pick.astype(np.int8), NAMES).cast(pa.string()),
        "time": pa.array(times, ARROW_TYPES["time"]),
        "received_at": pa.array(times + 1_000_000, ARROW_TYPES["time"]),
        "lane": pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), ["consented"]).cast(pa.string()),
        "purpose": pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), ["analytics"]).cast(pa.string()),
        "consent_ref": pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), ["p1.d41832/opt-in/own/grant"]).cast(pa.string()),
        "subject": pa.array(subject),
        "session": pa.array(numbers >> 20),
        "country": pa.DictionaryArray.from_arrays((pick % 3).astype(np.int8), ["DE", "FR", "ES"]).cast(pa.string()),
        "device": pa.DictionaryArray.from_arrays((pick % 2).astype(np.int8), ["mobile", "desktop"]).cast(pa.string()),
        "browser": pa.DictionaryArray.from_arrays((pick % 2).astype(np.int8), ["Chrome", "Safari"]).cast(pa.string()),
        "browser_major": pa.array(np.full(rows, 140, np.int16)),
        "host": pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), ["shop.example"]).cast(pa.string()),
        "path": pa.array([f"/p/{number % 3000}" for number in numbers]),
        "properties": pa.array(
            [f'{{"sku":"SKU-{number % 20000}","price":{number % 997},"list":"{number % 41}"}}' for number in numbers]
        ),
        "schema_version": pa.array(np.ones(rows, np.int16)),
    }
    arrays = [columns.get(column.name, pa.nulls(rows, ARROW_TYPES[column.kind])) for column in COLUMNS]
    table = pa.table(arrays, schema=EVENT_SCHEMA)
    return table.sort_by([("subject", "ascending"), ("time", "ascending"), ("event_id", "ascending")])


@contextlib.contextmanager
def timed(what: str, target: str) -> Iterator[None]:
    started, busy = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - started, time.process_time() - busy
    print(f"{what:<58} {wall:8.2f} s, {cpu:.2f} s of CPU with ingestion's   (target {target})", flush=True)


async def ingest(house: House, stop: asyncio.Event) -> tuple[int, float]:
    """Batches of 100 events through the pipeline and the log until told to stop; how many, and the longest wait in seconds."""
    sent, longest = 0, 0.0
    while not stop.is_set():
        now = house.clock.now()
        items = [
            read_event(
                {
                    "type": "track",
                    "event": "Bought",
                    "messageId": f"b-{sent + n}",
                    "userId": f"fresh-{(sent + n) % 997}",
                    "context": GRANT,
                },
                None,
            )
            for n in range(100)
        ]
        started = time.perf_counter()
        results = await house.collector.collect(Intake(KEY, now, Client(country="DE")), items)
        longest = max(longest, time.perf_counter() - started)
        assert {str(result.outcome) for result in results} <= {"stored", "duplicate"}
        sent += 100
        await asyncio.sleep(0.05)
    return sent, longest


async def measure(root: Path, events: int) -> None:
    use_system_memory()
    settings, clock = settings_of(root), SystemClock()
    stores = open_stores(settings, None, clock)
    house = House(settings, stores, clock)
    settle()
    offices = open_offices(root, {name: store.keys for name, store in stores.items()}, clock)
    desk = Desk(settings, house.policy, offices, clock)
    steps: list[tuple[str, float]] = []
    runner = Runner(
        settings, house.policy, offices, house.scrubbers, clock, at_step=lambda step: steps.append((step, time.perf_counter()))
    )

    def erase(names: list[str]) -> None:
        steps.clear()
        steps.append(("start", time.perf_counter()))
        asked = [
            desk.accept(read_demand({"type": "erasure", "identities": [{"type": "user_id", "value": name}]}), OFFICER)
            for name in names
        ]
        steps.append(("accepted", time.perf_counter()))
        problems = runner.run(lock_wait_s=10)
        assert problems == {}, problems
        assert {desk.get(each["id"], OFFICER)["status"] for each in (asked[0], asked[-1])} == {"completed"}
        for (_, before), (step, after) in pairwise(steps):
            print(f"    {step:<12} {after - before:8.2f} s", flush=True)

    people = max(2_000, events // EVENTS_A_PERSON)
    stop = asyncio.Event()
    ingesting = asyncio.create_task(ingest(house, stop))
    await asyncio.sleep(1.0)
    with timed("export of 10,000 events", "1 s"):
        asked = await asyncio.to_thread(
            desk.accept, read_demand({"type": "access", "identities": [{"type": "user_id", "value": user(0)}]}), OFFICER
        )
        assert await asyncio.to_thread(runner.run, lock_wait_s=10) == {}
        with (root.parent / "person.zip").open("wb") as sink:
            await asyncio.to_thread(desk.write_export, asked["id"], sink)
    rng = random.Random(3)
    with timed("erase one person, touched files verified", "2 s"):
        await asyncio.to_thread(erase, [user(rng.randrange(1, people))])
    with timed("erase 1,000 people in one batch", "60 s"):
        await asyncio.to_thread(erase, [user(number) for number in rng.sample(range(1, people), 1_000)])
    stop.set()
    sent, longest = await ingesting
    print(f"{'events taken beside it':<58} {sent:8}     longest wait of a batch {longest * 1000:.0f} ms")
    house.close()
    for store in stores.values():
        store.close()
    gc.unfreeze()  # else libraries that count what is left at exit report all of it as leaked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{'peak memory of the whole process':<58} {peak:8} MB  (target 500 MB)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--keep", type=Path, help="build here, or measure what was built here, and leave it")
    parser.add_argument("--only", choices=["build", "measure"])
    options = parser.parse_args()
    if options.only == "build":
        build(options.keep / "data", options.events)
        return
    if options.only == "measure":
        asyncio.run(measure(options.keep / "data", options.events))
        return
    folder = options.keep or Path(tempfile.mkdtemp(prefix="consentry-bench-"))
    try:
        for part in ("build", "measure"):
            started = time.perf_counter()
            if part == "measure" or not (folder / "data").exists():
                command = [
                    sys.executable,
                    "-m",
                    "bench.rights",
                    "--events",
                    str(options.events),
                    "--keep",
                    str(folder),
                    "--only",
                    part,
                ]
                subprocess.run(command, check=True)
            if part == "build":
                size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                print(f"{options.events:,} events, {size / 1e6:,.0f} MB, built in {time.perf_counter() - started:.0f} s")
    finally:
        if options.keep is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
