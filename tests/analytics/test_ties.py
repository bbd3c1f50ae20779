"""Events of one instant: whichever of them is stored first, the first by name comes first and names the group."""

from __future__ import annotations

import pytest

from consentryd.analytics.behind.point import Point
from consentryd.analytics.query import read
from tests.analytics.site import NOW, Shop, instant, subject

AT, LATER = "2026-03-02T10:00:00", "2026-03-03T10:00:00"
RANGE = {"from": "2026-03-01", "to": "2026-03-05"}
TIED = [
    (1, AT, "viewed", {"plan": "team", "type": "page", "path": "/z", "utm_source": "search"}),
    (1, AT, "viewed", {"plan": "free", "type": "page", "path": "/a", "utm_source": "news"}),
    (1, AT, "viewed", {"type": "page", "path": "/m"}),
]


@pytest.fixture(params=["as they came", "the other way round", "in two places"])
def shop(request, shop: Shop) -> Shop:
    tied = TIED if request.param == "as they came" else TIED[::-1]
    shop.add(tied[0])
    if request.param == "in two places":
        shop.seal()
    shop.add(*tied[1:], (1, LATER, "bought", {"plan": "paid"}))
    return shop


def groups(found):
    return [group.group for group in found.groups]


@pytest.mark.parametrize(
    ("attribution", "expected"),
    [
        ({"attribution": "first_touch"}, ["free"]),
        ({"attribution": "last_touch"}, ["paid"]),
        ({"attribution": "step", "step": 1}, ["paid"]),
        ({"attribution": "step", "step": 0}, ["free", "team", "∅ (none)"]),
    ],
)
def test_a_funnels_group(shop, attribution, expected):
    steps = [{"event": "viewed"}, {"event": "bought"}]
    found = shop.ask(kind="funnel", steps=steps, range=RANGE, breakdown={"by": {"property": "plan"}, **attribution})
    assert groups(found) == expected


@pytest.mark.parametrize("order", ["strict", "any"])
def test_a_funnels_group_in_other_orders(shop, order):
    steps = [{"event": "viewed"}, {"event": "bought"}]
    assert groups(shop.ask(kind="funnel", steps=steps, order=order, range=RANGE, breakdown={"by": {"property": "plan"}})) == [
        "free"
    ]


def test_a_cohorts_group(shop):
    found = shop.ask(kind="retention", start={"event": "viewed"}, range=RANGE, breakdown={"property": "plan"})
    assert groups(found) == ["free"]


def test_the_first_and_last_page_of_a_visit_and_where_it_came_from(shop):
    found = shop.ask(kind="sessions", range=RANGE)
    assert ([page.path for page in found.entries], [page.path for page in found.exits]) == (["/a"], ["/z"])
    web = shop.ask(kind="web", range=RANGE)
    assert [(each.value, each.visitors) for each in web.top["utm_source"]] == [("∅ (none)", 1), ("news", 1)]


def test_the_first_and_last_page_of_a_visit_are_named_where_one_of_the_instant_has_a_name(shop):
    shop.add((1, AT, "viewed", {"type": "page"}), (1, "2026-03-02T10:01:00", "viewed", {"type": "page"}))
    shop.add((1, "2026-03-02T10:01:00", "viewed", {"type": "page", "path": "/end"}))
    found = shop.ask(kind="sessions", range=RANGE)
    assert ([page.path for page in found.entries], [page.path for page in found.exits]) == (["/a"], ["/end"])
    for point in (Point(bucket=1, entry="/a"), Point(entry="/a", exit="/end")):
        question = read({"kind": "sessions", "range": RANGE})
        assert shop.engine.subjects(question, point, "shop", instant(NOW)) == [subject(1)]


@pytest.mark.parametrize(("name", "value"), [("entry_path", "/a"), ("exit_path", "/z"), ("utm_source", "news")])
def test_a_visits_property(shop, name, value):
    shop.add(*((2, at, event, {"session": 7, **values}) for _, at, event, values in TIED))
    (line,) = shop.ask(
        kind="trends", series=[{"where": {"type": "session", "property": name, "value": value}}], range=RANGE
    ).series
    assert line.total == 3


@pytest.mark.parametrize(("model", "channel"), [("first", "news"), ("last", "search")])
def test_the_first_and_the_last_channel(shop, model, channel):
    found = shop.ask(
        kind="attribution", conversion={"event": "bought"}, touch={"event": "viewed"}, models=[model], range=RANGE, direct=[]
    )
    assert {each.channel: each.conversions[model] for each in found.channels if each.conversions[model]} == {channel: 1}


TIED_FIRSTS = [(1, AT, "used", {"plan": "z"}), (1, AT, "used", {"plan": "a"}), (1, AT, "used", {})]
ORDERS = [TIED_FIRSTS, TIED_FIRSTS[::-1], TIED_FIRSTS[1:] + TIED_FIRSTS[:1]]


