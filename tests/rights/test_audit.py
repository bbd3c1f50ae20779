"""The privacy audit finds what stands in any store although it should not, and nothing in what scrubbing has left."""

from __future__ import annotations

import gzip
import json
from contextlib import closing
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from consentryd.config.settings import PiiRule, Privacy
from consentryd.model.outcome import Outcome, Reason
from consentryd.privacy.inspector import Inspector, shape_of
from consentryd.privacy.redaction import Action
from consentryd.privacy.rules import load_rules
from consentryd.privacy.scrub import Scrubber
from consentryd.privacy.seal import MemorySubjectKeys
from consentryd.rights.audit import _COLUMNS, AuditReport, Hit, Place, _Audit, audit
from consentryd.rights.stored import stored_events
from consentryd.storage import rejected
from consentryd.storage.compaction import compact
from consentryd.storage.database import open_database
from consentryd.storage.rejected import Letter
from tests.privacy.positive import POSITIVE
from tests.rights.estate import NOW, Estate, opened

EMAIL = "anna.smith@example.com"
KEEP = PiiRule(detector="email", action="keep", path="properties.contact")


@pytest.fixture
def leaky(tmp_path):
    """An estate whose rules keep e-mail addresses under `contact`."""
    with opened(tmp_path / "data", privacy={"rules": [KEEP]}) as estate:
        yield estate


def looked(estate: Estate, *logs: Any) -> AuditReport:
    regions = {name: estate.path / name for name in estate.settings.regions}
    return audit(regions, estate.settings.privacy, logs)


async def test_what_rules_keep_is_found_in_log_and_lake_with_its_form_and_not_itself(leaky: Estate) -> None:
    await leaky.send(*(leaky.event("u-1", properties={"contact": EMAIL, "n": number}) for number in range(3)))
    leaky.seal()
    await leaky.send(leaky.event("u-1", properties={"contact": EMAIL}), region="us")
    report = looked(leaky)
    assert report.counts == {
        Hit(Place.LAKE, "eu", "shop", "Bought", "properties.contact", "email"): 3,
        Hit(Place.LOG, "us", "shop", "Bought", "properties.contact", "email"): 1,
    }
    assert set(report.shapes.values()) == {"aaaa.aaaaa@aaaaaaa.aaa"}
    assert EMAIL not in json.dumps(report.to_json())
    assert report.looked_at == {Place.LAKE: 3, Place.LOG: 1, Place.LETTERS: 0, Place.FILES: 0}


def test_money_and_hosts_are_looked_at() -> None:
    task = _Audit(Inspector(), lambda _what, _done, _of: None)
    values: dict[str, list[Any]] = {name: [None] for name in _COLUMNS} | {"site": ["shop"], "event": ["Bought"]}
    values |= {"revenue": [Decimal("4222222222222.0000")], "host": ["536-22-1234.example.com"]}
    task._rows(Place.LOG, "eu", pa.RecordBatch.from_pydict(values))
    assert {(hit.path, hit.detector) for hit in task.report.counts} == {("revenue", "card"), ("host", "us_ssn")}


async def test_each_event_counts_once_though_a_seal_and_a_merge_come_between(leaky: Estate) -> None:
    for start in range(2):
        await leaky.send(*(leaky.event("u-1", properties={"contact": EMAIL}) for _ in range(3)))
        if not start:
            leaky.seal()

    def seal(what: str, _done: int, _of: int) -> None:
        if what.startswith("log"):
            leaky.seal()

    report = audit({"eu": leaky.path / "eu"}, leaky.settings.privacy, progress=seal)
    assert report.looked_at == {Place.LOG: 3, Place.LAKE: 3, Place.LETTERS: 0, Place.FILES: 0}
    lake, batches = leaky.offices["eu"].lake, []
    for _, batch in stored_events(leaky.path / "eu", ["event_id"], lambda _what, _done, _of: None):
        batches.append(batch)
        if len(batches) == 1:
            compact(leaky.path / "eu", lake, files=2)
    assert {row["event_id"] for batch in batches for row in batch.to_pylist()} == {f"m-{number}" for number in range(1, 7)}


async def test_our_own_ids_digests_and_redactions_give_no_alarm(estate: Estate) -> None:
    data = {f"{key} {number}": value for number, (key, value) in enumerate(POSITIVE.values())}
    keyed = {key: value for key, value in POSITIVE.values() if key != "note"}
    await estate.send(
        estate.event("u-1", properties={**data, **keyed}, sessionId="s-1", groupId="acme"),
        estate.event("u-2", properties=keyed, messageId="4111111111111111"),
        estate.event("u-2", event=f"Mail to {EMAIL}", traits={"email": EMAIL}, messageId=EMAIL),
        {**estate.event("u-3", properties={"plan": 1}), "timestamp": "1999-01-01T00:00:00Z"},
        {**estate.event("u-3", properties={EMAIL: 1, "password": 2}), "timestamp": "1999-01-01T00:00:00Z"},
        {**estate.event("u-4"), "type": "identify", "traits": {"name": "Anna", "age": 34, "lat": 52.52, "dob": "1985-03-21"}},
    )
    estate.house.stores["eu"].log.close()
    report = looked(estate)
    assert report.looked_at[Place.LOG] == 4
    assert report.looked_at[Place.LETTERS] == 2
    assert report.counts == {}


