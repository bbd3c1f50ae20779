"""Revenue, recurring revenue and lifetimes against plain readings of the same payments."""

from __future__ import annotations

import csv
import io
import random
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from consentryd.analytics.format import CSV, PARQUET, encode
from consentryd.model.clock import DAY
from consentryd.model.error import Unprocessable
from tests.analytics.site import Shop, instant

RANGE = {"from": "2025-10-01", "to": "2026-02-28"}
LATER = "2026-03-20T12:00:00"
MONTHS = ["2025-10", "2025-11", "2025-12", "2026-01", "2026-02"]


def money(text) -> str:
    return f"{Decimal(text):.4f}"


def month_of(at: int) -> str:
    return datetime.fromtimestamp(at / 1e6, UTC).strftime("%Y-%m")


def sales(seed: int, people: int = 30):
    """(person, instant, event, amount, order): sales, and refunds of some of them, some of orders nobody knows."""
    rng = random.Random(seed)
    start, found = instant("2025-09-10T00:00:00"), []
    for number in range(150):
        person, at = rng.randrange(1, people), start + rng.randrange(180 * DAY)
        amount = rng.randrange(100, 9_999)
        found.append((person, at, "bought", Decimal(amount) / 100, f"o{number}"))
        if rng.random() < 0.3:
            order = f"o{number}" if rng.random() < 0.8 else rng.choice(["", "unknown"])
            found.append((person, at + rng.randrange(60 * DAY), "refunded", Decimal(rng.randrange(1, amount)) / 100, order))
    return [row for row in found if row[1] < instant(LATER)]


def fill(shop: Shop, rows) -> None:
    shop.add(*((p, at, event, {"revenue": money(amount), "order_id": order}) for p, at, event, amount, order in rows))


QUESTION = {"kind": "revenue", "payment": {"event": "bought"}, "refund": {"event": "refunded"}, "range": RANGE}


def booked(rows, refunds: str):
    """Payments plainly, as (person, when it counts, signed amount, whether a refund)."""
    first = {}
    for person, at, event, _, order in rows:
        if event == "bought":
            first[person, order] = min(at, first.get((person, order), at))
    for person, at, event, amount, order in rows:
        back = event == "refunded"
        moved = back and order and refunds == "accrual"
        yield person, first.get((person, order), at) if moved else at, -amount if back else amount, back


@pytest.mark.parametrize("refunds", ["cash", "accrual"])
@pytest.mark.parametrize("seed", [1, 2])
def test_refunds_count_at_their_own_date_or_at_their_orders(shop, refunds, seed):
    rows = sales(seed)
    fill(shop, rows[:100])
    shop.seal()
    fill(shop, rows[100:])
    found = shop.ask(LATER, refunds=refunds, **QUESTION)
    plain = [(month_of(at), person, amount, back) for person, at, amount, back in booked(rows, refunds)]
    for name, bucket in zip(MONTHS, found.buckets, strict=True):
        own = [each for each in plain if each[0] == name]
        assert bucket.revenue == sum(each[2] for each in own)
        payers = {person for _, person, amount, back in own if not back and amount > 0}
        assert (bucket.paying, bucket.orders) == (len(payers), sum(not back for *_, back in own))
        assert bucket.per_paying == (bucket.revenue / len(payers)).quantize(Decimal("0.0001"))
    assert found.total.revenue == sum(bucket.revenue for bucket in found.buckets)
    inside = {person for name, person, _, back in plain if name in MONTHS and not back}
    assert found.total.paying == len(inside) <= sum(bucket.paying for bucket in found.buckets)
    assert found.refunds == refunds


def test_a_refund_after_the_range_accrues_to_an_order_within(shop):
    shop.add(
        (1, "2026-02-10", "bought", {"revenue": "50.0000", "order_id": "a"}),
        (1, "2026-03-05", "bought", {"revenue": "-50.0000", "order_id": "a"}),
        (2, "2026-02-10", "bought", {"revenue": "20.0000", "order_id": "a"}),
    )
    question = {"kind": "revenue", "range": {"from": "2026-02-01", "to": "2026-02-28"}}
    assert shop.ask(LATER, **question).buckets[0].revenue == 70
    assert shop.ask(LATER, refunds="accrual", **question).buckets[0].revenue == 20


