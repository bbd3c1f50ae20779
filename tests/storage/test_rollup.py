"""A rollup says what its file says, is made when files are, and goes with its file."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from consentryd.model.clock import DAY, HOUR, ManualClock
from consentryd.model.event import POSITION
from consentryd.storage.backup import back_up
from consentryd.storage.compaction import compact
from consentryd.storage.delta import DeltaLake
from consentryd.storage.erasure import rewrite_without
from consentryd.storage.lake import Lake, LakeFile, partition
from consentryd.storage.order import sort
from consentryd.storage.rollup import Rollup, read
from consentryd.storage.rollup_build import READ, build
from consentryd.storage.rollup_keep import made_of, roll_up, standing, wrong
from consentryd.storage.scan import Needles, scan_files, scan_lake
from consentryd.storage.seal import Sealer
from tests.storage.rows import JANUARY, event, table

UTC_ZONE = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")
OCTOBER = 1_790_812_800_000_000  # 2026-10-01T00:00:00Z; clocks change in Berlin on the 25th
PEOPLE = [random.Random(number).randrange(3 << 59, 4 << 59) for number in range(40)]  # of bucket 3


def mixed(number: int, start: int) -> list:
    """An event of bucket 3: some anonymous, some without a name or a purpose, of two sites and two purposes."""
    rng = random.Random(number)
    row = event(
        number, start=start, days=31, subject=rng.choice(PEOPLE), lane="consented", site=rng.choice(["shop", "shop", "blog"])
    )
    row[POSITION["purpose"]] = rng.choice(["analytics", "analytics", "ads", None])
    row[POSITION["event"]] = rng.choice(["viewed", "bought", "liked", None])
    if number % 11 == 0:
        row[POSITION["lane"]] = "anonymous"
    return row


def put(lake: Lake, rows: list, month: str = "2026-01") -> LakeFile:
    file = lake.write(month, 3, [sort(table(rows)).slice(0, 1), sort(table(rows)).slice(1)])
    assert file is not None
    with lake.writing():
        lake.commit([file])
    return file


def facts(rollup: Rollup) -> set[tuple]:
    """(site, purpose, event, subject, local day) that a rollup knows of."""
    days = [
        datetime.fromtimestamp((edge + HOUR) // 1_000_000, UTC).astimezone(ZoneInfo(rollup.zone)).date() for edge in rollup.edges
    ]
    return {
        (*section[:3], int(rollup.subjects[rollup.codes[row]]), days[day])
        for section in rollup.sections
        for row in range(section.start, section.end)
        for day in range(len(days) - 1)
        if int(rollup.days[row]) >> day & 1
    }


def known(rows: list, zone: ZoneInfo) -> tuple[set[tuple], Counter]:
    """The same by looking at one event after the other, and how many events there are by name and day."""
    found, counts = set(), Counter()
    for row in rows:
        site, purpose, name, subject, lane = (row[POSITION[each]] for each in ("site", "purpose", "event", "subject", "lane"))
        if lane == "anonymous" or purpose is None:
            continue
        day = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row[POSITION["time"]])).astimezone(zone).date()
        for each in {name, None}:
            found.add((site, purpose, each, subject, day))
            counts[site, purpose, each, day] += 1
    return found, counts


@pytest.mark.parametrize(
    ("zone", "start", "month"),
    [(UTC_ZONE, JANUARY, "2026-01"), (BERLIN, OCTOBER, "2026-10"), (ZoneInfo("Pacific/Apia"), JANUARY, "2026-01")],
)
def test_a_rollup_knows_who_did_what_on_which_local_day_and_how_often(lake, zone, start, month):
    rows = [mixed(number, start) for number in range(900)]
    file = put(lake, rows, month)
    rollup = made_of(lake, file, zone)
    expected, counts = known(rows, zone)
    assert facts(rollup) == expected
    for section in rollup.sections:
        days = [datetime.fromtimestamp((edge + HOUR) // 1_000_000, UTC).astimezone(zone).date() for edge in rollup.edges[:-1]]
        assert section.totals == tuple(counts[(*section[:3], day)] for day in days)


def test_a_subject_stands_in_a_section_once_and_subjects_ascend(lake):
    rollup = made_of(lake, put(lake, [mixed(number, JANUARY) for number in range(900)]), UTC_ZONE)
    assert (rollup.subjects[1:] > rollup.subjects[:-1]).all()
    for section in rollup.sections:
        codes = rollup.codes[section.start : section.end].tolist()
        assert len(set(codes)) == len(codes) > 0


def test_a_rollup_comes_back_from_the_disk_as_it_was_laid(region):
    lake = DeltaLake(region)
    file = put(lake, [mixed(number, JANUARY) for number in range(300)])
    made = made_of(lake, file, BERLIN)
    lake.lay(file, made)
    found = DeltaLake(region).rollup(file)
    assert found is not None
    assert (facts(found), found[:4]) == (facts(made), made[:4])


def rollups(region: Path) -> list[Path]:
    return sorted(region.glob("lake/**/*.rollup"))


@pytest.mark.parametrize("damage", ["a bit", "the end", "everything", "the mark"])
def test_a_damaged_rollup_is_as_good_as_none_and_is_made_anew(region, damage):
    lake = DeltaLake(region)
    file = put(lake, [mixed(number, JANUARY) for number in range(300)])
    with lake.writing():
        assert roll_up(lake, UTC_ZONE) == 1
    (path,) = rollups(region)
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes({"a bit": data, "the end": data[: len(data) // 2], "everything": b"", "the mark": b"x" * len(data)}[damage])
    fresh = DeltaLake(region)
    assert fresh.rollup(file) is None
    assert standing(fresh) == (1, 0)
    with fresh.writing():
        assert roll_up(fresh, UTC_ZONE) == 1
    assert fresh.rollup(file) is not None


def test_rollups_are_made_once_for_one_zone_and_never_of_anonymous_files(lake):
    put(lake, [mixed(number, JANUARY) for number in range(50)])
    nameless = lake.write("2026-01", 16, [table([event(4)])])
    with lake.writing():
        lake.commit([nameless])
        assert [roll_up(lake, zone) for zone in (UTC_ZONE, UTC_ZONE, BERLIN, BERLIN)] == [1, 0, 1, 0]
    assert standing(lake) == (1, 1)
    assert lake.rollup(nameless) is None


def test_a_run_makes_a_bounded_number_newest_months_first(lake):
    old, new = put(lake, [mixed(number, JANUARY) for number in range(50)]), put(lake, [mixed(1, OCTOBER)], "2026-10")
    with lake.writing():
        assert roll_up(lake, UTC_ZONE, events=20) == 1
        assert (lake.rollup(new) is None, lake.rollup(old) is None) == (False, True)
        assert roll_up(lake, UTC_ZONE, events=20) == 1


def test_sealing_and_compacting_keep_a_rollup_of_every_file_of_subjects(region, append, lake):
    for start in (0, 200, 400):
        append([event(number) for number in range(start, start + 200)])
        Sealer(region, lake, zone=UTC_ZONE).run()
    before = standing(lake)
    compact(region, lake, everything=True, zone=UTC_ZONE)
    after = standing(lake)
    assert before.files == before.rolled > after.files == after.rolled > 1
    assert wrong(lake) == []


def test_a_rollup_goes_with_its_file(region):
    lake = DeltaLake(region)
    old = put(lake, [mixed(number, JANUARY) for number in range(50)])
    with lake.writing():
        roll_up(lake, UTC_ZONE)
        lake.commit([], [old])
        assert len(rollups(region)) == 1
        assert lake.vacuum() == [old.path]
    assert rollups(region) == []


def test_a_rollup_that_a_crash_left_half_written_is_swept_up(region):
    lake = DeltaLake(region)
    file = put(lake, [mixed(1, JANUARY)])
    left = (lake.folder / file.path).with_suffix(".0123.draft")
    left.write_bytes(b"half")
    with lake.writing():
        roll_up(lake, UTC_ZONE)
        lake.vacuum()
    assert not left.exists()
    assert len(rollups(region)) == 1


def test_after_an_erasure_no_file_holds_the_subject_and_a_search_of_bytes_would_have_found_it(region):
    lake = DeltaLake(region)
    for (month, bucket), part in partition(sort(table([mixed(number, JANUARY) for number in range(400)]))):
        file = lake.write(month, bucket, [part])
        with lake.writing():
            lake.commit([file])
    needles = Needles(PEOPLE[:1], [])
    with lake.writing():
        roll_up(lake, UTC_ZONE)
        found = {each.path for each in scan_files(region, needles).found}
        assert found >= {str(path.relative_to(region)) for path in rollups(region)}
        rewrite_without(lake, PEOPLE[:1])
        lake.vacuum()
        roll_up(lake, UTC_ZONE)
    assert scan_files(region, needles).plus(scan_lake(lake, needles, everything=True)).found == ()
    assert standing(lake).rolled == 1


def test_a_rollup_that_differs_from_its_file_is_found(lake):
    file = put(lake, [mixed(number, JANUARY) for number in range(200)])
    with lake.writing():
        roll_up(lake, UTC_ZONE)
        assert wrong(lake) == []
        honest = lake.rollup(file)
        days = honest.days.copy()
        days[5] ^= 1 << 3
        lake.lay(file, honest._replace(days=days))
    assert wrong(lake) == [file.path]


def test_what_is_no_rollup_reads_as_none(tmp_path):
    assert read(tmp_path / "absent") is None


def test_more_than_32_days_fit(lake):
    times = [OCTOBER + number * DAY + number for number in range(40)]
    rows = [event(number, subject=PEOPLE[0], lane="consented", time=time) for number, time in enumerate(times)]
    rollup = made_of(lake, put(lake, rows, "2026-10"), UTC_ZONE)
    assert (len(rollup.edges), rollup.days.dtype.itemsize) == (41, 8)
    assert int(rollup.days[0]) == (1 << 40) - 1


def test_a_backup_holds_no_rollup_and_its_lake_gets_them_anew(region, tmp_path, append):
    append([event(number) for number in range(100)])
    Sealer(region, DeltaLake(region), zone=UTC_ZONE).run()
    back_up(tmp_path, tmp_path / "copy", ManualClock(JANUARY))
    restored = tmp_path / "copy" / "eu"
    assert rollups(region)
    assert rollups(restored) == []
    Sealer(restored, DeltaLake(restored), zone=UTC_ZONE).run()
    assert [path.name for path in rollups(restored)] == [path.name for path in rollups(region)]


def test_the_rollup_of_a_large_file_is_made_in_a_few_bytes_an_event() -> None:
    """Of a file of 1.6 million events it had taken 92 MB, while events come in."""
    events, at_once = 400_000, 20_000
    some = table([event(number, start=JANUARY, days=1, lane="consented") for number in range(at_once)]).select(READ)
    place = some.schema.get_field_index("subject")

    def read() -> Iterator[pa.Table]:
        for start in range(0, events, at_once):
            yield some.set_column(place, "subject", pa.array(np.arange(start, start + at_once)))

    tracemalloc.start()
    try:
        made = build(read(), JANUARY, JANUARY + DAY - 1, UTC_ZONE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(made.subjects) == events
    assert peak < 75 * events
