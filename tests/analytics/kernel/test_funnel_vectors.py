"""The funnel vectors of the analytics specification (its part 2)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from consentryd.analytics.kernel import attribution
from consentryd.analytics.kernel.conversion import SECOND, conversion, histogram, summary
from consentryd.analytics.kernel.funnel import DAY, Exclusion, Funnel, Step, window_days
from consentryd.analytics.kernel.solution import chains_of
from tests.analytics.kernel.histories import lettered, stream_of

SPIT = "SPITQ"


def asked(steps, **also):
    """A funnel over the letters of `SPIT`, 14 days wide, open to all entries."""
    return Funnel(tuple(Step(SPIT.index(step)) for step in steps), window_days(14), 0, 100 * DAY, **also)


def counts_of(question, *histories, letters=SPIT + "x"):
    stream = stream_of([lettered(history, letters) for history in histories])
    return conversion(chains_of(stream, question)).counts.tolist()


def test_f1_repeated_steps_out_of_order():
    histories = ["1:S", "1:S 2:P", "1:P 2:S 3:b 4:P", "1:b 2:P 3:b 4:P 5:S 6:P", "1:S 2:P 3:b 4:P 5:P 6:P", "1:P 2:b 3:P 4:P 5:P"]
    assert counts_of(asked("SPPPP"), *histories) == [5, 4, 1, 1, 1]


@pytest.mark.parametrize(
    ("between", "who"),
    [((0, 1), {10, 11}), ((1, 2), {11, 12}), ((2, 3), {12}), ((3, 4), set()), ((1, 3), {12})],
)
def test_f2_an_exclusion_between_each_pair(between, who):
    histories = [
        "1:S 2:P 3:x 4:I 4.5:x 5:T 5.5:x 6:Q",
        "1:S 2:P 4:I 4.5:x 5:T 5.5:x 6:Q",
        "1:S 1.5:x 2:P 4:I 5:T 5.5:x 6:Q",
    ]
    stream = stream_of([lettered(history, SPIT + "x") for history in histories])
    chains = chains_of(stream, asked("SPITQ", exclusions=(Exclusion(5, *between),)))
    assert set(chains.subjects_at(0).tolist()) == set(chains.subjects_at(4).tolist()) == who
    assert conversion(chains).excluded == 3 - len(who)


def test_f4_an_exclusion_after_the_window_excludes_nobody():
    question = replace(asked("SP", exclusions=(Exclusion(5, 0, 1),)), window=10 * SECOND)
    assert counts_of(question, "0:S 11:x 12:P") == [1, 0]


def test_f5_ten_steps_at_one_instant_convert_in_whichever_order_they_lie():
    question = Funnel(tuple(Step(number) for number in range(10)), window_days(14), 0, DAY)
    for order in ([9, 3, 0, 7, 1, 8, 2, 5, 6, 4], list(range(10)), list(range(9, -1, -1))):
        stream = stream_of([[(5, {definition}) for definition in order]])
        assert conversion(chains_of(stream, question)).counts.tolist() == [1] * 10


def test_f6_one_instant_with_two_definitions():
    assert counts_of(asked("SP"), "1:P 1:S", "1:S") == [2, 1]


F7 = ["1:S", "1:P 2:S", "1:S 2:P 3:b 4:I", "1:I 2:P 3:S", "1:P 2:S 3:b 4:P 5:I", "1:b 2:I", "1:P 2:b", "1:I 2:P"]


def test_f7_any_order():
    assert counts_of(asked("SPI", order="any"), *F7) == [8, 5, 3]
    chains = chains_of(stream_of([lettered(history, SPIT) for history in F7]), asked("SPI", order="any"))
    assert chains.subjects_at(1).tolist() == [11, 12, 13, 14, 17]
    assert chains.dropped_before(1, 0).tolist() == [10, 15, 16]


def test_f9_several_first_values_put_a_subject_into_each_group():
    stream = stream_of([lettered("1:S 2:S 3:P", SPIT)], plan=[0, 1, 0])
    grouped = attribution.at_first_step(stream, asked("SP"), "plan")
    assert grouped.overlap
    assert {value: found.counts.tolist() for value, found in grouped.conversions().items()} == {0: [1, 1], 1: [1, 1]}


def test_f10_all_steps_with_one_value():
    hour = 3600
    history = f"{12 * hour}:S {36.5 * hour}:P {37 * hour}:S {38 * hour}:P"
    stream = stream_of([lettered(history, SPIT)], browser=[0, 1, 1, 1])
    found = attribution.all_steps(stream, asked("SP"), "browser").conversions(((0, 1),))
    assert found[0].counts.tolist() == [1, 0]
    assert found[1].counts.tolist() == [1, 1]
    assert summary(found[1].waits[0, 1])[:3] == (1, 3600, 3600)


@pytest.mark.parametrize(("days", "window"), [(None, 14), (0, 14), (-1, 14), (7, 7)])
def test_c1_the_default_window(days, window):
    assert window_days(days) == window * DAY > 0


def test_t1_bins_are_the_cube_root_of_the_sample_and_equally_wide():
    assert histogram(np.array([2220, 2220, 82800]) * SECOND) == (2220, 40290, [2, 1])


def test_t2_a_single_duration_is_one_bin_of_a_minute():
    assert histogram(np.array([3600]) * SECOND) == (3600, 60, [1])
    assert histogram(np.array([3600] * 8) * SECOND) == (3600, 60, [8, 0])


def test_t3_bins_are_a_second_wide_at_least_and_ninety_at_most():
    assert histogram(np.arange(8) * 1000) == (0, 1, [8, 0])
    found = histogram(np.arange(1_000_000) * SECOND)
    assert (len(found.counts), found.width, sum(found.counts)) == (90, 11112, 1_000_000)
    assert len(histogram(np.arange(27) * SECOND).counts) == 3
    assert len(histogram(np.arange(28) * SECOND).counts) == 4


def test_t4_compared_samples_share_their_edges():
    now, then = np.array([10, 20, 30]) * SECOND, np.array([0, 40, 100, 20, 20, 20]) * SECOND
    assert histogram(now, then) == (0, 34, [3, 0, 0])
    assert histogram(then, now) == (0, 34, [4, 1, 1])
    assert histogram(np.array([], np.int64)) is None
    assert histogram(np.array([], np.int64), then).counts == [0, 0]
