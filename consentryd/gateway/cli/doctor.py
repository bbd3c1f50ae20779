"""`consentry doctor`: a list of what must hold, each ok, doubtful or broken."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer
from rich.table import Table
from rich.text import Text

from consentryd.config.settings import Settings
from consentryd.gateway.cli import installation
from consentryd.gateway.cli.check_config import check_contents
from consentryd.gateway.cli.console import counted, say, show, show_json, spoken
from consentryd.gateway.cli.installation import RegionFolder
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.gateway.idle import idle
from consentryd.model.clock import DAY, MINUTE, SECOND, SystemClock
from consentryd.model.error import ConfigError, ConsentryError, CorruptStore
from consentryd.model.key import KeyKind
from consentryd.storage.damage import CURE, explain
from consentryd.storage.database import open_database
from consentryd.storage.keys import open_region_keys
from consentryd.storage.master import load_master
from consentryd.storage.roster import absence, gone_regions
from consentryd.storage.signing import SigningKeys, path_of

#: No clock is right that is before this program was written.
WRITTEN: Final = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * SECOND
LATE_SEALS: Final = 3
FORGOTTEN: Final = "no question, retention or erasure comes to it. Name it in the settings again, or move it away."
PLENTY: Final = 4  # times the free disk below which events are refused


class State(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    check: str
    state: State
    detail: str


COLOUR: Final = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red"}


def doctor(
    config: ConfigOption = DEFAULT_CONFIG,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also read every stored event and hold files against their digests; takes a while.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check an installation: settings, keys, disk, clock, each region's keys, database and lake, whether the settings forgot a region,
    and whether they name a site that no key is of or have one that does nothing.

    Of the lake's files only the sizes are looked at: with `--deep` what they hold.

    The gateway may run meanwhile. Each check is `ok`, `warn` (works, but look at it) or `fail`; the exit code is 1 if one failed. With
    `--json` a list of `{"check", "state", "detail"}`.
    """
    try:
        settings = installation.load(config)
        check_contents(settings)
    except ConfigError as error:
        findings = [Finding("settings", State.FAIL, str(error))]
    else:
        findings = [_settings(config, settings), *examine(settings, time.time_ns() // 1000, deep=deep)]
    if as_json:
        show_json([finding._asdict() for finding in findings])
    else:
        _show(findings)
    if any(finding.state is State.FAIL for finding in findings):
        raise typer.Exit(1)


def examine(settings: Settings, now: int, *, deep: bool) -> Iterator[Finding]:
    """The checks in the order in which a fault in one explains the next. `now` is UTC microseconds."""
    yield _guarded("keys", partial(_keys, settings))
    yield _guarded("disk", partial(_disk, settings))
    yield _guarded("clock", partial(_clock, settings, now))
    for region in installation.folders(settings):
        yield _guarded(f"{region.name} keys", partial(_region_keys, settings, region))
        yield _guarded(f"{region.name} database", partial(_database, settings, region, now))
        yield _guarded(f"{region.name} lake", partial(_lake, region, deep=deep))
    yield from _gone_regions(settings)
    yield from _strange_sites(settings)
    for region in installation.strange_regions(settings):
        yield Finding(f"{region.name} settings", State.WARN, f"not a region there, but {region.root} holds data: {FORGOTTEN}")


def _settings(config: Path, settings: Settings) -> Finding:
    if lines := idle(settings):
        return Finding("settings", State.WARN, " ".join(lines))
    return Finding("settings", State.OK, str(config))


def _guarded(name: str, look: Callable[[], tuple[State, str]]) -> Finding:
    try:
        return Finding(name, *look())
    except sqlite3.Error as error:
        return Finding(name, State.FAIL, explain(error))
    except OSError as error:
        return Finding(name, State.FAIL, spoken(error))
    except (ConfigError, ConsentryError, CorruptStore) as error:
        return Finding(name, State.FAIL, str(error))


def _keys(settings: Settings) -> tuple[State, str]:
    with installation.control(settings) as store:
        keys = store.keys()
    valid = Counter(key.kind for key in keys if key.revoked_at is None)
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(valid.items()))
    if not valid[KeyKind.WRITE] and not valid[KeyKind.SERVER]:
        return State.WARN, "No valid key can send events. `consentry keys create write` makes one."
    return State.OK, f"valid: {counted}"


def _gone_regions(settings: Settings) -> Iterator[Finding]:
    root = settings.storage.data_dir
    try:
        gone = gone_regions(root, settings.regions)
    except (ConfigError, CorruptStore, OSError, sqlite3.Error):
        return  # told by `keys`
    for name, since in gone.items():
        yield Finding(f"{name} database", State.FAIL, absence(root, name, since))


def _strange_sites(settings: Settings) -> Iterator[Finding]:
    """Settings of a site that no key is of hold for nothing: its name may be mistyped."""
    named: dict[str, list[str]] = {}
    for table, sites in (("sites", list(settings.sites)), ("privacy.allow", list(settings.privacy.allow))):
        for site in sites:
            named.setdefault(site, []).append(f"{table}.{site}")
    try:
        with installation.control(settings) as store:
            keys = store.keys()
    except (ConfigError, CorruptStore, OSError, sqlite3.Error):
        return  # told by `keys`
    known = sorted({key.site for key in keys})
    for site in sorted(named.keys() - set(known)):
        told = f"{' and '.join(named[site])} in the settings, but no key is of that site. The sites with keys are {', '.join(known)}."
        yield Finding(f"site {site}", State.WARN, told)


def _disk(settings: Settings) -> tuple[State, str]:
    folder = settings.storage.data_dir
    try:
        free, least = shutil.disk_usage(folder).free, settings.storage.min_free_bytes
    except OSError as error:
        return State.FAIL, f"{folder} cannot be written to: {error.strerror}."
    said = f"{free / 2**30:.1f} GiB free at {folder}"
    if free < least:
        return State.FAIL, f"{said}; events are refused below {least / 2**30:.1f} GiB (storage.min_free_bytes)"
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"consentry")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return State.FAIL, f"{said}, but nothing can be written there: {error.strerror}. Events are refused."
    return (State.WARN if free < PLENTY * least else State.OK), said


