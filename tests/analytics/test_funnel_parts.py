"""Parts of a funnel: a range before beside it, its trend whatever it counts, and its groups."""

from __future__ import annotations

import random

import pytest

from consentryd.model.clock import DAY, SECOND
from consentryd.model.error import Unprocessable
from tests.analytics.site import Shop, instant

STEPS = [{"event": "viewed"}, {"event": "bought"}]
MARCH = {"from": "2026-03-08", "to": "2026-03-14"}
WEEK_BEFORE = {"from": "2026-03-01", "to": "2026-03-07"}


def converts(shop: Shop, person: int, day: str, seconds: int, **values) -> None:
    start = instant(f"{day}T10:00:00")
    shop.add((person, start, "viewed", values), (person, start + seconds * SECOND, "bought", values))


def funnel(shop, range_=MARCH, **options):
    return shop.ask(kind="funnel", steps=STEPS, range=range_, window={"n": 1, "unit": "day"}, **options)


def counts(steps):
    return [step.count for step in steps]


def test_times_of_two_ranges_share_their_bins(shop):
    for person, seconds in enumerate([40, 130, 400], start=1):
        converts(shop, person, "2026-03-09", seconds)
    for person, seconds in enumerate([50, 250, 260, 700, 705], start=11):
        converts(shop, person, "2026-03-02", seconds)
    found = funnel(shop, compare="previous")
    before = found.compared_to
    # 8 times from 40 to 705: 2 bins (the cube root), each 333 seconds (665 / 2, rounded up), from 40 on
    assert (found.histogram.start_s, found.histogram.width_s, found.histogram.counts) == (40, 333, [2, 1])
    assert (before.histogram.start_s, before.histogram.width_s, before.histogram.counts) == (40, 333, [3, 2])
    assert (counts(found.steps), counts(before.steps)) == ([3, 3], [5, 5])
    assert (before.range.from_, before.range.to) == ("2026-03-01T00:00:00+00:00", "2026-03-08T00:00:00+00:00")
    alone = funnel(shop, WEEK_BEFORE)
    assert before.steps == alone.steps
    assert before.overall == alone.overall
    assert (alone.histogram.start_s, alone.histogram.width_s) == (50, 328)
    rows = found.sheets()["seconds to convert"]
    assert [(row["from"], row["to"], row["count"], row["before"]) for row in rows] == [(40, 373, 2, 3), (373, 706, 1, 2)]


def test_a_day_that_is_not_over_is_compared_with_as_much_of_a_day(shop):
    for person, at in enumerate(["2026-03-19T11:00:00", "2026-03-19T13:00:00", "2026-03-20T11:00:00"], start=1):
        shop.add((person, at, "viewed", {}))
    found = funnel(shop, {"from": "today"}, compare="previous")
    assert (counts(found.steps), counts(found.compared_to.steps)) == ([1, 0], [1, 0])


def test_one_range_alone_has_the_times_of_its_own(shop):
    converts(shop, 1, "2026-03-02", 60)
    found = funnel(shop, compare="previous")
    assert found.histogram.counts == [0]
    assert found.compared_to.histogram.counts == [1]


def test_times_of_a_sample_are_scaled(shop):
    for person in range(1, 60):
        converts(shop, person, "2026-03-09", person)
    found = funnel(shop, sampling=0.5)
    assert sum(found.histogram.counts) == pytest.approx(found.steps[1].count, abs=len(found.histogram.counts))


def test_few_in_a_bin_are_not_shown_nor_is_what_would_tell_them(shop):
    for person, seconds in enumerate([10] * 6 + [500] * 3 + [900] * 5 + [1_000] * 13, start=1):
        converts(shop, person, "2026-03-09", seconds)
    assert funnel(shop).histogram.counts == [6, 3, 18]
    assert funnel(shop, least=5).histogram.counts == [None, None, 18]


