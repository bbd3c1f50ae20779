"""`consentry privacy try` and `consentry keys rotate-master`."""

import json
import re

import pytest

from consentryd.model.error import ConfigError
from consentryd.storage.keys import open_region_keys
from consentryd.storage.master import MasterKey, load_master

GRANT = {"purposes": {"analytics": True}}
EVENTS = [
    {"type": "track", "event": "Signed Up", "userId": "u1", "properties": {"email": "anna@example.com", "plan": "pro"}},
    {"type": "track", "event": "Viewed", "anonymousId": "a1", "properties": {"note": "call +49 30 901820"}},
]


FORMS = {"lines": "\n".join(map(json.dumps, EVENTS)), "array": json.dumps(EVENTS), "batch": json.dumps({"batch": EVENTS})}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_it_shows_what_would_be_stored_and_why(run, here, form):
    (here / "events").write_text(form)
    told = run("privacy", "try", "events", "--granted", "--json").json
    assert [each["event"]["properties"] for each in told["events"]] == [
        {"email": "[email]", "plan": "pro"},
        {"note": "call [phone]"},
    ]
    assert told["events"][0]["pseudonymised"] == ["userId", "email"]
    assert told["counts"] == [{"rule": "email", "action": "type", "count": 1}, {"rule": "phone", "action": "type", "count": 1}]


def test_for_people_it_never_shows_the_datum(run, here):
    (here / "events").write_text(json.dumps(EVENTS))
    told = run("privacy", "try", "events", "--granted")
    assert "properties.email  email  type" in told.out
    assert "anna" not in told.out
    counted = run("privacy", "try", "events", "--granted", "--count").out
    assert counted.splitlines() == ["     1  email (type)", "     1  phone (type)"]


def test_where_nothing_would_be_stored_it_says_why(run, here):
    events = [
        *EVENTS,
        {**EVENTS[0], "userId": "null"},
        {"type": "page", "userId": "u1", "context": {"page": {"url": "/a/anna@x.com"}}},
    ]
    (here / "events").write_text(json.dumps(events))
    told = run("privacy", "try", "events", "--country", "DE", "--json").json["events"]
    assert [(each["outcome"], each["reason"]) for each in told] == [
        ("dropped", "not_allowed_anonymously"), ("dropped", "not_allowed_anonymously"), ("rejected", "invalid_id"), ("anonymous", None),
    ]  # fmt: skip
    assert (told[3]["event"]["path"], told[3]["event"]["country"]) == ("/a/:redacted", "DE")
    assert "Nothing would be stored: not_allowed_anonymously" in run("privacy", "try", "events").out


def test_the_rules_of_the_settings_hold(run, here):
    (here / "consentry.toml").write_text('[[privacy.rules]]\ndetector = "email"\naction = "mask"\n')
    (here / "events").write_text(json.dumps(EVENTS[0]))
    told = run("privacy", "try", "events", "--granted", "--json").json
    assert told["events"][0]["event"]["properties"]["email"] == "***@example.com"


