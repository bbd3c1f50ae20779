"""Rules of journeys, visits, funnels and cohorts that each have one line in the specification."""

from __future__ import annotations

import pytest

from consentryd.analytics.behind.answer import subjects_of
from consentryd.analytics.behind.point import Point
from consentryd.analytics.query import read
from consentryd.model.error import Unprocessable
from tests.analytics.site import NOW, Shop, instant, subject
from tests.analytics.test_kinds import page

RANGE = {"from": "2026-03-01", "to": "2026-03-14"}


def at(minute):
    return f"2026-03-02T10:{minute:02}:00"


@pytest.fixture
def site(shop: Shop) -> Shop:
    """Person 1 makes three visits to /a and /b, persons 2 to 4 one each; 2 searches on a phone."""
    for day in (2, 3, 4):
        shop.add(
            (1, f"2026-03-{day:02}T09:00:00", "page_viewed", page("/a")),
            (1, f"2026-03-{day:02}T09:01:00", "page_viewed", page("/b")),
        )
    for person in (2, 3, 4):
        shop.add((person, at(0), "page_viewed", page("/a", plan="free")), (person, at(1), "page_viewed", page("/c", plan="pro")))
    return shop


def paths(shop, **options):
    return shop.ask(kind="paths", range=RANGE, least=options.pop("least", 0), **options)


def edges(answer):
    return {(edge.from_, edge.to): edge.sessions for edge in answer.edges}


def test_passages_may_be_shown_between_a_least_and_a_most(site):
    assert edges(paths(site)) == {("1_/a", "2_/b"): 3, ("1_/a", "2_/c"): 3}
    site.add((2, "2026-03-09T10:00:00", "page_viewed", page("/a")), (2, "2026-03-09T10:01:00", "page_viewed", page("/b")))
    assert edges(site.ask(kind="paths", range=RANGE, most=3)) == {("1_/a", "2_/c"): 3}


def test_a_start_and_an_end_may_have_conditions(shop):
    for person, plan in ((1, "free"), (2, "pro")):
        shop.add((person, at(0), "page_viewed", page("/a", plan="free")), (person, at(1), "page_viewed", page("/b", plan=plan)))
        shop.add((person, at(2), "page_viewed", page("/a", plan=plan)), (person, at(3), "page_viewed", page("/b", plan=plan)))
    is_pro = {"property": "plan", "value": "pro"}
    starting = shop.ask(kind="paths", range=RANGE, start="/a", start_where=is_pro)
    assert edges(starting) == {("1_/a", "2_/b"): 1}
    ending = shop.ask(kind="paths", range=RANGE, end="/b", end_where=is_pro, steps=3)
    assert edges(ending) == {("2_/a", "3_/b"): 1}
    both = shop.ask(kind="paths", range=RANGE, start="/b", start_where=is_pro, end="/a", end_where=is_pro)
    assert edges(both) == {("1_/b", "2_/a"): 1}


def test_many_visits_of_one_person_are_a_group_of_one(site):
    """Whoever may see groups of two sees nothing that person 1 did alone, however often, nor what would tell it beside the whole."""
    for person in (5, 6):
        site.add((person, at(0), "page_viewed", page("/a")), (person, at(1), "page_viewed", page("/d")))
    shown = site.ask(kind="paths", range=RANGE, least=2)
    assert edges(shown) == {("1_/a", "2_/c"): 3}
    assert {(node.step, node.item) for node in shown.nodes} == {(1, "/a"), (2, "/c")}
    assert [path.items for path in shown.paths] == [["/a", "/c"]]
    assert {(each.from_, each.to) for each in shown.transitions} == {("(start)", "/a"), ("/a", "/c"), ("/c", "(end)")}
    assert shown.covered == 3 / 8
    site.add((1, "2026-03-03T15:00:00", "page_viewed", page("/b")))
    visits = site.ask(kind="sessions", range={"from": "2026-03-02", "to": "2026-03-04"}, least=2)
    assert (visits.totals.sessions, [bucket.sessions for bucket in visits.buckets]) == (9, [None, None, None])
    assert [each.path for each in visits.entries] == ["Other"]
    assert [(each.path, each.sessions) for each in visits.exits] == [("/c", 3), ("Other", 6)]


def test_the_share_of_a_goal_is_of_whole_sessions_however_few_steps_are_shown(shop):
    for person in (1, 2, 3, 4):
        pages = ["/a", "/b", "/c", "/d", "/e", *(["/f", "/thanks"] if person < 4 else [])]
        shop.add(*((person, at(minute), "page_viewed", page(path)) for minute, path in enumerate(pages)))
    shop.add((5, at(0), "page_viewed", page("/thanks")))

    def shares(**options):
        return {tuple(path.items): (path.sessions, path.goal_share) for path in paths(shop, **options).paths}

    assert shares(goal="/thanks") == {("/a", "/b", "/c", "/d", "/e"): (4, 0.75), ("/thanks",): (1, 1.0)}
    assert shares(goal="/thanks", steps=2, end="/d") == {("/c", "/d"): (4, 0.0)}
    assert shares(goal="/b", steps=2, end="/d") == {("/c", "/d"): (4, 1.0)}
    assert shares(goal="/unknown")["/a", "/b", "/c", "/d", "/e"] == (4, 0.0)
    assert shares(goal="/thanks", start="/a", least=2) == {("/a", "/b", "/c", "/d", "/e"): (4, None)}, "one alone did not meet it"
    assert shares()["/thanks",] == (1, None)


