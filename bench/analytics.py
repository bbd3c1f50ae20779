"""What questions cost: python -m bench.analytics [--events 20000000] [--subjects 1000000] [--days 30] [--threads 2] [--keep DIR]
[--only build|measure] [--question WORD]

Makes events of a seeded shop with numpy, writes them as the lake keeps them (sorted, with the property `category` promoted and rollups
beside) and, for comparison, as plain Parquet in order of arrival with text ids, in one process; asks both in another, whose memory counts.
Each figure is the median of three warm runs in milliseconds, on the clock and of CPU. The engine remembers no result (`cache_mb` 0), but
for the line that says so. `peak` is the largest resident set while the question was asked, in MB.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.rights import KEY, settings_of
from consentryd.analytics.engine import Engine
from consentryd.analytics.query import read
from consentryd.config.settings import Analytics
from consentryd.gateway.compose import House, open_stores
from consentryd.gateway.intake import Intake
from consentryd.gateway.protocols.segment import read_event
from consentryd.gateway.worker import settle
from consentryd.model.client import Client
from consentryd.model.clock import SystemClock
from consentryd.storage.delta import DeltaLake
from consentryd.storage.lake import partition
from consentryd.storage.reader import Reader
from consentryd.storage.rollup_keep import roll_up
from consentryd.storage.schema import EVENT_SCHEMA, use_system_memory

DAY = 86_400_000_000
START = 1_772_323_200_000_000  # 2026-03-01T00:00:00Z
EVENTS = [
    "page_viewed",
    "product_viewed",
    "product_added",
    "checkout_started",
    "order_completed",
    "signed_up",
    "searched",
    "video_played",
]
WEIGHTS = [0.5, 0.25, 0.08, 0.04, 0.02, 0.01, 0.06, 0.04]
COUNTRIES = ["DE", "FR", "US", "GB", "ES", "IT", "NL", "PL", "AT", "CH"]
CATEGORIES = [f"category {number}" for number in range(12)]
PROMOTED = ["category"]
RUNS = 3
MEMORY_MB = 600
EVENT = {"type": "track", "event": "product_viewed", "context": {"consent": {"purposes": {"analytics": True}}}}


class Facts:
    """Compact columns of all events, in no order. Times are in milliseconds, as clients send them."""

    def __init__(self, events: int, subjects: int, days: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        people = rng.integers(0, 2**63, subjects, dtype=np.int64)
        self.days = days
        self.subject = people[(rng.random(events) ** 1.5 * subjects).astype(np.int64)]
        self.time = START + (rng.random(events) * days * DAY).astype(np.int64) // 1000 * 1000
        self.event = rng.choice(len(EVENTS), events, p=WEIGHTS).astype(np.int8)
        self.country = rng.integers(0, len(COUNTRIES), events).astype(np.int8)
        self.path = rng.integers(0, 200, events).astype(np.int16)
        self.category = rng.integers(0, len(CATEGORIES), events).astype(np.int8)
        self.price = rng.integers(0, 997, events).astype(np.int16)


def table(facts: Facts, rows: Any) -> pa.Table:
    """Some of the events as the lake stores them."""
    count = len(rows)
    texts = {
        "site": "shop",
        "type": "track",
        "lane": "consented",
        "purpose": "analytics",
        "consent_ref": "policy:1",
        "device": "desktop",
    }
    columns: dict[str, Any] = {name: of([value], np.zeros(count, np.int8)) for name, value in texts.items()}
    numbers = np.random.default_rng(int(rows[0])).integers(0, 2**63, count) if count else []
    price = pa.array(facts.price[rows]).cast(pa.string())
    columns |= {
        "event_id": pa.array([f"{number:032x}" for number in numbers]),
        "event": of(EVENTS, facts.event[rows]),
        "country": of(COUNTRIES, facts.country[rows]),
        "path": of([f"/p/{number}" for number in range(200)], facts.path[rows]),
        "time": pa.array(facts.time[rows], pa.timestamp("us", tz="UTC")),
        "received_at": pa.array(facts.time[rows] + 1_000_000, pa.timestamp("us", tz="UTC")),
        "subject": pa.array(facts.subject[rows]),
        "session": pa.array(facts.subject[rows] ^ (facts.time[rows] // DAY)),
        "properties": pc.binary_join_element_wise(
            '{"category":"', of(CATEGORIES, facts.category[rows]), '","price":', price, ',"list":"main"}', ""
        ),
        "schema_version": pa.array(np.ones(count, np.int16)),
    }
    return pa.table([columns.get(field.name, pa.nulls(count, field.type)) for field in EVENT_SCHEMA], schema=EVENT_SCHEMA)


def of(values: list[str], places: Any) -> pa.Array:
    return pa.array(values).take(pa.array(places))


def build(root: Path, given: argparse.Namespace) -> None:
    use_system_memory()
    (root / "plain").mkdir(parents=True)
    settings = settings_of(root)
    for store in open_stores(settings, None, SystemClock()).values():
        store.close()
    facts = Facts(given.events, given.subjects, given.days, given.seed)
    lake = DeltaLake(root / "eu", promoted=PROMOTED)
    buckets = facts.subject >> 59
    with lake.writing():
        for bucket in range(16):
            rows = np.flatnonzero(buckets == bucket)
            rows = rows[np.lexsort((facts.time[rows], facts.subject[rows]))]
            parts = list(partition(table(facts, rows)))
            lake.commit([file for (month, number), part in parts if (file := lake.write(month, number, [part]))])
        while roll_up(lake, ZoneInfo("UTC")):
            pass
    fill_plain(facts, root / "plain")


def fill_plain(facts: Facts, folder: Path) -> None:
    """20 files in order of arrival; ids are texts of 18 characters."""
    order = np.argsort(facts.time, kind="stable")
    for number, rows in enumerate(np.array_split(order, 20)):
        ids = pa.array([f"u-{value:016x}" for value in facts.subject[rows].tolist()])
        pq.write_table(
            pa.table({
                "user_id": ids,
                "event": of(EVENTS, facts.event[rows]),
                "country": of(COUNTRIES, facts.country[rows]),
                "path": of([f"/p/{number}" for number in range(200)], facts.path[rows]),
                "category": of(CATEGORIES, facts.category[rows]),
                "time": pa.array(facts.time[rows], pa.timestamp("us", tz="UTC")),
            }),
            folder / f"{number:02}.parquet",
            compression="zstd",
        )  # fmt: skip


def questions(days: int) -> dict[str, dict[str, Any]]:
    span = {"from": "2026-03-01", "to": str(np.datetime64("2026-03-01") + days - 1)}
    week = {"n": 7, "unit": "day"}
    return {
        "funnel, 3 steps": {"kind": "funnel", "steps": [{"event": each} for each in EVENTS[1:4]], "window": week, "range": span},
        "funnel, 8 steps": {"kind": "funnel", "steps": [{"event": each} for each in EVENTS], "window": week, "range": span},
        "retention by week": {
            "kind": "retention", "start": {"event": "product_viewed"}, "return": {"event": "page_viewed"}, "interval": "week",
            "periods": 4, "range": span,
        },
        "daily active": {"kind": "trends", "series": [{"math": "unique"}], "range": span},
        "paths": {"kind": "paths", "range": span},
        "by country": {"kind": "trends", "series": [{}], "breakdown": {"by": [{"property": "country"}]}, "display": "total", "range": span},
        "by category (promoted)": {"kind": "trends", "series": [{}], "breakdown": {"by": [{"property": "category"}]},
                                   "display": "total", "range": span},
        "sum of price (JSON)": {"kind": "trends", "series": [{"math": "sum", "property": "price"}], "display": "total", "range": span},
        "sessions": {"kind": "sessions", "range": span},
        "lifecycle": {"kind": "lifecycle", "interval": "week", "range": span},
        "subject's report": {"kind": "person", "subject": "0", "range": span},
    }  # fmt: skip


BASELINE = {
    "funnel, 3 steps": """
        WITH e AS (SELECT user_id, epoch_us(time) t, CASE event WHEN 'product_viewed' THEN 1 WHEN 'product_added' THEN 2 ELSE 3 END k
          FROM {} WHERE event IN ('product_viewed', 'product_added', 'checkout_started')),
        a AS (SELECT *, max(CASE WHEN k = 1 THEN t END) OVER w t1 FROM e
          WINDOW w AS (PARTITION BY user_id ORDER BY t, k ROWS UNBOUNDED PRECEDING)),
        b AS (SELECT user_id, k, t, t1, max(CASE WHEN k = 2 AND t - t1 <= 604800000000 THEN t1 END) OVER w t2 FROM a
          WINDOW w AS (PARTITION BY user_id ORDER BY t, k ROWS UNBOUNDED PRECEDING)),
        u AS (SELECT user_id, max(CASE WHEN k = 1 THEN 1 WHEN k = 2 AND t - t1 <= 604800000000 THEN 2
          WHEN k = 3 AND t - t2 <= 604800000000 THEN 3 END) d FROM b GROUP BY user_id)
        SELECT count(*) FILTER (d >= 1), count(*) FILTER (d >= 2), count(*) FILTER (d >= 3) FROM u""",
    "daily active": "SELECT date_trunc('day', time) d, count(DISTINCT user_id) FROM {} GROUP BY 1",
    "by country": "SELECT country, count(*) FROM {} GROUP BY 1",
    "by category (promoted)": "SELECT category, count(*) FROM {} GROUP BY 1",
    "retention by week": """
        WITH s AS (SELECT DISTINCT user_id, date_trunc('week', time) w FROM {0} WHERE event = 'product_viewed'),
        r AS (SELECT DISTINCT user_id, date_trunc('week', time) w FROM {0} WHERE event = 'page_viewed')
        SELECT s.w, date_diff('week', s.w, r.w) k, count(DISTINCT s.user_id) FROM s JOIN r ON s.user_id = r.user_id AND r.w >= s.w
        GROUP BY 1, 2""",
    "subject's report": "SELECT * FROM {} WHERE user_id = 'u-0000000000000000' ORDER BY time DESC",
}


#: Milliseconds that the questions may take on 20 million events, on two free cores.
TARGETS = {
    "funnel, 3 steps": 700, "funnel, 8 steps": 2_500, "retention by week": 150, "daily active": 200, "paths": 3_000,
    "by category (promoted)": 300, "subject's report": 20,
}  # fmt: skip


class Cost(NamedTuple):
    """Milliseconds: on the clock, and of all threads' CPU, which other load on the machine disturbs less; and the peak in MB."""

    wall: float
    cpu: float
    peak: int