def test_amounts_may_be_any_property_in_cents_of_a_fixed_currency(shop, tmp_path):
    rates = tmp_path / "rates.csv"
    rates.write_text("day,currency,rate\n2026-02-01,USD,0.5\n2026-02-15,USD,0.25\n")
    folder = tmp_path / "other"
    folder.mkdir()
    made = Shop(folder, rates=rates)
    made.add(
        (1, "2026-02-02", "paid", {"cents": 1_001}),
        (1, "2026-02-16", "paid", {"cents": 1_000}),
        (2, "2026-02-16", "paid", {"cents": "none"}),
        (3, "2026-02-27", "paid", {"cents": 400}),
        (4, "2026-02-27", "viewed", {}),
    )
    question = {"kind": "revenue", "amount": "cents", "multiplier": "0.01", "range": {"from": "2026-02-01", "to": "2026-02-28"}}
    (plain,), (dollars,) = (made.ask(LATER, **question, **more).buckets for more in ({}, {"fixed_currency": "USD"}))
    warned = made.ask(LATER, **question, fixed_currency="USD").warnings
    made.close()
    assert (plain.revenue, plain.orders, plain.per_active) == (Decimal("24.01"), 3, Decimal("6.0025"))
    assert dollars.revenue == Decimal("10.01") / 2 + Decimal(10) / 4
    assert [(each.code, each.count) for each in warned] == [("missing_rate", 1)]


def test_revenue_by_conversion_is_told_by_the_last_step(shop):
    shop.add(
        (1, "2026-02-02", "bought", {"revenue": "30.0000"}),
        (1, "2026-02-02", "ordered"),
        (2, "2026-02-03", "ordered"),
    )
    question = {"kind": "revenue", "conversion": {"event": "ordered"}, "range": {"from": "2026-02-01", "to": "2026-02-28"}}
    (bucket,) = shop.ask(LATER, **question).buckets
    assert (bucket.conversions, bucket.per_conversion) == (2, 15)


@pytest.mark.parametrize("start", [None, {"event": "signed_up"}])
def test_lifetime_value_is_what_a_plain_reading_of_the_cohorts_gives(shop, start):
    rows = sales(5, people=20)
    rng = random.Random(9)
    signed = [(person, instant("2025-09-20T00:00:00") + rng.randrange(100 * DAY)) for person in range(1, 20)]
    fill(shop, rows)
    shop.add(*((person, at, "signed_up") for person, at in signed))
    found = shop.ask(LATER, lifetime={"start": start, "ages": 4}, **QUESTION).lifetime
    begun = dict(signed)
    if start is None:
        begun = {}
        for person, at, event, *_ in rows:
            if event == "bought":
                begun[person] = min(at, begun.get(person, at))
    every = [*MONTHS, "2026-03", "2026-04", "2026-05", "2026-06"]
    earned = defaultdict(Decimal)
    for person, at, amount, _ in booked(rows, "cash"):
        if person in begun and month_of(begun[person]) in MONTHS and month_of(at) in every:
            earned[month_of(begun[person]), every.index(month_of(at)) - every.index(month_of(begun[person]))] += amount
    sums, members = [Decimal(0)] * 4, [0] * 4
    for name, cohort in zip(MONTHS, found.cohorts, strict=True):
        size = sum(month_of(at) == name for at in begun.values())
        assert cohort.size == size
        for age, value in enumerate(cohort.values):
            if every.index(name) + age > every.index("2026-02") or not size:
                assert value is None
                continue
            total = sum((earned[name, each] for each in range(age + 1)), Decimal(0))
            assert value == (total / size).quantize(Decimal("0.0001"))
            sums[age] += total
            members[age] += size
    assert found.curve == [
        (one / two).quantize(Decimal("0.0001")) if two else None for one, two in zip(sums, members, strict=True)
    ]
    assert found.predicted.value is None
    assert "recurring" in found.predicted.missing


def charges(shop: Shop, *rows) -> None:
    shop.add(*((p, f"{day}T10:00:00", "charged", {"revenue": money(amount), **more}) for p, day, amount, more in rows))


def monthly(person, amounts, **more):
    """A charge on the 10th of each month from October 2024; None: none."""
    for number, amount in enumerate(amounts):
        if amount is not None:
            yield person, f"{2024 + (number + 9) // 12}-{(number + 9) % 12 + 1:02}-10", amount, more


MRR = {"kind": "revenue", "recurring": {"event": "charged"}, "interval": "month"}


def test_retention_of_revenue_follows_the_accounts_of_a_year_ago(shop):
    charges(shop, *monthly(1, [10] * 10 + [25] * 8), *monthly(2, [30] * 14), *monthly(3, [None] * 6 + [99] * 12))
    found = shop.ask(LATER, **MRR, range={"from": "2025-10-01", "to": "2026-02-28"}).recurring
    assert [float(month.mrr) for month in found] == [25 + 30 + 99, 25 + 30 + 99, 25 + 99, 25 + 99, 25 + 99]
    assert [month.net_retention for month in found] == pytest.approx([55 / 40, 55 / 40, 25 / 40, 25 / 40, 25 / 40])
    assert [month.gross_retention for month in found] == pytest.approx([1, 1, 0.25, 0.25, 0.25])
    short = shop.ask(LATER, **MRR, retention_buckets=1, range={"from": "2025-12-01", "to": "2025-12-31"}).recurring
    assert (short[0].net_retention, short[0].account_churn) == (pytest.approx(124 / 154), pytest.approx(1 / 3))
    assert short[0].accounts_by == {"new": 0, "reactivation": 0, "expansion": 0, "contraction": 0, "churn": 1}


