"""Write the shop's event log: `python -m examples.shop_events --events 100000 --seed 7 --days 90 > events.jsonl`."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, date, datetime, timedelta

from examples.shop_events.generator import Scenario, lines


def main() -> int:
    given = parser().parse_args()
    start = given.start or datetime.now(UTC).date() - timedelta(days=given.days)
    try:
        sys.stdout.writelines(lines(Scenario(given.events, given.seed, start, given.days)))
        sys.stdout.flush()
    except BrokenPipeError:
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.shop_events", description=__doc__)
    parser.add_argument("--events", type=_positive, default=100_000, help="how many events (default %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=1, help="the same seed, start and days give the same log (default %(default)s)"
    )
    parser.add_argument(
        "--start", type=date.fromisoformat, help="first day, as 2026-08-31 (default: so that the last day is yesterday)"
    )
    parser.add_argument("--days", type=_positive, default=90, help="length of the log (default %(default)s)")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