def cost_of(work: Callable[[], Any]) -> Cost:
    forget_peak()
    work()
    walls, cpus = [], []
    for _ in range(RUNS):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append((time.perf_counter() - wall) * 1000)
        cpus.append((time.process_time() - cpu) * 1000)
    return Cost(statistics.median(walls), statistics.median(cpus), peak_mb())


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> int:
    """The largest resident set since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def measure(root: Path, given: argparse.Namespace) -> None:
    use_system_memory()
    lake = DeltaLake(root / "eu", promoted=PROMOTED)
    reader = Reader(root / "eu", lake, memory="512MB", threads=given.threads)
    settings = {"threads": given.threads, "memory_mb": 512, "query_seconds": 600}
    engine, remembering = (Engine({"eu": reader}, Analytics(cache_mb=size, **settings)) for size in (0, 128))
    now = START + (given.days + 60) * DAY
    known = subject_of(root, lake)
    asked = {
        name: read(question | ({"subject": known} if "subject" in question else {}))
        for name, question in questions(given.days).items()
        if given.question in name
    }
    print(
        f"{given.events:,} events, {given.subjects:,} subjects, {given.days} days, {given.threads} threads; at rest {rest_mb()} MB"
    )
    costs = {}
    for name, question in asked.items():
        costs[name] = cost_of(lambda question=question: engine.ask(question, "shop", now))
        print(f"  {name}: {costs[name].wall:,.0f} ms", file=sys.stderr, flush=True)
    again = {name: cost_of(lambda question=question: remembering.ask(question, "shop", now)) for name, question in asked.items()}
    plain = baselines(root, given.threads, list(asked))
    print(
        f"{'question':<24}{'engine':>8}{'cpu':>8}{'target':>8}{'baseline':>10}{'cpu':>8}{'ratio':>7}{'by cpu':>8}{'peak':>6}{'again':>7}"
    )
    for name, cost in costs.items():
        print(line(name, cost, plain.get(name), again[name]))
    print(f"memory: at most {max(cost.peak for cost in costs.values())} MB for any of them (target {MEMORY_MB})", flush=True)
    reader.close()


def line(name: str, cost: Cost, plain: Cost | None, again: Cost) -> str:
    target = f"{TARGETS[name]:,}" if name in TARGETS else "-"
    shown = ["-"] * 4
    if plain is not None:
        shown = [f"{plain.wall:,.0f}", f"{plain.cpu:,.0f}", f"{plain.wall / cost.wall:.1f}x", f"{plain.cpu / cost.cpu:.1f}x"]
    return (
        f"{name:<24}{cost.wall:>8,.0f}{cost.cpu:>8,.0f}{target:>8}{shown[0]:>10}{shown[1]:>8}{shown[2]:>7}{shown[3]:>8}"
        f"{cost.peak:>6}{again.wall:>7,.1f}"
    )


def rest_mb() -> int:
    forget_peak()
    return peak_mb()


def subject_of(root: Path, lake: DeltaLake) -> str:
    """Somebody in the middle of a file."""
    file = lake.state().files[-1]
    column = pq.read_table(root / "eu" / "lake" / file.path, columns=["subject"], partitioning=None)["subject"]
    return str(column[len(column) // 2].as_py())


def baselines(root: Path, threads: int, names: list[str]) -> dict[str, Cost]:
    source = f"read_parquet('{root / 'plain'}/*.parquet')"
    with duckdb.connect(config={"threads": threads}) as connection:
        return {
            name: cost_of(lambda statement=statement: connection.sql(statement.format(source)).to_arrow_table())
            for name, statement in BASELINE.items()
            if name in names
        }


async def beside(root: Path, given: argparse.Namespace) -> None:
    """Events a second that one process takes while it answers nothing, and while it answers one question after the other."""
    settings, clock = settings_of(root), SystemClock()
    stores = open_stores(settings, None, clock)
    house = House(settings, stores, clock)
    settle()
    await taken(house, 3)
    alone = await taken(house, given.seconds)
    asked = [read(questions(given.days)[name]) for name in ("funnel, 3 steps", "by country", "retention by week")]
    stop, answered = asyncio.Event(), 0

    async def asking() -> None:
        nonlocal answered
        while not stop.is_set():
            await house.querying.ask(asked[answered % len(asked)], KEY, lambda: False)
            answered += 1

    task = asyncio.create_task(asking())
    meanwhile = await taken(house, given.seconds)
    stop.set()
    await task
    for store in stores.values():
        store.close()
    lost = f"{1 - meanwhile / alone:.0%} lost (target 30%)"
    print(f"ingestion: {alone:,.0f} events/s alone, {meanwhile:,.0f} beside {answered} answers in {given.seconds} s: {lost}")


async def taken(house: House, seconds: float) -> float:
    """Events a second, in batches of 500 one after the other."""
    started, sent = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        now = house.clock.now()
        items = [read_event({**EVENT, "messageId": f"{now}-{number}", "userId": f"user-{number}"}, None) for number in range(500)]
        await house.collector.collect(Intake(KEY, now, Client(country="DE")), items)
        sent += len(items)
    return sent / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--subjects", type=int)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10, help="of ingestion, alone and beside questions")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="build here, or measure what was built here, and leave it")
    parser.add_argument("--only", choices=["build", "measure", "beside"])
    parser.add_argument("--question", default="", help="only questions with this in their name")
    given = parser.parse_args()
    given.subjects = given.subjects or max(100, given.events // 20)
    folder = given.keep or Path(tempfile.mkdtemp(prefix="bench-analytics-"))
    root = folder / "data"
    if given.only:
        {"build": build, "measure": measure, "beside": lambda *each: asyncio.run(beside(*each))}[given.only](root, given)
        return
    try:
        for part in ("build", "measure", "beside"):
            if part != "build" or not root.exists():
                subprocess.run(
                    [sys.executable, "-m", "bench.analytics", *sys.argv[1:], "--keep", str(folder), "--only", part], check=True
                )
    finally:
        if given.keep is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
