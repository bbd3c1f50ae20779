"""What questions cost: python -m bench.analytics --events 200000 [--subjects 10000] [--days 30] [--threads 2]

Makes events of a seeded shop with numpy, writes them as the lake keeps them and, for comparison, as plain Parquet in order of arrival
with text ids, and asks both. Each figure is the median of three warm runs in milliseconds, on the clock and of CPU; the ratio is one of
CPU; the engine's cache is off. `peak` is the process's largest resident set so far in MB.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from consentryd.analytics.engine import Engine
from consentryd.analytics.query import read
from consentryd.config.settings import Analytics
from consentryd.storage.database import open_database
from consentryd.storage.delta import DeltaLake
from consentryd.storage.lake import partition
from consentryd.storage.order import sort
from consentryd.storage.reader import Reader
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
RUNS = 3


class Facts:
    """Compact columns of all events, in no order."""

    def __init__(self, events: int, subjects: int, days: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        people = rng.integers(0, 2**63, subjects, dtype=np.int64)
        self.days = days
        self.subject = people[(rng.random(events) ** 1.5 * subjects).astype(np.int64)]
        self.time = START + (rng.random(events) * days * DAY).astype(np.int64)
        self.event = rng.choice(len(EVENTS), events, p=WEIGHTS).astype(np.int8)
        self.country = rng.integers(0, len(COUNTRIES), events).astype(np.int8)
        self.path = rng.integers(0, 200, events).astype(np.int16)


def table(facts: Facts, rows: Any, start: int) -> pa.Table:
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
    columns: dict[str, Any] = {name: pa.array([value] * count) for name, value in texts.items()}
    columns |= {
        "event_id": pa.array([f"e{start + number}" for number in range(count)]),
        "event": pa.array(EVENTS).take(pa.array(facts.event[rows])),
        "country": pa.array(COUNTRIES).take(pa.array(facts.country[rows])),
        "path": pa.array([f"/p/{number}" for number in range(200)]).take(pa.array(facts.path[rows])),
        "time": pa.array(facts.time[rows], pa.timestamp("us", tz="UTC")),
        "received_at": pa.array(facts.time[rows], pa.timestamp("us", tz="UTC")),
        "subject": pa.array(facts.subject[rows]),
        "session": pa.array(facts.subject[rows] ^ (facts.time[rows] // DAY)),
        "schema_version": pa.array(np.ones(count, np.int16)),
    }
    return pa.table([columns.get(field.name, pa.nulls(count, field.type)) for field in EVENT_SCHEMA], schema=EVENT_SCHEMA)


def fill_lake(facts: Facts, region: Path) -> DeltaLake:
    open_database(region / "region.db", "region").close()
    lake, files = DeltaLake(region), []
    buckets = facts.subject >> 59
    for bucket in range(16):
        rows = np.flatnonzero(buckets == bucket)
        for (month, number), part in partition(sort(table(facts, rows, bucket * 10**9))):
            files.append(lake.write(month, number, [part]))
    with lake.writing():
        lake.commit([file for file in files if file is not None])
    return lake


def fill_plain(facts: Facts, folder: Path) -> str:
    """20 files in order of arrival; ids are texts of 18 characters."""
    order = np.argsort(facts.time, kind="stable")
    for number, rows in enumerate(np.array_split(order, 20)):
        ids = pa.array([f"u-{value:016x}" for value in facts.subject[rows].tolist()])
        pq.write_table(
            pa.table({
                "user_id": ids,
                "event": pa.array(EVENTS).take(pa.array(facts.event[rows])),
                "country": pa.array(COUNTRIES).take(pa.array(facts.country[rows])),
                "path": pa.array(facts.path[rows]),
                "time": pa.array(facts.time[rows], pa.timestamp("us", tz="UTC")),
            }),
            folder / f"{number:02}.parquet",
            compression="zstd",
        )  # fmt: skip
    return f"read_parquet('{folder}/*.parquet')"


def questions(days: int) -> dict[str, dict[str, Any]]:
    span = {"from": "2026-03-01", "to": str(np.datetime64("2026-03-01") + days - 1)}
    steps = [
        "page_viewed",
        "product_viewed",
        "product_added",
        "checkout_started",
        "order_completed",
        "signed_up",
        "searched",
        "video_played",
    ]
    week = {"n": 7, "unit": "day"}
    return {
        "funnel, 3 steps": {"kind": "funnel", "steps": [{"event": each} for each in steps[1:4]], "window": week, "range": span},
        "funnel, 8 steps": {"kind": "funnel", "steps": [{"event": each} for each in steps], "window": week, "range": span},
        "retention by week": {
            "kind": "retention", "start": {"event": "product_viewed"}, "return": {"event": "page_viewed"}, "interval": "week",
            "periods": 4, "range": span,
        },
        "daily active": {"kind": "trends", "series": [{"math": "unique"}], "range": span},
        "paths": {"kind": "paths", "range": span},
        "by country": {"kind": "trends", "series": [{}], "breakdown": {"by": [{"property": "country"}]}, "display": "total", "range": span},
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
    "retention by week": """
        WITH s AS (SELECT DISTINCT user_id, date_trunc('week', time) w FROM {0} WHERE event = 'product_viewed'),
        r AS (SELECT DISTINCT user_id, date_trunc('week', time) w FROM {0} WHERE event = 'page_viewed')
        SELECT s.w, date_diff('week', s.w, r.w) k, count(DISTINCT s.user_id) FROM s JOIN r ON s.user_id = r.user_id AND r.w >= s.w
        GROUP BY 1, 2""",
    "subject's report": "SELECT count(*) FROM {} WHERE user_id = 'u-0000000000000000'",
}


class Cost(NamedTuple):
    """Milliseconds: on the clock, and of all threads' CPU, which other load on the machine disturbs less."""

    wall: float
    cpu: float