@pytest.mark.parametrize("count", [{}, {"count_by": "session"}, {"hold_constant": ["plan"]}, {"entry": "first_ever"}])
def test_each_bucket_of_a_trend_is_the_funnel_entered_in_it(shop, count):
    rng = random.Random(str(count))
    start = instant("2026-03-08T00:00:00")
    for person in range(1, 25):
        for _ in range(rng.randrange(2, 12)):
            values = {"session": rng.randrange(1, 4), "plan": rng.choice(["free", "pro"])}
            shop.add((person, start + rng.randrange(7 * DAY), rng.choice(["viewed", "bought"]), values))
    found = funnel(shop, trend="day", **count)
    for number, bucket in enumerate(found.trend):
        day = f"2026-03-{8 + number:02}"
        assert bucket.counts == counts(funnel(shop, {"from": day, "to": day}, **count).steps)


def test_a_trend_of_attempts_has_each_where_it_began(shop):
    for day, seconds in (("2026-03-09", 10), ("2026-03-10", 20), ("2026-03-10", 400)):
        converts(shop, 1, day, seconds)
    shop.add((1, "2026-03-11T10:00:00", "viewed", {}))
    found = funnel(shop, count_by="entries", trend="day")
    assert [bucket.counts for bucket in found.trend] == [[0, 0], [1, 1], [1, 1], [1, 0], *[[0, 0]] * 3]
    assert counts(found.steps) == [3, 2]


@pytest.fixture
def grouped(shop: Shop) -> Shop:
    people = [("DE", "mobile", 5), ("DE", "desktop", 15), ("DE", "desktop", 25), ("FR", "mobile", 30), ("FR", "mobile", 7)]
    for person, (country, device, price) in enumerate(people, start=1):
        converts(shop, person, "2026-03-09", 60, country=country, device=device, price=price)
    shop.add((6, "2026-03-09", "viewed", {"country": "FR"}))
    return shop


def by(*properties, **options):
    return {"breakdown": {"by": [{"property": each} if isinstance(each, str) else each for each in properties], **options}}


def groups(found):
    return {group.group: counts(group.steps) for group in found.groups}


def test_groups_may_be_of_several_properties(grouped):
    found = funnel(grouped, **by("country", "device"))
    assert groups(found) == {
        "DE / desktop": [2, 2],
        "FR / mobile": [2, 2],
        "DE / mobile": [1, 1],
        "FR / ∅ (none)": [1, 0],
    }


def test_groups_may_be_bins_of_a_number(grouped):
    edges = by({"property": "price", "edges": [0, 10, 20, 30]})
    assert groups(funnel(grouped, **edges)) == {"[0, 10)": [2, 2], "[20, 30]": [2, 2], "[10, 20)": [1, 1], "∅ (none)": [1, 0]}
    bins = by({"property": "price", "bins": 1})
    assert groups(funnel(grouped, **bins)) == {"[5, 30]": [5, 5], "∅ (none)": [1, 0]}


def test_the_rest_is_other_and_small_groups_are_in_it(grouped):
    assert groups(funnel(grouped, **by("country", "device", limit=1))) == {"DE / desktop": [2, 2], "Other": [4, 3]}
    small = funnel(grouped, least=3, **by("country", "device"))
    assert (groups(small), small.suppressed_groups) == ({"Other": [6, 5]}, 0)


def test_an_event_without_a_value_does_not_move_anybody_into_the_rest(shop):
    for person, plan in ((1, "free"), (2, "free"), (3, "pro")):
        shop.add((person, "2026-03-09T10:00:00", "viewed", {"plan": plan}), (person, "2026-03-09T11:00:00", "bought", {}))
    found = funnel(shop, **by("plan", attribution="last_touch", limit=1))
    assert groups(found) == {"free": [2, 2], "Other": [1, 1]}


@pytest.mark.parametrize("attribution", ["first_touch", "all_steps", "step"])
def test_a_trait_is_that_at_the_first_step_whatever_the_attribution(shop, attribution):
    for at, plan in (("08:00", "free"), ("10:30", "pro")):
        shop.add((1, f"2026-03-09T{at}:00", "known", {"type": "identify", "plan": plan}))
    shop.add((1, "2026-03-09T10:00:00", "viewed", {}), (1, "2026-03-09T11:00:00", "bought", {}))
    found = funnel(shop, **by({"property": "plan", "of": "subject"}, attribution=attribution))
    assert groups(found) == {"free": [1, 1]}


