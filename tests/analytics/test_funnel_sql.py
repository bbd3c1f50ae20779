"""The funnel as SQL against the kernel and the reference: three implementations, one answer."""

from __future__ import annotations

import random

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from consentryd.analytics.funnel_sql import check_streams, counts, instant_sql, row_sql
from consentryd.analytics.kernel.conversion import conversion
from consentryd.analytics.kernel.funnel import Exclusion, Funnel, Step
from consentryd.analytics.kernel.solution import chains_of
from tests.analytics import reference
from tests.analytics.kernel import test_funnel_fuzz as fuzz
from tests.analytics.kernel.histories import stream_of


@pytest.fixture(scope="module")
def database():
    with duckdb.connect() as connection:
        yield connection


def table_of(stream, question):
    """Events of a stream with their masks, ordered by subject, time and first step matched."""
    masks = stream.masks[stream.code]
    lowest = np.full(len(masks), len(question.steps))
    for number in reversed(range(len(question.steps))):
        lowest[masks >> question.steps[number].definition & 1 == 1] = number
    order = np.lexsort((lowest, stream.time, stream.subject))
    return pa.table({"subject": stream.subject[order], "time": stream.time[order], "mask": masks[order]})


def matches_of(question):
    return [f"(mask >> {step.definition}) & 1 = 1" for step in question.steps]


def expected_of(histories, question):
    reached = [answer.reached for answer in (reference.funnel(history, question) for history in histories) if answer]
    return [sum(step) for step in zip(*reached, strict=True)] or [0] * len(question.steps)


def compare(database, seed, rounds):
    draw = random.Random(f"sql {seed}")
    for _ in range(rounds):
        question = fuzz.draw_funnel(draw, entry="any")
        stream, expected = drawn(draw, question, draw.choice([fuzz.PLAIN, fuzz.MIXED]))
        database.register("events", table_of(stream, question))
        assert conversion(chains_of(stream, question)).counts.tolist() == expected
        assert counts(database, instant_sql("events", matches_of(question), question)) == expected


def compare_streaming(database, seed, rounds):
    draw = random.Random(f"streaming sql {seed}")
    for _ in range(rounds):
        steps = tuple(Step(definition) for definition in draw.choice([(0, 1), (0, 1, 2), (1, 2, 0), (3, 2, 1, 0)]))
        question = fuzz.draw_funnel(draw, entry="any", strict_ties=False, steps=steps)
        stream, expected = drawn(draw, question, fuzz.PLAIN)
        database.register("events", table_of(stream, question))
        statement = row_sql("events", matches_of(question), question)
        check_streams(database, statement, len(steps))
        assert conversion(chains_of(stream, question)).counts.tolist() == expected
        assert counts(database, statement) == expected


def drawn(draw, question, kinds):
    histories = [history for _ in range(8) for history in fuzz.draw_histories(draw, kinds, 9)]
    return stream_of(histories), expected_of(histories, question)


@pytest.mark.parametrize("compare", [compare, compare_streaming])
def test_histories_give_the_same_counts_in_sql(database, compare):
    compare(database, 3, 20)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("compare", [compare, compare_streaming])
def test_many_histories_give_the_same_counts_in_sql(database, compare):
    compare(database, 3, 200)


QUESTION = Funnel((Step(0), Step(1), Step(2)), 7, 0, 100)


def test_a_plan_that_sorts_is_refused(database):
    database.register("events", table_of(stream_of([[(0, {0})]]), QUESTION))
    statement = row_sql("(SELECT * FROM events ORDER BY subject, time)", matches_of(QUESTION), QUESTION)
    with pytest.raises(RuntimeError, match="does not stream"):
        check_streams(database, statement, 3)


@pytest.mark.parametrize(
    "question",
    [
        Funnel((Step(0), Step(1)), 7, 0, 9, order="strict"),
        Funnel((Step(0), Step(1)), 7, 0, 9, entry="first"),
        Funnel((Step(0), Step(1)), 7, 0, 9, count_entries=True),
        Funnel((Step(0), Step(1, optional=True)), 7, 0, 9),
        Funnel((Step(0), Step(1)), 7, 0, 9, exclusions=(Exclusion(3, 0, 1),)),
    ],
)
def test_what_sql_cannot_say_is_refused(question):
    for write in (row_sql, instant_sql):
        with pytest.raises(ValueError, match="plain"):
            write("events", matches_of(question), question)


def test_limits_of_each_form():
    with pytest.raises(ValueError, match="at most 7"):
        instant_sql("events", ["true"] * 8, Funnel((Step(0),) * 8, 1, 0, 1))
    with pytest.raises(ValueError, match="instant_sql"):
        row_sql("events", ["true"] * 2, Funnel((Step(0),) * 2, 1, 0, 1, strict_ties=True))
