"""The rest of a breakdown is not taken for a value that is called `Other`, nor two pairs of values for one another."""

from __future__ import annotations

import pytest

from consentryd.analytics.behind.point import Point
from consentryd.analytics.breakdown import joined
from consentryd.analytics.query import read
from consentryd.model.error import Unprocessable
from tests.analytics.site import NOW, Shop, instant, subject

RANGE = {"from": "2026-03-01", "to": "2026-03-10"}
BY = {"by": [{"property": "x"}], "limit": 1}
QUESTIONS = {
    "trends": ({"series": [{"math": "unique"}], "display": "total", "breakdown": BY}, {"series": "A"}),
    "funnel": ({"steps": [{}, {}], "breakdown": {"by": {"property": "x"}, "limit": 1}}, {"step": 0}),
    "retention": ({"breakdown": {"property": "x"}, "limit": 1}, {"cohort": 1, "period": 0}),
    "segmentation": ({"by": [{"property": "x"}], "limit": 1}, None),
    "adoption": ({"feature": {}, "by": [{"property": "x"}], "limit": 1}, None),
}


@pytest.fixture
def others(shop: Shop) -> Shop:
    """Three people of `Other`, one of `a` and one of `b`."""
    shop.add(*((person, "2026-03-02", "viewed", {"x": x}) for person, x in enumerate(["Other"] * 3 + ["a", "b"], start=1)))
    return shop


def groups(answer) -> dict[bool, str]:
    found = {
        "trends": lambda: [(line.rest, line.group[0]) for line in answer.series if line.group is not None],
        "segmentation": lambda: [(group.rest, group.value) for group in answer.breakdowns[0].groups],
        "adoption": lambda: [(group.rest, group.value) for group in answer.segments[0].groups],
    }.get(answer.kind, lambda: [(group.rest, group.group) for group in answer.groups])()
    return dict(found)


@pytest.mark.parametrize("kind", QUESTIONS)
def test_the_rest_is_marked(others, kind):
    question, point = QUESTIONS[kind]
    assert groups(others.ask(kind=kind, range=RANGE, **question)) == {False: "Other", True: "Other"}
    if point is not None:
        people = {rest: behind(others, kind, **point, group="Other", rest=rest) for rest in (None, True, False)}
        assert people[None] == people[True] == sorted(map(subject, (4, 5)))
        assert people[False] == sorted(map(subject, (1, 2, 3)))
        with pytest.raises(Unprocessable):
            behind(others, kind, **point, group="a")


def test_the_rest_of_pages_and_of_values_of_a_web_site_is_marked(shop):
    for person, name in enumerate(["Other"] * 3 + ["z"] * 2 + ["a", "b"], start=1):
        shop.add((person, "2026-03-02", "viewed", {"type": "page", "path": name, "utm_source": name}))
    web = shop.ask(kind="web", range=RANGE, least=2)
    sessions = shop.ask(kind="sessions", range=RANGE, least=2)
    for top in (web.top["path"], web.top["utm_source"]):
        assert [(each.value, each.page_views, each.rest) for each in top] == [("Other", 3, False), ("Other", 4, True)]
    assert [(page.path, page.sessions, page.rest) for page in sessions.entries] == [("Other", 3, False), ("Other", 4, True)]
    assert [row["rest"] for row in web.rows() if row["dimension"] == "path"] == [False, True]
    assert not any(each.rest for each in shop.ask(kind="web", range=RANGE).top["path"])


def test_a_table_says_which_row_is_the_rest(others):
    for kind in ("trends", "funnel", "retention", "segmentation"):
        rows = others.ask(kind=kind, range=RANGE, **QUESTIONS[kind][0]).rows()
        assert {row["rest"] for row in rows} == {True, False}
        assert {list(row)[-1] for row in rows} == {"rest"}


def behind(shop: Shop, kind: str, **point) -> list[int]:
    return shop.engine.subjects(read({"kind": kind, "range": RANGE, **QUESTIONS[kind][0]}), Point(**point), "shop", instant(NOW))


PAIRS = [("p / q", "r"), ("p", "q / r"), ("/", "/"), ("a /", "b"), ("a", "/ b"), ('["p', 'q","r"]'), ("DE", "mobile")]


def test_pairs_of_values_are_written_apart(shop):
    assert len({joined(pair) for pair in PAIRS}) == len(PAIRS)
    assert (joined(("DE", "mobile")), joined(("/", "/")), joined(("p / q",))) == ("DE / mobile", "/ / /", "p / q")
    shop.add(*((person, "2026-03-02", "viewed", {"x": x, "y": y}) for person, (x, y) in enumerate(PAIRS, start=1)))
    by = [{"property": "x"}, {"property": "y"}]
    asked = {"kind": "funnel", "steps": [{}, {}], "range": RANGE, "breakdown": {"by": by}}
    names = [group.group for group in shop.ask(**asked).groups]
    assert sorted(names) == sorted(map(joined, PAIRS))
    trends = {"kind": "trends", "series": [{}], "range": RANGE, "display": "total", "breakdown": {"by": by}}
    assert {row["group"] for row in shop.ask(**trends).rows()} == {None, *names}
    for question, point in ((asked, {"step": 0}), (trends, {"series": "A"})):
        for person, pair in enumerate(PAIRS, start=1):
            found = shop.engine.subjects(read(question), Point(**point, group=joined(pair)), "shop", instant(NOW))
            assert found == [subject(person)]
