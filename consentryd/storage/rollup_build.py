"""Making a file's rollup from its events, some thousands at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from consentryd.model.clock import micros_of, moment_of
from consentryd.model.decision import Lane
from consentryd.storage.rollup import Days, Rollup, Section, width_of

#: What of an event a rollup is made from.
READ: Final = ("site", "time", "received_at", "lane", "purpose", "event", "subject")

Ints = npt.NDArray[np.int64]


class Name(NamedTuple):
    site: str
    purpose: str
    event: str | None


class _Rows(NamedTuple):
    """Lines of subject, number of the name, and days: 16 bytes each, 20 where there are more than 32 days."""

    subject: Ints
    name: npt.NDArray[np.int32]
    days: Days


def build(tables: Iterable[pa.Table], first: int, last: int, zone: ZoneInfo) -> Rollup:
    """The rollup of events (columns `READ`, any order) whose times lie between `first` and `last`, UTC microseconds."""
    collected = _Collected(day_edges(first, last, zone))
    for table in tables:
        collected.add(table)
    return collected.rollup(zone.key)


def day_edges(first: int, last: int, zone: ZoneInfo) -> tuple[int, ...]:
    """Starts of the local days that hold the two instants and all between, and the end of the last."""
    day, end = _local_day(first, zone), _local_day(last, zone) + timedelta(days=1)
    days = [day + timedelta(days=number) for number in range((end - day).days + 1)]
    starts = [datetime.combine(each, datetime.min.time(), zone).astimezone(UTC) for each in days]
    return tuple(sorted(set(map(micros_of, starts))))


def _local_day(instant: int, zone: ZoneInfo) -> date:
    return moment_of(instant).astimezone(zone).date()


class _Collected:
    def __init__(self, edges: tuple[int, ...]) -> None:
        self._edges = edges
        self._names: dict[Name, int] = {}
        self._rows: list[_Rows] = []
        self._totals: dict[Name, Ints] = {}
        self._received: list[int] = []

    def add(self, table: pa.Table) -> None:
        kept = _of_subjects(table)
        if not kept.num_rows:
            return
        received = pc.min_max(kept["received_at"].cast(pa.int64())).as_py()
        self._received += [received["min"], received["max"]]
        subject, name, day = _ints(kept["subject"]), self._numbered(kept), self._days(_ints(kept["time"]))
        self._count(name, day)
        line = np.concatenate([[0], np.cumsum(subject[1:] != subject[:-1])])
        order = np.argsort(line * len(self._names) + name)
        subject, name, days = subject[order], name[order], np.uint64(1) << day[order].astype(np.uint64)
        first = _firsts(subject, name)
        self._rows.append(_Rows(subject[first], name[first].astype(np.int32), self._joined(days, first)))

    def _days(self, time: Ints) -> Ints:
        found: Ints = np.searchsorted(np.asarray(self._edges), time, side="right") - 1
        return found

    def _numbered(self, table: pa.Table) -> Ints:
        """By event the number of its name."""
        codes: Ints = np.zeros(table.num_rows, np.int64)
        names: list[Any] = [()]
        for column in Name._fields:
            own, texts = _encoded(table[column])
            codes, names = _paired(codes, names, own, texts)
        numbers = [self._names.setdefault(Name(*name), len(self._names)) for name in names]
        found: Ints = np.array(numbers, np.int64)[codes]
        return found

    def _count(self, name: Ints, day: Ints) -> None:
        days = len(self._edges) - 1
        counts = np.bincount(name * days + day, minlength=len(self._names) * days).reshape(len(self._names), days)
        for key, row in zip(self._names, counts, strict=True):
            if row.any():
                self._totals[key] = self._totals.get(key, np.zeros(days, np.int64)) + row

    def rollup(self, zone: str) -> Rollup:
        subjects, code, name, days = self._merged()
        sections: list[Section] = []
        codes: list[Any] = []
        bits: list[Any] = []
        for key, chosen in self._parts(name):
            own = code[chosen]
            first = _firsts(own)
            start = sections[-1].end if sections else 0
            sections.append(Section(*key, start, start + len(first), tuple(self._total(key).tolist())))
            codes.append(own[first])
            bits.append(self._joined(days[chosen], first))
        received = (min(self._received, default=0), max(self._received, default=0))
        joined = np.concatenate(codes) if codes else np.empty(0, np.uint32)
        found = np.concatenate(bits) if bits else np.empty(0, width_of(self._edges))
        return Rollup(zone, self._edges, received, tuple(sections), subjects, joined, found)

    def _merged(self) -> tuple[Ints, npt.NDArray[np.uint32], npt.NDArray[np.int32], Days]:
        """All subjects, and by subject the rows: the number of theirs, the name and the days."""
        if not self._rows:
            return np.empty(0, np.int64), np.empty(0, np.uint32), np.empty(0, np.int32), np.empty(0, width_of(self._edges))
        subject, name, days = (np.concatenate(columns) for columns in zip(*self._rows, strict=True))
        self._rows = []
        if not np.all(subject[1:] >= subject[:-1]):
            order = np.argsort(subject, kind="stable")
            subject, name, days = subject[order], name[order], days[order]
        first = _firsts(subject)
        code = np.repeat(np.arange(len(first), dtype=np.uint32), np.diff(first, append=len(subject)))
        return subject[first], code, name, days

    def _joined(self, days: Days, first: Ints) -> Days:
        """The days of each of the rows that begin with these, as wide as they must be."""
        found: Days = np.bitwise_or.reduceat(days, first) if len(first) else days[:0]
        return found.astype(width_of(self._edges), copy=False)

    def _parts(self, name: npt.NDArray[np.int32]) -> Iterator[tuple[Name, Any]]:
        """Each section's name with its rows: of all events of a site and purpose, then of each event."""
        pairs: dict[tuple[str, str], list[int]] = {}
        for key, number in self._names.items():
            pairs.setdefault((key.site, key.purpose), []).append(number)
        for (site, purpose), numbers in sorted(pairs.items()):
            wanted = np.zeros(len(self._names), np.bool_)
            wanted[numbers] = True
            yield Name(site, purpose, None), wanted[name]
        order = np.argsort(name.astype(np.uint16) if len(self._names) <= np.iinfo(np.uint16).max else name, kind="stable")
        starts = np.searchsorted(name, np.arange(len(self._names) + 1), sorter=order)
        for key, number in sorted((key, number) for key, number in self._names.items() if key.event is not None):
            yield key, order[starts[number] : starts[number + 1]]

    def _total(self, key: Name) -> Ints:
        if key.event is not None:
            return self._totals[key]
        own = [counts for name, counts in self._totals.items() if (name.site, name.purpose) == (key.site, key.purpose)]
        found: Ints = np.sum(own, axis=0)
        return found


