"""A site whose events a test writes down one by one, and an engine to ask about them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from consentryd.analytics.audience import AudienceBook
from consentryd.analytics.engine import Engine
from consentryd.analytics.query import read
from consentryd.config.settings import Analytics
from consentryd.model.clock import ManualClock
from consentryd.model.event import COLUMNS, POSITION
from consentryd.storage.compaction import compact
from consentryd.storage.database import open_database
from consentryd.storage.delta import DeltaLake
from consentryd.storage.reader import Reader
from consentryd.storage.saved import SavedStore
from consentryd.storage.seal import Sealer
from consentryd.storage.withdrawal import note_refusal
from tests.storage.rows import append_rows

NOW = "2026-03-20T12:00:00"
SPREAD = 0x1F3A_5C77_9E24_6B01  # people 1, 2, 3 ... lie in different buckets


def instant(text: str) -> int:
    """UTC microseconds of `2026-03-01T10:00:00`; a day alone is its noon."""
    moment = datetime.fromisoformat(text if "T" in text else f"{text}T12:00:00")
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1_000_000)


def subject(person: int) -> int:
    return person * SPREAD % 2**63


def row(number: int, person: int | None, time: str | int, event: str = "viewed", **values: Any) -> list[Any]:
    """One stored row; what is no column is a property."""
    columns = {name: values.pop(name) for name in list(values) if name in POSITION and name != "properties"}
    properties = values.pop("properties", values)
    at = time if isinstance(time, int) else instant(time)
    known = {
        "event_id": f"e-{number}",
        "site": "shop",
        "type": "track",
        "event": event,
        "time": at,
        "received_at": at,
        "lane": "anonymous" if person is None else "consented",
        "purpose": "analytics",
        "consent_ref": "policy:1",
        "subject": None if person is None else subject(person),
        "properties": json.dumps(properties) if properties else None,
        "schema_version": 1,
    } | columns
    return [known.get(column.name) for column in COLUMNS]


class Shop:
    """A region on disk, filled by `add`; each `seal` moves what the log holds into the lake. Files get rollups where `zone` is set."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.zone: ZoneInfo | None = None
        self.region = root / "eu"
        self.region.mkdir()
        self.lake = DeltaLake(self.region)
        self.database = open_database(self.region / "region.db", "region")
        self.database.execute("PRAGMA synchronous = OFF")
        self.reader = Reader(self.region, self.lake)
        self.saved = SavedStore(root / "control.db", ManualClock(instant(NOW)))
        self.engine = Engine({"eu": self.reader}, Analytics(**settings), AudienceBook(self.saved, {"eu": self.region}))
        self._rows = 0

    def add(self, *events: tuple[Any, ...] | Mapping[str, Any]) -> None:
        """Events as (person, time, name, properties and columns)."""
        rows = []
        for person, time, *rest in events:
            name, values = (rest + ["viewed", {}][len(rest) :]) if len(rest) < 2 else rest
            self._rows += 1
            rows.append(row(self._rows, person, time, name, **values))
        append_rows(self.database, rows)

    def add_rows(self, rows: Sequence[Sequence[Any]]) -> None:
        append_rows(self.database, rows)

    def merge(self, person: int, into: int) -> None:
        self.database.execute("INSERT INTO alias VALUES (?, ?, 1)", (subject(person), subject(into)))

    def hide(self, person: int) -> None:
        self.database.execute("INSERT INTO tombstone (subject, request) VALUES (?, 'r')", (subject(person),))

    def withdraw(self, person: int, purpose: str, until: str) -> None:
        note_refusal(self.database, subject(person), purpose, instant(until))

    def seal(self) -> None:
        Sealer(self.region, self.lake, zone=self.zone).run()

    def compact(self) -> None:
        compact(self.region, self.lake, everything=True, zone=self.zone)

    def ask(self, now: str = NOW, *, least: int = 0, **query: Any) -> Any:
        return self.engine.ask(read(query), "shop", instant(now), least=least)

    def save_cohort(self, name: str, definition: Mapping[str, Any], **more: Any) -> None:
        """A dynamic cohort, to be named by questions."""
        self.saved.create("shop", "cohort", name, json.dumps({"name": name, "definition": definition, **more}), "key")

    def reckon(self, name: str, people: Iterable[int], time: str | int) -> None:
        """From then on these are a saved cohort's members."""
        cohort = next(each.id for each in self.saved.all("shop", "cohort") if each.name == name)
        at = time if isinstance(time, int) else instant(time)
        members = "SELECT subject FROM cohort_spell WHERE cohort = ? AND left_at IS NULL"
        before = {found for (found,) in self.database.execute(members, (cohort,))}
        wanted = {subject(person) for person in people}
        ended = "UPDATE cohort_spell SET left_at = ? WHERE cohort = ? AND subject = ? AND left_at IS NULL"
        self.database.executemany(ended, [(at, cohort, each) for each in before - wanted])
        begun = "INSERT INTO cohort_spell (cohort, subject, entered_at) VALUES (?, ?, ?)"
        self.database.executemany(begun, [(cohort, each, at) for each in wanted - before])
        self.database.execute("INSERT INTO cohort_reckoning (cohort, at, version) VALUES (?, ?, 1)", (cohort, at))

    def close(self) -> None:
        self.reader.close()
        self.saved.close()
        self.database.close()


def values(line: Any) -> list[Any]:
    return [point.value for point in line.values]
