"""Names, ids, sizes and nesting."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentryd.config.settings import Limits
from consentryd.gateway.stages.shape import check_event_name, check_id, check_label, check_size
from consentryd.model.outcome import Reason

LIMITS = Limits()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("u-1", "u-1"),
        ("  u-1 ", "u-1"),
        (42, "42"),
        ("1", "1"),
        ("", None),
        ("   ", None),
        (None, None),
        *[
            (placeholder, Reason.INVALID_ID)
            for placeholder in (
                "null",
                "NULL",
                "undefined",
                "[object Object]",
                "anonymous",
                "'undefined'",
                "NaN",
                "none",
                "0",
                "-1",
                0,
                "-",
                "0000",
                "(null)",
                "<nil>",
                "\uff4e\uff55\uff4c\uff4c",
                "n\u200bull",
                "\u200b",
                "n\u3164ull",
                "\u3164",
                "\u2800",
                "\u201cnull\u201d",
                "\u2018undefined\u2019",
                "\xabnull\xbb",
                "(not set)",
                "{{user_id}}",
                "{{ context.traits.user.identifier }}",
                "customer-{{ id }}-of-the-shop",
                "${userId}",
                "#{user.id}",
                "{user_id}",
                "<%= user.identifier_of_user %>",
                "%s",
                "%(user_id)s",
            )
        ],
        ("00000000-0000-0000-0000-000000000000", Reason.INVALID_ID),
        ("{3F2504E0-4F89-11D3-9A0C-0305E82C3301}", "{3F2504E0-4F89-11D3-9A0C-0305E82C3301}"),
        ("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000001"),
        ("100%ann@example.org", "100%ann@example.org"),
        ("$device:0a1b", "$device:0a1b"),
        ("nullify", "nullify"),
        ("張偉", "張偉"),
        ("\uff2aos\xe9", "\uff2aos\xe9"),
        (True, Reason.INVALID_ID),
        (1.5, Reason.INVALID_ID),
        (["u"], Reason.INVALID_ID),
        ("x" * 256, Reason.INVALID_ID),
        ("a\0b", Reason.INVALID_ID),
    ],
)
def test_ids_are_text_and_no_placeholders(value, expected):
    assert check_id(value, LIMITS.id_chars) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("m-1", "m-1"),
        (" m-1", " m-1"),
        (7, "7"),
        ("1795291200000", "1795291200000"),
        *[
            (placeholder, None)
            for placeholder in (
                "",
                "  ",
                None,
                "undefined",
                "NULL",
                "[object Object]",
                "0",
                0,
                -1,
                "{{messageId}}",
                "\uff4e\uff55\uff4c\uff4c",
            )
        ],
        ("00000000-0000-0000-0000-000000000000", None),
        ("event-${id}-of-a-template", None),
        (True, Reason.INVALID_ID),
        (["m"], Reason.INVALID_ID),
        ("x" * 256, Reason.INVALID_ID),
    ],
)
def test_a_placeholder_is_no_id_of_an_event_or_a_session(value, expected):
    assert check_label(value, LIMITS.id_chars) == expected


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("track", "Order Completed", "Order Completed"),
        ("track", " padded ", "padded"),
        ("track", "", Reason.INVALID_EVENT),
        ("track", "  ", Reason.INVALID_EVENT),
        ("track", None, Reason.INVALID_EVENT),
        ("track", 7, Reason.INVALID_EVENT),
        ("track", "x" * 201, Reason.INVALID_EVENT),
        ("track", "two\nlines", Reason.INVALID_EVENT),
        ("page", "Home", "page_viewed"),
        ("screen", None, "screen_viewed"),
        ("identify", None, "identify"),
        ("bogus", "x", Reason.INVALID_TYPE),
        (None, "x", Reason.INVALID_TYPE),
        ({}, "x", Reason.INVALID_TYPE),
    ],
)
def test_calls_have_event_names(kind, name, expected):
    assert check_event_name(kind, name, 200) == expected


def nested(depth, kind=dict):
    value = {}
    for _ in range(depth - 1):
        value = {"a": value} if kind is dict else {"a": [value]}
    return value


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (nested(16), None),
        (nested(17), Reason.TOO_DEEP),
        (nested(10, list), Reason.TOO_DEEP),
        ({str(key): key for key in range(255)}, None),
        ({str(key): key for key in range(256)}, Reason.INVALID_PROPERTIES),
        ({"inner": {str(key): key for key in range(256)}}, Reason.INVALID_PROPERTIES),
        ({"a": [{"b": 1}] * 300}, None),
        ({"text": "{[:" * 300}, None),
        ({"text": "x" * 33_000}, Reason.TOO_LARGE),
    ],
)
def test_size_nesting_and_keys_have_limits(properties, expected):
    assert check_size(properties, orjson.dumps(properties), {}, LIMITS) == expected


json_values = st.recursive(
    st.none() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=60,
)


def depth_of(value):
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max((depth_of(each) for each in inner if isinstance(each, dict | list)), default=0)


def widest(value):
    inner = list(value.values()) if isinstance(value, dict) else value
    return max([len(value) if isinstance(value, dict) else 0, *(widest(each) for each in inner if isinstance(each, dict | list))])


@given(st.dictionaries(st.text(max_size=2), json_values, max_size=4))
def test_counting_brackets_never_lets_a_deeper_or_wider_event_through(properties):
    limits = Limits.model_construct(depth=3, keys_per_level=2, event_bytes=10**6)
    within = depth_of(properties) <= 3 and widest(properties) <= 2
    assert (check_size(properties, orjson.dumps(properties), {}, limits) is None) == within