@pytest.mark.parametrize("events", ORDERS)
@pytest.mark.parametrize("math", ["first_time_event", "first_match"])
def test_one_of_the_first_events_that_matches_is_enough(tmp_path, events, math):
    shop = Shop(tmp_path)
    shop.add(*events)
    where = {"property": "plan", "value": "z"}
    for question in (
        {"series": [{"event": "used", "math": math, "where": where}]},
        {"series": [{"event": "used", "math": math}], "where": where},
    ):
        assert shop.ask(kind="trends", range=RANGE, **question).series[0].total == 1
    shop.close()


@pytest.mark.parametrize("events", ORDERS)
@pytest.mark.parametrize("keys", [["plan"], ["plan", "country"]])
def test_of_the_first_events_the_first_group_by_name(tmp_path, events, keys):
    shop = Shop(tmp_path)
    shop.add(*events)
    breakdown = {"by": [{"property": key} for key in keys]}
    found = shop.ask(kind="trends", range=RANGE, series=[{"event": "used", "math": "first_match"}], breakdown=breakdown)
    assert [line.group[0] for line in found.series if line.group is not None] == ["a"]
    shop.close()


@pytest.mark.parametrize("names", [("both", "then"), ("then", "both")])
def test_a_sequence_of_one_instant_takes_whichever_order_helps(tmp_path, names):
    shop = Shop(tmp_path)
    shop.add(*((1, AT, name) for name in names), (2, AT, "both"), (3, AT, "then"))
    sequence = {"type": "did_then", "first": {"event": "both"}, "then": {"event": ["then", "both"]}, "within_days": 1}
    assert [cohort.subjects for cohort in shop.ask(kind="cohorts", cohorts=[sequence]).cohorts] == [1]
    shop.close()


@pytest.mark.parametrize("names", [("c", "bc"), ("bc", "c")])
def test_what_breaks_a_sequence_lies_strictly_between(tmp_path, names):
    shop = Shop(tmp_path)
    shop.add((1, AT, "a"), *((1, LATER, name) for name in names))
    sequence = {
        "type": "did_then",
        "first": {"event": "a"},
        "then": {"event": ["c", "bc"]},
        "without": {"event": "bc"},
        "within_days": 2,
    }
    assert [cohort.subjects for cohort in shop.ask(kind="cohorts", cohorts=[sequence]).cohorts] == [1]
    shop.close()


def test_a_visit_of_another_device_does_not_name_the_source(tmp_path):
    shop = Shop(tmp_path)
    shop.add(
        (1, AT, "viewed", {"device": "mobile", "utm_source": "search"}),
        (1, AT, "viewed", {"device": "desktop", "utm_source": "ads"}),
    )
    found = shop.ask(kind="web", range=RANGE, by_device=True).top["utm_source"]
    assert [(each.value, each.visitors) for each in found] == [("ads", 1), ("search", 1)]
    assert _behind(shop, "ads", by_device=True) == _behind(shop, "search", by_device=True) == [subject(1)]
    shop.close()


def test_an_empty_source_is_another_than_none(shop):
    shop.add((2, AT, "viewed", {"utm_source": ""}), (3, AT, "viewed"))
    assert (_behind(shop, ""), _behind(shop, "∅ (none)")) == ([subject(2)], [subject(1), subject(3)])


@pytest.mark.parametrize("order", [1, -1])
def test_of_charges_and_reasons_the_one_whose_id_sorts_last_holds(tmp_path, order):
    shop = Shop(tmp_path)
    charges = [("a", {"revenue": "10.0000"}), ("b", {"revenue": "20.0000"}), ("c", {"revenue": "5.0000"})]
    shop.add(*((1, AT, "renewed", {"event_id": name, **values}) for name, values in charges[::order]))
    reasons = [("d", "price"), ("e", "unpaid"), ("f", "moved")]
    shop.add(*((1, LATER, "cancelled", {"event_id": name, "reason": reason}) for name, reason in reasons[::order]))
    question = {"kind": "revenue", "interval": "day", "recurring": {"event": "renewed"}, "cancellation": {"event": "cancelled"}}
    for _ in range(2):
        found = shop.ask(**question, grace_days=2, range=RANGE).recurring
        assert [float(bucket.mrr) for bucket in found] == [0, 5, 5, 0, 0]
        assert [each.reason for each in found[3].lost] == ["moved"]
        shop.seal()
    shop.close()


def _behind(shop, value, **options):
    question = read({"kind": "web", "range": RANGE, **options})
    return sorted(shop.engine.subjects(question, Point(dimension="utm_source", value=value), "shop", instant(NOW)))
