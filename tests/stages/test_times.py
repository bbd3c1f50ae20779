"""Client times are read, corrected and held to a range."""

from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentryd.config.settings import Limits
from consentryd.gateway.stages.times import put_time, read_time, skew_of
from consentryd.model.clock import DAY, MINUTE, SECOND, moment_of
from consentryd.model.outcome import Reason

NOW = 1_790_000_000 * SECOND
LIMITS = Limits()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-09-21T14:13:20Z", NOW),
        ("2026-09-21T16:13:20.000001+02:00", NOW + 1),
        ("2026-09-21T14:13:20", NOW),
        (1_790_000_000, NOW),
        (1_790_000_000.5, NOW + SECOND // 2),
        (1_790_000_000_000, NOW),
        (1_790_000_000_000_001, NOW + 1),
        ("20260921T141320Z", NOW),
        ("2026-09-21t14:13:20z", NOW),
        ("2026-09-20T24:00:00Z", NOW - 51_200 * SECOND),
        ("2026-09-20T23:59:60Z", NOW - 51_200 * SECOND),
        ("2026-09-21T01:59:60.5+02:00", NOW - 51_200 * SECOND + SECOND // 2),
        ("20260920T235960Z", NOW - 51_200 * SECOND),
        ("2026-09-20T24:00:01Z", None),
        ("2026-09-21T14:13:60Z", None),
        ("2026-09-21T14:60:20Z", None),
        ("9999-12-31T24:00:00Z", None),
        ("2026-09-21T14:13:20z" + " " * 100, None),
        ("1796032800000", None),
        ("yesterday", None),
        ("", None),
        (True, None),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
        (1e300, None),
        ({}, None),
    ],
)
def test_times_are_read_from_text_and_unix_numbers(value, expected):
    assert read_time(value) == expected


@given(st.one_of(st.text(), st.floats(), st.integers(), st.binary(), st.lists(st.integers())))
def test_no_input_makes_reading_a_time_raise(value):
    assert isinstance(read_time(value), int | None)


@pytest.mark.parametrize(
    ("sent_at", "skew"),
    [
        (None, 0),
        ("nonsense", 0),
        ("2026-09-21T14:13:20Z", 0),
        ("2026-09-21T14:13:16Z", 0),
        ("2026-09-21T13:43:20Z", 30 * MINUTE),
        ("2026-09-22T14:13:20Z", -DAY),
    ],
)
def test_skew_is_what_the_clients_clock_is_off(sent_at, skew):
    assert skew_of(sent_at, NOW) == skew


@pytest.mark.parametrize(
    ("value", "skew", "bad_time", "expected"),
    [
        (None, 0, "reject", NOW),
        ("", 0, "reject", NOW),
        ("2026-09-21T14:13:20Z", MINUTE, "reject", NOW + MINUTE),
        ("soon", 0, "reject", Reason.INVALID_TIME),
        ("1970-01-01T00:00:00Z", 0, "reject", Reason.TOO_OLD),
        ("2036-01-01T00:00:00Z", 0, "reject", Reason.IN_FUTURE),
        ("1970-01-01T00:00:00Z", 0, "clamp", NOW - LIMITS.max_age_days * DAY),
        ("2036-01-01T00:00:00Z", 0, "clamp", NOW + LIMITS.max_future_minutes * MINUTE),
    ],
)
def test_a_time_is_corrected_and_held_to_its_range(value, skew, bad_time, expected):
    assert put_time(value, skew, NOW, Limits(bad_time=bad_time)) == expected


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", -9e10, 9e10, "2026-09-21T14:13:20Z"])
@pytest.mark.parametrize("skew", [-(10**17), 0, 10**17])
@pytest.mark.parametrize("bad_time", ["reject", "clamp"])
def test_a_time_is_a_date_in_every_zone_whatever_the_limits_let_in(value, skew, bad_time):
    time = put_time(value, skew, NOW, Limits(max_age_days=10**12, max_future_minutes=10**15, bad_time=bad_time))
    if isinstance(time, Reason):
        assert time in (Reason.TOO_OLD, Reason.IN_FUTURE)
        assert bad_time == "reject"
    else:
        assert all(moment_of(time).astimezone(timezone(timedelta(hours=hours))) for hours in (-23, 23))  # not an OverflowError
