"""What a call becomes on the wire."""

from __future__ import annotations

import ast
import dataclasses
import enum
import re
import time
from collections import OrderedDict, UserDict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as clock_time
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, get_args, get_type_hints
from uuid import UUID

import consentry
import pytest
from consentry import Bound, Consent, Consentry
from consentry.testing import MemoryTransport

SOURCES = sorted(Path(consentry.__file__).parent.glob("*.py"))


def test_every_call_has_its_shape(client, transport):
    assert client.track("order_completed", {"revenue": 19.9}, user_id="u", anonymous_id="a", session_id="s")
    assert client.identify("u", {"plan": "pro"}, anonymous_id="a")
    assert client.page("Pricing", {"tab": 2}, user_id="u")
    assert client.screen("Cart", user_id="u")
    assert client.group("g", {"seats": 3}, user_id="u")
    assert client.alias("u", "a")
    assert client.flush()
    sent = [
        {name: value for name, value in event.items() if name not in {"messageId", "timestamp"}} for event in transport.events
    ]
    assert sent == [
        {
            "type": "track",
            "event": "order_completed",
            "userId": "u",
            "anonymousId": "a",
            "sessionId": "s",
            "properties": {"revenue": 19.9},
        },
        {"type": "identify", "userId": "u", "anonymousId": "a", "traits": {"plan": "pro"}},
        {"type": "page", "name": "Pricing", "userId": "u", "properties": {"tab": 2}},
        {"type": "screen", "name": "Cart", "userId": "u"},
        {"type": "group", "groupId": "g", "userId": "u", "traits": {"seats": 3}},
        {"type": "alias", "userId": "u", "previousId": "a"},
    ]


def test_every_event_has_an_id_of_its_own_and_a_time(client, transport):
    before = datetime.now(UTC)
    for _ in range(50):
        client.track("seen", user_id="u")
    client.flush()
    assert len({event["messageId"] for event in transport.events}) == 50
    times = [datetime.fromisoformat(event["timestamp"]) for event in transport.events]
    assert all(before - timedelta(milliseconds=1) <= time <= datetime.now(UTC) for time in times)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["timestamp"]) for event in transport.events)


def test_an_id_and_a_time_can_be_given(client, transport):
    at = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=timezone(timedelta(hours=2)))
    client.track("seen", user_id="u", message_id='m"1', timestamp=at)
    client.flush()
    assert (transport.events[0]["messageId"], transport.events[0]["timestamp"]) == ('m"1', "2026-03-01T10:00:00.000005Z")


@pytest.mark.parametrize(
    "nothing", ["", 0, " ", "0", -1, "None", "(null)", "UNDEFINED", "\u200b", "\uff4eull", "{{order_id}}", "%s"]
)
def test_an_id_that_the_gateway_counts_as_none_is_one_of_ours(client, transport, nothing):
    for _ in range(2):
        assert client.track("seen", user_id="u", message_id=nothing)
    client.flush()
    first, second = (event["messageId"] for event in transport.events)
    assert len(first) > 12
    assert first != second


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("\ud800", "\ufffd"),
        ("a\udfffb", "a\ufffdb"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        ("\xfc", "\xfc"),
    ],
)
def test_an_id_is_sent_as_the_gateway_reads_and_answers_it(client, transport, text, sent):
    client.track("seen", user_id="u", message_id=text)
    client.flush()
    assert transport.events[0]["messageId"] == sent


def test_what_is_changed_after_the_call_changes_nothing(client, transport):
    properties = {"items": [{"id": 1}]}
    client.track("seen", properties, user_id="u")
    properties["items"][0]["id"] = 2
    client.flush()
    assert transport.events[0]["properties"] == {"items": [{"id": 1}]}


@dataclasses.dataclass
class Money:
    amount: Decimal


class Plan(enum.Enum):
    PRO = "pro"


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05Z"),
        (date(2026, 1, 2), "2026-01-02"),
        (clock_time(9, 30), "09:30:00"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (Decimal("19.99"), 19.99),
        (Plan.PRO, "pro"),
        ({"b", "a"}, ["a", "b"]),
        (Money(Decimal("1.5")), {"amount": 1.5}),
        ((1, 2), [1, 2]),
        ("tea \U0001f375 \u00e9", "tea \U0001f375 \u00e9"),
    ],
)
def test_common_values_are_written_as_json(client, transport, value, sent):
    assert client.track("seen", {"value": value}, user_id="u")
    client.flush()
    assert transport.events[0]["properties"]["value"] == sent


