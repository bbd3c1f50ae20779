"""The funnel rules of section 1.2, each by its name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentryd.analytics.kernel import attribution
from consentryd.analytics.kernel.conversion import SECOND, conversion, nothing, rates, summary
from consentryd.analytics.kernel.funnel import DAY, Exclusion, Funnel, Step
from consentryd.analytics.kernel.hold import held_chains
from consentryd.analytics.kernel.solution import chains_of
from consentryd.analytics.kernel.trend import trend
from tests.analytics.kernel.histories import by_subject, lettered, stream_of

LETTERS = "ABCDx"
MINUTE = 60 * SECOND


def asked(steps, window=100, **also):
    """Steps as letters, a window in seconds."""
    question = Funnel(tuple(Step(LETTERS.index(step)) for step in steps), window * SECOND, 0, DAY)
    return replace(question, **also)


def stream(*histories, **values):
    return stream_of([lettered(history, LETTERS) for history in histories], **values)


def counts(question, *histories):
    return conversion(chains_of(stream(*histories), question)).counts.tolist()


def times(question, history):
    """Seconds of the chosen chain's steps."""
    ((_, _, found, _),) = by_subject(chains_of(stream(history), question))[10]
    return [None if time is None else time / SECOND for time in found]


def test_r_f1_only_the_first_step_must_lie_in_the_range():
    question = asked("AB", since=10 * SECOND, until=20 * SECOND)
    assert counts(question, "5:A 12:B", "10:A 25:B", "20:A 21:B") == [1, 1]


def test_r_f2_depth_is_the_longest_chain_from_any_first_step():
    minutes = "0:A 1800:A 2700:B 4500:C"
    assert counts(asked("ABC", 3600), minutes) == [1, 1, 1]
    assert counts(asked("ABC", 3600, entry="first"), minutes) == [1, 1, 0]
    assert counts(asked("AB", 10), "0:A 10:B", "0:A 10.000001:B") == [2, 1]


def test_r_f2_a_first_entry_ever_must_lie_in_the_range_itself():
    question = asked("AB", since=10 * SECOND, entry="first_ever")
    assert counts(question, "5:A 12:A 13:B", "12:A 13:B") == [1, 1]


def test_r_f3_events_of_one_instant_help_in_any_order_unless_ties_are_strict():
    assert counts(asked("ABC"), "1:C 1:B 1:A") == [1, 1, 1]
    assert counts(asked("ABA"), "1:A 1:A 1:B") == [1, 1, 1]
    assert counts(asked("AB", strict_ties=True), "1:A 1:B", "1:A 2:A 2:B") == [2, 1]


def test_r_f4_one_event_is_one_step():
    assert counts(asked("AAA"), "1:A", "1:A 2:A", "1:A 1:A 1:A") == [3, 2, 1]
    both = stream_of([[(1, {0, 1})], [(1, {0, 1}), (1, {0})]])
    assert conversion(chains_of(both, asked("AB"))).counts.tolist() == [2, 1]


def test_r_f5_strict_steps_follow_each_other_directly():
    question = asked("ABC", order="strict")
    assert counts(question, "1:A 2:D 3:B", "1:A 2:D 3:A 4:B", "1:A 2:B 3:A 4:C", "1:A 2:C 2:B") == [4, 3, 1]


def test_r_f5_a_strict_instant_must_be_used_up_on_the_way():
    question = asked("ABC", order="strict")
    assert counts(question, "1:D 1:A 2:B 3:C", "1:A 2:B 2:D 3:C", "1:A 2:B 3:D 3:C") == [3, 3, 2]


def test_r_f6_any_order_counts_steps_in_one_window():
    question = asked("ABC", 10, order="any")
    assert counts(question, "1:B 2:C 12:A", "1:C 2:B 11:A", "5:B") == [3, 2, 1]
    assert counts(replace(question, anchor_first=True), "1:B 2:A 3:C", "1:B 2:C") == [1, 1, 0]


def test_r_f6_repeated_steps_in_any_order_need_an_event_each():
    assert counts(asked("AAB", order="any"), "1:B 2:A", "1:A 2:B 3:A", "1:A 2:A 3:A") == [3, 3, 1]


def test_r_f7_an_exclusion_poisons_the_attempt_unless_another_is_clean():
    question = asked("AB", exclusions=(Exclusion(4, 0, 1),))
    assert counts(question, "1:A 2:x 3:B", "1:A 2:x 3:A 4:B", "1:A 2:B 3:x") == [2, 2]
    assert counts(question, "1:A 2:x", "1:A 3:x 3:C", "1:A 3:x 3:A") == [1, 0]


def test_r_f7_what_is_left_of_an_excluded_attempt_can_be_kept():
    question = asked("ABC", exclusions=(Exclusion(4, 1, 2),), on_exclude="drop_from_step")
    assert counts(question, "1:A 2:B 3:x 4:C") == [1, 1, 0]
    assert counts(replace(question, on_exclude="remove"), "1:A 2:B 3:x 4:C") == [0, 0, 0]


