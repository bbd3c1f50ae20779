"""A line of JSON is read as the body of a server's request is."""

from __future__ import annotations

import pytest

from consentryd.gateway.document import UNREADABLE, look_into
from consentryd.gateway.imports.fingerprint import Fingerprint
from consentryd.gateway.imports.jsonl import JsonlReader
from consentryd.gateway.imports.line import Read, Unread
from consentryd.model.event import RawEvent


def read(line: bytes) -> RawEvent | Unread:
    found = JsonlReader(Fingerprint(b"s" * 32)).read(line)
    return found.event if isinstance(found, Read) else found


def test_half_a_surrogate_pair_is_read_as_in_a_request() -> None:
    event = read(rb'{"type": "track", "event": "a", "properties": {"a": "\ud83d"}}')
    assert isinstance(event, RawEvent)
    assert look_into(event.properties) == {"a": "\ufffd"}


def test_a_number_beyond_all_bounds_is_the_fault_of_its_properties() -> None:
    event = read(b'{"type": "track", "event": "a", "properties": {"a": 1e400}}')
    assert isinstance(event, RawEvent)
    assert event.event == "a"
    assert look_into(event.properties) is UNREADABLE


def test_a_line_of_long_ago_says_nothing_of_its_senders_clock() -> None:
    event = read(b'{"type": "track", "event": "a", "timestamp": "2026-01-02T03:04:05Z", "sentAt": "2026-01-02T03:04:06Z"}')
    assert isinstance(event, RawEvent)
    assert event.timestamp == "2026-01-02T03:04:05Z"
    assert event.sent_at is None


@pytest.mark.parametrize(
    ("line", "region"),
    [
        (b'{"type": "track", "region": "us"}', "us"),
        (b'{"type": "track", "region": "us", "properties": {"a": 1e400}}', "us"),
        (b'{"type": "track", "region": "us", "batch": 1}', "us"),
        (b'{"type": "track", "region": ["us"]}', "['us']"),
        (b'{"type": "track", "region": ""}', None),
        (b'{"type": "track"}', None),
    ],
)
def test_a_line_declares_its_region_as_the_body_of_a_single_event_does(line: bytes, region: str | None) -> None:
    found = JsonlReader(Fingerprint(b"s" * 32)).read(line)
    assert isinstance(found, Read)
    assert found.region == region


@pytest.mark.parametrize("line", [b"[]", b"12", b'"x"', b'{"a": NaN}', b"{", b'{"a": "\xff"}', b"{" * 100_000])
def test_what_is_no_object_is_malformed(line: bytes) -> None:
    assert read(line) is Unread.MALFORMED
