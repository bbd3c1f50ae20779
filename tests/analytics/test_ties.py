"""Events of one instant: whichever of them is stored first, the first by name comes first and names the group."""

from __future__ import annotations

import pytest

from tests.analytics.site import Shop

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