def test_visits_may_be_parted_by_device(shop):
    shop.add(*((1, at(minute), "viewed", {"device": device}) for minute, device in enumerate(["mobile", "desktop", "mobile"])))
    ask = {"kind": "sessions", "range": RANGE}
    assert [shop.ask(**ask).totals.sessions, shop.ask(**ask, by_device=True).totals.sessions] == [1, 2]


def test_a_filter_of_the_web_overview_is_one_of_anonymous_page_views_too(shop):
    shop.add((None, at(0), "page_viewed", page("/a", country="DE")), (None, at(1), "page_viewed", page("/a", country="FR")))
    ask = {"kind": "web", "range": RANGE}
    assert shop.ask(**ask).anonymous_page_views == 2
    assert shop.ask(**ask, where={"property": "country", "value": "DE"}).anonymous_page_views == 1


def test_too_few_excluded_are_not_shown(shop):
    for person in (1, 2, 3):
        shop.add((person, at(0), "a", {}), (person, at(2), "b", {}))
    shop.add((1, at(1), "x", {}))
    funnel = {"kind": "funnel", "steps": [{"event": "a"}, {"event": "b"}], "exclusions": [{"event": "x"}], "range": RANGE}
    assert (shop.ask(**funnel).excluded, shop.ask(**funnel, least=2).excluded) == (1, None)


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [
        ({"event": "x"}, {"event": "x", "from_step": 1, "to_step": 2}, False),
        ({"event": ["x", "y"]}, {"event": "x", "from_step": 1, "to_step": 2}, False),
        ({"event": "x"}, {"from_step": 1, "to_step": 2}, False),
        ({"event": "x"}, {"event": "y"}, True),
        ({"event": "x"}, {"event": "x", "where": {"property": "plan", "value": "pro"}, "from_step": 1, "to_step": 2}, True),
    ],
)
def test_an_event_is_excluded_from_one_range_of_steps(shop, one, other, fits):
    funnel = {
        "kind": "funnel",
        "steps": [{"event": "a"}, {"event": "b"}, {"event": "c"}],
        "exclusions": [one, other],
        "range": RANGE,
    }
    if fits:
        assert shop.ask(**funnel).excluded == 0
    else:
        with pytest.raises(Unprocessable, match="at most one range"):
            shop.ask(**funnel)


def test_a_trend_of_entries_with_a_property_held_is_refused(shop):
    held = {"count_by": "entries", "hold_constant": ["plan"]}
    with pytest.raises(Unprocessable, match="trend of entries"):
        shop.ask(kind="funnel", steps=[{"event": "a"}, {"event": "b"}], range=RANGE, trend="day", **held)


def test_calendar_days_of_a_cohort_end_with_today_or_with_yesterday(shop):
    shop.add((1, "2026-03-20T08:00:00", "a", {}), (2, "2026-03-19T08:00:00", "a", {}), (3, "2026-03-18T08:00:00", "a", {}))

    def size(**window):
        definition = {"type": "did", "event": "a", "window": window}
        return shop.ask(kind="cohorts", cohorts=[definition]).cohorts[0].subjects

    assert size(last=1, calendar=True) == 1
    assert size(last=2, calendar=True) == 2
    assert size(last=2, calendar=True, today=False) == 2
    assert size(last=1, calendar=True, today=False) == 1
    assert size(last=3, calendar=True) == 3


def who(shop, point, **question):
    asked = read(question)
    with shop.engine.asking(asked, "shop", instant(NOW)) as circumstances:
        return subjects_of(asked, Point.model_validate(point), circumstances)


def test_the_subjects_behind_a_cohort_an_overlap_and_a_habit(site):
    cohorts = [{"type": "did", "event": "page_viewed", "where": {"property": "path", "value": path}} for path in ("/a", "/c")]
    ask = {"kind": "cohorts", "cohorts": cohorts, "range": RANGE}
    assert who(site, {"cohort": 0}, **ask) == sorted(map(subject, (1, 2, 3, 4)))
    assert who(site, {"cohorts": [0, 1]}, **ask) == sorted(map(subject, (2, 3, 4)))
    habit = {"kind": "stickiness", "interval": "day", "range": RANGE}
    assert who(site, {"buckets": 3}, **habit) == [subject(1)]
    with pytest.raises(Unprocessable):
        who(site, {"cohort": 2}, **ask)


def test_a_visit_comes_from_where_its_first_event_says(shop):
    shop.add(
        (1, at(0), "page_viewed", page("/", referrer_host="news.example", utm_source="letter")),
        (1, at(1), "page_viewed", page("/b", referrer_host="shop.example")),
        (1, "2026-03-05T10:00:00", "page_viewed", page("/")),
        (2, at(0), "page_viewed", page("/", referrer_host="news.example")),
    )
    top = shop.ask(kind="web", range=RANGE).top
    assert [(each.value, each.visitors, each.page_views) for each in top["referrer_host"]] == [
        ("news.example", 2, 3),
        ("∅ (none)", 1, 1),
    ]
    assert [(each.value, each.visitors) for each in top["utm_source"]] == [("∅ (none)", 2), ("letter", 1)]
    assert [each.value for each in shop.ask(kind="web", range=RANGE, least=2).top["referrer_host"]] == ["Other"]
