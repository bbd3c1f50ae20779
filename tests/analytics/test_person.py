"""The report of a video platform, as docs/analytics/person.md has it: its 28 items, counted by hand."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from consentryd.analytics.query import read
from consentryd.model.error import Unprocessable
from tests.analytics.site import NOW, Shop, subject
from tests.analytics.test_docs import DOCS

RANGE = {"from": "2026-03-01", "to": "2026-03-10"}
PAGE = (DOCS / "person.md").read_text(encoding="utf-8")
_, TEMPLATE = [json.loads(found[0]) for found in re.finditer(r'(?m)^    \{"kind"(?:.*\n)(?:     .*\n)*', PAGE)]

KEYNOTE, WORKSHOP, TALK = {"session_name": "keynote"}, {"session_name": "workshop"}, {"session_name": "old talk"}
INTRO = {"kind": "on_demand", "video": "intro", "length": 100}
EVENTS: list[tuple[str, dict[str, Any]]] = [
    # live: 60 of 90 s engaged, and 10 of 100 s
    ("watched", {"kind": "live", **KEYNOTE, "seconds": 60, "engaged": True}),
    ("watched", {"kind": "live", **KEYNOTE, "seconds": 30, "engaged": False}),
    ("watched", {"kind": "live", **WORKSHOP, "seconds": 10, "engaged": True}),
    ("watched", {"kind": "live", **WORKSHOP, "seconds": 90}),
    # a recording, which has no live engagement; a session that was opened and not seen
    ("watched", {"kind": "recording", **TALK, "seconds": 120, "engaged": True}),
    ("watched", {"kind": "recording", "session_name": "closed", "seconds": 0}),
    # 70 of 100 s of a video, 20 of them twice; another one
    ("watched", {**INTRO, "seconds": 50, "from": 0, "until": 50}),
    ("watched", {**INTRO, "seconds": 40, "from": 30, "until": 70}),
    ("watched", {"kind": "on_demand", "video": "tour", "length": 50, "seconds": 5, "from": 0, "until": 5}),
    ("reacted", KEYNOTE),
    ("reacted", KEYNOTE),
    ("reacted", WORKSHOP),
    ("hand_raised", WORKSHOP),
    ("message_sent", {"to": "group", **KEYNOTE}),
    ("message_sent", {"to": "moderator", **KEYNOTE}),
    ("poll_answered", {"poll": "p1", **KEYNOTE}),
    ("poll_answered", {"poll": "p1", **KEYNOTE}),
    ("poll_answered", {"poll": "p2", **KEYNOTE}),
    ("thread_created", WORKSHOP),
    ("attachment_downloaded", {"attachment": "slides", "file_type": "pdf", **KEYNOTE}),
    ("attachment_downloaded", {"attachment": "slides", "file_type": "pdf", **KEYNOTE}),
    ("attachment_downloaded", {"attachment": "notes", "file_type": "docx", **WORKSHOP}),
]
TRAITS = {"name": "Ada", "role": "engineer", "company": "Acme", "industry": "tools", "country": "DE"}


@pytest.fixture
def viewer(shop: Shop) -> Shop:
    shop.add((1, "2026-03-01", "identified", {"type": "identify", "properties": TRAITS}))
    for place, (event, properties) in enumerate(EVENTS):
        shop.add((1, f"2026-03-02T12:{place:02}:00", event, {"properties": properties}))
        if place == len(EVENTS) // 2:
            shop.seal()
    shop.add((2, "2026-03-02", "watched", {"properties": {"kind": "live", **KEYNOTE, "seconds": 999, "engaged": True}}))
    return shop


def report(shop: Shop, **question) -> Any:
    return shop.ask(NOW, **{**TEMPLATE, "subject": str(subject(1)), "range": RANGE, **question})


def test_the_28_items_of_a_video_platforms_report(viewer):
    found = report(viewer)
    assert found.traits == TRAITS  # 1, 2
    assert found.numbers == {
        "minutes viewed": 6.8,  # 3
        "sessions viewed": 3,
        "average live engagement": 0.383,  # (2/3 + 1/10) / 2, where by seconds it is 70/190
        "videos viewed": 2,
        "reactions": 3,
        "chat messages": 1,
        "polls answered": 2,
        "threads created": 1,
        "attachments downloaded": 2,
        "minutes live": 3.2,  # 12
        "minutes of recordings": 2.0,
        "minutes on demand": 1.6,
    }
    tables = {table.name: {row["value"]: list(row.values())[1:] for row in table.rows} for table in found.tables}
    assert tables == {
        "attachments": {"slides": ["pdf", "keynote"], "notes": ["docx", "workshop"]},  # 15 to 17
        "sessions": {  # 18 to 25
            "keynote": [1.5, 0.667, 2, 0, 1, 0, 2],
            "workshop": [1.7, 0.1, 1, 1, 1, 1, 0],
            "old talk": [2.0, None, 0, 0, 0, 0, 0],
            "closed": [0.0, None, 0, 0, 0, 0, 0],
        },
        "videos": {"intro": [1.5, 0.7], "tour": [0.1, 0.1]},  # 26 to 28
    }


def test_who_attended_nothing_live_has_no_live_engagement(viewer):
    numbers = report(viewer, where={"property": "kind", "value": "on_demand"}).numbers
    assert (numbers["average live engagement"], numbers["minutes live"], numbers["minutes on demand"]) == (None, 0.0, 1.6)


def test_a_table_has_the_numbers_and_the_rows_of_the_tables(viewer):
    found = report(viewer)
    rows = found.rows()
    assert {"name": "reactions", "value": 3, "table": None, "row": None} in rows
    assert {"name": "completion", "value": 0.7, "table": "videos", "row": "intro"} in rows
    assert list(found.sheets()) == ["", "attachments", "sessions", "videos", "newest events"]


@pytest.mark.parametrize(
    "number",
    [
        {"of": "ratio", "property": "seconds"},
        {"of": "ratio", "denominator": {}},
        {"of": "sum", "property": "seconds", "denominator": {}},
        {"of": "last", "property": "seconds", "mean_over": "video"},
    ],
)
def test_a_number_says_what_it_needs(number):
    with pytest.raises(Unprocessable):
        read({"kind": "person", "subject": "1", "numbers": [{"name": "x", **number}]})


@pytest.mark.parametrize(
    ("number", "value"),
    [
        ({"of": "ratio", "property": "seconds", "where": {"property": "engaged", "value": True}, "denominator": {}}, 190 / 405),
        ({"of": "count", "event": "reacted", "mean_over": "session_name"}, 1.5),
        ({"of": "covered", "property": "from", "until": "until", "mean_over": "video"}, 37.5),
        ({"of": "sum", "property": "seconds", "mean_over": "video", "divide": 60, "decimals": 2}, 0.79),
        ({"of": "count", "event": "nothing", "mean_over": "video"}, None),
    ],
)
def test_ratios_and_means_over_values(viewer, number, value):
    assert report(viewer, numbers=[{"name": "x", **number}]).numbers["x"] == pytest.approx(value)


@pytest.mark.parametrize("of", ["sum", "mean"])
def test_what_evens_out_is_0(shop, of):
    shop.add((1, "2026-03-02", "moved", {"steps": 5}), (1, "2026-03-03", "moved", {"steps": -5}))
    number = {"name": "x", "event": "moved", "of": of, "property": "steps"}
    question = {"kind": "person", "subject": str(subject(1)), "numbers": [number], "range": {"from": "2026-03-01"}}
    assert shop.ask(**question).numbers == {"x": 0}


def test_traits_are_known_whenever_they_were_told(shop):
    shop.add((1, "2026-01-10", "identify", {"type": "identify", "role": "boss"}), (1, "2026-03-02", "viewed", {}))
    found = shop.ask(
        kind="person",
        subject=str(subject(1)),
        traits=["role", "age"],
        range={"from": "2026-03-05", "to": "2026-03-06"},
        where={"property": "role", "op": "is_not_set"},
    )
    assert (found.events, found.traits) == (0, {"role": "boss", "age": None})