async def test_the_anonymous_lane_is_scrubbed_as_well(estate: Estate) -> None:
    page = {"url": "https://shop.example/users/31415926/orders?utm_source=4111+1111+1111+1111"}
    sent = {**estate.event(anonymous="a-1"), "type": "page", "name": "Home", "context": {"page": page}}
    assert await estate.send(sent) == ["anonymous"]
    (row,) = estate.rows()
    assert (row["path"], row["utm_source"]) == ("/users/[url_id]/orders", "[card]")
    assert looked(estate).findings == 0


def test_letters_and_logs_are_looked_through_line_by_line(estate: Estate, tmp_path: Any) -> None:
    letter = Letter(
        "shop", NOW, Outcome.REJECTED, Reason.INVALID_TIME, json.dumps({"event": "x", "properties": {EMAIL: "string"}})
    )
    with closing(open_database(estate.path / "eu" / "region.db", "region")) as connection:
        rejected.write(connection, [letter] * 3)
    logs = tmp_path / "logs"
    logs.mkdir()
    harmless = '{"event":"serving","worker":0,"port":8088,"host":"127.0.0.1","timestamp":"2026-11-21T10:00:00.123456Z"}'
    (logs / "a.log").write_text(f"{harmless}\n2026-11-21T10:00:00Z [info] worker ended  code=-9 state=x\nfailed for {EMAIL}\n")
    with gzip.open(logs / "b.log.gz", "wt") as packed:
        packed.write('{"event":"request","client":"203.0.113.77"}\n')
    report = looked(estate, logs)
    assert report.counts == {
        Hit(Place.LETTERS, "eu", "shop", "", "properties.[email]", "email"): 3,
        Hit(Place.FILES, "", "", "", "a.log", "email"): 1,
        Hit(Place.FILES, "", "", "", "b.log.gz", "ip"): 1,
    }


def test_a_report_stays_small_however_much_is_found() -> None:
    report = AuditReport()
    for number in range(3000):
        report.add(Hit(Place.LAKE, "eu", "shop", f"event {number}", "title", "email"), "a@a.aa")
    assert report.findings == 3000
    assert len(report.counts) == 1001
    assert report.counts[Hit(Place.LAKE, "eu", "shop", "*", "*", "email")] == 2000


@pytest.mark.parametrize("action", [action for action in Action if action is not Action.KEEP])
def test_no_action_leaves_what_an_audit_finds(action: Action) -> None:
    inspector = Inspector()
    scrub = Scrubber(load_rules([PiiRule(detector="*", action=action)]), b"k" * 32, "eu", Privacy(), MemorySubjectKeys())
    left = {}
    for detector, (key, value) in POSITIVE.items():
        fields = {"properties": {key: value}}
        assert detector in {sighting.detector for sighting in inspector.look("Bought", "shop", fields)}
        cleaned = scrub.scrub("Bought", "shop", fields, b"handle").fields
        left[detector] = [sighting.detector for sighting in inspector.look("Bought", "shop", cleaned)]
    assert {detector: found for detector, found in left.items() if found} == {}


def test_the_form_of_a_finding_is_that_of_its_place() -> None:
    properties = {
        "a": "203.0.113.9",
        "b": "10.1.2.34",
        "c": "127.0.0.1",
        "127.0.0.1": 1,
        "phone": "030 901820",
        "fax": "0151-2345678",
    }
    found = {sighting.path: sighting.shape for sighting in Inspector().look("x", "shop", {"properties": properties})}
    assert found.pop("properties.[ip]", None) == "999.9.999.9"  # in a key it is told by all that the event has
    assert found == {
        "properties.a": "999.9.999.9",
        "properties.b": "99.9.9.99",
        "properties.phone": "999 999999",
        "properties.fax": "9999-9999999",
    }
    assert Inspector().look("x", "shop", {"properties": {"127.0.0.1": "::1"}}) == []


def test_a_form_shows_no_letter_or_digit() -> None:
    assert shape_of("Łukasz O'Neill, +49 (30) 90-18") == "Aaaaaa A'Aaaaa, +99 (99) 99-99"
    assert shape_of("\u0664\u0661x" * 30).endswith("\u2026")
    assert set(shape_of("\u0664\u0661x" * 30)) == {"9", "a", "\u2026"}