def test_r_f8_the_chosen_attempt_ends_first_starts_last_and_hurries():
    assert times(asked("ABC"), "1:A 2:A 3:B 4:B 5:C 6:A 7:B 8:C") == [2, 3, 5]
    assert times(asked("AB"), "1:A 4:A") == [1, None]


def test_r_f8_mean_times_of_steps_add_up_for_full_converters():
    found = chains_of(stream("0:A 10:B 30:C", "0:A 20:B 50:C"), asked("ABC"))
    waits = conversion(found, [(0, 1), (1, 2), (0, 2)]).waits
    assert [summary(waits[pair]).mean for pair in waits] == [15, 25, 40]


def test_r_f9_quantiles_interpolate():
    waits = conversion(chains_of(stream("0:A 10:B", "0:A 20:B", "0:A 40:B", "0:A 80:B"), asked("AB")), [(0, 1)]).waits[0, 1]
    assert summary(waits) == (4, 37.5, 30, pytest.approx(68))
    assert summary(waits[:0]) == (0, None, None, None)


def test_r_f10_a_trend_counts_a_subject_in_each_bucket_it_entered():
    found = trend(stream("1:A 5:A 6:B 20:A"), asked("AB", 3, until=30 * SECOND), [time * SECOND for time in (0, 5, 10, 20, 30)])
    assert found.reached.tolist() == [[1, 0], [1, 1], [0, 0], [1, 0]]
    assert conversion(chains_of(stream("1:A 5:A 6:B 20:A"), asked("AB", 3))).counts.tolist() == [1, 1]


def test_r_f10_a_trend_of_entries_counts_attempts():
    question = asked("AB", 3, until=30 * SECOND, count_entries=True, exclusions=(Exclusion(4, 0, 1),))
    found = trend(stream("1:A 2:B 3:A 7:A 8:x 12:A"), question, [time * SECOND for time in (0, 5, 30)])
    assert (found.reached.tolist(), found.excluded.tolist()) == ([[2, 1], [1, 0]], [0, 1])


def test_r_f11_attempts_open_one_at_a_time():
    question = asked("AB", 10, count_entries=True)
    assert counts(question, "1:A 2:A 3:B 4:B 5:A 20:B 21:A 22:B") == [3, 2]
    assert counts(question, "1:A 11:B", "1:A 12:B", "1:A 1:A 1:B 1:B") == [4, 3]


def test_r_f11_an_excluded_attempt_closes_and_the_next_may_open():
    question = asked("AB", 10, count_entries=True, exclusions=(Exclusion(4, 0, 1),))
    found = conversion(chains_of(stream("1:A 2:x 3:A 4:B 5:A 6:x"), question))
    assert (found.counts.tolist(), found.excluded) == ([1, 1], 2)
    assert counts(replace(question, on_exclude="drop_from_step"), "1:A 2:x 3:A 4:B 5:A 6:x") == [3, 1]


def test_r_f11_one_instant_can_complete_and_open():
    both = stream_of([[(1, {0}), (1, {0}), (1, {1}), (1, {0, 1})]])
    assert conversion(chains_of(both, asked("ABA", count_entries=True))).counts.tolist() == [2, 1, 1]


def test_r_f12_held_properties_are_one_subject_each_value():
    history = stream("1:A 2:B 3:A 4:B 5:C", cart=[0, 1, 2, 2, -1])
    found = held_chains(history, asked("ABC"), ["cart"])
    assert by_subject(found) == {10: [(2, (True, True, False), (3 * SECOND, 4 * SECOND, None), False)]}
    assert found.row.tolist() == [[2, 3, -1]]
    entries = held_chains(history, asked("AB", count_entries=True), ["cart"])
    assert conversion(entries).counts.tolist() == [2, 1]


def test_r_f12_two_held_properties_must_both_match():
    history = stream("1:A 2:B 3:A 4:B", cart=[0, 0, 1, 1], session=[7, 8, 9, 9])
    assert held_chains(history, asked("AB"), ["cart", "session"]).time.tolist() == [[3 * SECOND, 4 * SECOND]]


def test_r_f13_values_of_the_chosen_chain_name_the_group():
    history = stream("1:A 2:B 3:C", "1:A 2:B", plan=[-1, 5, 6, 7, -1])
    chains = chains_of(history, asked("ABC"))
    plan = history.values["plan"]
    assert attribution.touched(chains, [plan] * 3).group.tolist() == [5, 7]
    assert attribution.touched(chains, [plan] * 3, last=True).group.tolist() == [6, 7]
    third = attribution.at_step(chains, plan, 2)
    assert (third.chains.subject.tolist(), third.group.tolist()) == ([10], [6])
    second = attribution.at_step(chains, plan, 1)
    assert {value: found.counts.tolist() for value, found in second.conversions().items()} == {5: [1, 1, 1], -1: [1, 1, 0]}


