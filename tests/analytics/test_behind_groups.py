"""Behind passages, visits, the web overview and single groups stand as many subjects as the answer says, and the right ones."""

from __future__ import annotations

import random

import pytest

from consentryd.analytics.behind.point import Point
from consentryd.analytics.query import read
from consentryd.model.clock import DAY, MINUTE
from consentryd.model.error import Unprocessable
from tests.analytics.site import NOW, Shop, instant, subject

RANGE = {"from": "2026-03-02", "to": "2026-03-05"}
START = instant("2026-03-01T20:00:00")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    rng = random.Random(9)
    made = Shop(tmp_path_factory.mktemp("behind"))
    for person in range(1, 50):
        for _ in range(rng.randrange(1, 5)):
            time = START + rng.randrange(5) * DAY + rng.randrange(600) * MINUTE
            for _ in range(rng.randrange(1, 5)):
                time += rng.randrange(0, 12) * MINUTE
                values = {"type": "page", "path": rng.choice(["/", "/a", "/b", "/c"]), "utm_source": rng.choice(["x", "y", None])}
                values |= {"plan": rng.choice(["free", "free", "free", "pro", "team", None]), "device": rng.choice(["m", "d"])}
                values |= {"session": rng.randrange(1, 5), "country": rng.choice(["DE", "FR"])}
                made.add((person, time, rng.choice(["viewed", "viewed", "bought"]), values))
        if person == 25:
            made.seal()
    yield made
    made.close()


def behind(shop, question, **point):
    return shop.engine.subjects(read(question), Point(**point), "shop", instant(NOW))


PATHS = {"kind": "paths", "range": RANGE, "steps": 3}


@pytest.mark.parametrize("more", [{}, {"start": "/a"}, {"end": "/b"}, {"start": "/", "end": "/b"}, {"collapse_repeats": False}])
def test_passages_between_items(shop, more):
    question = {**PATHS, **more}
    found = shop.ask(**question)
    assert found.edges
    for edge in found.edges[:8]:
        assert len(behind(shop, question, **{"from": edge.from_, "to": edge.to})) == edge.subjects


def test_arrivals_whole_paths_and_transitions(shop):
    """Where there is one session each, as many subjects as sessions; else no more, and somebody."""
    one = {"gap_minutes": None, "window_days": 366}
    question = {**PATHS, **one}
    found = shop.ask(**question)
    for node in found.nodes[:8]:
        assert len(behind(shop, question, node=node.item, step=node.step)) == node.arrivals
    for path in found.paths[:8]:
        assert len(behind(shop, question, items=path.items)) == path.sessions
    ends = [each for each in found.transitions if "(" in each.from_ + each.to]
    for each in ends[:6]:
        assert len(behind(shop, question, **{"from": each.from_, "to": each.to, "part": "transition"})) == each.sessions
    inner = next(each for each in found.transitions if each not in ends)
    people = behind(shop, question, **{"from": inner.from_, "to": inner.to, "part": "transition"})
    assert 0 < len(people) <= inner.sessions


def test_a_passage_is_of_those_who_made_it(shop_of_two):
    question = {"kind": "paths", "range": RANGE}
    assert behind(shop_of_two, question, **{"from": "1_/", "to": "2_/a"}) == [subject(1)]
    assert behind(shop_of_two, question, items=["/", "/b"]) == [subject(2)]
    assert behind(shop_of_two, question, node="/b", step=2) == [subject(2)]
    assert behind(shop_of_two, question, **{"from": "/a", "to": "(end)", "part": "transition"}) == [subject(1)]
    assert behind(shop_of_two, question, **{"from": "1_/", "to": "2_/z"}) == []


@pytest.fixture
def shop_of_two(tmp_path):
    made = Shop(tmp_path)
    for person, path in ((1, "/a"), (2, "/b")):
        made.add((person, "2026-03-02T10:00:00", "viewed", {"type": "page", "path": "/", "utm_source": "x"}))
        made.add((person, "2026-03-02T10:01:00", "viewed", {"type": "page", "path": path}))
    made.add((2, "2026-03-04T10:00:00", "bought", {}))
    yield made
    made.close()


def test_visits(shop, shop_of_two):
    question = {"kind": "sessions", "range": RANGE}
    assert len(behind(shop, question)) == shop.ask(**question).totals.subjects
    assert len(behind(shop, question, bounced=True) + behind(shop, question, bounced=False)) >= len(behind(shop, question))
    assert behind(shop_of_two, question, exit="/b") == [subject(2)]
    assert behind(shop_of_two, question, entry="/", bucket=0) == sorted([subject(1), subject(2)])
    assert behind(shop_of_two, question, bucket=2) == [subject(2)]
    assert behind(shop_of_two, question, bounced=True) == [subject(2)]
    assert behind(shop_of_two, question, entry="/z") == []


def test_the_web_overview(shop, shop_of_two):
    question = {"kind": "web", "range": RANGE, "goals": [{"name": "order", "event": {"event": "bought"}}]}
    found = shop.ask(**question)
    assert len(behind(shop, question)) == found.visitors
    assert len(behind(shop, question, goal="order")) == found.goals[0].visitors
    for dimension, values in found.top.items():
        for each in values:
            assert len(behind(shop, question, dimension=dimension, value=each.value)) == each.visitors
    assert behind(shop_of_two, question, goal="order") == [subject(2)]
    assert behind(shop_of_two, question, dimension="path", value="/a") == [subject(1)]