def _clock(settings: Settings, now: int) -> tuple[State, str]:
    said = f"{datetime.fromtimestamp(now // SECOND, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if now < WRITTEN:
        return State.FAIL, f"{said} cannot be right. Set the system's clock."
    newest = max((_newest_commit(region) for region in installation.folders(settings)), default=0)
    if newest > now + MINUTE:
        ahead = (newest - now) / MINUTE
        return State.FAIL, f"{said}, but an event was stored {ahead:.0f} minutes later: the clock was set back, or was wrong."
    return State.OK, said


def _newest_commit(region: RegionFolder) -> int:
    """0 if it cannot be read, which is no fault of the clock; the database's own check tells it."""
    try:
        with closing(open_database(region.database, "region", readonly=True)) as connection:
            return int(connection.execute("SELECT coalesce(max(committed_at), 0) FROM log").fetchone()[0])
    except (CorruptStore, sqlite3.DatabaseError):
        return 0


def _region_keys(settings: Settings, region: RegionFolder) -> tuple[State, str]:
    if not (region.root / "keys").exists():
        return State.FAIL, f"{region.root / 'keys'} is missing although the region holds data. Restore it from a backup."
    data = settings.storage.data_dir
    keys = open_region_keys(data, region.name, load_master(settings.keys.master, data, os.environ))
    signing = path_of(data, region.name)
    if signing.exists():
        SigningKeys(data, region.name, keys.signing, SystemClock()).signer()
    elif _has_ledger(region):
        return (
            State.FAIL,
            f"{signing} is gone: receipts cannot be checked. Restore it from a backup before a start makes another.",
        )
    return State.OK, "open with the master key"


def _has_ledger(region: RegionFolder) -> bool:
    """False if it cannot be read: the database's own check tells it."""
    try:
        with closing(open_database(region.database, "region", readonly=True)) as connection:
            return connection.execute("SELECT 1 FROM ledger LIMIT 1").fetchone() is not None
    except (CorruptStore, sqlite3.DatabaseError):
        return False


def _database(settings: Settings, region: RegionFolder, now: int) -> tuple[State, str]:
    with closing(open_database(region.database, "region", readonly=True)) as connection:
        problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        events, oldest = connection.execute("SELECT coalesce(sum(events), 0), min(committed_at) FROM log").fetchone()
    if problem != "ok":
        return State.FAIL, f"{region.database}: {problem}. {CURE}"
    waiting = (now - oldest) / SECOND if oldest else 0.0
    said = f"{counted(events, 'event')} in the log"
    if waiting > LATE_SEALS * settings.storage.seal_interval_s:
        return (
            State.WARN,
            f"{said}, the oldest for {waiting * SECOND / DAY:.1f} days: no gateway seals. `consentry seal` does it.",
        )
    return State.OK, said


def _lake(region: RegionFolder, *, deep: bool) -> tuple[State, str]:
    from consentryd.storage.delta import DeltaLake  # noqa: PLC0415 -- Arrow and DuckDB take a second to load
    from consentryd.storage.reader import verify  # noqa: PLC0415 -- the same
    from consentryd.storage.rollup_keep import standing, wrong  # noqa: PLC0415 -- the same

    lake = DeltaLake(region.root)
    verify(region.root, lake, deep=deep)
    with lake.reading():
        state, rolled = lake.state(), standing(lake)
        differing = wrong(lake) if deep else []
    if differing:
        return (
            State.FAIL,
            f"Not as their files are: {counted(len(differing), 'rollup')}, one beside {differing[0]}. Delete them: they are made anew.",
        )
    events = sum(file.events for file in state.files)
    looked = "all read" if deep else "all there in the right size; --deep reads them"
    said = f"{counted(events, 'event')} in {counted(len(state.files), 'file')}, {looked}"
    return State.OK, f"{said}; {rolled.rolled} of {rolled.files} files of subjects have a rollup"


def _show(findings: list[Finding]) -> None:
    table = Table("check", "state", "", box=None)
    for finding in findings:
        table.add_row(finding.check, Text(finding.state, COLOUR[finding.state]), finding.detail)
    show(table)
    failed = sum(finding.state is State.FAIL for finding in findings)
    say(f"{failed} of {len(findings)} checks failed." if failed else "Nothing is broken.", "red" if failed else "green")