def test_what_numpy_has_is_written_as_json(client, transport):
    numpy = pytest.importorskip("numpy")
    row = {"price": numpy.float32(1.5), "pieces": numpy.int64(2), "new": numpy.bool_(True), "sizes": numpy.arange(3)}
    assert client.track("seen", {**row, "names": numpy.array(["ann@mail.example"])}, user_id="u")
    assert client.flush()
    names = {"names": ["[email]"]}
    assert transport.events[0]["properties"] == {"price": 1.5, "pieces": 2, "new": True, "sizes": [0, 1, 2], **names}


@pytest.mark.parametrize(
    ("call", "name"),
    [
        *((Consentry.track, name) for name in ("user_id", "anonymous_id", "session_id", "message_id")),
        *((Consentry.set_consent, name) for name in ("user_id", "anonymous_id")),
        *((kind.identify, "user_id") for kind in (Consentry, Bound)),
        *((kind.group, "group_id") for kind in (Consentry, Bound)),
        *((kind.alias, name) for kind in (Consentry, Bound) for name in ("user_id", "previous_id")),
    ],
)
def test_the_types_let_ids_be_what_databases_have(call, name):
    kinds = get_args(get_type_hints(call)[name])
    assert {str, int, UUID} <= set(kinds)


@dataclasses.dataclass
class Contact:
    mail: object
    password: str = "swordfish"


class Row(NamedTuple):
    mail: str


class SafeText(str):
    __slots__ = ()


class Mail(enum.Enum):
    OWNER = "ann@example.com"


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (Contact("ann@example.com"), {"mail": "[email]", "password": "[redacted]"}),
        ([Contact({"ann@example.com"})], [{"mail": ["[email]"], "password": "[redacted]"}]),
        (OrderedDict(mail="ann@example.com", token="t"), {"mail": "[email]", "token": "[redacted]"}),
        (UserDict(mail="ann@example.com"), {"mail": "[email]"}),
        (Row("ann@example.com"), ["[email]"]),
        (frozenset({"ann@example.com"}), ["[email]"]),
        (SafeText("ann@example.com"), "[email]"),
        (Mail.OWNER, "[email]"),
        (UUID(int=0x11111111111141118111111111111111), "11111111-1111-4111-8111-111111111111"),
    ],
)
def test_texts_are_redacted_in_whatever_holds_them(client, transport, value, sent):
    assert client.track("seen", {"value": value}, user_id="u")
    client.flush()
    assert transport.events[0]["properties"]["value"] == sent


def test_what_holds_a_text_may_stay_as_it_is(make, transport):
    client = make(redact=False)
    client.track("seen", {"value": Contact("ann@example.com")}, user_id="u")
    client.flush()
    assert transport.events[0]["properties"]["value"] == {"mail": "ann@example.com", "password": "swordfish"}


def _endless():
    value = {}
    value["self"] = value
    return value


class Moody(Mapping):
    """As lazy objects are whose database is gone."""

    def __getitem__(self, key):
        raise KeyError(key)

    def __iter__(self):
        raise RuntimeError("not today")

    def __len__(self):
        return 1


@pytest.mark.parametrize(
    "value",
    [
        object(),
        float("nan"),
        float("inf"),
        {(1, 2): 3},
        _endless(),
        Moody(),
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=5))),
    ],
    ids=["object", "nan", "infinite", "tuple as key", "endless", "moody", "beyond time"],
)
def test_what_is_not_json_is_lost_told_and_counted_and_nothing_is_raised(make, transport, value):
    failures = []
    client = make(on_failure=failures.append)
    assert client.track("seen", {"value": value}, user_id="u") is False
    assert [failure.reason for failure in failures] == ["not_json"]
    client.track("seen", user_id="u")
    client.flush()
    assert (client.stats.lost, transport.dropped, len(transport.events)) == (1, 1, 1)


def test_an_event_above_the_gateways_limit_is_lost_at_once(make):
    failures = []
    client = make(on_failure=failures.append)
    assert client.track("seen", {"text": "x" * 40_000}, user_id="u") is False
    assert client.track("seen", {f"text{n}": "x" * 10_000 for n in range(4)}, user_id="u") is False
    assert [(failure.reason, failure.event["event"]) for failure in failures] == [("too_large", "seen")] * 2


def test_megabytes_are_refused_before_they_are_gone_through(client):
    before = time.process_time()
    assert client.track("seen", {"text": "a@" + "x" * 5_000_000}, user_id="u") is False
    # redacting it takes seconds
    assert time.process_time() - before < 0.5


