"""Measures the gateway that users run: real processes, every stage on, fsync on, driven over loopback by this process.

`python bench/ingest.py` sends 400,000 events in batches of 100, then 30,000 one by one, then the same to the baseline. Other runs:
`--long` sends twenty million and prints each million; `--profile` shows where the gateway's time goes; `--mix shop` sends the example
shop's events as they are, with their refusals and bots, where the default gives each a grant so that each is stored. At the end the
store is read back: every acknowledged event must be there exactly once, else the exit code is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pstats
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import uvloop
from corpus import Body, bodies, shop_events
from gateway import Gateway, free_port
from load import Report, drive, fsync_ms
from processes import cpu_seconds, rss_bytes, threads, written_bytes
from stored import count, let_know
from yardstick import Yardstick

HERE = Path(__file__).resolve().parent
MILLION = 1_000_000
#: RudderStack's published throughput of durable events on two cores.
RUDDERSTACK = 1_700
#: Tags of rounds that warm up, so that nothing sent later is a duplicate of it.
WARM_ROUND = 0x70_0000


class Watch:
    """Follows a server from the loader: its memory, the pace of each million, and how quick the machine is meanwhile."""

    def __init__(self, pid: int, yardstick: Yardstick) -> None:
        self.pid = pid
        self.yardstick = yardstick
        self.peak = 0
        self.lengths: list[float] = []
        self.paces: list[dict[str, float]] = []
        self._mark = (0, time.perf_counter(), cpu_seconds(pid), 0)

    def __call__(self, report: Report) -> None:
        resident = rss_bytes(self.pid)
        self.peak = max(self.peak, resident)
        self.lengths.append(self.yardstick.lay())
        before, since, cpu, laid = self._mark
        if report.sent - before < MILLION:
            return
        now, used = time.perf_counter(), cpu_seconds(self.pid)
        pace = {
            "events": report.sent,
            "rate": (report.sent - before) / (now - since),
            "rss_mb": resident / 1e6,
            "cpu_s": used - cpu,
            "yardstick_us": fmean(self.lengths[laid:]),
        }
        self.paces.append(pace)
        self._mark = (report.sent, now, used, len(self.lengths))
        print(
            "  {events:>12,.0f} events  {rate:>9,.0f} /s  {cpu_s:>6.1f} CPU s  {rss_mb:>5.0f} MB  yardstick {yardstick_us:>5.1f} us".format(
                **pace
            ),
            flush=True,
        )


def measure(port: int, ready: list[Body], events: int, connections: int, watch: Watch, first_round: int) -> dict[str, Any]:
    before, written = cpu_seconds(watch.pid), written_bytes(watch.pid)
    report = uvloop.run(drive(port, ready, events, connections, first_round, watch))
    watch(report)
    used = cpu_seconds(watch.pid) - before
    return {
        "events": report.sent,
        "acknowledged": report.acknowledged,
        "refused": report.refused,
        "events_per_s": report.rate,
        "p50_ms": report.quantile(0.5),
        "p99_ms": report.quantile(0.99),
        "cpu_s_per_million": used / report.sent * MILLION,
        "written_bytes_per_event": (written_bytes(watch.pid) - written) / report.sent,
        "loader_cpu_s_per_million": report.cpu_seconds / report.sent * MILLION,
        "peak_rss_mb": watch.peak / 1e6,
        "yardstick_us": fmean(watch.lengths),
        "paces": watch.paces,
    }


def baseline(ready: list[Body], events: int, connections: int, yardstick: Yardstick) -> dict[str, Any]:
    port = free_port()
    with subprocess.Popen([sys.executable, str(HERE / "baseline.py"), str(port)]) as process:
        try:
            wait_for(port)
            uvloop.run(drive(port, ready, events // 10, connections))
            return measure(port, ready, events, connections, Watch(process.pid, yardstick), 1)
        finally:
            process.terminate()


def wait_for(port: int) -> None:
    async def connect() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    for _ in range(200):
        try:
            return asyncio.run(connect())
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the baseline server did not start")


def show(name: str, result: dict[str, Any], against: dict[str, Any] | None = None) -> None:
    print(
        f"{name}: {result['events_per_s']:,.0f} events/s, p50 {result['p50_ms']:.1f} ms, p99 {result['p99_ms']:.1f} ms a request, "
        f"{result['cpu_s_per_million']:.1f} CPU s a million (loader {result['loader_cpu_s_per_million']:.1f}), "
        f"{result['written_bytes_per_event'] / 1e3:.1f} KB written an event, peak {result['peak_rss_mb']:.0f} MB, "
        f"yardstick {result['yardstick_us']:.1f} us"
    )
    if result["refused"]:
        print(f"  refused by status: {result['refused']}")
    if against:
        share = result["events_per_s"] / against["events_per_s"]
        dearer = result["cpu_s_per_million"] / against["cpu_s_per_million"]
        print(f"  {share:.2f} of the baseline's rate for {dearer:.1f} times its CPU")
        print(f"  {result['events_per_s'] / RUDDERSTACK:.1f} times the {RUDDERSTACK:,} durable events/s of RudderStack")


def run(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    events = shop_events(options.pool, granted=options.mix == "granted")
    size = sum(map(len, events)) / len(events)
    print(
        f"{len(events):,} events of {size:.0f} bytes ready; fsync of this disk {fsync_ms(directory):.2f} ms; {os.cpu_count()} cores"
    )
    gateway = Gateway(directory / "gateway", workers=options.workers, environ=dict(pair.split("=", 1) for pair in options.set))
    if options.people:
        gateway.start()
        gateway.stop(60)
        let_know(gateway.data / "eu", options.people)
    gateway.start(*(["-m", "cProfile", "-o", str(directory / "profile")] if options.profile else []))
    results: dict[str, Any] = {"event_bytes": size, "options": vars(options)}
    try:
        expected = drive_gateway(options, gateway, events, results)
        results["threads_cpu_s"] = {str(pid): used for pid, used in threads(gateway.pid).items()}
    finally:
        code = gateway.stop(60)
    for pid, used in results["threads_cpu_s"].items():
        print(f"  CPU s by thread of {pid}: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in sorted(used.items())))
    results["exit_code"] = code
    verify(results, gateway, expected, exact_ids=options.mix == "granted")
    if options.profile:
        pstats.Stats(str(directory / "profile")).sort_stats("tottime").print_stats(35)
    return results


def drive_gateway(options: argparse.Namespace, gateway: Gateway, events: list[bytes], results: dict[str, Any]) -> int:
    """All measured runs; how many events were acknowledged."""
    key, expected, yardstick = gateway.keys["server"], 0, Yardstick(events[:40])
    batches = bodies(events, key, 100)
    warm = uvloop.run(drive(gateway.port, batches, min(20_000, len(events)), options.connections, WARM_ROUND))
    expected += warm.acknowledged
    if not options.no_baseline:
        results["baseline_batches"] = baseline(batches, min(options.events, 400_000), options.connections, yardstick)
        show("baseline, batches of 100", results["baseline_batches"])
    result = results["batches"] = measure(
        gateway.port, batches, options.events, options.connections, Watch(gateway.pid, yardstick), 1
    )
    expected += result["acknowledged"]
    show("gateway, batches of 100", result, results.get("baseline_batches"))
    if options.singles:
        singles = bodies(events[: min(len(events), options.singles)], key, 1)
        if not options.no_baseline:
            results["baseline_singles"] = baseline(singles, options.singles, options.single_connections, yardstick)
            show("baseline, single events", results["baseline_singles"])
        first = 1 + options.events // len(events) + 1
        result = results["singles"] = measure(
            gateway.port, singles, options.singles, options.single_connections, Watch(gateway.pid, yardstick), first
        )
        expected += result["acknowledged"]
        show("gateway, single events", result, results.get("baseline_singles"))
    return expected


def verify(results: dict[str, Any], gateway: Gateway, expected: int, *, exact_ids: bool) -> None:
    """Read the store back. In the anonymous lane an event has another id than its sender gave it, so only rows are counted then."""
    stored = count(gateway.data)
    results["acknowledged"], results["stored"] = expected, stored._asdict()
    once = stored.events == expected and (stored.ids == expected or not exact_ids)
    results["exactly_once"] = once
    kept = sum(path.stat().st_size for path in gateway.data.rglob("*") if path.is_file())
    print(
        f"{expected:,} acknowledged; {stored.events:,} stored, {stored.ids:,} ids, {stored.subjects:,} subjects, "
        f"{kept / max(1, stored.events):.0f} bytes an event: {'each exactly once' if once else 'NOT EXACTLY ONCE'}"
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=400_000, help="events sent in batches (default %(default)s)")
    parser.add_argument("--singles", type=int, default=30_000, help="events sent one by one; 0 for none (default %(default)s)")
    parser.add_argument(
        "--pool", type=int, default=160_000, help="different events, of about a sixth as many people (default %(default)s)"
    )
    parser.add_argument("--connections", type=int, default=8, help="keep-alive connections with batches (default %(default)s)")
    parser.add_argument("--single-connections", type=int, default=64, help="and with single events (default %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="gateway processes (default %(default)s)")
    parser.add_argument(
        "--mix", choices=["granted", "shop"], default="granted", help="every event with a grant, or as people choose"
    )
    parser.add_argument("--people", type=int, default=0, help="so many whom the store knows already (default %(default)s)")
    parser.add_argument("--long", action="store_true", help="twenty million events, nothing else")
    parser.add_argument("--profile", action="store_true", help="run the gateway under cProfile and print its dearest functions")
    parser.add_argument("--no-baseline", action="store_true", help="the gateway only")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="environment of the gateway, such as a setting"
    )
    parser.add_argument("--dir", type=Path, help="where the store stands meanwhile (default: the system's temporary directory)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    options = parser.parse_args()
    if options.long:
        options.events, options.singles, options.no_baseline = 20 * MILLION, 0, True
    return options


def main() -> int:
    options = parse()
    directory = Path(tempfile.mkdtemp(prefix="consentry-bench-", dir=options.dir))
    try:
        results = run(options, directory)
    finally:
        shutil.rmtree(directory)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1, default=str))
    return 0 if results["exactly_once"] and results["exit_code"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
