"""Trends: what each math counts, and where its edges are."""

from __future__ import annotations

import pytest

from tests.analytics.site import Shop, values

RANGE = {"from": "2026-03-01", "to": "2026-03-05"}


def line(shop: Shop, math: str, **options):
    query = {"kind": "trends", "series": [{"event": "viewed", "math": math, **options.pop("series", {})}], "range": RANGE, **options}
    return shop.ask(**query).series[0]


@pytest.fixture
def busy(shop: Shop) -> Shop:
    shop.add(
        (1, "2026-03-01", "viewed", {"price": 10, "plan": "pro", "country": "DE", "session": 1}),
        (1, "2026-03-01T13:00:00", "viewed", {"price": 20, "plan": "pro", "country": "DE", "session": 1}),
        (2, "2026-03-01", "viewed", {"price": "x", "plan": "free", "country": "FR", "session": 2}),
        (1, "2026-03-03", "viewed", {"price": 40, "country": "DE", "session": 3}),
        (3, "2026-03-03", "bought", {"revenue": "12.5000", "currency": "EUR"}),
        (3, "2026-03-05T23:59:59", "viewed", {"price": 5, "plan": "", "session": 4}),
        (4, "2026-02-25", "viewed", {}),
    )
    return shop


@pytest.mark.parametrize(
    ("math", "series", "expected", "total"),
    [
        ("total", {}, [3, 0, 1, 0, 1], 5),
        ("unique", {}, [2, 0, 1, 0, 1], 3),
        ("unique_sessions", {}, [2, 0, 1, 0, 1], 4),
        ("per_user_avg", {}, [1.5, None, 1.0, None, 1.0], 5 / 3),
        ("per_user_max", {}, [2, None, 1, None, 1], 3),
        ("per_user_median", {}, [1.5, None, 1, None, 1], 1),
        ("sum", {"property": "price"}, [30, 0, 40, 0, 5], 75),
        ("avg", {"property": "price"}, [15, None, 40, None, 5], 18.75),
        ("min", {"property": "price"}, [10, None, 40, None, 5], 5),
        ("max", {"property": "price"}, [20, None, 40, None, 5], 40),
        ("median", {"property": "price"}, [15, None, 40, None, 5], 15),
        ("sum_per_user", {"property": "price"}, [15, None, 40, None, 5], 25),
        ("unique_values", {"property": "plan"}, [2, 0, 0, 0, 0], 2),
        ("first_match", {}, [2, 0, 0, 0, 1], 3),
        ("weekly_active", {}, [3, 3, 3, 2, 3], 3),
    ],
)
def test_each_math_counts_by_day_and_over_the_range(busy, math, series, expected, total):
    found = line(busy, math, series=series)
    assert values(found) == pytest.approx(expected)
    assert found.total == pytest.approx(total)


def test_a_value_that_is_no_number_is_left_out_and_counted(busy):
    assert line(busy, "sum", series={"property": "price"}).non_numeric == 1


def test_nothing_changes_when_the_log_is_sealed_and_compacted(busy):
    before = line(busy, "unique", breakdown={"by": [{"property": "country"}]})
    busy.seal()
    assert line(busy, "unique", breakdown={"by": [{"property": "country"}]}) == before
    busy.add((9, "2026-03-02", "viewed", {"country": "DE"}))
    busy.seal()
    busy.compact()
    assert line(busy, "unique").total == before.total + 1