def test_ids_may_be_numbers_and_uuids_as_databases_have_them(client, transport):
    uuid = UUID("12345678-1234-5678-1234-567812345678")
    client.track("seen", user_id=42, anonymous_id=uuid, message_id=uuid)
    client.identify(42)
    client.flush()
    first, second = transport.events
    assert (first["userId"], first["anonymousId"], first["messageId"], second["userId"]) == ("42", str(uuid), str(uuid), "42")


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.track(""),
        lambda client: client.identify(""),
        lambda client: client.group(""),
        lambda client: client.alias("u", ""),
        lambda _client: Consentry(""),
        lambda _client: Consentry("csy_server_x\n"),
        lambda _client: Consentry("k", "events.example.com"),
        lambda _client: Consentry("k", "ftp://events.example.com"),
        lambda _client: Consentry("k", batch_events=0),
        lambda _client: Consentry("k", fsync="sometimes", spool="unused"),
    ],
)
def test_a_call_that_cannot_be_meant_is_told_at_once(client, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"\w"):
        call(client)


def test_consent_goes_with_the_event_and_one_of_its_own_wins(make, transport):
    client = make(consent={"analytics": True})
    given = [
        None,
        {"analytics": False},
        {"analytics": True, "marketing": None},
        Consent(purposes={"analytics": True}, notice="2026-11", at=datetime(2026, 11, 1, tzinfo=UTC), gpc=True),
        Consent(tcf="CP...", gpp="DB...", gpp_sid="7"),
    ]
    for consent in given:
        client.track("seen", user_id="u", consent=consent)
    client.track("seen", user_id="u", context={"ip": "203.0.113.7"})
    client.flush()
    assert [event["context"]["consent"] for event in transport.events] == [
        {"purposes": {"analytics": True}},
        {"purposes": {"analytics": False}},
        {"purposes": {"analytics": True, "marketing": None}},
        {"purposes": {"analytics": True}, "notice": "2026-11", "at": "2026-11-01T00:00:00Z", "gpc": True},
        {"tcf": "CP...", "gpp": "DB...", "gpp_sid": "7"},
        {"purposes": {"analytics": True}},
    ]
    assert transport.events[-1]["context"]["ip"] == "203.0.113.7"


@pytest.mark.parametrize(
    ("own", "with_another", "alone"),
    [
        (None, {"purposes": {"analytics": True}}, None),
        ({"gpc": True}, {"purposes": {"analytics": True}, "gpc": True}, {"gpc": True}),
        (Consent(purposes={"analytics": False}), {"purposes": {"analytics": False}}, {"purposes": {"analytics": False}}),
    ],
)
def test_consent_in_the_context_comes_before_that_of_the_call(client, transport, own, with_another, alone):
    assert client.track("seen", user_id="u", consent={"analytics": True}, context={"consent": own})
    assert client.track("seen", user_id="u", context={"consent": own})
    client.flush()
    assert [event.get("context", {}).get("consent") for event in transport.events] == [with_another, alone]


def test_what_only_equals_a_grant_is_never_sent_as_one(client, transport):
    for value in (True, 1, 1.0):
        client.track("seen", user_id="u", consent={"analytics": value})
    client.flush()
    sent = [event["context"]["consent"]["purposes"]["analytics"] for event in transport.events]
    assert [type(value) for value in sent] == [bool, int, float]


def test_a_bound_client_gives_what_it_was_given(client, transport):
    bound = client.bind(user_id="u", session_id="s", consent={"analytics": True})
    bound.track("seen")
    bound.bind(session_id="t").page("Home")
    bound.identify("v")
    bound.alias("v", "a")
    client.flush()
    assert [(event["userId"], event.get("sessionId")) for event in transport.events] == [
        ("u", "s"), ("u", "t"), ("v", "s"), ("v", "s"),
    ]  # fmt: skip
    assert all(event["context"]["consent"]["purposes"] == {"analytics": True} for event in transport.events)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_source_is_python_3_9(source):
    ast.parse(source.read_text(encoding="utf-8"), feature_version=(3, 9))


def test_a_transport_for_tests_tells_duplicates(make):
    transport = MemoryTransport()
    client = make(transport=transport)
    for _ in range(2):
        client.track("seen", user_id="u", message_id="m")
    assert client.flush()
    assert len(transport.named("seen")) == 1
    assert client.stats.delivered == 2