def _of_subjects(table: pa.Table) -> pa.Table:
    named = pc.and_(pc.is_valid(table["subject"]), pc.is_valid(table["purpose"]))
    wanted = pc.and_(pc.equal(table["lane"], Lane.CONSENTED.value), named)
    return table if pc.all(wanted).as_py() else table.filter(wanted)


def _firsts(*columns: npt.NDArray[np.integer[Any]]) -> Ints:
    """The rows that differ from the one before in any of the columns."""
    differs = np.ones(len(columns[0]), np.bool_)
    differs[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return np.flatnonzero(differs)


def _encoded(column: pa.ChunkedArray) -> tuple[Ints, list[Any]]:
    """Codes of texts, and the texts; null is one of them."""
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


def _paired(left: Ints, names: list[Any], right: Ints, texts: list[Any]) -> tuple[Ints, list[Any]]:
    """Codes of the pairs that there are."""
    pairs = left * len(texts) + right
    present = np.unique(pairs) if len(names) > 1 else np.flatnonzero(np.bincount(pairs, minlength=len(texts)))
    codes: Ints = np.searchsorted(present, pairs)
    return codes, [(*names[pair // len(texts)], texts[pair % len(texts)]) for pair in present.tolist()]


def _ints(column: pa.ChunkedArray) -> Ints:
    found: Ints = column.cast(pa.int64()).combine_chunks().to_numpy(zero_copy_only=False)
    return found
