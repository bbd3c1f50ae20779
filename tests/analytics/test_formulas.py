"""Formulas that people can write and nobody can compute, or that no column has room for: none is an error of ours."""

from __future__ import annotations

import pytest

from consentryd.analytics.format import MEDIA_TYPES, encode
from consentryd.model.error import Unprocessable
from tests.analytics.site import Shop

COUNTED, PAID = {"event": "bought"}, {"event": "bought", "math": "revenue"}
DAY = {"from": "2026-03-02", "to": "2026-03-02"}


@pytest.fixture
def shop(shop: Shop) -> Shop:
    shop.add((1, "2026-03-02", "bought", {"revenue": "2.5000"}), (1, "2026-03-02", "bought"))
    return shop


def check(shop: Shop, series, expression, total) -> None:
    for display in ("series", "total"):
        found = shop.ask(
            kind="trends", series=[series], range=DAY, display=display, formulas=[{"expression": expression}], least=1
        )
        value = found.series[-1].total
        assert (None if value is None else float(value)) == total
        for form in MEDIA_TYPES:
            assert encode(found, form)


@pytest.mark.parametrize(
    "expression", ["max((0 - A) ^ 0.5, 1)", "round((0 - A) ^ 0.5)", "((0 - A) ^ 0.5) ^ 2", "abs((0 - A) ^ 0.5)"]
)
def test_a_root_of_what_is_below_0_is_null(shop, expression):
    check(shop, COUNTED, expression, None)
    check(shop, PAID, expression, None)


@pytest.mark.parametrize(
    ("expression", "total"),
    [
        ("9" * 400, None),
        ("A * " + "9" * 400, None),
        ("A * 1000000007", 2_000_000_014),
        ("A * 9223372036854775807", 2.0**64),
    ],
)
def test_an_integer_that_no_column_has_room_for_is_a_float_or_null(shop, expression, total):
    check(shop, COUNTED, expression, total)


@pytest.mark.parametrize(
    ("expression", "total"),
    [
        ("*".join("A" * 21), 2.5**21),
        ("A * " + "9" * 200, 2.5e200),
        ("A * " + "9" * 400, None),
        ("(A - A) * " + "*".join("A" * 21), 0),
    ],
)
def test_an_amount_that_no_column_has_room_for_is_a_float_or_null(shop, expression, total):
    check(shop, PAID, expression, total if total is None else pytest.approx(total))


def test_a_root_of_few_is_no_error_where_groups_are_hidden(shop):
    formulas = [{"expression": "max((0 - A) ^ 0.5, 1) + A"}]
    assert shop.ask(kind="trends", series=[COUNTED], range=DAY, formulas=formulas, least=5).series[-1].total is None


def test_what_is_no_formula_is_refused(shop):
    with pytest.raises(Unprocessable, match="formula"):
        shop.ask(kind="trends", series=[COUNTED], formulas=[{"expression": "(" * 300}])


def test_a_refusal_names_the_field_and_which_formula_it_is(shop):
    with pytest.raises(Unprocessable) as refused:
        shop.ask(kind="trends", series=[COUNTED], formulas=[{"expression": "A * 2"}, {"expression": "A / C"}])
    assert refused.value.detail["field"] == "formulas"
    assert "number 2 knows the letters A to A only" in refused.value.message
    with pytest.raises(Unprocessable) as refused:
        shop.ask(kind="trends", series=[], formulas=[{"expression": "A"}])
    assert refused.value.detail["field"] == "series"
