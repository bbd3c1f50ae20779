"""Entries, trend, held properties and breakdowns of random histories against the reference."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from consentryd.analytics.kernel import attribution
from consentryd.analytics.kernel.funnel import Funnel, Step
from consentryd.analytics.kernel.hold import held_chains
from consentryd.analytics.kernel.solution import chains_of
from consentryd.analytics.kernel.trend import trend
from tests.analytics import reference
from tests.analytics.kernel import test_funnel_fuzz as fuzz
from tests.analytics.kernel.histories import by_subject, stream_of


def histories_of(draw):
    return fuzz.draw_histories(draw, draw.choice([fuzz.PLAIN, fuzz.MIXED]), 9)


def of_entries(draw):
    question = replace(draw.choice([fuzz.ordered, fuzz.with_exclusions])(draw), entry="any")
    return replace(question, count_entries=True)


def compare_entries(seed, rounds):
    draw, attempts = random.Random(f"entries {seed}"), 0
    for _ in range(rounds):
        question, histories = of_entries(draw), histories_of(draw)
        found = by_subject(chains_of(stream_of(histories), question))
        for number, history in enumerate(histories):
            if fuzz.ambiguous(history, question):
                continue
            expected = [
                (len(times), excluded, tuple(times[:1] if excluded else times))
                for times, excluded in reference.entries(history, question)
            ]
            got = [
                (depth, excluded, tuple(t for t in times if t is not None))
                for depth, _, times, excluded in found.get(10 + number, [])
            ]
            assert got == expected, (history, question)
            attempts += len(got) > 1
    assert attempts > rounds


def compare_trend(seed, rounds):
    draw, edges = random.Random(f"trend {seed}"), [0, 2, 3, 9, 20]
    for _ in range(rounds):
        make = draw.choice([fuzz.ordered, fuzz.ordered, fuzz.strict, fuzz.with_exclusions, fuzz.any_order])
        question = replace(make(draw), since=0, until=20)
        histories = histories_of(draw)
        found = trend(stream_of(histories), question, edges)
        if question.entry != "any":
            continue
        for bucket, (since, until) in enumerate(pairwise(edges)):
            answers = [reference.funnel(history, replace(question, since=since, until=until)) for history in histories]
            reached = [answer.reached for answer in answers if answer]
            assert found.reached[bucket].tolist() == [sum(step) for step in zip(*reached, strict=True)] or not reached
            assert found.excluded[bucket] == sum(answer.excluded for answer in answers if answer)


def valued(draw, histories):
    return [draw.choice([-1, 0, 1]) for history in histories for _ in history]


def parts(histories, column, wanted):
    """Each subject's events that have a value."""
    flat = iter(column)
    return [[event for event in history if next(flat) == wanted] for history in histories]


def compare_held(seed, rounds):
    draw, deep = random.Random(f"held {seed}"), 0
    for _ in range(rounds):
        question, histories = (
            draw.choice([fuzz.ordered, fuzz.with_exclusions, fuzz.with_optional_steps, fuzz.any_order])(draw),
            histories_of(draw),
        )
        column = valued(draw, histories)
        found = by_subject(held_chains(stream_of(histories, plan=column), question, ["plan"]))
        by_value = [parts(histories, column, value) for value in (0, 1)]
        for number, both in enumerate(zip(*by_value, strict=True)):
            answers = [answer for answer in (reference.funnel(history, question) for history in both) if answer]
            assert bool(answers) == (10 + number in found)
            if answers:
                depth = max(answer.depth for answer in answers)
                got_depth, reached, times, excluded = found[10 + number][0]
                best = [answer for answer in answers if answer.depth == depth and answer.excluded == excluded]
                assert got_depth == depth
                assert excluded == all(answer.excluded for answer in answers if answer.depth == depth)
                assert [times[step] for step in question.mandatory] in [
                    [answer.times[step] for step in question.mandatory] for answer in best
                ]
                assert reached == tuple(
                    not excluded and any(answer.reached[step] for answer in answers) for step in range(len(reached))
                )
                deep += depth > 1
    assert deep > rounds


