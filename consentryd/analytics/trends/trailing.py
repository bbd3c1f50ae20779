"""Weekly and monthly active subjects: those seen in the 7 or 30 local days that end with a bucket's day."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from consentryd.analytics.calendar import Interval
from consentryd.analytics.group import ALL
from consentryd.analytics.period import Period, by_day
from consentryd.analytics.trends.aggregate import Cells

WINDOWS: Final[dict[str, int]] = {"weekly_active": 7, "monthly_active": 30}
_LENGTH: Final[dict[Interval, int]] = {"minute": 0, "hour": 0, "day": 1, "week": 7, "month": 28, "quarter": 90, "year": 365}


def degrades(math: str, interval: Interval) -> bool:
    """Whether buckets are as long as the window, so that it is a plain distinct count of the bucket."""
    return (math, interval) == ("monthly_active", "month") or _LENGTH[interval] >= WINDOWS[math]


def statement(rows: str, window: int, *, together: bool) -> str:
    """By group and day, how many subjects come into the window and how many leave it. `rows` have the number of the day as `b`.

    A subject seen on a day counts from it until `window` days later or until the day it is seen again, whichever comes first.
    """
    parts = [_changes(rows, "g", window)]
    if together:
        parts.append(_changes(rows, f"'{ALL}'", window))
    return " UNION ALL ".join(parts)


def _changes(rows: str, group: str, window: int) -> str:
    days = f"SELECT DISTINCT subject, {group} AS g, b FROM ({rows}) WHERE subject IS NOT NULL"
    again = "lead(b) OVER (PARTITION BY subject, g ORDER BY b)"
    stays = f"SELECT g, b, least(b + {window}, coalesce({again}, b + {window})) AS until FROM ({days})"
    return (
        f"SELECT g, b, count(*) AS x FROM ({stays}) GROUP BY g, b"
        f" UNION ALL SELECT g, until AS b, -count(*) AS x FROM ({stays}) GROUP BY g, until"
    )


def active(table: pa.Table, period: Period, days: Period) -> Cells:
    """Subjects in the window at the last day of each bucket of `period`; `days` are the days that rows were numbered by."""
    changes: dict[str, list[int]] = {}
    for group, day, change in zip(*(table[name].to_pylist() for name in ("g", "b", "x")), strict=True):
        line = changes.setdefault(group, [0] * (days.buckets + 1))
        line[min(day, days.buckets)] += change
    ends = [days.bucket_at(end - 1) for end in period.edges[1:]]
    cells: Cells = {}
    for group, line in changes.items():
        running, total = [], 0
        for change in line:
            total += change
            running.append(total)
        cells.update({(group, bucket): running[end] for bucket, end in enumerate(ends) if end is not None})
    return cells


def days_of(period: Period, window: int) -> Period:
    """The local days of a period, with those that the first window looks back to."""
    return by_day(period, window - 1)