FUNNEL = {"kind": "funnel", "steps": [{"event": "viewed"}, {"event": "bought"}], "range": RANGE}
PLAN = {"property": "plan"}


@pytest.mark.parametrize("attribution", ["first_touch", "last_touch", "all_steps", "step"])
@pytest.mark.parametrize("limit", [1, 25])
def test_groups_of_a_funnel(shop, attribution, limit):
    question = {**FUNNEL, "breakdown": {"by": PLAN, "attribution": attribution, "limit": limit}}
    for group in shop.ask(**question).groups[:3]:
        for number, step in enumerate(group.steps):
            assert len(behind(shop, question, step=number, group=group.group)) == step.count
        assert len(behind(shop, question, step=1, dropped=True, group=group.group)) == group.steps[1].dropped


@pytest.mark.parametrize("count", [{}, {"count_by": "session"}, {"hold_constant": ["plan"]}, {"entry": "first"}])
def test_entries_of_a_bucket(shop, count):
    question = {**FUNNEL, **count, "trend": "day"}
    for number, bucket in enumerate(shop.ask(**question).trend):
        for step, expected in enumerate(bucket.counts):
            assert len(behind(shop, question, step=step, bucket=number)) == expected


def test_attempts_of_a_bucket_are_of_their_subjects(shop_of_two):
    question = {**FUNNEL, "count_by": "entries", "trend": "day"}
    assert behind(shop_of_two, question, step=1, bucket=0) == [subject(2)]
    assert behind(shop_of_two, question, step=0, bucket=1) == []


@pytest.mark.parametrize("limit", [1, 25])
@pytest.mark.parametrize("breakdown", [PLAN, [PLAN, {"property": "country"}]])
def test_groups_of_a_retention(shop, limit, breakdown):
    question = {"kind": "retention", "periods": 2, "breakdown": breakdown, "limit": limit, "range": RANGE}
    for group in shop.ask(**question).groups[:3]:
        for number, cohort in enumerate(group.cohorts):
            for period, value in enumerate(cohort.values):
                assert len(behind(shop, question, cohort=number, period=period, group=group.group)) == value


@pytest.mark.parametrize("breakdown", [{"by": [PLAN], "limit": 1}, {"by": [PLAN, {"property": "country"}]}])
def test_groups_of_trends(shop, breakdown):
    question = {"kind": "trends", "series": [{"math": "unique"}], "breakdown": breakdown, "range": RANGE}
    for line in shop.ask(**question).series[:4]:
        group = {} if line.group is None else {"group": " / ".join(line.group)}
        assert len(behind(shop, question, series="A", **group)) == line.total
        for number, point in enumerate(line.values):
            assert len(behind(shop, question, series="A", bucket=number, **group)) == point.value


@pytest.mark.parametrize("math", ["weekly_active", "monthly_active"])
def test_trailing_actives_are_those_of_the_whole_window(shop, math):
    question = {"kind": "trends", "series": [{"math": math, "event": "bought"}], "range": RANGE}
    (line,) = shop.ask(**question).series
    assert len(behind(shop, question, series="A")) == line.total
    for number, point in enumerate(line.values):
        assert len(behind(shop, question, series="A", bucket=number)) == point.value


def test_saved_cohorts_as_groups(shop):
    shop.save_cohort("buyers", {"type": "did", "event": "bought", "times": 5})
    for question, point in (
        ({**FUNNEL, "breakdown": {"cohorts": ["buyers"]}}, {"step": 0}),
        ({"kind": "retention", "periods": 1, "breakdown": {"cohorts": ["buyers"]}, "range": RANGE}, {"cohort": 0, "period": 0}),
        (
            {"kind": "trends", "series": [{"math": "unique"}], "breakdown": {"cohorts": ["buyers"]}, "range": RANGE},
            {"series": "A"},
        ),
    ):
        everyone, buyers = (behind(shop, question, **point, group=group) for group in ("everyone", "buyers"))
        assert set(buyers) < set(everyone)


def test_values_of_a_segment(shop):
    question = {"kind": "segmentation", "did": {"event": "viewed"}, "range": RANGE, "by": [{"property": "country"}, PLAN]}
    for breakdown in shop.ask(**question).breakdowns:
        for group in breakdown.groups:
            people = behind(shop, question, dimension=breakdown.property, value=group.value)
            assert len(people) == group.subjects


@pytest.mark.parametrize(
    ("question", "point"),
    [
        (PATHS, {}),
        (PATHS, {"from": "1_/", "to": "3_/a"}),
        (PATHS, {"from": "/", "to": "/a"}),
        (FUNNEL, {"step": 0, "group": "free"}),
        (FUNNEL, {"step": 0, "bucket": 0}),
        ({**FUNNEL, "breakdown": {"by": PLAN}}, {"step": 0, "group": "none such"}),
        ({"kind": "retention", "range": RANGE}, {"cohort": 0, "period": 0, "group": "free"}),
        ({"kind": "trends", "series": [{}], "range": RANGE}, {"series": "A", "group": "free"}),
        ({"kind": "sessions", "range": RANGE}, {"bucket": 4}),
        ({"kind": "web", "range": RANGE}, {"goal": "none"}),
        ({"kind": "web", "range": RANGE}, {"dimension": "plan"}),
        ({"kind": "segmentation", "range": RANGE}, {"dimension": "plan"}),
    ],
)
def test_a_point_that_is_not_there_is_refused(shop, question, point):
    with pytest.raises(Unprocessable):
        behind(shop, question, **point)
