"""What a propensity may look at: how lately, how often and how long somebody was here before a day, and nothing sensitive (1.17)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from consentryd.analytics.statistics.array import Bools, Floats, Ints

WINDOWS: Final = (1, 7, 28)
#: The only text columns that may become features.
CATEGORIES: Final = frozenset({"country", "device"})
MAX_CATEGORIES: Final = 10


class Table(NamedTuple):
    """One line per subject, ascending: `names` of the f features and float64[n, f] `values`."""

    subject: Ints
    names: tuple[str, ...]
    values: Floats

    def take(self, lines: Ints | Bools) -> Table:
        """Some of the lines."""
        return Table(self.subject[lines], self.names, self.values[lines])

    def beside(self, names: Sequence[str], values: Floats) -> Table:
        """With more features of the same subjects."""
        return Table(self.subject, (*self.names, *names), np.column_stack([self.values, values]))


class Activity(NamedTuple):
    """Rows of the activity rollup in any order: subject, position of the event in `events`, day number, and how often that day."""

    subject: Ints
    event: Ints
    day: Ints
    times: Ints


def behaviour(activity: Activity, events: Sequence[str], cutoff: int, excluded: Ints | None = None) -> Table:
    """Of everybody active before the day `cutoff`, from days before it only; `excluded` subjects objected to profiling.

    Recency and tenure in days, active days of 28, the share of 28 days' events that fell in the last 7, and each event's count in 1, 7
    and 28 days; all but the share as log(1 + x).
    """
    known = activity.day < cutoff
    if excluded is not None:
        known &= ~np.isin(activity.subject, excluded)
    rows = Activity(*(column[known] for column in activity))
    subject, line = np.unique(rows.subject, return_inverse=True)
    age = cutoff - rows.day
    n = len(subject)
    last, first = np.full(n, np.iinfo(np.int64).max), np.zeros(n, np.int64)
    np.minimum.at(last, line, age)
    np.maximum.at(first, line, age)
    month = age <= WINDOWS[-1]
    active = np.bincount(np.unique(line[month] * (WINDOWS[-1] + 1) + age[month]) // (WINDOWS[-1] + 1), minlength=n)
    counts = _counts(rows, line, age, n, len(events))
    week_sum, month_sum = counts[1].sum(axis=1), counts[2].sum(axis=1)
    trend = np.divide(week_sum, month_sum, where=month_sum > 0, out=np.zeros(n))
    values = np.column_stack([np.log1p(np.column_stack([last, first, active])), trend, np.log1p(np.column_stack(counts))])
    names = [f"{event} in {window} d" for window in WINDOWS for event in events]
    return Table(subject, ("recency", "tenure", "active days in 28 d", "trend", *names), values)


def category(name: str, codes: Ints, texts: Mapping[int, str]) -> tuple[tuple[str, ...], Floats]:
    """Names and 0/1 columns, for `Table.beside`, of the text codes of each line; codes that `texts` lacks are in no column. Choose the
    texts once, by `frequent`, and use them for training and scoring. Raises ValueError for a column that may not be a feature."""
    if name not in CATEGORIES:
        raise ValueError("only country and device may be features")
    chosen = sorted(texts)
    return tuple(f"{name} is {texts[code]}" for code in chosen), (codes[:, None] == np.array(chosen, np.int64)).astype(np.float64)


def frequent(codes: Ints, texts: Sequence[str], limit: int = MAX_CATEGORIES) -> dict[int, str]:
    """The most frequent codes of a text column, ties by code; missing ones (below 0) are none."""
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    chosen = [int(code) for code in np.argsort(-counts, kind="stable")[:limit] if counts[code]]
    return {code: texts[code] for code in chosen}


def happened(table: Table, subject: Ints, day: Ints, cutoff: int, horizon: int) -> Bools:
    """For each line whether its subject has a row of the target event in the days [cutoff, cutoff + horizon)."""
    within = (day >= cutoff) & (day < cutoff + horizon)
    return np.isin(table.subject, subject[within])


def _counts(rows: Activity, line: Ints, age: Ints, n: int, events: int) -> list[Floats]:
    found = []
    for window in WINDOWS:
        near = age <= window
        sums = np.bincount(line[near] * events + rows.event[near], rows.times[near], n * events)
        found.append(sums.astype(np.float64).reshape(n, events))
    return found
