from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentryd.gateway import body, document
from consentryd.gateway.document import look_into
from consentryd.gateway.protocols.segment import parse, read_envelope, read_event
from consentryd.model.error import BadRequest, TooLarge
from consentryd.model.event import RawEvent
from tests.kit import ONLY_BEFORE_3_12

NAMES = (
    *("type", "event", "event_name", "messageId", "userId", "user_id", "anonymousId", "sessionId", "groupId", "previousId"),
    *(
        "timestamp",
        "originalTimestamp",
        "sentAt",
        "properties",
        "traits",
        "context",
        "name",
        "category",
        "batch",
        "writeKey",
        "region",
    ),
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
JSON = st.recursive(
    SCALARS | st.sampled_from(["page", "track", "identify", ""]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=8),
    max_leaves=30,
)


@given(JSON, st.sampled_from([None, "track", "page", "identify"]))
def test_whatever_json_comes_is_read_or_refused(value: Any, call: str | None) -> None:
    try:
        envelope = read_envelope(value, call, 3)
    except (BadRequest, TooLarge):
        return
    assert all(type(event) is RawEvent for event in envelope.events)
    assert len(envelope.events) <= 3
    assert envelope.key is None or isinstance(envelope.key, str)


@given(JSON)
def test_what_is_json_parses_to_itself(value: Any) -> None:
    assert document.parse(orjson.dumps(value)) == value


@given(st.binary(max_size=200))
def test_whatever_bytes_come_are_json_or_refused(data: bytes) -> None:
    for coding in (None, "gzip", "deflate", "br", "zstd", "gzip, br"):
        try:
            document.parse(body.inflate(data, coding, 1000))
        except BadRequest:
            continue


@given(st.text(alphabet=st.characters(codec=None, exclude_categories=()), max_size=30))
def test_lone_surrogates_become_replacement_characters(text: str) -> None:
    escaped = "".join(
        f"\\u{ord(unit):04x}" if 0xD800 <= ord(unit) < 0xE000 else orjson.dumps(unit).decode()[1:-1] for unit in text
    )
    read = document.parse(f'"{escaped}"'.encode())
    assert read == whole(text)
    assert not any(0xD800 <= ord(character) < 0xE000 for character in read)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (rb'"\\ud83d\ude00"', "\\ud83d\ufffd"),
        (rb'"\\\ud83d\ude00"', "\\\U0001f600"),
        (rb'"\\\\ud83d \udc00"', "\\\\ud83d \ufffd"),
    ],
)
def test_behind_escaped_backslashes_stands_text(text: bytes, read: str) -> None:
    assert orjson.loads(document.mended(text)) == read


def test_of_all_escapes_only_surrogates_are_looked_at_one_by_one(monkeypatch) -> None:
    seen = []
    whole_of = document._whole
    monkeypatch.setattr(document, "_whole", lambda found: seen.append(found) or whole_of(found))
    assert document.parse(b'"\\ud800' + rb"\n\u00e4\\\"" * 1000 + b'"') == "\ufffd" + '\nä\\"' * 1000
    assert len(seen) == 1


def told(read, call):
    try:
        envelope = read_envelope(read(), call, 3)
    except (BadRequest, TooLarge) as error:
        return error.code
    return envelope._replace(events=[RawEvent(*map(look_into, msgspec.structs.astuple(event))) for event in envelope.events])


@given(JSON, st.sampled_from([None, "track", "page", "identify"]))
def test_a_body_that_is_looked_into_late_says_what_it_says_at_once(value: Any, call: str | None) -> None:
    data = orjson.dumps(value)
    assert told(lambda: parse(data), call) == told(lambda: document.parse(data), call)