def test_a_lone_hidden_step_is_not_told_by_the_others(shop):
    for person in range(1, 13):
        shop.add((person, "2026-03-09", "viewed", {"plan": "free" if person < 7 else "pro"}))
    for person in (1, 2, 3, 4, 7, 8):
        shop.add((person, "2026-03-10", "bought", {}))
    found = shop.ask(kind="funnel", steps=STEPS, range=MARCH, least=3, **by("plan"))
    assert counts(found.steps) == [12, 6]
    assert (groups(found), found.suppressed_cells) == ({"free": [6, None], "pro": [6, None]}, 2)


def test_sessions_and_entries_have_groups_too(shop):
    for person, session, device in [(1, 1, "mobile"), (1, 2, "desktop"), (2, 1, "mobile")]:
        start = instant(f"2026-03-{8 + session:02}T10:00:00")
        shop.add((person, start, "viewed", {"session": session, "device": device}))
        shop.add((person, start + SECOND, "bought", {"session": session, "device": device}))
    assert groups(funnel(shop, count_by="entries", **by("device"))) == {"mobile": [2, 2], "desktop": [1, 1]}
    assert groups(funnel(shop, count_by="session", **by("device"))) == {"mobile": [2, 2]}
    few = funnel(shop, count_by="entries", least=2)
    assert counts(few.steps) == [3, 3]


def test_attempts_of_one_subject_are_a_group_of_one(shop):
    for day in ("2026-03-09", "2026-03-10", "2026-03-11"):
        converts(shop, 1, day, 10)
    assert counts(funnel(shop, count_by="entries", least=2).steps) == [None, None]
    assert [bucket.counts for bucket in funnel(shop, count_by="entries", least=2, trend="week").trend] == [[0, 0], [None, None]]


def test_groups_may_be_cohorts(grouped):
    grouped.save_cohort("buyers", {"type": "did", "event": "bought"})
    found = funnel(grouped, breakdown={"cohorts": ["buyers"]})
    assert groups(found) == {"everyone": [6, 5], "buyers": [5, 5]}
    assert found.groups_overlap


def test_groups_are_of_properties_or_of_cohorts(shop):
    for breakdown in ({}, {"by": {"property": "plan"}, "cohorts": ["a"]}):
        with pytest.raises(Unprocessable, match="either `by` or `cohorts`"):
            funnel(shop, breakdown=breakdown)


@pytest.mark.parametrize("attribution", ["first_touch", "last_touch"])
def test_no_small_number_of_a_group_follows_from_what_is_shown(shop, attribution):
    """Where all but one group's number of a step are told, the last is the total less the others: it must not be a small one."""
    rng = random.Random(attribution)
    start = instant("2026-03-08T00:00:00")
    for person in range(1, 90):
        for event in ("viewed", "bought")[: rng.choice([1, 2, 2])]:
            plan = rng.choice(["free"] * 8 + ["pro"] * 4 + ["team", "rare", None])
            shop.add((person, start + rng.randrange(DAY), event, {"plan": plan} if plan else {}))
    plain = funnel(shop, **by("plan", attribution=attribution))
    for least in (3, 5, 9, 14):
        for limit in (1, 2, 25):
            found = funnel(shop, least=least, **by("plan", attribution=attribution, limit=limit))
            for number, step in enumerate(found.steps):
                shown = [group.steps[number].count for group in found.groups]
                assert all(not count or count >= least for count in shown)
                if step.count is not None and sum(count is None for count in shown) < 2:
                    left = step.count - sum(count or 0 for count in shown)
                    assert left == 0 or left >= least, (least, limit, number, shown, groups(plain))


def test_nothing_in_the_range_by_several_properties_is_no_error(shop):
    converts(shop, 1, "2026-03-02", 60, country="DE", device="mobile")
    shop.seal()
    converts(shop, 2, "2026-03-02", 60, country="FR", device="desktop")
    by = [{"property": "country"}, {"property": "device"}]
    assert counts(funnel(shop, breakdown={"by": by}).steps) == [0, 0]
    assert counts(funnel(shop, WEEK_BEFORE, breakdown={"by": by}).steps) == [2, 2]
    assert shop.ask(kind="retention", range=MARCH, start=STEPS[0], breakdown=by).cohorts is not None
    assert shop.ask(kind="kpi", range=MARCH, split_on_campaign=True).numbers