def test_r_f14_optional_steps_lower_nothing():
    question = asked("ABC")
    question = replace(question, steps=(question.steps[0], Step(1, optional=True), question.steps[2]))
    assert counts(question, "1:A 2:C", "1:A 2:B 3:C", "1:A 2:C 3:B", "1:B 2:A") == [4, 2, 3]
    assert times(question, "1:A 2:B 3:B 4:C") == [1, 2, 4]
    assert rates(np.array([4, 2, 3]), question) == ([1, 0.5, 0.75], [1, 0.5, 0.75])
    assert question.pairs() == ((0, 1), (0, 2))


A, B = Step(0), Step(1)


@pytest.mark.parametrize(
    ("steps", "also"),
    [
        ((A,), {}),
        ((A,) * 31, {}),
        ((A, B), {"window": 0}),
        ((A, B), {"window": 366 * DAY + 1}),
        ((Step(0, optional=True), B), {}),
        ((A, Step(1, optional=True)), {"order": "strict"}),
        ((A, Step(1, optional=True)), {"count_entries": True}),
        ((A, B), {"exclusions": (Exclusion(4, 1, 1),)}),
        ((A, B), {"exclusions": (Exclusion(4, 0, 2),)}),
        ((A, B, B), {"exclusions": (Exclusion(4, 0, 1), Exclusion(4, 1, 2))}),
        ((A, B), {"exclusions": tuple(Exclusion(4 + number, 0, 1) for number in range(63))}),
        ((A, B, Step(2, optional=True)), {"exclusions": (Exclusion(4, 0, 2),)}),
        ((A, B), {"order": "any", "exclusions": (Exclusion(4, 0, 1),)}),
        ((A, B), {"anchor_first": True}),
        ((A, B), {"order": "strict", "count_entries": True}),
        ((A, B), {"entry": "first", "count_entries": True}),
        ((A, B), {"order": "any", "strict_ties": True}),
    ],
)
def test_r_f15_what_has_no_meaning_is_refused(steps, also):
    with pytest.raises(ValueError, match=r"\."):
        Funnel(**({"steps": steps, "window": 1, "since": 0, "until": 1} | also))


def test_r_f15_thirty_steps_are_counted():
    question = Funnel(tuple(Step(number) for number in range(30)), 100, 0, 1)
    found = chains_of(stream_of([[(number, {number}) for number in range(30)]]), question)
    assert conversion(found).counts.tolist() == [1] * 30


@pytest.mark.parametrize("order", ["ordered", "strict", "any"])
@pytest.mark.parametrize("history", ["", "1:B 2:D", "1:D"])
def test_nobody_entered(order, history):
    question = asked("AC", order=order)
    found = conversion(chains_of(stream(history), question), [(0, 1)])
    assert found.counts.tolist() == [0, 0]
    assert rates(found.counts, question) == ([None, None], [None, None])
    assert conversion(chains_of(stream(history), asked("AC", count_entries=True))).counts.tolist() == [0, 0]
    assert trend(stream(history), question, [0, DAY]).reached.tolist() == [[0, 0]]
    assert held_chains(stream(history, plan=[0] * len(history.split())), question, ["plan"]).subject.tolist() == []


moments = st.tuples(st.integers(0, 20), st.sets(st.integers(0, 4), max_size=2))
histories = st.lists(st.lists(moments, max_size=8), min_size=2, max_size=12)
funnels = st.builds(
    lambda steps, window, entry, order: Funnel(tuple(map(Step, steps)), window, 0, 20, entry=entry, order=order),
    st.lists(st.integers(0, 3), min_size=2, max_size=4),
    st.integers(1, 25),
    st.sampled_from(["any", "first", "first_ever"]),
    st.sampled_from(["ordered", "strict", "any"]),
)


@settings(deadline=None, max_examples=60)
@given(histories, funnels)
def test_parts_of_disjoint_subjects_add_up_to_the_whole(known, question):
    pairs = question.pairs()
    whole = conversion(chains_of(stream_of(known), question), pairs)
    halves = [[history if number % 2 == half else [] for number, history in enumerate(known)] for half in (0, 1)]
    merged = nothing(question, pairs)
    for half in halves:
        merged = merged.merge(conversion(chains_of(stream_of(half), question), pairs))
    assert merged.counts.tolist() == whole.counts.tolist()
    assert all(sorted(merged.waits[pair].tolist()) == sorted(whole.waits[pair].tolist()) for pair in pairs)


@settings(deadline=None, max_examples=60)
@given(histories, funnels)
def test_counts_never_rise_and_a_wider_window_never_loses(known, question):
    found = conversion(chains_of(stream_of(known), question)).counts
    wider = conversion(chains_of(stream_of(known), replace(question, window=question.window + 5))).counts
    assert (np.diff(found) <= 0).all()
    assert (wider >= found).all()
