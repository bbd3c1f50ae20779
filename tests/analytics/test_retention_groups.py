"""Groups of a retention: they and the rest make up the whole, and no small number follows from what is shown."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from consentryd.model.clock import DAY
from consentryd.model.error import Unprocessable
from tests.analytics.site import Shop, instant

RANGE = {"from": "2026-03-01", "to": "2026-03-04"}
NONE = "∅ (none)"


def retention(shop, **options):
    return shop.ask(kind="retention", start={"event": "viewed"}, range=RANGE, periods=3, **options)


def sizes(cohorts):
    return [cohort.size for cohort in cohorts]


def groups(found):
    return {group.group: sizes(group.cohorts) for group in found.groups}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Of each person the days with the plan and size of the first event, and a shop of them; nobody shares an instant."""
    rng = random.Random(7)
    shop = Shop(tmp_path_factory.mktemp("groups"))
    start, known = instant("2026-03-01T00:00:00"), {}
    for person in range(1, 61):
        for day in sorted(rng.sample(range(7), rng.randrange(1, 6))):
            values = {"plan": rng.choice(["free", "free", "free", "pro", "team", None]), "size": rng.randrange(1, 9)}
            known.setdefault(person, {})[day] = values
            shop.add((person, start + day * DAY + person, "viewed", {key: value for key, value in values.items() if value}))
    yield shop, known
    shop.close()


def expected(known, name):
    """By value the sizes and who returned, by cohort and period: counted person by person."""
    found = defaultdict(lambda: [[0] * 4 for _ in range(4)])
    for days in known.values():
        for day in [day for day in days if day < 4]:
            for period in range(4):
                found[name(days[day])][day][period] += day + period in days
    return dict(found)


def cells(group):
    return [cohort.values for cohort in group.cohorts]


def test_a_group_is_that_of_the_first_start_in_each_cohort(told):
    shop, known = told
    found = retention(shop, breakdown={"property": "plan"})
    assert {group.group: cells(group) for group in found.groups} == expected(known, lambda values: values["plan"] or NONE)


def test_groups_may_be_of_several_properties_and_of_bins(told):
    shop, known = told
    by = [{"property": "plan"}, {"property": "size", "edges": [0, 4, 9]}]
    found = retention(shop, breakdown=by)
    assert {group.group: cells(group) for group in found.groups} == expected(
        known, lambda values: f"{values['plan'] or NONE} / {'[0, 4)' if values['size'] < 4 else '[4, 9]'}"
    )


def test_the_rest_is_other(told):
    shop, known = told
    found = retention(shop, breakdown={"property": "plan"}, limit=1)
    assert {group.group: cells(group) for group in found.groups} == expected(
        known, lambda values: "free" if values["plan"] == "free" else "Other"
    )


def test_groups_may_be_saved_cohorts(told):
    shop, known = told
    shop.save_cohort("late", {"type": "did", "event": "viewed", "window": {"from": "2026-03-06"}})
    found = retention(shop, breakdown={"cohorts": ["late"]})
    late = {person: days for person, days in known.items() if max(days) > 4}
    assert {group.group: cells(group) for group in found.groups} == {
        "everyone": expected(known, lambda _: "")[""],
        "late": expected(late, lambda _: "")[""],
    }
    assert cells(found) == cells(found.groups[0])


@pytest.mark.parametrize("least", [3, 5, 9])
@pytest.mark.parametrize("limit", [1, 2, 25])
def test_no_small_number_follows_from_what_is_shown(told, least, limit):
    """Where all but one number of a cohort and period are told, the last is the total less the others: it must not be a small one."""
    shop, known = told
    open_, closed = retention(shop), retention(shop, breakdown={"property": "plan"}, limit=limit, least=least)
    plain = expected(known, lambda values: values["plan"] or NONE)
    for cohort in range(4):
        for period in range(4):
            shown = {group.group: group.cohorts[cohort].values[period] for group in closed.groups}
            total = closed.cohorts[cohort].values[period]
            assert total in {None, open_.cohorts[cohort].values[period]}
            assert all(value is None or value == 0 or value >= least for value in shown.values())
            hidden = [name for name, value in shown.items() if value is None]
            if total is not None and len(hidden) < 2:
                left = total - sum(value or 0 for value in shown.values())
                assert left == 0 or left >= least, (cohort, period, shown, plain)


