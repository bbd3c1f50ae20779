"""After an erasure no byte of the person stands in any file, however packed, and nobody else's event has changed."""

from __future__ import annotations

import gzip
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pyarrow.parquet as pq
import pytest
import zstandard

from consentryd.storage.compaction import compact
from consentryd.storage.scan import Needles, forms_of, scan_files
from tests.rights.estate import OFFICER, Estate, opened

USER = "quagga-user-81f2c4"
PHONE = "quagga-phone-5d0e9a"
EMAIL = "quagga.person@example.org"
VALUES = ("quagga-wish-aa41", "quagga-note-bb52", "quagga-city-cc63")
RULES = [{"key": "wish", "action": "encrypt"}]


def unpacked(root: Path) -> Iterator[tuple[str, bytes]]:
    """Every file's bytes, and what is inside those that are packed: Parquet columns, SQLite rows, log blocks."""
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        name = str(path.relative_to(root))
        yield name, path.read_bytes()
        if path.suffix == ".parquet" and "checkpoint" not in path.name:
            table = pq.read_table(path)
            yield (
                f"{name} (columns)",
                orjson.dumps({column: [str(each) for each in table[column].to_pylist()] for column in table.column_names}),
            )
        if path.suffix == ".db":
            yield from ((f"{name} ({table})", data) for table, data in rows_of(path))


def rows_of(path: Path) -> Iterator[tuple[str, bytes]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f"SELECT * FROM {table}"):
                for value in row:
                    data = value if isinstance(value, bytes) else str(value).encode()
                    yield table, data
                    if data[:4] == b"\x28\xb5\x2f\xfd":
                        yield table, zstandard.ZstdDecompressor().decompress(data)


def traces(root: Path, subjects: set[int]) -> list[str]:
    """Where something of the person stands, and what."""
    needles = [text.encode() for text in (USER, PHONE, EMAIL, *VALUES)]
    needles += [form for subject in subjects for form in forms_of(subject)]
    return [f"{name}: {needle!r}" for name, data in unpacked(root) for needle in needles if needle in data]


def own(estate: Estate, number: int, **fields: Any) -> dict[str, Any]:
    properties = {"wish": VALUES[0], "note": VALUES[1], "n": number}
    return estate.event(USER, PHONE, properties=properties, messageId=f"own-{number}", **fields)


async def everybody(estate: Estate, events: int, part: int) -> None:
    for start in range(0, events, 500):
        await estate.send(
            *(
                estate.event(
                    f"other-{number % (events // 4)}", f"dev-{number % (events // 3)}", properties={"part": part, "n": number}
                )
                for number in range(start, min(start + 500, events))
            )
        )


def content(estate: Estate, but: set[int]) -> list[bytes]:
    return sorted(orjson.dumps(row, default=str) for row in estate.rows() if row["subject"] not in but)


def shares(rows: list[dict]) -> Counter[tuple[str, str | None]]:
    return Counter((row["event"], row["properties"] and str(orjson.loads(row["properties"]).get("part"))) for row in rows)


