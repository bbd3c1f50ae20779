"""The record of processing says what is really stored, and nothing of anybody."""

from __future__ import annotations

import json

from consentryd.config.settings import PiiRule
from consentryd.model.identity import Identity, IdentityKind
from consentryd.rights.consent import Statement
from consentryd.rights.inventory import MOST_PROPERTIES
from consentryd.rights.record import make_record
from consentryd.rights.record_page import page
from consentryd.storage.choice import ChoiceState
from tests.rights.estate import NOW, Estate, opened

EMAIL = "anna.smith@example.com"


def made(estate: Estate):
    return make_record(estate.settings, {name: estate.path / name for name in estate.settings.regions}, NOW)


async def test_events_properties_and_redactions_of_log_and_lake_are_counted(tmp_path) -> None:
    rules = [PiiRule(key="internal_.*", action="drop")]
    kept = {"retention": {"purposes": {"marketing": 30}, "regions": {"us": 90}}}
    with opened(tmp_path / "data", privacy={"rules": rules}, site=kept, rights={"recipients": ["Hosting Ltd"]}) as estate:
        await estate.send(
            estate.event("u-1", properties={"plan": "pro", "email": EMAIL, "items": [{"sku": 1}, {"sku": "b"}]}),
            estate.event("u-1", properties={"plan": None, "internal_a": 1}),
        )
        estate.seal()
        await estate.send(estate.event("u-2", properties={"plan": True, EMAIL: 1}), region="us")
        record = made(estate)
        (site,) = record["sites"]
        assert (site["site"], site["events_stored"], site["regions"]) == ("shop", 3, {"eu": 2, "us": 1})
        (event,) = site["events"]
        assert (event["event"], event["purpose"], event["count"]) == ("Bought", "analytics", 3)
        assert {each["path"]: (each["kinds"], each["share"]) for each in event["properties"]} == {
            "plan": (["nothing", "text", "yes or no"], 1.0),
            "email": (["redacted"], 0.3333),
            "items[].sku": (["number", "text"], 0.6667),
            "*": (["number"], 0.3333),
        }
        assert {(row["rule"], row["action"], row["count"]) for row in site["redactions"]} == {
            ("email", "type", 2),
            ("key:internal_.*", "drop", 1),
        }
        assert record["recipients"]["named"] == ["Hosting Ltd"]
        assert "- Those of `marketing` for at most 30 days.\n- Those of `us` for at most 90 days." in page(record)
        assert [row["held"]["people with a user id"] for row in record["regions"]] == [1, 1]
        assert record["purposes"][0]["let_in_by"] == {"grant": 3}
        for text in (json.dumps(record), page(record)):
            assert "anna" not in text
            assert "u-1" not in text


async def test_what_stored_grants_let_in_is_told_together_and_not_by_whose_they_are(estate: Estate) -> None:
    for person in ("u-1", "u-2"):
        identity = Identity(IdentityKind.USER_ID, person)
        await estate.house.proving.desk.record("eu", Statement("shop", "server", (identity,), {"analytics": ChoiceState.GRANTED}))
        assert await estate.send(estate.event(person, context={})) == ["stored"]
    await estate.send(estate.event("u-3"))
    assert made(estate)["purposes"][0]["let_in_by"] == {"stored grant": 2, "grant": 1}


async def test_a_name_with_bars_and_lines_stays_in_its_cell_of_the_page(estate: Estate) -> None:
    await estate.send(estate.event("u-1", properties={"a|b\n\n## Recipients\r\n\u2028- nobody": 1}))
    assert r"| Bought (track) | `analytics` | 1 | `a\|b  ## Recipients  - nobody` number |" in page(made(estate)).splitlines()


def test_before_anything_is_stored_it_holds_the_settings(estate: Estate) -> None:
    record = made(estate)
    assert (record["sites"], record["purposes"]) == ([], [])
    assert "The master key comes from: file." in record["measures"]
    assert "# Record of processing activities" in page(record)


async def test_settings_that_weaken_or_strengthen_it_show(tmp_path) -> None:
    privacy = {"dry_run": True, "audit_interval_hours": 0, "allow": {"shop": {"*": ["plan"]}}}
    rights = {"downstream": ["https://crm.example/hook?key=hidden"], "webhook_secret": "s" * 32}
    with opened(tmp_path / "data", privacy=privacy) as estate:
        text = page(
            make_record(estate.settings.model_copy(update={"rights": estate.settings.rights.model_copy(update=rights)}), {}, NOW)
        )
    assert "dry run" in text
    assert "looked through" not in text
    assert "only these properties are kept: `plan`" in text
    assert "crm.example" in text
    assert "hidden" not in text


async def test_names_of_properties_without_end_are_told_apart_up_to_a_number(estate: Estate) -> None:
    for start in range(0, 600, 200):
        await estate.send(estate.event("u-1", properties={f"p{start + number}": 1 for number in range(200)}))
    properties = made(estate)["sites"][0]["events"][0]["properties"]
    assert len(properties) == MOST_PROPERTIES + 1
    assert properties[0]["path"] == "*"
