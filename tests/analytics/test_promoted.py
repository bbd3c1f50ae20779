"""Properties with columns of their own: every answer is the one that the JSON gives, whichever files have the columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentryd.analytics.engine import Engine
from consentryd.config.settings import Analytics
from consentryd.storage.delta import DeltaLake
from consentryd.storage.erasure import rewrite_without
from consentryd.storage.promoted import pointer_of
from consentryd.storage.reader import Reader
from tests.analytics.site import Shop, subject

RANGE = {"from": "2026-03-01", "to": "2026-03-31"}
NAMES = ["plan", "user.size", "tags", "/a.b"]

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 1.0, 1e20, "a", "A", "", "1", "1.0", "nan", "[1]", '["a"]', "it's", "=", "2026-03-01"]),
    st.lists(st.sampled_from(["a", "b", 1, None]), max_size=3),
    st.dictionaries(st.sampled_from(["x", "size"]), st.integers(0, 2), max_size=2),
)
PROPERTIES = st.dictionaries(st.sampled_from(["plan", "user", "tags", "a.b", "other"]), VALUES, max_size=4)
EVENTS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 20), st.sampled_from(["viewed", "bought"]), PROPERTIES), min_size=1, max_size=25
)

LEAVES = [
    {"op": "is", "value": ["a", "1"]},
    {"op": "is_not", "value": "a"},
    {"op": "is", "value": 1},
    {"op": "contains", "value": "A"},
    {"op": "gte", "value": 1},
    {"op": "is_set"},
    {"op": "is_not_set"},
    {"op": "regex", "value": "^[a1]"},
    {"op": "after", "value": "2026-02-01"},
]

PATHS = {
    "kind": "paths",
    "item": "event",
    "steps": 3,
    "gap_minutes": None,
    "window_days": 30,
    "collapse_repeats": False,
    "range": RANGE,
}


def questions(name: str) -> Iterator[dict]:
    by = {"by": [{"property": name}]}
    yield {"kind": "trends", "series": [{}], "breakdown": by, "range": RANGE}
    yield {"kind": "trends", "series": [{}], "breakdown": {**by, "limit": 1}, "display": "total", "range": RANGE}
    yield {"kind": "trends", "series": [{}], "breakdown": {"by": [{"property": name}, {"property": "plan"}]}, "range": RANGE}
    yield {
        "kind": "trends",
        "series": [{"math": "unique"}],
        "breakdown": {"by": [{"property": name, "edges": [-1, 1, 3]}]},
        "range": RANGE,
    }
    for math in ("sum", "median", "unique_values"):
        yield {"kind": "trends", "series": [{"math": math, "property": name}], "range": RANGE}
    for leaf in LEAVES:
        where = {"property": name, **leaf}
        yield {"kind": "trends", "series": [{"where": where}], "display": "total", "range": RANGE}
        yield {"kind": "funnel", "steps": [{"event": "viewed", "where": where}, {"event": "bought"}], "range": RANGE}
    yield {
        "kind": "funnel",
        "steps": [{"event": "viewed"}, {"event": "bought"}],
        "range": RANGE,
        "breakdown": {"by": {"property": name}},
    }
    yield {"kind": "retention", "start": {"event": "viewed"}, "range": RANGE, "breakdown": {"property": name}}
    yield {"kind": "paths", "item": name, "range": RANGE}


def filled(root: Path, batches: list[list[tuple]], promoted: list[list[str]]) -> Shop:
    """Each batch but the last is sealed, with these properties promoted. Many events are of one instant."""
    root.mkdir()
    shop = Shop(root)
    for events, names in zip(batches, promoted, strict=True):
        shop.add(*((person, f"2026-03-{day:02}", event, properties) for person, day, event, properties in events))
        if events is not batches[-1]:
            shop.lake = DeltaLake(shop.region, promoted=names)
            shop.seal()
    shop.reader = Reader(shop.region, shop.lake)
    shop.engine = Engine({"eu": shop.reader}, Analytics(cache_mb=0))
    return shop


def answers(shop: Shop, asked: list[dict]) -> list[dict]:
    return [shop.ask(**question).model_dump(exclude={"query_id"}) for question in asked]


def some(data: st.DataObject, every: list[dict], count: int) -> list[dict]:
    places = data.draw(st.lists(st.integers(0, len(every) - 1), min_size=count, max_size=count, unique=True))
    return [every[place] for place in places]


@settings(max_examples=5, deadline=None)
@given(batches=st.lists(EVENTS, min_size=3, max_size=3), name=st.sampled_from(NAMES), data=st.data())
def test_an_answer_does_not_depend_on_which_files_have_columns(tmp_path_factory, batches, name, data):
    asked = some(data, list(questions(name)), 4)
    root = tmp_path_factory.mktemp("promoted")
    plain = filled(root / "plain", batches, [[], [], []])
    mixed = filled(root / "mixed", batches, [[], NAMES, []])
    whole = filled(root / "whole", batches, [["plan"], NAMES, []])
    try:
        expected = answers(plain, asked)
        assert answers(mixed, asked) == expected
        assert answers(whole, asked) == expected
        whole.compact()
        assert answers(whole, asked) == expected
    finally:
        for shop in (plain, mixed, whole):
            shop.close()


def columns(shop: Shop) -> list[set[str]]:
    return [set(pq.read_schema(path).names) for path in shop.lake.paths(shop.lake.state().files)]


def test_compaction_gives_old_files_the_columns(tmp_path):
    batch = [(1, 3, "viewed", {"plan": "pro"}), (1, 4, "viewed", {"plan": ["x"]})]
    shop = filled(tmp_path / "site", [batch, batch, []], [[], ["plan"], []])
    assert sorted("value:/plan" in names for names in columns(shop)) == [False, True]
    shop.compact()
    assert ["value:/plan" in names for names in columns(shop)] == [True]
    (line, *_) = shop.ask(kind="trends", series=[{}], breakdown={"by": [{"property": "plan"}]}, range=RANGE).series
    assert line.total == 4
    shop.close()


def test_an_erasure_takes_the_person_out_of_the_columns_and_keeps_them_for_the_others(tmp_path):
    batch = [(person, day, "viewed", {"plan": f"plan-of-{person}"}) for person in (1, 17) for day in range(1, 9)]
    shop = filled(tmp_path / "site", [batch, []], [["plan"], []])
    eraser = DeltaLake(shop.region)
    with eraser.writing():
        rewrite_without(eraser, [subject(1)])
        eraser.vacuum()
    left = [
        value for path in shop.lake.paths(shop.lake.state().files)
        for value in pq.read_table(path, columns=["value:/plan"], partitioning=None)["value:/plan"].to_pylist()
    ]  # fmt: skip
    assert left == ["plan-of-17"] * 8
    shop.close()


def test_late_events_join_the_promoted_ones(tmp_path):
    batch = [(1, 20, "viewed", {"plan": "pro"})]
    shop = filled(
        tmp_path / "site", [batch, [(1, 2, "viewed", {"plan": "pro"})], [(2, 1, "viewed", {"plan": "pro"})]], [["plan"], [], []]
    )
    breakdown = {"by": [{"property": "plan"}]}
    lines = shop.ask(kind="trends", series=[{}], breakdown=breakdown, display="total", range=RANGE).series
    assert [(line.group, line.total) for line in lines] == [(None, 3), (["pro"], 3)]
    shop.close()


@pytest.mark.parametrize(
    ("name", "pointer"), [("plan", "/plan"), ("user.size", "/user/size"), ("/a.b", "/a.b"), ("a/b~c", "/a~1b~0c")]
)
def test_a_property_is_named_by_its_pointer(name, pointer):
    assert pointer_of(name) == pointer


@settings(max_examples=8, deadline=None)
@given(
    batches=st.lists(EVENTS, min_size=3, max_size=3),
    hidden=st.booleans(),
    merged=st.booleans(),
    withdrawn=st.booleans(),
    in_blocks=st.booleans(),
    data=st.data(),
)
def test_streams_read_from_columns_are_those_of_statements(tmp_path_factory, batches, hidden, merged, withdrawn, in_blocks, data):
    root = tmp_path_factory.mktemp("streams")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("consentryd.storage.delta.ROW_GROUP_ROWS", 2)
        shop = filled(root / "site", batches, [["plan"], [], []])
    if hidden:
        shop.hide(1)
    if merged:
        shop.merge(2, 3)
    if withdrawn:
        shop.withdraw(4, "analytics", "2026-03-10T12:00:00")
    every = [
        question | more
        for question in (*questions("plan"), PATHS)
        if question["kind"] != "trends"
        for more in ({}, {"sampling": 0.5}, {"range": {"from": "2026-03-05", "to": "2026-03-12"}})
    ]
    asked = some(data, every, 6)
    try:
        with pytest.MonkeyPatch.context() as patched:
            if in_blocks:
                patched.setattr("consentryd.analytics.execution.TOGETHER_ROWS", 1)
                patched.setattr("consentryd.analytics.loading.BATCH_ROWS", 1)
                patched.setattr("consentryd.analytics.blocks.BLOCK_ROWS", 3)
            found = [shop.ask(**question).model_dump() for question in asked]
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("consentryd.analytics.execution.loading_of", lambda *_: None)
            expected = [shop.ask(**question).model_dump() for question in asked]
        assert found == expected
    finally:
        shop.close()
