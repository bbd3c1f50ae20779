"""What never leaves the process."""

from __future__ import annotations

import time

import pytest
from consentry.redact import redact, redact_text, redact_url


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ("write to ann.lee@example.com now", "write to [email] now"),
        ("ann%40example.com", "[email]"),
        ("4111 1111 1111 1111", "[number]"),
        ("call +49 170 1234567", "call [number]"),
        ("order 1234567890", "order 1234567890"),
        ("at 1795291200", "at 1795291200"),
        ("plain", "plain"),
        ("a@b.co", "[email]"),
    ],
)
def test_texts_lose_addresses_and_long_runs_of_digits(value, left):
    assert redact_text(value) == left
    assert redact({"deep": [{"text": (value,)}]}) == {"deep": [{"text": (left,) if left == value else [left]}]}


def test_names_of_secrets_lose_their_value_at_any_depth():
    value = {"password": "x", "nested": {"api_key": 5, "ok": 1}, "list": [{"token": None}]}
    assert redact(value) == {
        "password": "[redacted]",
        "nested": {"api_key": "[redacted]", "ok": 1},
        "list": [{"token": "[redacted]"}],
    }
    assert value["password"] == "x"


def test_what_is_clean_is_not_copied():
    value = {"a": 1, "b": [1, "two", {"c": None}], "d": "eleven chars"}
    assert redact(value) is value


@pytest.mark.parametrize(
    ("url", "left"),
    [
        ("https://u:p@shop.example:8443/cart?id=5#top", "https://shop.example:8443/cart?id=5"),
        (
            "https://shop.example/?email=ann@example.com&token=abc&q=tea",
            "https://shop.example/?email=[redacted]&token=[redacted]&q=tea",
        ),
        ("https://shop.example/u/ann@example.com", "https://shop.example/u/[email]"),
        ("https://shop.example/o/8f14e45f-ceea-4672-8f2b-2f2b0f2b0f2b/x", "https://shop.example/o/[token]/x"),
        ("https://shop.example/p/123456789", "https://shop.example/p/[number]"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ("mailto:ann@example.com", "mailto:"),
        ("http://[broken", ""),
        ("/only/path?code=5", "/only/path?code=[redacted]"),
        ("////only[path", "/only[path"),
        ("http:////x[", "http:///x["),
    ],
)
def test_urls_lose_user_info_fragments_and_secrets(url, left):
    assert redact_url(url) == left


def test_an_event_is_redacted_before_it_waits_unless_that_is_switched_off(make, transport):
    for clean in (True, False):
        client = make(redact=clean)
        client.track("seen", {"note": "ann@example.com"}, user_id="ann@example.com")
        client.identify("u", {"email": "ann@example.com"})
        client.flush()
    notes = [event.get("properties", event.get("traits")) for event in transport.events]
    assert notes == [{"note": "[email]"}, {"email": "[email]"}, {"note": "ann@example.com"}, {"email": "ann@example.com"}]
    assert transport.events[0]["userId"] == "ann@example.com"


@pytest.mark.parametrize("text", ["a" * 200_000, "1 " * 100_000, "a." * 100_000 + "@", "@" * 100_000, "+" * 100_000])
def test_no_text_takes_long(text):
    started = time.process_time()
    redact_text(text)
    assert time.process_time() - started < 5