def test_it_shows_the_row_that_a_gateway_stores(run, here, installed):
    page = {
        "url": "https://shop.example/users/anna/x?utm_source=john@x.com",
        "title": "Hello jdoe42",
        "referrer": "https://g.example/x",
    }
    context = {"page": page, "consent": GRANT}
    events = [
        {"type": "page", "userId": "jdoe42", "messageId": "anna@x.com", "context": context,
         "properties": {"url": "x", "title": "y", "plan": 1}},
        {"type": "identify", "userId": "jdoe42", "messageId": "m-2", "traits": {"shoe_size": 42, "name": "Anna"}, "context": context},
    ]  # fmt: skip
    rules = (
        '\n[[privacy.rules]]\nkey = "shoeSize"\npath = "properties.shoe_size"\naction = "drop"\n'
        '[[privacy.rules]]\nkey = "plan"\nevent = "page_viewed"\naction = "drop"\n'
    )
    (here / "consentry.toml").write_text((here / "consentry.toml").read_text() + rules)
    (here / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    tried = run("privacy", "try", "events.jsonl", "--json").json["events"]
    assert run("import", "events.jsonl").code == 0
    stored = run("events", "--json").json
    own = {"event_id", "received_at", "time", "session", "subject", "region", "redactions", "consent_ref", "site"}
    for shown, row in zip(tried, stored, strict=True):
        assert _without_digests({key: value for key, value in shown["event"].items() if key not in own}) == _without_digests(
            {key: value for key, value in row.items() if key not in own}
        )
        assert shown["redactions"] == row["redactions"]
        assert "anna" not in json.dumps([shown, row]).lower()
    assert stored[0]["path"] == "/users/[url_id]/x"
    assert {each["path"] for each in stored[0]["redactions"]} == {"utm_source", "path", "event_id", "title", "properties.plan"}


def _without_digests(value):
    return json.loads(re.sub(r":[a-p]{32}\]", "]", json.dumps(value)))


@pytest.mark.parametrize("text", ["{", "[1]", "1 2"])
def test_what_is_no_event_is_said_without_repeating_it(run, here, text):
    (here / "events").write_text(text)
    told = run("privacy", "try", "events")
    assert told.code == 1
    assert "events" in told.err


@pytest.mark.parametrize(
    "text", ["\ufeff" + FORMS["lines"], FORMS["lines"].replace("call", r"\ud83d call")], ids=["BOM", "half a pair"]
)
def test_a_file_is_read_as_an_import_reads_it(run, here, text):
    (here / "events").write_text(text)
    told = run("privacy", "try", "events", "--granted", "--json").json["events"]
    assert [each["event"]["event"] for each in told] == ["Signed Up", "Viewed"]


@pytest.mark.parametrize("country", ["us", "USA", "UK", ""])
def test_a_country_that_there_is_not_is_not_taken_for_an_unknown_one(run, here, country):
    (here / "events").write_text(FORMS["array"])
    told = run("privacy", "try", "events", "--country", country)
    assert (told.code, "the country is no ISO code such as US" in told.err) == (2, True)


def test_a_file_that_is_not_there_is_said(run):
    assert run("privacy", "try", "nowhere").code == 1


def test_the_line_that_is_no_json_is_named_and_a_file_without_events_is_none(run, here):
    (here / "events").write_text('{"type": "page", "anonymousId": "s3cret"}\n\n{"s3cret\n')
    told = run("privacy", "try", "events")
    assert (told.code, told.err.strip()) == (1, "events cannot be read: line 3 is no JSON.")
    (here / "events").write_text("\n")
    assert "events holds no event." in run("privacy", "try", "events").err


def test_settings_that_are_not_there_are_not_taken_for_the_defaults(run, here):
    (here / "events").write_text('{"type": "page", "anonymousId": "a"}')
    assert "nowhere.toml does not exist" in run("privacy", "try", "events", "--config", "nowhere.toml").err


def test_events_that_are_refused_are_not_said_to_hold_nothing(run, here):
    (here / "events").write_text(
        '{"type": "track", "event": "Ordered", "anonymousId": "a", "properties": {"note": "x@y.example"}}'
    )
    told = run("privacy", "try", "events", "--count").out
    assert "Nothing was found" not in told
    assert "1 of 1 event (1 not_allowed_anonymously)" in told
    assert "--granted" in told
    assert "not searched" not in run("privacy", "try", "events", "--count", "--granted").out


def test_what_is_found_in_log_files_only_is_not_said_to_go_by_an_erasure(run, here, installed):
    (here / "logs").mkdir()
    (here / "logs" / "app.log").write_text("GET /x?email=anna@example.com\n")
    told = run("privacy", "audit", "--logs", "logs")
    assert told.code == 1
    assert "have them log less" in told.out
    assert "privacy erase" not in told.out


def test_the_default_master_key_is_turned(run, here, installed):
    data = here / "data"
    old = load_master(None, data, {})
    keys = open_region_keys(data, "eu", old)
    told = run("keys", "rotate-master", "--json").json
    new = load_master(None, data, {})
    assert (told["old"], told["new"], told["regions"]) == (old.id, new.id, ["eu"])
    assert open_region_keys(data, "eu", new) == keys
    with pytest.raises(ConfigError):
        open_region_keys(data, "eu", old)


def test_a_master_key_of_ones_own_takes_over(run, here, installed, monkeypatch):
    data, new = here / "data", MasterKey.generate()
    keys = open_region_keys(data, "eu", load_master(None, data, {}))
    monkeypatch.setenv("OUR_KEY", new.text())
    told = run("keys", "rotate-master", "--to", "env:OUR_KEY")
    assert 'master = "env:OUR_KEY"' in told.out
    assert new.text() not in told.out
    assert open_region_keys(data, "eu", new) == keys


def kept(here, run, *values):
    """An installation whose rules kept these values under `contact`."""
    (here / "consentry.toml").write_text(
        (here / "consentry.toml").read_text()
        + '\n[[privacy.rules]]\ndetector = "*"\naction = "keep"\npath = "properties.contact"\n'
    )
    lines = [
        {"type": "track", "event": "Sent", "userId": "u1", "properties": {"contact": value}, "context": {"consent": GRANT}}
        for value in values
    ]
    (here / "events.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert run("import", "events.jsonl").code == 0


def test_an_audit_of_what_rules_kept_fails_and_shows_forms_only(run, here, installed):
    kept(here, run, "anna@example.com", "4111 1111 1111 1111", "nothing")
    told = run("privacy", "audit", "--json")
    assert told.code == 1
    assert told.json["by_detector"] == {"email": 1, "card": 1}
    assert {(hit["path"], hit["shape"]) for hit in told.json["hits"]} == {
        ("properties.contact", "aaaa@aaaaaaa.aaa"),
        ("properties.contact", "9999 9999 9999 9999"),
    }
    told = run("privacy", "audit")
    assert told.code == 1
    assert "aaaa@aaaaaaa.aaa" in told.out
    assert "anna" not in told.out + told.err
    assert "4111" not in told.out + told.err


def test_an_audit_that_finds_nothing_succeeds_and_looks_at_logs_too(run, here, installed):
    kept(here, run, "nothing")
    (here / "our.log").write_text('{"event":"serving"}\nGET /healthz 200\n')
    told = run("privacy", "audit", "--logs", "our.log")
    assert told.code == 0, told.out
    assert "1 in log, 2 in log files" in told.out
    (here / "our.log").write_text("from 203.0.113.77\n")
    assert run("privacy", "audit", "--logs", "our.log").code == 1


def test_the_record_of_processing_is_a_page_or_json_printed_or_written(run, here, installed):
    kept(here, run, "nothing")
    told = run("privacy", "record")
    assert told.code == 0
    assert "| Sent (track) | `analytics` | 1 | `contact` text |" in told.out
    assert run("privacy", "record", "--format", "json").json["sites"][0]["events_stored"] == 1
    assert run("privacy", "record", "--json", "-o", "record.json").out == ""
    assert json.loads((here / "record.json").read_text())["sites"][0]["events"][0]["event"] == "Sent"


def test_what_is_taken_for_granted_is_so_under_a_notice_in_force(run, here):
    (here / "consentry.toml").write_text('[consent]\nnotices = ["2026-11"]\n')
    (here / "events").write_text('{"type": "track", "event": "Seen", "anonymousId": "visitor-1"}')
    told = run("privacy", "try", "events", "--granted", "--json").json
    assert [event["outcome"] for event in told["events"]] == ["stored"]