def compare_all_steps(seed, rounds):
    draw = random.Random(f"all steps {seed}")
    for _ in range(rounds):
        question, histories = fuzz.ordered(draw), histories_of(draw)
        column = valued(draw, histories)
        grouped = attribution.all_steps(stream_of(histories, plan=column), question, "plan")
        for value, counts in grouped.conversions().items():
            answers = [reference.funnel(history, question) for history in parts(histories, column, value)]
            assert counts.counts.tolist() == [
                sum(step) for step in zip(*(answer.reached for answer in answers if answer), strict=True)
            ]


def compare_first_step(seed, rounds):
    """The reference gives the first step a definition of its own, on the events that have the value."""
    draw, own = random.Random(f"first step {seed}"), 40
    for _ in range(rounds):
        question, histories = replace(fuzz.ordered(draw), entry="any"), histories_of(draw)
        column = valued(draw, histories)
        grouped = attribution.at_first_step(stream_of(histories, plan=column), question, "plan")
        first = question.steps[0].definition
        asked = replace(question, steps=(Step(own), *question.steps[1:]))
        found = grouped.conversions()
        for value in (-1, 0, 1):
            flat = iter(column)
            limited = [
                [(t, done | {own}) if next(flat) == value and first in done else (t, done) for t, done in history]
                for history in histories
            ]
            reached = [answer.reached for answer in (reference.funnel(history, asked) for history in limited) if answer]
            got = found[value].counts.tolist() if value in found else []
            assert got == [sum(step) for step in zip(*reached, strict=True)]


def compare_touches(seed, rounds):
    draw = random.Random(f"touches {seed}")
    for _ in range(rounds):
        question, histories = replace(fuzz.ordered(draw), strict_ties=True), histories_of(draw)
        histories = [
            [*{time: (time, done) for time, done in sorted(history, key=lambda event: event[0])}.values()]
            for history in histories
        ]
        column = valued(draw, histories)
        stream = stream_of(histories, plan=column)
        chains = chains_of(stream, question)
        flat, known = iter(column), {}
        for number, history in enumerate(histories):
            values = [next(flat) for _ in history]
            answer = reference.funnel(history, question)
            known[10 + number] = [values[row] for row in answer.rows if row is not None] if answer else None
        first, last = (
            attribution.touched(chains, [stream.values["plan"]] * len(question.steps)),
            attribution.touched(chains, [stream.values["plan"]] * len(question.steps), last=True),
        )
        for subject, early, late in zip(chains.subject.tolist(), first.group.tolist(), last.group.tolist(), strict=True):
            present = [value for value in known[subject] if value != -1] or [-1]
            assert (early, late) == (present[0], present[-1])
        second = attribution.at_step(chains, stream.values["plan"], 1)
        assert dict(zip(second.chains.subject.tolist(), second.group.tolist(), strict=True)) == {
            subject: values[1] for subject, values in known.items() if values and len(values) > 1
        }


COMPARISONS = [compare_entries, compare_trend, compare_held, compare_all_steps, compare_first_step, compare_touches]


@pytest.mark.parametrize("compare", COMPARISONS)
def test_histories_give_what_the_definitions_give(compare):
    compare(1, 40)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("compare", COMPARISONS)
def test_many_histories_give_what_the_definitions_give(compare):
    compare(2, 500)


def test_a_trend_of_first_entries_has_each_subject_once():
    histories = [[(1, {0}), (4, {0}), (5, {1})], [(4, {0}), (5, {1})]]
    question = Funnel((Step(0), Step(1)), 3, 0, 6, entry="first")
    assert trend(stream_of(histories), question, [0, 3, 6]).reached.tolist() == [[1, 0], [1, 1]]


def test_numbers_that_are_missing_are_one_group():
    stream = stream_of([[(0, {0}), (1, {1}), (2, {0})]], price=[float("nan"), 1.5, float("nan")])
    grouped = attribution.at_first_step(stream, Funnel((Step(0), Step(1)), 3, 0, 6), "price")
    assert np.isnan(grouped.group).tolist() == [True]
