"""A web server's access log becomes page views that name nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentryd.gateway.imports.combined import CombinedReader
from consentryd.gateway.imports.fingerprint import Fingerprint
from consentryd.gateway.imports.line import Read, Unread
from consentryd.model.event import RawEvent

LINE = (
    '192.0.2.7 - - [22/Nov/2026:10:15:02 +0100] "GET /p/mug?utm_source=x HTTP/1.1" 200 5120 "https://example.org/a" "Mozilla/5.0"'
)


def read(line: str | bytes) -> RawEvent | Unread:
    found = CombinedReader(Fingerprint(b"k" * 16)).read(line.encode() if isinstance(line, str) else line)
    return found.event if isinstance(found, Read) else found


def test_a_served_page_is_a_page_view_with_its_time_in_utc_and_nobody_named() -> None:
    event = read(LINE)
    assert isinstance(event, RawEvent)
    assert (event.type, event.timestamp) == ("page", "2026-11-22T09:15:02+00:00")
    assert event.context == {
        "ip": "192.0.2.7",
        "page": {"url": "/p/mug?utm_source=x", "referrer": "https://example.org/a"},
        "userAgent": "Mozilla/5.0",
    }
    assert (event.user_id, event.anonymous_id, event.session_id) == (None, None, None)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("192.0.2.7 -", "shop.example:443 192.0.2.7 -", {"page": {"url": "https://shop.example:443/p/mug?utm_source=x"}}),
        ("192.0.2.7 -", "shop.example 192.0.2.7 -", {"ip": "192.0.2.7"}),
        ("192.0.2.7", "2001:db8::1", {"ip": "2001:db8::1"}),
        ("192.0.2.7", "dialup-7.provider.example", {"userAgent": "Mozilla/5.0"}),
        ("- - [", "jo jo [", {"ip": "192.0.2.7"}),
        ("- - [", "- Jo Doe [", {"ip": "192.0.2.7"}),
        ('"https://example.org/a"', '"-"', {"page": {"url": "/p/mug?utm_source=x"}}),
        ('"Mozilla/5.0"', r'"Odd \"agent\" \x41\\"', {"userAgent": 'Odd "agent" A\\'}),
        (' "https://example.org/a" "Mozilla/5.0"', "", {"ip": "192.0.2.7"}),
        ('"Mozilla/5.0"', '"Mozilla/5.0" 0.004 "gzip"', {"userAgent": "Mozilla/5.0"}),
        (" 200 ", " 304 ", {"ip": "192.0.2.7"}),
        (" HTTP/1.1", " HTTP/2.0", {"ip": "192.0.2.7"}),
        ("/p/mug?utm_source=x", "/p/v1.2/mug", {"page": {"url": "/p/v1.2/mug", "referrer": "https://example.org/a"}}),
        ("/p/mug?utm_source=x", "/p?file=a.png", {"ip": "192.0.2.7"}),
        ("/p/mug?utm_source=x", r"/caf\xc3\xa9?a=\x22b", {"page": {"url": '/café?a="b'}}),
        ("/p/mug?utm_source=x", r"/caf\xe9", {"page": {"url": "/café"}}),
        ("/p/mug?utm_source=x", "//other.example/p", {"page": {"url": "/other.example/p"}}),
        ("https://example.org/a", r"https://b\xc3\xbccher.example/", {"page": {"referrer": "https://bücher.example/"}}),
    ],
)
def test_the_formats_that_servers_really_write_are_understood(before: str, after: str, expected: dict) -> None:
    assert before in LINE
    event = read(LINE.replace(before, after, 1))
    assert isinstance(event, RawEvent)
    for name, value in expected.items():
        told = event.context[name]
        assert value.items() <= told.items() if isinstance(value, dict) else value == told


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("GET", "POST"),
        ("GET", "HEAD"),
        (" 200 ", " 404 "),
        (" 200 ", " 301 "),
        (" 200 ", " 500 "),
        ("/p/mug?utm_source=x", "/style.CSS?v=3"),
        ("/p/mug?utm_source=x", "/img/a.min.png"),
        ("/p/mug?utm_source=x", "/robots.txt"),
        ("/p/mug?utm_source=x", "/.well-known/security"),
        ("GET /p/mug?utm_source=x HTTP/1.1", r"\x16\x03\x01"),
        ("GET /p/mug?utm_source=x HTTP/1.1", "-"),
    ],
)
def test_what_is_no_page_that_somebody_looked_at_is_left_out_without_being_an_error(before: str, after: str) -> None:
    assert before in LINE
    assert read(LINE.replace(before, after, 1)) is Unread.NOT_A_PAGE


@pytest.mark.parametrize(
    "line",
    [
        "",
        "hello",
        '{"type": "page"}',
        LINE.replace("22/Nov/2026", "22/Foo/2026"),
        LINE.replace("22/Nov/2026", "31/Feb/2026"),
        LINE.replace(":10:15:02", ":25:15:02"),
        LINE.replace("+0100", "+9900"),
        LINE.replace(" 200 ", " OK "),
        LINE.replace('" 200', " 200"),
        b"\xff\xfe\x00",
    ],
)
def test_a_line_of_another_format_is_malformed(line: str | bytes) -> None:
    assert read(line) is Unread.MALFORMED


def test_a_leap_second_is_the_second_before_it() -> None:
    event = read(LINE.replace("10:15:02", "10:15:60"))
    assert isinstance(event, RawEvent)
    assert event.timestamp == "2026-11-22T09:15:59+00:00"


@given(st.binary(max_size=400))
def test_no_line_whatever_makes_the_reader_fail(line: bytes) -> None:
    read(line)


@given(st.integers(0, len(LINE)), st.text(max_size=5))
def test_no_change_to_a_line_makes_the_reader_fail(position: int, text: str) -> None:
    read(LINE[:position] + text + LINE[position:])


def test_a_hostile_line_costs_no_more_than_its_length() -> None:
    assert read("1.2.3.4 - - [" + "a" * 200_000) is Unread.MALFORMED
    assert read("a " * 100_000) is Unread.MALFORMED
    assert read('1.2.3.4 - - [22/Nov/2026:10:15:02 +0100] "' + "\\" * 200_001) is Unread.MALFORMED
