"""Random histories, rich in ties, repeats and palindromes, against the reference, for every configuration."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from consentryd.analytics.kernel.funnel import Exclusion, Funnel, Step
from consentryd.analytics.kernel.solution import chains_of
from tests.analytics import reference
from tests.analytics.kernel.histories import by_subject, stream_of

A, B, C, X, Y, Z = range(6)
PATTERNS = [(A, B), (A, A), (A, B, C), (A, B, A), (A, A, B), (A, A, A), (A, B, B, A), (A, B, C, B), (A, B, C, A)]
PLAIN = [{A}, {B}, {C}, {X}, {Z}]
MIXED = [*PLAIN, {A, B}, {B, C}, {A, X}, {B, Y}, {Y}, {A, B, C}]
SUBJECTS = 25


def draw_histories(draw, kinds, longest):
    span = draw.choice([3, 6, 20])
    return [[(draw.randrange(span), draw.choice(kinds)) for _ in range(draw.randrange(longest))] for _ in range(SUBJECTS)]


def draw_funnel(draw, **fixed):
    pattern = draw.choice(PATTERNS)
    since = draw.choice([0, 0, 2])
    asked = {
        "steps": tuple(Step(definition) for definition in pattern),
        "window": draw.choice([1, 2, 4, 30]),
        "since": since,
        "until": draw.choice([since + 3, 30]),
        "entry": draw.choice(["any", "any", "first", "first_ever"]),
        "strict_ties": draw.random() < 0.3,
    }
    return Funnel(**(asked | fixed))


def draw_exclusions(draw, steps):
    chosen = draw.sample([X, Y], draw.choice([1, 2]))
    ranges = [sorted(draw.sample(steps, 2)) for _ in chosen]
    return tuple(Exclusion(definition, *between) for definition, between in zip(chosen, ranges, strict=True))


def ordered(draw):
    return draw_funnel(draw)


def with_exclusions(draw):
    question = draw_funnel(draw)
    return replace(
        question,
        exclusions=draw_exclusions(draw, range(len(question.steps))),
        on_exclude=draw.choice(["remove", "drop_from_step"]),
    )


def with_optional_steps(draw):
    question = draw_funnel(draw)
    steps = (question.steps[0], *(Step(step.definition, draw.random() < 0.5) for step in question.steps[1:]))
    return replace(question, steps=steps)


def with_both(draw):
    question = with_optional_steps(draw)
    if len(question.mandatory) < 2:
        return question
    return replace(
        question, exclusions=draw_exclusions(draw, question.mandatory), on_exclude=draw.choice(["remove", "drop_from_step"])
    )


def strict(draw):
    return draw_funnel(draw, order="strict")


def any_order(draw):
    return draw_funnel(draw, order="any", strict_ties=False, anchor_first=draw.random() < 0.4)


CONFIGURATIONS = [ordered, with_exclusions, with_optional_steps, with_both, strict, any_order]


def compare(make, seed, rounds):
    draw = random.Random(f"{make.__name__} {seed}")
    deep = 0
    for _ in range(rounds):
        question = make(draw)
        histories = draw_histories(draw, draw.choice([PLAIN, MIXED]), 7 if make is strict else 9)
        found = by_subject(chains_of(stream_of(histories), question))
        for number, history in enumerate(histories):
            deep += check(found.get(10 + number), history, question)
    assert deep > rounds


def check(found, history, question):
    expected = reference.funnel(history, question)
    if expected is None:
        assert found is None, (history, question)
        return False
    times = expected.times
    if question.order == "ordered" and ambiguous(history, question):  # which event an optional step is left with is then open
        times = tuple(None if step.optional else time for step, time in zip(question.steps, times, strict=True))
        found = [
            (*line[:2], tuple(None if s.optional else t for s, t in zip(question.steps, line[2], strict=True)), line[3])
            for line in found
        ]
    assert found == [(expected.depth, expected.reached, times, expected.excluded)], (history, question)
    return expected.depth > 1


def ambiguous(history, question):
    """Whether an instant leaves a choice of which event does which step."""
    wanted = [step.definition for step in question.steps]
    steps = [(time, sum(definition in done for definition in wanted)) for time, done in history]
    times = [time for time, count in steps if count]
    return any(count > 1 and times.count(time) > 1 for time, count in steps)


@pytest.mark.parametrize("make", CONFIGURATIONS)
def test_histories_give_the_numbers_and_times_of_the_definitions(make):
    compare(make, 1, 160)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("make", CONFIGURATIONS)
def test_many_histories_give_the_numbers_and_times_of_the_definitions(make):
    compare(make, 2, 1_000)
