"""Numbers as senders write them and as questions name them: one value is one group, two values are two."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from consentryd.analytics.engine import Engine
from consentryd.analytics.group import bins_of
from consentryd.analytics.query import read
from consentryd.config.settings import Analytics
from consentryd.model.error import Unprocessable
from consentryd.storage import promoted
from consentryd.storage.delta import DeltaLake
from consentryd.storage.erasure import rewrite_without
from consentryd.storage.reader import Reader
from tests.analytics.site import Shop, subject

RANGE = {"from": "2026-03-01", "to": "2026-03-10"}
DAY = "2026-03-02"


def groups(shop: Shop, **by) -> dict[str, int]:
    question = {"kind": "trends", "series": [{}], "display": "total", "range": RANGE}
    return {
        line.group[0]: line.total
        for line in shop.ask(**question, breakdown={"by": [{"property": "x", **by}]}).series
        if line.group is not None
    }


def total(shop: Shop, **where) -> int:
    question = {"kind": "trends", "series": [{"where": {"property": "x", **where}}], "display": "total", "range": RANGE}
    return shop.ask(**question).series[0].total


def test_bins_of_large_numbers_stay_apart(shop):
    edges = [1234567, 1234569, 1234572, 1234579]
    shop.add(*((number + 1, DAY, "viewed", {"x": edge}) for number, edge in enumerate(edges)))
    assert groups(shop, edges=edges) == {"[1234567, 1234569)": 1, "[1234569, 1234572)": 1, "[1234572, 1234579]": 2}
    assert len(groups(shop, bins=6)) == 4
    funnel = shop.ask(
        kind="funnel",
        steps=[{}, {}],
        range=RANGE,
        breakdown={"by": {"property": "x", "edges": [1234567, 1234569, 1234571, 1234580]}},
    )
    assert {group.group: group.steps[0].count for group in funnel.groups} == {
        "[1234567, 1234569)": 1, "[1234569, 1234571)": 1, "[1234571, 1234580]": 2,
    }  # fmt: skip
    segments = shop.ask(kind="segmentation", did={}, by=[{"property": "x", "edges": edges}], range=RANGE)
    assert len(segments.breakdowns[0].groups) == 3


@pytest.mark.parametrize(
    ("edges", "label"),
    [
        ([0, 10, 100.5], "[10, 100.5]"),
        ([0, 10 / 3, 20 / 3, 10], "[3.33333, 6.66667)"),
        ([20261101, 20261102, 20261103], "[20261102, 20261103]"),
        ([1234567.0, 1234567.25, 1234567.5], "[1234567.25, 1234567.5]"),
        ([1e17, 1e17 + 16, 1e18], "[1.0000000000000002e+17, 1e+18]"),
    ],
)
def test_an_edge_has_as_many_digits_as_tell_it_apart(edges, label):
    labels = [label for *_, label in bins_of(edges)]
    assert label in labels
    assert len(set(labels)) == len(labels)


#: What Python and JavaScript write for five, a hundred and nought; a version, which is a text; a number that a double has no room for.
WRITTEN = ["5", "5.0", "100", "1e2", "0", "-0.0", '"5.0"', "9007199254740993", "0.5"]
VALUES = {"5": 2, "100": 2, "0": 2, "5.0": 1, "9007199254740993": 1, "0.5": 1}


def written(shop: Shop) -> None:
    shop.add(*((number + 1, DAY, "viewed", {"properties": {"x": json.loads(text)}}) for number, text in enumerate(WRITTEN)))


def test_a_whole_number_is_one_value_however_it_is_written(shop):
    written(shop)
    assert groups(shop) == VALUES
    count = {"kind": "trends", "series": [{"math": "unique_values", "property": "x"}], "display": "total", "range": RANGE}
    assert shop.ask(**count).series[0].total == len(VALUES)
    assert [total(shop, value=value) for value in (5, "5", "5.0")] == [3, 2, 1]
    assert [total(shop, op="contains", value=part) for part in (".0", "-", "5", "99")] == [1, 0, 5, 1]
    assert total(shop, op="regex", value="^0$") == 2


@pytest.fixture
def older(tmp_path, monkeypatch) -> Shop:
    """A site with a file whose columns are of texts as they were sent, and one with columns as they are made now."""
    shop = Shop(tmp_path)
    shop.lake = DeltaLake(shop.region, promoted=["x"])
    written(shop)
    with monkeypatch.context() as past:
        past.setattr(promoted, "_TYPES", dict(zip(("text:", "list:", "number:"), promoted._TYPES.values(), strict=True)))
        past.setattr(promoted, "extracted", _as_sent)
        shop.seal()
    written(shop)
    shop.seal()
    shop.reader = Reader(shop.region, shop.lake)
    shop.engine = Engine({"eu": shop.reader}, Analytics(cache_mb=0))
    yield shop
    shop.close()


def _as_sent(pointer: str, row: str = "") -> promoted.Forms:
    text = f"json_extract_string({row}properties, '{pointer}')"
    return promoted.Forms(text, f"json_type({row}properties, '{pointer}') = 'ARRAY'", f"TRY_CAST({text} AS DOUBLE)", text)


def columns(shop: Shop) -> list[str]:
    files = shop.lake.paths(shop.lake.state().files)
    return sorted({name for path in files for name in pq.read_schema(path).names if name.endswith(":/x")})


@pytest.mark.parametrize(
    ("where", "count"),
    [({"value": "5"}, 2), ({"op": "contains", "value": ".0"}, 1), ({"op": "gte", "value": 5}, 6), ({"op": "is_set"}, 9)],
)
def test_columns_answer_as_the_json_does(older, where, count):
    assert total(older, **where) == 2 * count


def test_columns_of_older_files_are_not_looked_at_and_are_made_anew(older):
    assert {"text:/x", "value:/x"} <= set(columns(older))
    twice = {value: 2 * count for value, count in VALUES.items()}
    funnel = {"kind": "funnel", "steps": [{}, {}], "range": RANGE, "breakdown": {"by": {"property": "x"}}}
    before = older.ask(**funnel).groups
    assert {group.group for group in before} == set(VALUES)
    assert groups(older) == twice
    older.compact()
    assert columns(older) == ["as_number:/x", "is_list:/x", "value:/x"]
    assert groups(older) == twice
    assert older.ask(**funnel).groups == before


def test_an_erasure_writes_an_older_file_anew(older):
    with older.lake.writing():
        rewrite_without(older.lake, [subject(1)])
    assert groups(older) == {value: 2 * count - 2 * (value == "5") for value, count in VALUES.items() if value != "5"} | {"5": 2}


def test_integers_beyond_doubles_are_compared_digit_by_digit(shop):
    large = 9007199254740993
    shop.add(*((number, DAY, "viewed", {"x": large - number}) for number in range(4)), (5, DAY, "viewed", {"x": 9.5e15}))
    assert [total(shop, value=large - number) for number in range(4)] == [1, 1, 1, 1]
    assert (total(shop, value=[large, large - 1]), total(shop, op="is_not", value=large)) == (2, 4)
    assert [total(shop, op=op, value=large - 1) for op in ("gt", "gte", "lt", "lte")] == [2, 3, 2, 3]
    assert total(shop, op="between", value=[large - 1, large]) == 2
    assert total(shop, value=9_500_000_000_000_000) == 1
    asked = [read({"kind": "trends", "series": [{"where": {"property": "x", "value": large + number}}]}) for number in (0, 1)]
    assert asked[0].definition_hash() != asked[1].definition_hash()


@pytest.mark.parametrize(
    "question",
    [
        {"kind": "cohorts", "cohorts": [{"type": "did", "event": "viewed", "times": 9223372036854775808}]},
        {"kind": "cohorts", "cohorts": [{"type": "did", "event": "viewed", "op": "between", "times": 1, "upto": 10**19}]},
        {"kind": "retention", "interval": "week", "brackets": [1_000_000]},
        {"kind": "retention", "brackets": [7] * 53},
    ],
)
def test_what_no_calendar_and_no_count_holds_is_refused(question):
    with pytest.raises(Unprocessable):
        read(question)


@pytest.mark.parametrize("sealed", [False, True])
def test_a_whole_number_in_a_list_is_one_value_too(shop, sealed):
    shop.add((1, DAY, "viewed", {"x": [5.0, "v2"]}), (2, DAY, "viewed", {"x": [5]}), (3, DAY, "viewed", {"x": ["5.0"]}))
    if sealed:
        shop.seal()
    assert [total(shop, value=value) for value in ("5", "5.0", 5, "v2")] == [2, 1, 3, 1]
    assert [total(shop, op="contains", value=value) for value in (".0", "0", "5")] == [1, 1, 3]
    assert total(shop, op="regex", value="^5$") == 2


def test_a_whole_number_is_one_value_in_a_question_too(shop):
    shop.add((1, DAY, "viewed", {"x": 15}), (2, DAY, "viewed", {"x": 150.0}), (3, DAY, "viewed", {"x": 1.5}))
    assert total(shop, op="contains", value=5.0) == total(shop, op="contains", value=5) == 3
    assert total(shop, op="contains", value=[-0.0]) == 1