def test_a_group_of_one_that_comes_every_day_is_a_group_of_one(shop):
    for day in ("2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"):
        for person in range(1, 9):
            shop.add((person, day, "viewed", {"plan": "rare" if person == 1 else "free"}))
    found = retention(shop, breakdown={"property": "plan"}, least=3)
    assert groups(found) == {"Other": [8, 8, 8, 8]}
    alone = retention(shop, breakdown={"property": "plan"}, least=3, where={"property": "plan", "value": "rare"})
    assert (groups(alone), alone.suppressed_groups, sizes(alone.cohorts), alone.curve) == ({}, 1, [None] * 4, [None] * 4)


def test_rows_and_tables_have_the_groups(told):
    shop, _ = told
    found = retention(shop, breakdown={"property": "plan"})
    assert {row["group"] for row in found.rows()} == {None, "free", "pro", "team", NONE}
    assert list(found.sheets()) == ["", *[group.group for group in found.groups]]
    line = found.sheets()["free"][0]
    assert [line[str(period)] for period in range(4)] == found.groups[0].cohorts[0].shares


def test_tables_have_the_metric_that_was_asked_for(told):
    shop, _ = told
    found = retention(shop, breakdown={"property": "plan"}, metric="sum", property="size")
    assert found.metric == "sum"
    assert list(found.sheets())[:4] == ["", "sum of all", "free", "sum of free"]
    for title, cohorts in (("sum of all", found.cohorts), ("sum of free", found.groups[0].cohorts)):
        line = found.sheets()[title][0]
        assert [line[str(period)] for period in range(4)] == cohorts[0].values


def test_what_has_no_room_is_refused_before_it_takes_it(tmp_path):
    shop = Shop(tmp_path, memory_mb=64)
    shop.add(*((person, "2026-03-02", "viewed", {"plan": str(person)}) for person in range(1, 101)))
    year = {"kind": "retention", "range": {"from": "-360d"}, "periods": 366, "breakdown": {"property": "plan"}}
    for options in ({}, {"limit": 100}, {"interval": "hour", "breakdown": None}):
        with pytest.raises(Unprocessable) as refused:
            shop.ask(**year | options)
        assert refused.value.code == "too_expensive"
    assert len(shop.ask(**year | {"periods": 7, "limit": 100}).groups) == 100
    shop.close()


@pytest.mark.parametrize("metric", [{"metric": "sum", "property": "salary"}, {"metric": "avg", "property": "salary"}])
def test_an_amount_of_few_is_not_shown_though_many_came_back(shop, metric):
    for person in range(1, 21):
        plan = {"plan": "free" if person % 2 else "pro"}
        shop.add(
            (person, "2026-03-01", "viewed", plan),
            (person, "2026-03-02", "viewed", plan | {"salary": 10 if person > 10 else None}),
        )
    shop.add((1, "2026-03-03", "viewed", {"salary": 4321}), *((person, "2026-03-03", "viewed") for person in range(2, 21)))
    question = {
        "start": {"event": "viewed", "where": {"property": "plan", "op": "is_set"}},
        "breakdown": {"property": "plan"},
        **metric,
    }
    for least, shown in ((0, True), (5, False)):
        found = shop.ask(kind="retention", range=RANGE, periods=3, least=least, **question)
        for cohorts in (found.cohorts, *(group.cohorts for group in found.groups if group.group == "free")):
            assert (cohorts[0].values[2] is not None) == shown
            assert cohorts[0].values[1]
