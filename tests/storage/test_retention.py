"""Retention: what is older than its site keeps it goes, file by file or event by event, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from consentryd.config.settings import Retention, Settings, Site
from consentryd.model.clock import DAY
from consentryd.storage.delta import DeltaLake
from consentryd.storage.lake import Lake
from consentryd.storage.lease import Busy
from consentryd.storage.reader import verify
from consentryd.storage.retention import retain
from consentryd.storage.seal import Sealer
from tests.storage.conftest import Append
from tests.storage.rows import JANUARY, event, ids

NOW = JANUARY + 90 * DAY
SETTINGS = Settings(
    site=Site(retention=Retention(consented_days=1000, anonymous_days=40)),
    sites={"short": Site(retention=Retention(consented_days=20, anonymous_days=20)), "other": Site(country="DE")},
)
LIMITS = {("short", "consented"): 20, ("short", "anonymous"): 20}
ROWS = [
    event(number, days=90, site=["shop", "short", "other"][number % 3], subject=None if number % 5 == 4 else number % 2)
    for number in range(400)
]


def is_kept(row: Sequence[Any]) -> bool:
    days = LIMITS.get((row[1], row[6]), 40 if row[6] == "anonymous" else 1000)
    return bool(row[4] >= NOW - days * DAY)


@pytest.fixture(autouse=True)
def sealed(region: Path, lake: Lake, append: Append) -> None:
    append(ROWS)
    Sealer(region, lake).run()


def stored(lake: Lake) -> list[str]:
    return sorted(each for file in lake.state().files for part in lake.read(file) for each in part["event_id"].to_pylist())


def test_each_site_and_lane_keeps_exactly_its_days(lake: Lake) -> None:
    report = retain(lake, SETTINGS, NOW)
    assert stored(lake) == ids([row for row in ROWS if is_kept(row)])
    assert report.events == Counter((row[1], row[6]) for row in ROWS if not is_kept(row))
    assert lake.state().sealed == 8


def test_a_dry_run_says_the_same_and_changes_nothing(lake: Lake) -> None:
    before = lake.state()
    promised = retain(lake, SETTINGS, NOW, dry_run=True)
    assert lake.state() == before
    done = retain(lake, SETTINGS, NOW)
    assert (promised.events, promised.dropped_files, promised.rewritten_files) == (
        done.events,
        done.dropped_files,
        done.rewritten_files,
    )
    assert (promised.dry_run, done.dry_run) == (True, False)


def test_whole_files_past_the_limit_are_dropped_unread(lake: Lake) -> None:
    settings = Settings(site=Site(retention=Retention(consented_days=10, anonymous_days=10)))
    report = retain(lake, settings, JANUARY + 1000 * DAY)
    assert (report.rewritten_files, lake.state().files) == (0, ())
    assert sum(report.events.values()) == len(ROWS)


def test_a_second_run_finds_nothing(lake: Lake) -> None:
    retain(lake, SETTINGS, NOW)
    version = lake.state().version
    assert retain(lake, SETTINGS, NOW).events == {}
    assert lake.state().version == version


def test_the_files_of_what_was_deleted_are_gone_from_the_disk(region: Path, lake: Lake) -> None:
    retain(lake, SETTINGS, NOW)
    if isinstance(lake, DeltaLake):
        assert {str(path.relative_to(lake.folder)) for path in lake.folder.glob("month=*/*/*")} == {
            file.path for file in lake.state().files
        }
        verify(region, lake, deep=True)


def test_a_purpose_and_a_region_may_be_kept_for_a_shorter_time(lake, append, region):
    purposes = ["ads", "analytics"]
    append(
        [
            event(number, seed=9, site="own", lane="consented", subject=number, purpose=purposes[number % 2])
            for number in range(100)
        ]
    )
    Sealer(region, lake).run()
    settings = Settings.model_validate({"site": {"retention": {"purposes": {"ads": 10}, "regions": {"us": 5}}}})
    now = JANUARY + 100 * DAY
    assert retain(lake, settings, now, region="us", dry_run=True).events[("own", "consented")] == 100
    assert retain(lake, settings, now, region="eu").events == {("own", "consented"): 50}
    left = {purpose for file in lake.state().files for table in lake.read(file) for purpose in table["purpose"].to_pylist()}
    assert left == {"analytics"}


def test_who_is_held_is_asked_when_no_one_can_become_held_any_more(lake: Lake) -> None:
    def held() -> list[int]:
        with pytest.raises(Busy), lake.writing():
            pass
        return []

    retain(lake, SETTINGS, NOW, held=held)


def test_what_the_law_holds_stays(lake: Lake) -> None:
    held = {row[9] for row in ROWS if row[9] is not None and not is_kept(row)}
    kept = held.pop()
    assert held, "somebody else's events go"
    own = [row for row in ROWS if row[9] == kept]
    assert any(not is_kept(row) for row in own)
    retain(lake, SETTINGS, NOW, held=lambda: [kept])
    assert stored(lake) == ids([row for row in ROWS if is_kept(row) or row[9] == kept])
    version = lake.state().version
    assert retain(lake, SETTINGS, NOW, held=lambda: [kept]).events == {}
    assert lake.state().version == version
    retain(lake, SETTINGS, NOW)
    assert stored(lake) == ids([row for row in ROWS if is_kept(row)])