@pytest.mark.parametrize(
    "data",
    [
        b'{"batch": [{"properties": {"a": "\\ud83d"}}]}',
        b'{"batch": [{"context": {"groupI\\u0064": "g", "traits": {"a": 1}}, "type": "identify"}]}',
        b'\xef\xbb\xbf[{"userId": "u", "context": {"session_id": 7}}]',
        b'{"batch": [{"properties": {"a": "\xff"}}]}',
        b'{"batch": [{"properties": {"a": tru}}]}',
        b'{"batch": [null, 1, {"userId": "u"}]}',
        b'{"batch": {"userId": "u"}}',
        b'{"userId": "u", "userId": "v", "properties": {"a": 1}, "properties": null}',
        pytest.param(b'{"a":' * 1500 + b"1" + b"}" * 1500, marks=ONLY_BEFORE_3_12),
        b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    ],
)
def test_odd_bodies_too_are_read_alike_early_and_late(data: bytes) -> None:
    assert told(lambda: parse(data), "track") == told(lambda: document.parse(data), "track")


CAMEL = {
    "type": "track",
    "event": "E",
    "messageId": "m",
    "userId": "u",
    "anonymousId": "a",
    "sessionId": "s",
    "groupId": "g",
    "previousId": "p",
    "timestamp": "t",
    "sentAt": "w",
}
SNAKE = {
    "type": "track",
    "event_name": "E",
    "message_id": "m",
    "user_id": "u",
    "anonymous_id": "a",
    "session_id": "s",
    "group_id": "g",
    "previous_id": "p",
    "original_timestamp": "t",
    "sent_at": "w",
}


def test_both_spellings_say_the_same() -> None:
    wanted = RawEvent("track", "E", "m", "u", "a", "s", "g", "p", "t", "w")
    assert read_event(CAMEL, None) == read_event(SNAKE, None) == wanted
    assert read_event({"event_id": "m"}, "page").event_id == "m"


@pytest.mark.parametrize(
    ("item", "call", "field", "value"),
    [
        ({"userId": ""}, "track", "user_id", None),
        ({"userId": 0}, "track", "user_id", 0),
        ({"userId": None, "user_id": "u"}, "track", "user_id", "u"),
        ({"timestamp": 0, "originalTimestamp": "t"}, "track", "timestamp", 0),
        ({"timestamp": []}, "track", "timestamp", []),
        ({"timestamp": {}}, "track", "timestamp", {}),
        ({"timestamp": False}, "track", "timestamp", False),
        ({"timestamp": "", "original_timestamp": "t"}, "track", "timestamp", "t"),
        ({"timestamp": None, "originalTimestamp": ""}, "track", "timestamp", None),
        ({"context": {"sessionId": 7}}, "track", "session_id", 7),
        ({"sessionId": "s", "context": {"sessionId": 7}}, "track", "session_id", "s"),
        ({"context": {"traits": {"a": 1}}}, "identify", "traits", {"a": 1}),
        ({"context": {"traits": {"a": 1}}}, "track", "traits", None),
        ({"traits": {}, "context": {"traits": {"a": 1}}}, "identify", "traits", {}),
        ({"type": "page"}, "track", "type", "page"),
        ({}, "screen", "type", "screen"),
        ({"type": [1]}, "track", "type", [1]),
        ({"type": {"a": 1}}, "page", "type", {"a": 1}),
        ({"name": "N", "category": "C"}, "page", "properties", {"name": "N", "category": "C"}),
        ({"name": "N", "properties": {"name": "inner"}}, "page", "properties", {"name": "inner"}),
        ({"name": "N", "properties": [1]}, "page", "properties", [1]),
        ({"name": "N"}, "track", "properties", None),
        ("text", "track", "event", None),
        ("text", "page", "type", "track"),
    ],
)
def test_dialects_are_settled(item: Any, call: str, field: str, value: Any) -> None:
    assert getattr(read_event(item, call), field) == value


def whole(text: str) -> str:
    """Pairs joined, halves replaced, one by one."""
    read = ""
    for character in text:
        if read and 0xD800 <= ord(read[-1]) < 0xDC00 <= ord(character) < 0xE000:
            read = read[:-1] + chr(0x10000 + ((ord(read[-1]) - 0xD800) << 10) + ord(character) - 0xDC00)
        else:
            read += character
    return "".join("\ufffd" if 0xD800 <= ord(character) < 0xE000 else character for character in read)
