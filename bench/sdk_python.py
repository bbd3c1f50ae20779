"""What the Python SDK costs: `track` in the caller's thread, delivery to a real gateway, memory while the gateway is away.

    python bench/sdk_python.py [--events N]

`track` is timed with nothing else to do (wall and CPU of the calling thread, median and 99th percentile of single calls), with the
queue in memory and with each `fsync` of the spool. The target is 10 microseconds of the caller's thread. `json.dumps` of the properties
alone stands beside it: on a busy machine both are slow.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "sdk_python" / "src")]

from consentry import Consentry  # noqa: E402
from consentry.testing import MemoryTransport  # noqa: E402

from bench.gateway import Gateway  # noqa: E402
from bench.stored import count  # noqa: E402

TARGET_US = 10.0
PROPERTIES = {"plan": "pro", "revenue": 19.9, "currency": "EUR", "items": 3, "category": "tea"}
CONSENT = {"analytics": True}


def rss_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def quiet_client(**settings: object) -> Consentry:
    """A client whose thread has nothing to do while calls are timed."""
    given = {"transport": MemoryTransport(), "queue_events": 10**7, "queue_bytes": 10**10, "batch_events": 10**7}
    return Consentry("key", batch_bytes=10**10, batch_age=10**6, spool_bytes=10**10, close_timeout=0.0, **{**given, **settings})


def time_calls(client: Consentry, events: int) -> tuple[float, float, float]:
    """CPU of the thread a call, and of single calls the median and 99th percentile of the wall; microseconds."""
    track: Callable[..., bool] = client.track
    track("order_completed", PROPERTIES, user_id="user-1", consent=CONSENT)
    before = time.thread_time()
    for _ in range(events):
        track("order_completed", PROPERTIES, user_id="user-1", consent=CONSENT)
    cpu = (time.thread_time() - before) / events
    walls = []
    for _ in range(min(events, 20_000)):
        started = time.perf_counter()
        track("order_completed", PROPERTIES, user_id="user-1", consent=CONSENT)
        walls.append(time.perf_counter() - started)
    walls.sort()
    return cpu * 1e6, statistics.median(walls) * 1e6, walls[len(walls) * 99 // 100] * 1e6


def bench_track(events: int) -> bool:
    print(f"{'track':<22}{'cpu us':>9}{'median us':>11}{'p99 us':>9}")
    held = True
    started = time.thread_time()
    for _ in range(events):
        json.dumps(PROPERTIES)
    print(f"{'json.dumps, for scale':<22}{(time.thread_time() - started) / events * 1e6:>9.2f}")
    for name, settings in (("memory", {}), ("spool, never", {"fsync": "never"}), ("spool, interval", {"fsync": "interval"})):
        with tempfile.TemporaryDirectory() as spool:
            client = quiet_client(**settings, **({"spool": spool} if settings else {}))
            cpu, median, tail = time_calls(client, events)
            client.close(0)
        print(f"{name:<22}{cpu:>9.2f}{median:>11.2f}{tail:>9.1f}")
        held &= cpu < TARGET_US
    with tempfile.TemporaryDirectory() as spool:
        client = quiet_client(spool=spool, fsync="always")
        cpu, median, tail = time_calls(client, min(events, 500))
        client.close(0)
    print(f"{'spool, always':<22}{cpu:>9.2f}{median:>11.2f}{tail:>9.1f}")
    return held


def bench_delivery(events: int) -> bool:
    with tempfile.TemporaryDirectory() as directory:
        gateway = Gateway(Path(directory) / "gateway")
        gateway.start()
        try:
            client = Consentry(gateway.keys["server"], f"http://127.0.0.1:{gateway.port}", consent=CONSENT, queue_events=events)
            started = time.perf_counter()
            for number in range(events):
                client.track("order_completed", PROPERTIES, user_id=f"user-{number % 1000}")
            assert client.flush(600)
            seconds = time.perf_counter() - started
            client.close()
            stored = count(gateway.data).ids
        finally:
            gateway.kill()
    print(f"\ndelivery to a real gateway on the same machine: {events / seconds:,.0f} events/s, {stored:,} of {events:,} stored")
    return stored == events


def bench_away(events: int) -> bool:
    """Ten times as many events as the queue takes, and nobody there."""
    before = rss_mib()
    lost = 0

    def count_lost(_failure: object) -> None:
        nonlocal lost
        lost += 1

    client = Consentry("key", "http://127.0.0.1:9", queue_events=events // 10, close_timeout=0.0, on_failure=count_lost)
    for _ in range(events):
        client.track("order_completed", {**PROPERTIES, "text": "x" * 500}, user_id="user-1", consent=CONSENT)
    grown, stats = rss_mib() - before, client.stats
    print(
        f"gateway away: {events:,} tracked, {stats.waiting:,} wait, {stats.lost:,} refused and told; memory grew by {grown:.1f} MiB"
    )
    held = stats.waiting == events // 10 and lost == stats.lost == events - stats.waiting
    client.close(0)
    with tempfile.TemporaryDirectory() as spool:
        before = rss_mib()
        client = Consentry("key", "http://127.0.0.1:9", spool=spool, close_timeout=0.0)
        for _ in range(events):
            client.track("order_completed", {**PROPERTIES, "text": "x" * 500}, user_id="user-1", consent=CONSENT)
        grown, stats = rss_mib() - before, client.stats
        client.close(0)
        size = sum(path.stat().st_size for path in Path(spool).rglob("*.events")) / 2**20
    print(f"gateway away, spool: {stats.waiting:,} of {events:,} wait on disk ({size:.0f} MiB); memory grew by {grown:.1f} MiB")
    return held and stats.waiting == events


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=50_000)
    events = parser.parse_args().events
    held = [bench_away(events), bench_track(events), bench_delivery(events)]
    raise SystemExit(0 if all(held) else "a target was missed")


if __name__ == "__main__":
    main()
