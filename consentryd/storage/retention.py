"""Deleting what is older than its site keeps it: whole files where it can, rewritten ones where other events share them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from consentryd.config.settings import Retention, Settings
from consentryd.model.clock import DAY
from consentryd.model.decision import Lane
from consentryd.storage.lake import Lake, LakeFile
from consentryd.storage.ledger import EntryKind, Ledger

_FOREVER: Final = -(2**62)
_MARKS: Final = ("site", "lane", "purpose", "time", "subject")
_DELETION_WAIT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """What was deleted, or would be (`dry_run`). `events` counts them by (site, lane)."""

    dry_run: bool
    events: dict[tuple[str, str], int] = field(default_factory=dict)
    dropped_files: int = 0
    rewritten_files: int = 0


#: For a site, lane and purpose the earliest time (UTC microseconds) that is kept.
Earliest = Callable[[str, str, str | None], int]


class _Limits(NamedTuple):
    """What goes: events from before `earliest`, but not those of the subjects that are `held`."""

    earliest: Earliest
    held: pa.Array


def limits_of(settings: Settings, now: int, region: str) -> Earliest:
    """Of the limits that apply the shortest."""
    return lambda site, lane, purpose: now - days_of(settings, region, site, lane, purpose) * DAY


def days_of(settings: Settings, region: str, site: str, lane: str, purpose: str | None) -> int:
    """How many days such events are kept."""
    limit = _retention(settings, site)
    days = limit.anonymous_days if lane == Lane.ANONYMOUS else limit.consented_days
    days = min(days, limit.regions.get(region, days))
    if lane != Lane.ANONYMOUS and purpose is not None:
        days = min(days, limit.purposes.get(purpose, days))
    return days


def analysed_days(settings: Settings, site: str) -> int:
    """How many days a site's events are to be found by questions, where they are kept the shortest."""
    purposes = [None, *settings.analytics.purposes]
    return min(days_of(settings, region, site, Lane.CONSENTED, purpose) for region in settings.regions for purpose in purposes)


def retain(
    lake: Lake,
    settings: Settings,
    now: int,
    *,
    region: str = "",
    held: Callable[[], Collection[int]] = tuple,
    dry_run: bool = False,
    wait_s: float = 0.0,
) -> RetentionReport:
    """Delete what is past its limit from the lake; its bytes are gone when this returns. `dry_run` only counts.

    Events of subjects that are `held` by law stay: those of when the lake's lock is had, which who sets a hold waits for. Running readers
    are waited for. Raises `Busy`, `CorruptStore`, `OSError`.
    """
    latest_limit = now - min(_all_days(settings)) * DAY
    found: dict[tuple[str, str], int] = {}
    dropped: list[LakeFile] = []
    shared: list[LakeFile] = []
    with lake.writing(wait_s):
        lake.heal()
        limits = _Limits(limits_of(settings, now, region), pa.array(held(), pa.int64()))
        for file in (file for file in lake.state().files if file.first < latest_limit):
            expired = _count(lake, file, limits)
            if expired:
                (dropped if sum(expired.values()) == file.events else shared).append(file)
            for key, events in expired.items():
                found[key] = found.get(key, 0) + events
        if found and not dry_run:
            _delete(lake, dropped, shared, limits)
    return RetentionReport(dry_run, found, len(dropped), len(shared))


def note_retention(connection: sqlite3.Connection, now: int, report: RetentionReport) -> None:
    """Record in the region's ledger what was deleted. Call within a transaction."""
    events = {f"{site}/{lane}": count for (site, lane), count in sorted(report.events.items())}
    facts = {"events": events, "files_dropped": report.dropped_files, "files_rewritten": report.rewritten_files}
    Ledger(connection).append(now, EntryKind.RETENTION, facts)


def _delete(lake: Lake, dropped: list[LakeFile], shared: list[LakeFile], limits: _Limits) -> None:
    if dropped:
        lake.commit([], dropped)
    for file in shared:
        rewrite(lake, file, lambda table: pc.invert(_expired(table, limits)))
    lake.vacuum(_DELETION_WAIT_S)


def rewrite(lake: Lake, file: LakeFile, keep: Callable[[pa.Table], pa.Array]) -> LakeFile | None:
    """Replace a file by one that holds only the events that `keep` marks; None if none is left. Call within `writing()`."""
    kept = lake.write(file.month, file.bucket, (table.filter(keep(table)) for table in lake.read(file)))
    lake.commit([] if kept is None else [kept], [file])
    return kept


def _count(lake: Lake, file: LakeFile, limits: _Limits) -> dict[tuple[str, str], int]:
    """Expired events by site and lane."""
    counts: dict[tuple[str, str], int] = {}
    for table in lake.read(file, _MARKS):
        for key, mask in _groups(table, limits):
            events = pc.sum(mask).as_py() or 0
            if events:
                counts[key] = counts.get(key, 0) + events
    return counts


def _expired(table: pa.Table, limits: _Limits) -> pa.Array:
    mask = pa.chunked_array([pa.array([False] * table.num_rows)])
    for _, group in _groups(table, limits):
        mask = pc.or_(mask, group)
    return mask


def _groups(table: pa.Table, limits: _Limits) -> Iterator[tuple[tuple[str, str], pa.Array]]:
    """For each site, lane and purpose in the table, which of its events are expired."""
    times = table["time"].cast(pa.int64())
    purposes = pc.fill_null(table["purpose"], "")
    free = pc.invert(pc.is_in(table["subject"], limits.held))
    for row in table.group_by(["site", "lane", "purpose"]).aggregate([]).to_pylist():
        site, lane, purpose = row["site"], row["lane"], row["purpose"]
        belongs = pc.and_(pc.equal(table["site"], site), pc.equal(table["lane"], lane))
        belongs = pc.and_(belongs, pc.equal(purposes, purpose or ""))
        yield (site, lane), pc.and_(pc.and_(belongs, free), pc.less(times, limits.earliest(site, lane, purpose)))


def _all_days(settings: Settings) -> Iterator[int]:
    for limit in (settings.site.retention, *(site.retention for site in settings.sites.values())):
        yield from (limit.consented_days, limit.anonymous_days, *limit.purposes.values(), *limit.regions.values())


def _retention(settings: Settings, site: str) -> Retention:
    own: Mapping[str, object] = settings.sites
    if site in own and "retention" in settings.sites[site].model_fields_set:
        return settings.sites[site].retention
    return settings.site.retention