def test_money_below_0_is_a_number_in_every_form(shop):
    charges(shop, *monthly(1, [30] * 13 + [10] * 4))
    found = shop.ask(LATER, **MRR, range={"from": "2025-11-01", "to": "2025-11-30"})
    assert found.rows()[0]["contraction"] == "-20.0000"
    (line,) = csv.DictReader(io.StringIO(encode(found, CSV).decode()))
    (row,) = pq.read_table(io.BytesIO(encode(found, PARQUET))).to_pylist()
    assert line["contraction"] == row["contraction"] == "-20.0000"


def test_an_accounts_subjects_pay_together(shop):
    charges(
        shop,
        *monthly(1, [None] * 12 + [10, 10, None, None, None], company="a", subscription_id="x"),
        *monthly(2, [None] * 14 + [25, 25, 25], company="a", subscription_id="y"),
    )
    question = {**MRR, "range": {"from": "2025-11-01", "to": "2025-12-31"}}
    apart = shop.ask(LATER, **question).recurring[-1]
    together = shop.ask(LATER, **question, account="company", grace_days=40).recurring[-1]
    assert (apart.accounts, apart.accounts_by["new"], apart.accounts_by["churn"]) == (1, 1, 1)
    assert (together.accounts, together.accounts_by["expansion"], together.accounts_by["new"]) == (1, 1, 0)


def test_a_charge_ends_when_it_says(shop):
    charges(shop, (1, "2025-11-10", 120, {"period": "year", "until": "2025-12-15T00:00:00Z"}))
    question = {**MRR, "range": {"from": "2025-11-01", "to": "2025-12-31"}}
    assert [float(month.mrr) for month in shop.ask(LATER, **question).recurring] == [10, 10]
    assert [float(month.mrr) for month in shop.ask(LATER, **question, ends="until").recurring] == [10, 0]


def test_churn_is_told_apart_by_reason(shop):
    for person, reason in ((1, "too expensive"), (2, "payment failed"), (3, "too expensive"), (4, None)):
        charges(shop, *monthly(person, [None] * 12 + [person]))
        if reason:
            shop.add((person, "2025-11-01", "cancelled", {"reason": reason}))
    question = {**MRR, "cancellation": {"event": "cancelled"}, "range": {"from": "2025-11-01", "to": "2025-11-30"}}
    lost = shop.ask(LATER, **question).recurring[0].lost
    assert [(each.reason, each.accounts, float(each.mrr)) for each in lost] == [
        ("payment failed", 1, -2),
        ("too expensive", 2, -4),
        (None, 1, -4),
    ]
    small = shop.ask(LATER, least=2, **question).recurring[0].lost
    assert [(each.reason, each.accounts, float(each.mrr)) for each in small] == [("too expensive", 2, -4), (None, 2, -6)]


@pytest.mark.parametrize(
    ("left", "told"),
    [
        ({"a": 4, "b": 3}, {"a": 4, "b": 3}),
        ({"a": 4, "b": 3, None: 3}, {"a": 4, "b": 3, None: 3}),
        ({"a": 4, "b": 2, "c": 1}, {"a": 4, None: 3}),
        ({"a": 5, "b": 3, "c": 1}, {"a": 5, None: 4}),
        ({"a": 3, "b": 5, "c": 1}, {"b": 5, None: 4}),
        ({"a": 5, "b": 3, "c": 1, None: 2}, {"a": 5, "b": 3, None: 3}),
        ({"a": 5, None: 1}, {None: 6}),
        ({"a": 1, "b": 1, "c": 1}, {None: 3}),
        ({"a": 1, "b": 1}, {}),
    ],
)
def test_few_who_left_for_a_reason_are_told_with_those_who_gave_none_and_the_next_few(shop, left, told):
    reasons = [reason for reason, count in left.items() for _ in range(count)]
    for person, reason in enumerate(reasons, 1):
        charges(shop, *monthly(person, [None] * 12 + [1]))
        if reason:
            shop.add((person, "2025-11-01", "cancelled", {"reason": reason}))
    for person in range(50, 55):
        charges(shop, *monthly(person, [None] * 12 + [1, 1]))
    question = {**MRR, "cancellation": {"event": "cancelled"}, "range": {"from": "2025-11-01", "to": "2025-11-30"}}
    (november,) = shop.ask(LATER, least=3, **question).recurring
    assert [(each.reason, each.accounts, float(each.mrr)) for each in november.lost] == [
        (reason, count, -count) for reason, count in told.items()
    ]
    assert november.account_churn == (pytest.approx(len(reasons) / (len(reasons) + 5)) if told else None)


