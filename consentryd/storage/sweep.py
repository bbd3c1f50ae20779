"""Taking withdrawn events out of the lake: erased, or counted from now on without the person. May be repeated after a crash."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from consentryd.model.clock import HOUR
from consentryd.model.decision import Lane
from consentryd.model.identity import bucket_of
from consentryd.storage.alias import Aliases
from consentryd.storage.lake import Lake, LakeFile
from consentryd.storage.schema import EVENT_SCHEMA
from consentryd.storage.spill import Spill
from consentryd.storage.withdrawal import Withdrawal

Mask = npt.NDArray[np.bool_]

#: What an anonymous event keeps, besides its times and its name.
KEPT: Final = frozenset(
    (
        *("site", "type", "event", "purpose", "country", "device", "os", "browser", "browser_major"),
        *("host", "path", "referrer_host", "utm_source", "utm_medium", "utm_campaign", "schema_version"),
    )
)
REF: Final = "withdrawn"
_MARKS: Final = ("subject", "purpose", "received_at")


class Swept(NamedTuple):
    """How many events went, and how many are counted without the person now. `files` were replaced."""

    erased: int
    anonymised: int
    files: int


class Targets:
    """Which events are meant, found by arrays: per purpose the subjects in order, and until when."""

    def __init__(self, withdrawals: Collection[Withdrawal], aliases: Aliases) -> None:
        self._aliases = aliases
        self._by_purpose: dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = {}
        grouped: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for subject, purpose, until in withdrawals:
            grouped[purpose].append((subject, until))
        for purpose, pairs in grouped.items():
            ordered = np.array(sorted(pairs), np.int64)
            self._by_purpose[purpose] = ordered[:, 0], ordered[:, 1]
        subjects = {withdrawal.subject for withdrawal in withdrawals}
        merged = aliases.subjects[np.isin(aliases.becomes, list(subjects))].tolist()
        self.buckets = {bucket_of(subject) for subject in (*subjects, *merged)}

    def of(self, table: pa.Table) -> Mask:
        """Which of the events are to go. Needs the columns subject, purpose and received_at."""
        subjects = self._aliases.apply(table)["subject"].combine_chunks().fill_null(-1).to_numpy(zero_copy_only=False)
        received = table["received_at"].cast(pa.int64()).to_numpy()
        found = np.zeros(table.num_rows, np.bool_)
        for purpose, (wanted, until) in self._by_purpose.items():
            place = np.minimum(np.searchsorted(wanted, subjects), len(wanted) - 1)
            meant = pc.fill_null(pc.equal(table["purpose"], purpose), False).to_numpy()
            found |= meant & (wanted[place] == subjects) & (received <= until[place])
        return found


def sweep(lake: Lake, erase: Targets, anonymise: Targets, may_count: Callable[[str, str], bool]) -> Swept:
    """Replace the files that hold the targets, in one commit. Call within `writing()`, then `vacuum`.

    `may_count` says whether a site counts events of this name without a person; those it does not are erased. Other people's events keep
    their order and every value.
    """
    lake.heal()
    buckets = erase.buckets | anonymise.buckets
    holding = [file for file in lake.state().files if file.bucket in buckets and _holds(lake, file, (erase, anonymise))]
    with closing(Spill(lake.scratch)) as counted:
        rest = [lake.write(file.month, file.bucket, _rest(lake, file, erase, anonymise, may_count, counted)) for file in holding]
        nameless = [lake.write(month, bucket, tables) for month, bucket, tables in counted.partitions()]
    if holding:
        lake.commit([file for file in (*rest, *nameless) if file is not None], holding)
    before, after, anonymised = _events(holding), _events(rest), _events(nameless)
    return Swept(before - after - anonymised, anonymised, len(holding))


def _events(files: Iterable[LakeFile | None]) -> int:
    return sum(file.events for file in files if file is not None)


def _holds(lake: Lake, file: LakeFile, targets: Sequence[Targets]) -> bool:
    return any(each.of(table).any() for table in lake.read(file, _MARKS) for each in targets)


def _rest(
    lake: Lake, file: LakeFile, erase: Targets, anonymise: Targets, may_count: Callable[[str, str], bool], counted: Spill
) -> Iterator[pa.Table]:
    """The events that stay; those to be counted go into the spill on the way."""
    for table in lake.read(file):
        gone, nameless = erase.of(table), anonymise.of(table)
        if nameless.any():
            chosen = table.filter(pa.array(nameless))
            names = zip(chosen["site"].to_pylist(), chosen["event"].to_pylist(), strict=True)
            kept = chosen.filter(pa.array([may_count(site, event) for site, event in names]))
            if kept.num_rows:
                counted.add(anonymous(kept))
        away = gone | nameless
        yield table.filter(pa.array(~away)) if away.any() else table


def anonymous(table: pa.Table) -> pa.Table:
    """The events as the anonymous lane would have stored them: a short list of fields, an hour, a new id."""
    made = {
        "event_id": pa.array([uuid.uuid4().hex for _ in range(table.num_rows)]),
        "time": _hours(table["time"]),
        "received_at": _hours(table["received_at"]),
        "lane": pa.array([Lane.ANONYMOUS.value] * table.num_rows),
        "consent_ref": pa.array([REF] * table.num_rows),
    }
    return pa.table([_column(table, field, made) for field in EVENT_SCHEMA], schema=EVENT_SCHEMA)


def _column(table: pa.Table, field: pa.Field, made: dict[str, pa.Array]) -> pa.Array:
    if field.name in made:
        return made[field.name]
    return table[field.name] if field.name in KEPT else pa.nulls(table.num_rows, field.type)


def _hours(times: pa.ChunkedArray) -> pa.Array:
    values = times.cast(pa.int64()).to_numpy()
    return pa.array(values // HOUR * HOUR, pa.int64()).cast(times.type)
