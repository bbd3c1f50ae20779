"""Which lake files have a rollup, and making those that are missing. Whoever seals or compacts does it; nobody depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from consentryd.model.error import CorruptStore
from consentryd.storage.lake import ANONYMOUS_BUCKET, Lake, LakeFile
from consentryd.storage.rollup import Rollup
from consentryd.storage.rollup_build import READ, build

#: The writer's lock is not held for longer than it takes to roll up so many events (2.5 s); the next run goes on.
EVENTS_A_RUN: Final = 4_000_000
_ROWS: Final = 32_768


class Standing(NamedTuple):
    """Files of subjects, and how many of them have a rollup."""

    files: int
    rolled: int


def roll_up(lake: Lake, zone: ZoneInfo, events: int = EVENTS_A_RUN, *, least: int = 0) -> int:
    """Make the missing rollups of files of at least so many events, by the days of `zone`, newest months first; how many.

    Call within `writing()`. Raises `OSError`.
    """
    made = 0
    for file in sorted(files_of_subjects(lake), key=lambda file: file.month, reverse=True):
        if file.events < least:
            continue
        known = lake.rollup(file)
        if known is not None and known.zone == zone.key:
            continue
        if made and file.events > events:
            break
        events -= file.events
        made += _make(lake, file, zone)
    return made


def _make(lake: Lake, file: LakeFile, zone: ZoneInfo) -> bool:
    """A damaged file has none: whoever reads it says so."""
    try:
        lake.lay(file, made_of(lake, file, zone))
    except CorruptStore:
        return False
    return True


def made_of(lake: Lake, file: LakeFile, zone: ZoneInfo) -> Rollup:
    """What a file's rollup must be. Raises `CorruptStore`."""
    return build(lake.read(file, READ, rows=_ROWS), file.first, file.last, zone)


def files_of_subjects(lake: Lake) -> Iterator[LakeFile]:
    return (file for file in lake.state().files if file.bucket != ANONYMOUS_BUCKET)


def standing(lake: Lake) -> Standing:
    """How far the rollups are."""
    found = [lake.rollup(file) is not None for file in files_of_subjects(lake)]
    return Standing(len(found), sum(found))


def wrong(lake: Lake) -> list[str]:
    """Rollups that do not say what their file says, by the file's path: each is made anew and compared. Raises `CorruptStore`."""
    found = []
    for file in files_of_subjects(lake):
        known = lake.rollup(file)
        if known is not None and not equal(known, made_of(lake, file, ZoneInfo(known.zone))):
            found.append(file.path)
    return found


def equal(one: Rollup, other: Rollup) -> bool:
    """The same in every row."""
    arrays = ("subjects", "codes", "days")
    return one[:4] == other[:4] and all((getattr(one, name) == getattr(other, name)).all() for name in arrays)