async def plant(estate: Estate, others: int) -> None:
    """The person in every store: compacted and sealed files, an old version's files, the log, dead letters, an export."""
    await everybody(estate, others // 2, 1)
    await estate.send(estate.event(None, PHONE, messageId="own-before", properties={"note": VALUES[1]}), own(estate, 1))
    estate.seal()
    await everybody(estate, others // 4, 2)
    await estate.send(
        own(estate, 2), {**estate.event(USER, messageId="own-identify"), "type": "identify", "traits": {"email": EMAIL}}
    )
    estate.seal()
    with estate.offices["eu"].lake.reading():
        compact(estate.path / "eu", estate.offices["eu"].lake, everything=True, zone=ZoneInfo("UTC"))
    await everybody(estate, others // 4, 3)
    await estate.send(own(estate, 3, event=f"Seen {VALUES[2]}"))
    await estate.send({**estate.event("other-1", event=f"About {USER}"), "timestamp": "no time", "properties": {VALUES[2]: 1}})
    await estate.send({**estate.event(USER, event=f"About {USER}"), "timestamp": "no time", "properties": {VALUES[2]: 1}})
    asked = estate.ask("access", user_id=USER)
    assert estate.finish(asked["id"])["export"]["events"] == 5


async def prove(tmp_path: Path, others: int) -> None:
    with opened(tmp_path / "data", privacy={"rules": RULES}) as estate:
        await plant(estate, others)
        subjects = {row["subject"] for row in estate.rows() if row["event_id"].startswith("own-")}
        subjects |= {subject for (subject,) in query(estate, "SELECT subject FROM alias")}
        before, left, counts = traces(estate.path, subjects), content(estate, subjects), shares(estate.rows())
        for store in ("lake/", ".rollup", "(log)", "(rejected)", "(identity)", "(email)", "-wal"):
            assert any(store in trace for trace in before), f"nothing was planted in {store}"
        mine = shares([row for row in estate.rows() if row["subject"] in subjects])

        request = await erased_beside_a_reader(estate, left, subjects)

        assert traces(estate.path, subjects) == []
        assert content(estate, set()) == left
        assert counts - shares(estate.rows()) == mine
        done = estate.desk.get(request, OFFICER)
        facts = next(each["erasure"] for each in done["certificates"] if each["erasure"]["region"] == "eu")
        assert facts["stores"]["events"]["before"] == 5
        assert facts["scan"]["mentions"] == []
        assert len(facts["keys_destroyed"]) == 1
        assert facts["stores"]["exports"]["before"] == 1
    assert traces(tmp_path, subjects) == [], "something was written when the house was closed"


async def erased_beside_a_reader(estate: Estate, left: list[bytes], subjects: set[int]) -> str:
    """While somebody reads the database the WAL cannot be emptied: the person is out of sight, and the erasure waits."""
    request: str = estate.ask("erasure", user_id=USER)["id"]
    with closing(sqlite3.connect(f"file:{estate.path}/eu/region.db?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM identity").fetchone()
        problems = estate.runner(wait_s=0.2).run()
        assert "eu" in problems
        told = estate.desk.get(request, OFFICER)
        assert (told["status"], "waiting_for" in told["regions"]["eu"]["result"]) == ("in_progress", True)
        assert content(estate, set()) == left
    estate.finish(request)
    return request


def query(estate: Estate, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{estate.path}/eu/region.db?mode=ro", uri=True)) as connection:
        return connection.execute(statement).fetchall()


async def test_no_file_holds_a_byte_of_an_erased_person_among_thousands_and_all_others_are_as_they_were(tmp_path: Path) -> None:
    await prove(tmp_path, 4_000)


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_no_file_holds_a_byte_of_an_erased_person_among_a_hundred_thousand_events(tmp_path: Path) -> None:
    await prove(tmp_path, 100_000)


async def test_files_that_a_query_still_reads_are_deleted_once_it_ends(estate: Estate) -> None:
    await estate.send(estate.event(USER), estate.event("somebody"))
    estate.seal()
    request = estate.ask("erasure", user_id=USER)["id"]
    office = estate.offices["eu"]
    with office.reader.snapshot():
        assert "readers" in estate.runner(wait_s=0.1).run()["eu"]
        assert len(estate.rows()) == 1
    assert estate.finish(request)["status"] == "completed"


def test_a_scan_finds_each_form_of_a_subject_among_few_needles_and_among_many(tmp_path: Path) -> None:
    subject = 0x0123456789ABCDEF
    for count in (1, 500):
        needles = Needles([subject, *range(2**60, 2**60 + count)], ["a text that is there"])
        for form in (*forms_of(subject), b"a text that is there"):
            (tmp_path / "file").write_bytes(b"x" * (4 * 1024 * 1024 - 3) + form + b"y" * 99)
            assert [found.path for found in scan_files(tmp_path, needles).found] == ["file"], form
        (tmp_path / "file").write_bytes(b"x" * 5_000_000)
        assert scan_files(tmp_path, needles).found == ()


def test_the_sqlite_form_of_a_subject_is_how_sqlite_writes_it(tmp_path: Path) -> None:
    for subject in (5, 2**20, 2**49, 2**56 - 1, 2**56, 2**62 + 12345):
        path = tmp_path / f"{subject}.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
            connection.execute("INSERT INTO t VALUES (?, 'beside')", (subject,))
            connection.commit()
        varint = list(forms_of(subject))[2]
        assert varint + b"\x03\x00\x19beside" in path.read_bytes()


def test_logs_that_were_packed_are_searched_as_far_as_they_can_be_unpacked(tmp_path: Path) -> None:
    text = b"." * (4 * 1024 * 1024 - 5) + b"distinctive" + b"." * 100
    packed = gzip.compress(text, 1)
    (tmp_path / "whole.gz").write_bytes(packed)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"distinctive" + os.urandom(100_000))[:50_000])
    (tmp_path / "none.gz").write_bytes(b"no gzip")
    (tmp_path / "others.gz").write_bytes(gzip.compress(b"somebody"))
    report = scan_files(tmp_path, Needles([], ["distinctive"]))
    assert report.of("text") == ["cut.gz", "whole.gz"]
    assert report.files == 4
