"""Revenue as a number of any question is in one currency, as where revenue is what is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.analytics.site import Shop, subject, values

RANGE = {"from": "2026-03-02", "to": "2026-03-03"}
USD = {"currency": "USD"}


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Shop]:
    """100 USD are 50 EUR, from the 3rd on 25; nobody knows what a yen is."""
    rates = tmp_path / "rates.csv"
    rates.write_text("day,currency,rate\n2026-03-01,USD,0.5\n2026-03-03,USD,0.25\n")
    shop = Shop(tmp_path, rates=rates)
    shop.add(
        (1, "2026-03-02T08:00:00", "came"),
        (2, "2026-03-02T08:00:00", "came"),
        (1, "2026-03-02", "bought", {"revenue": "10.0000", "currency": "EUR", "plan": "a"}),
        (1, "2026-03-02", "bought", {"revenue": "100.0000", "plan": "b", **USD}),
        (1, "2026-03-03", "bought", {"revenue": "100.0000", "plan": "a", **USD}),
        (2, "2026-03-03", "bought", {"revenue": "5.0000", "currency": None, "plan": "a"}),
        (2, "2026-03-03", "bought", {"revenue": "7000.0000", "currency": "JPY", "plan": "c"}),
    )
    yield shop
    shop.close()


def without_rate(answer) -> list[tuple[str, int]]:
    return [(each.code, each.count) for each in answer.warnings]


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize(
    ("math", "days", "whole"),
    [
        ("sum", [60, 30], 90),
        ("avg", [30, 15], 22.5),
        ("min", [10, 5], 5),
        ("max", [50, 25], 50),
        ("median", [30, 15], 17.5),
        ("sum_per_user", [60, 15], 45),
        ("unique_values", [2, 3], 4),
    ],
)
def test_amounts_are_converted_in_trends(till, math, days, whole, sealed):
    if sealed:
        till.seal()
    found = till.ask(kind="trends", series=[{"event": "bought", "math": math, "property": "revenue"}], range=RANGE)
    line = found.series[0]
    assert (values(line), line.total) == (days, whole)
    assert without_rate(found) == ([] if math == "unique_values" else [("missing_rate", 1)])
    assert not line.non_numeric


@pytest.mark.parametrize("breakdown", [{"by": [{"property": "plan"}]}, {"cohorts": ["buyers"]}])
def test_amounts_are_converted_in_groups_and_left_out_once(till, breakdown):
    till.save_cohort("buyers", {"type": "did", "event": "bought"})
    series = [{"event": "bought", "math": "sum", "property": "revenue"}]
    found = till.ask(kind="trends", series=series, range=RANGE, breakdown=breakdown)
    totals = {None if line.group is None else line.group[0]: line.total for line in found.series}
    assert totals == ({None: 90, "a": 40, "b": 50, "c": 0} if "by" in breakdown else {None: 90, "everyone": 90, "buyers": 90})
    assert without_rate(found) == [("missing_rate", 1)]


def test_an_amount_that_several_series_leave_out_is_counted_once(till):
    bought = {"event": "bought", "property": "revenue"}
    per_visitor = {"math": "ratio", "numerator": {**bought, "math": "sum"}, "denominator": {"event": "came"}}
    series = [{"event": "bought", "math": "revenue"}, {**bought, "math": "sum_per_user"}, per_visitor]
    assert without_rate(till.ask(kind="trends", series=series, range=RANGE)) == [("missing_rate", 1)]
    assert without_rate(till.ask(kind="trends", series=series, range=RANGE, least=2)) == [("missing_rate", 1)]
    days = {"from": "2026-03-03", "to": "2026-03-03"}
    others = [*series, {"event": "came", "math": "revenue"}]
    assert without_rate(till.ask(kind="trends", series=others, range=days, compare="previous")) == [("missing_rate", 1)]


@pytest.mark.parametrize(("metric", "cells"), [("sum", [60, 30]), ("avg", [30, 15])])
def test_amounts_are_converted_in_retention(till, metric, cells):
    question = {"start": {"event": "came"}, "return": {"event": "bought"}, "metric": metric, "property": "revenue", "periods": 1}
    found = till.ask(kind="retention", range={"from": "2026-03-02", "to": "2026-03-02"}, **question)
    assert found.cohorts[0].values == cells
    assert without_rate(found) == [("missing_rate", 1)]


def test_amounts_are_converted_in_a_subjects_report(till):
    bought = {"event": "bought", "property": "revenue"}
    paid = [{"name": name, "of": name, **bought} for name in ("sum", "mean")]
    part = {
        "name": "part",
        "of": "ratio",
        **bought,
        "where": {"property": "plan", "value": "b"},
        "denominator": {"event": "bought"},
    }
    found = till.ask(
        kind="person",
        subject=str(subject(1)),
        range=RANGE,
        numbers=[*paid, part],
        tables=[{"name": "t", "by": "plan", "columns": paid[:1]}],
    )
    assert found.numbers == {"sum": 85, "mean": 28.333333333333332, "part": 50 / 85}
    assert found.tables[0].rows == [{"value": "a", "sum": 35}, {"value": "b", "sum": 50}]
    assert without_rate(found) == []
    other = till.ask(kind="person", subject=str(subject(2)), range=RANGE, numbers=paid)
    assert (other.numbers, without_rate(other)) == ({"sum": 5, "mean": 5}, [("missing_rate", 1)])