def test_charges_in_other_currencies_are_converted_and_what_has_no_rate_is_said(tmp_path):
    rates = tmp_path / "rates.csv"
    rates.write_text("day,currency,rate\n2025-11-10,USD,0.5\n")
    made = Shop(tmp_path, rates=rates)
    charges(made, (1, "2025-11-10", 40, {"currency": "USD"}), (2, "2025-11-10", 7, {"currency": "GBP"}), (3, "2025-11-10", 1, {}))
    found = made.ask(LATER, **MRR, range={"from": "2025-11-01", "to": "2025-11-30"})
    made.close()
    assert float(found.recurring[0].mrr) == 21
    assert ("missing_rate", 1) in [(each.code, each.count) for each in found.warnings]


def test_the_predicted_value_is_revenue_by_churn_and_says_that_it_is_a_model(shop):
    for person in range(1, 5):
        charges(shop, *monthly(person, [None] * 10 + [20] * (2 + person)))
    question = {**MRR, "range": {"from": "2025-10-01", "to": "2026-02-28"}, "lifetime": {"gross_margin": 0.5, "ages": 2}}
    found = shop.ask(LATER, **question)
    churned = sum(month.accounts_by["churn"] for month in found.recurring)
    before = sum(round(month.accounts_by["churn"] / month.account_churn) for month in found.recurring if month.account_churn)
    predicted = found.lifetime.predicted
    assert 0 < predicted.churn <= churned / before
    assert predicted.value == (predicted.revenue_per_active / 2 / Decimal(repr(predicted.churn))).quantize(Decimal("0.0001"))
    assert predicted.missing is None


def test_small_groups_are_shown_neither_as_revenue_nor_as_movements(shop):
    for person in range(1, 6):
        charges(shop, *monthly(person, [None] * 12 + [10, 10, 10, 10]))
    charges(shop, *monthly(9, [None] * 13 + [10, 10]))
    question = {**MRR, "range": {"from": "2025-09-01", "to": "2026-02-28"}, "lifetime": {"ages": 2}}
    found = shop.ask(LATER, least=3, **question)
    assert [None if bucket.revenue is None else float(bucket.revenue) for bucket in found.buckets] == [0, 50, 60, 60, 50, 0]
    november = found.recurring[2]
    assert (november.mrr, november.accounts, november.new, november.accounts_by["new"]) == (None, None, None, None)
    october, december, february = found.recurring[1], found.recurring[3], found.recurring[5]
    assert [(bucket.mrr, bucket.accounts) for bucket in (october, december, february)] == [(50, 5), (None, None), (0, 0)]
    assert [cohort.size for cohort in found.lifetime.cohorts] == [0, 5, None, 0, 0, 0]
    assert found.lifetime.cohorts[2].values == [None, None]
    alone = shop.ask(LATER, least=6, **question)
    assert [bucket.paying for bucket in alone.buckets] == [0, None, None, 6, None, 0]
    assert alone.suppressed_cells > 0


def test_sheets_show_each_part_and_rows_stand_beside_each_other(shop):
    charges(shop, *monthly(1, [None] * 12 + [10, 10]))
    found = shop.ask(LATER, **MRR, range=RANGE, lifetime={"ages": 3})
    sheets = found.sheets()
    assert list(sheets)[:4] == ["revenue", "recurring", "accounts that moved", "accounts lost, by reason"]
    assert list(sheets)[4:] == ["lifetime value by age", "predicted lifetime value"]
    assert [row["accounts"] for row in sheets["accounts lost, by reason"]] == [1]
    assert found.rows()[0]["mrr"] == "10.0000"
    assert sheets["accounts that moved"][0] == {"start": found.recurring[0].start, **found.recurring[0].accounts_by}
    assert list(sheets["lifetime value by age"][0]) == ["start", "size", "0", "1", "2"]
    curve = dict(zip("012", found.lifetime.curve, strict=True))
    assert sheets["lifetime value by age"][-1] == {"start": "curve", "size": None, **curve}
    assert sheets["predicted lifetime value"][0]["missing"] == found.lifetime.predicted.missing


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cancellation": {"event": "x"}, "recurring": None}, "missing"),
        ({"interval": "hour"}, "a day or more"),
        ({"lane": "all"}, "anonymous lane"),
        ({"interval": "day", "range": {"from": "2020-01-01", "to": "today"}}, "1,000 buckets"),
        ({"multiplier": "0"}, "greater than 0"),
    ],
)
def test_what_cannot_be_answered_is_refused(shop, change, says):
    with pytest.raises(Unprocessable, match=says):
        shop.ask(LATER, **{**MRR, **change})