def median_ms(work: Callable[[], Any]) -> Cost:
    work()
    walls, cpus = [], []
    for _ in range(RUNS):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append((time.perf_counter() - wall) * 1000)
        cpus.append((time.process_time() - cpu) * 1000)
    return Cost(statistics.median(walls), statistics.median(cpus))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--subjects", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    use_system_memory()
    root = Path(tempfile.mkdtemp(prefix="bench-analytics-"))
    try:
        run(given, root)
    finally:
        shutil.rmtree(root)


def run(given: argparse.Namespace, root: Path) -> None:
    (root / "eu").mkdir()
    (root / "plain").mkdir()
    facts = Facts(given.events, given.subjects, given.days, given.seed)
    lake, plain = fill_lake(facts, root / "eu"), fill_plain(facts, root / "plain")
    known = str(int(facts.subject[0]))
    del facts
    reader = Reader(root / "eu", lake, memory="512MB", threads=given.threads)
    engine = Engine({"eu": reader}, Analytics(cache_mb=0))
    now = START + (given.days + 60) * DAY
    connection = duckdb.connect(config={"threads": given.threads})
    print(f"{given.events:,} events, {given.subjects:,} subjects, {given.days} days, {given.threads} threads")
    print(f"{'question':<20} {'engine':>9} {'cpu':>9} {'baseline':>9} {'cpu':>9} {'ratio':>7} {'peak':>7}")
    for name, question in questions(given.days).items():
        asked = read(question | ({"subject": known} if "subject" in question else {}))
        ours = median_ms(lambda asked=asked: engine.ask(asked, "shop", now))
        statement = BASELINE.get(name, "").format(plain)
        plain_ms = median_ms(lambda statement=statement: connection.sql(statement).to_arrow_table()) if statement else None
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        shown = ["-"] * 3
        if plain_ms is not None:
            shown = [f"{plain_ms.wall:,.0f}", f"{plain_ms.cpu:,.0f}", f"{plain_ms.cpu / ours.cpu:.1f}x"]
        print(f"{name:<20} {ours.wall:>9,.0f} {ours.cpu:>9,.0f} {shown[0]:>9} {shown[1]:>9} {shown[2]:>7} {peak:>7}", flush=True)
    reader.close()


if __name__ == "__main__":
    main()
