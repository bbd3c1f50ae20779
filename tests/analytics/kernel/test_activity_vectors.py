"""Vectors and rules of retention, lifecycle, stickiness, sessions and paths (sections 1.3, 1.5 to 1.8 and part 2)."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from consentryd.analytics.kernel.funnel import DAY
from consentryd.analytics.kernel.graph import Edges, Nodes, graph, shown
from consentryd.analytics.kernel.lifecycle import Lifecycle, lifecycle, phases
from consentryd.analytics.kernel.paths import ELLIPSIS, Paths, shortened, walk_of
from consentryd.analytics.kernel.retention import Retention, by_group, matrix, members_of
from consentryd.analytics.kernel.sequences import added, joined, sequences, transitions
from consentryd.analytics.kernel.sessions import ENGAGED, MINUTE, Cut, Kinds, SessionCounts, session_counts, sessions
from consentryd.analytics.kernel.stickiness import habits, stickiness, trailing
from tests.analytics.kernel.histories import by_path, stream_of

START, BACK = 0, 1


def on_days(*days):
    return [(day * DAY + 5, {START, BACK}) for day in days]


def days(first, last):
    return tuple(day * DAY for day in range(first, last + 1))


def rows(found, buckets):
    """The cells that were observed."""
    return [row[: buckets - number].tolist() for number, row in enumerate(found.retained)]


def triangle(stream, edges, **also):
    buckets = len(edges) - 1
    question = Retention(START, BACK, edges, buckets, (1,) * (buckets - 1), **also)
    return rows(matrix(members_of(stream, question), question), buckets)


def test_r1_daily_retention_of_recurring_cohorts():
    stream = stream_of([on_days(0, 1, 2, 5, 5, 6), on_days(1, 2, 3, 6)])
    assert triangle(stream, days(0, 11)) == [
        [1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0],
        [2, 2, 1, 0, 1, 2, 0, 0, 0, 0],
        [2, 1, 0, 1, 2, 0, 0, 0, 0],
        [1, 0, 0, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [2, 0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0],
        [0, 0],
        [0],
    ]


def on_dates(*texts):
    return on_days(*((date.fromisoformat(f"2020-{text}") - date(2020, 6, 7)).days for text in texts))


def weeks(first):
    return tuple(first * DAY + week * 7 * DAY for week in range(8))


def test_r3_weekly_retention_begins_weeks_where_they_are_said_to():
    stream = stream_of(
        [
            on_dates("06-10", "06-11", "06-17", "06-24", "07-04", "07-11"),
            on_dates("06-10", "06-11", "06-17", "07-04", "07-11", "07-25"),
        ]
    )
    assert date(2020, 6, 7) + timedelta(weeks=7) == date(2020, 7, 26)
    assert triangle(stream, weeks(0)) == [
        [2, 2, 1, 2, 2, 0, 1],
        [2, 1, 2, 2, 0, 1],
        [1, 1, 1, 0, 0],
        [2, 2, 0, 1],
        [2, 0, 1],
        [0, 0],
        [1],
    ]
    assert triangle(stream, weeks(1)) == [
        [2, 2, 1, 2, 2, 0, 1],
        [2, 1, 2, 2, 0, 1],
        [1, 1, 1, 0, 0],
        [2, 2, 0, 1],
        [2, 0, 1],
        [0, 0],
        [1],
    ]


def test_r4_on_or_after():
    stream = stream_of([on_days(0, 3, 4), on_days(0, 1), on_days(1, 2, 3), on_days(3, 4), on_days(4)])
    assert triangle(stream, days(0, 6), or_after=True) == [
        [2, 2, 1, 1, 1, 0],
        [2, 1, 1, 0, 0],
        [1, 1, 0, 0],
        [3, 2, 0],
        [3, 0],
        [0],
    ]
    assert triangle(stream, days(1, 6), or_after=True) == [[2, 1, 1, 0, 0], [1, 1, 0, 0], [3, 2, 0], [3, 0], [0]]


def test_r5_occurrences_are_asked_of_returns_not_of_starts():
    stream = stream_of([on_days(0, 1, 1, 2), on_days(0, 0, 1)])
    assert triangle(stream, days(0, 3), min_occurrences=2) == [[2, 1, 0], [2, 0], [1]]


def test_first_cohorts_hold_each_subject_once():
    history = [(1 * DAY, {2}), (2 * DAY, {START, 2}), (4 * DAY, {START, BACK, 2})]
    question = {"start": START, "back": BACK, "edges": days(2, 6), "cohorts": 4, "brackets": (1, 1, 1)}
    for kind, event, sizes in [
        ("recurring", None, [1, 0, 1, 0]),
        ("first_match", None, [1, 0, 0, 0]),
        ("first_ever", 2, [0, 0, 0, 0]),
    ]:
        asked = Retention(**question, kind=kind, event=event)
        assert matrix(members_of(stream_of([history]), asked), asked).size.tolist() == sizes


def test_rolling_units_begin_at_the_first_start_and_know_the_latest_one():
    stream = stream_of([[(10, {START}), (DAY + 9, {BACK}), (2 * DAY + 10, {BACK})], [(20, {START})]])
    question = Retention(START, BACK, days(0, 4), 1, (1, 1, 1), unit=DAY, zero_returned=True)
    found = matrix(members_of(stream, question), question)
    assert (found.size.tolist(), found.retained.tolist(), found.latest.tolist()) == ([2], [[1, 0, 1, 0]], [20])


def test_brackets_are_neighbouring_ranges_of_days():
    stream = stream_of([on_days(0, 3), on_days(0, 7), on_days(0, 8, 14)])
    question = Retention(START, BACK, days(0, 16), 1, (1, 2, 4, 7))
    members = members_of(stream, question)
    assert matrix(members, question).retained.tolist() == [[3, 0, 1, 1, 1]]
    assert members.subjects_at(0, 4).tolist() == [12]


def test_retention_adds_up_a_property_and_is_broken_down_by_the_first_start():
    stream = stream_of([on_days(0, 1, 1), on_days(0, 1)], plan=[4, 5, 5, -1, 4], amount=[1.0, 2.5, float("nan"), 8.0, 3.0])
    question = Retention(START, BACK, days(0, 2), 1, (1,), group="plan", metric="amount")
    found = by_group(members_of(stream, question), question)
    assert {value: (part.matrix.size.tolist(), part.matrix.amount.tolist(), part.people) for value, part in found.items()} == {
        4: ([1], [[1.0, 2.5]], 1),
        -1: ([1], [[8.0, 3.0]], 1),
    }
    whole = found[4].merge(found[-1]).matrix
    assert (whole.size.tolist(), whole.retained.tolist(), whole.amount.tolist()) == ([2], [[2, 2]], [[9.0, 5.5]])


@pytest.mark.parametrize(
    "also",
    [
        {"cohorts": 0},
        {"cohorts": 9},
        {"brackets": ()},
        {"brackets": (0,)},
        {"min_occurrences": 0},
        {"unit": 0},
        {"kind": "first_ever"},
        {"event": 2},
    ],
)
def test_retention_that_means_nothing_is_refused(also):
    with pytest.raises(ValueError, match=r"\."):
        Retention(**({"start": 0, "back": 1, "edges": days(0, 3), "cohorts": 3, "brackets": (1,)} | also))


def test_l1_lifecycle_by_day():
    found = phases(stream_of([on_days(9, 11, 12, 13, 15, 17, 18, 19)]), START, days(8, 20))
    by_status = {status: sorted((found.bucket[found.status == number] + 9).tolist()) for number, status in enumerate("nrzd")}
    assert by_status == {"n": [9], "r": [12, 13, 18, 19], "z": [11, 15, 17], "d": [10, 14, 16]}
    assert found.subjects_at(0, 0).tolist() == [10]


def test_lifecycle_looks_one_bucket_back_and_knows_earlier_firsts():
    stream = stream_of([on_days(0), on_days(2)])
    found = lifecycle(phases(stream, START, days(0, 4)), 3)
    assert found.counts.tolist() == [[0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 1]]
    assert found.quick_ratio() == [0, None, 0]
    known = lifecycle(phases(stream, START, days(0, 4), (np.array([3, 11]), np.array([0, -DAY]))), 3)
    assert known.counts.tolist() == [[0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert found.merge(Lifecycle(found.counts)).counts.sum() == 6


def test_lifecycle_explains_every_change_of_active_subjects():
    draw = np.random.default_rng(4)
    stream = stream_of([on_days(*draw.integers(0, 14, 6)) for _ in range(60)])
    counts = lifecycle(phases(stream, START, days(0, 14)), 13).counts
    active = counts[:, :3].sum(axis=1)
    assert (active[1:] == active[:-1] - counts[1:, 3] + counts[1:, 0] + counts[1:, 2]).all()
    assert active.tolist() == trailing(stream, START, days(0, 14), 1)[1:].tolist()


def test_stickiness_counts_buckets_by_subject():
    found = stickiness(habits(stream_of([on_days(0, 0, 1), on_days(2), on_days(0, 1, 2)]), START, days(0, 3)), 3)
    assert (found.counts.tolist(), found.cumulative().tolist(), found.mean()) == ([1, 1, 1], [3, 2, 1], 2)
    twice = habits(stream_of([on_days(0, 0, 1), on_days(2)]), START, days(0, 3), 2)
    assert stickiness(twice, 3).counts.tolist() == [1, 0, 0]
    assert stickiness(habits(stream_of([on_days(0, 0, 1)]), START, days(0, 3), 1, "="), 3).counts.tolist() == [1, 0, 0]
    assert stickiness(habits(stream_of([[]]), START, days(0, 3)), 3).mean() is None


def test_trailing_windows_include_their_last_day():
    assert trailing(stream_of([on_days(0), on_days(0, 3)]), START, days(0, 9), 7).tolist() == [2, 2, 2, 2, 2, 2, 2, 1, 1]


PAGE, KEY, OTHER, CAPTURED = range(4)
KINDS = Kinds(PAGE, KEY, OTHER, CAPTURED)


def at(*moments, kind=PAGE):
    return [(moment, {kind}) for moment in moments]


def test_a_pause_of_exactly_thirty_minutes_stays_in_the_session():
    stream = stream_of([at(0, 30 * MINUTE, 60 * MINUTE + 1)])
    assert sessions(stream, Cut(), KINDS).events.tolist() == [2, 1]
    assert sessions(stream, Cut(closed=True), KINDS).events.tolist() == [1, 1, 1]


def test_midnight_does_not_split_but_a_day_does():
    stream = stream_of([at(*range(0, 60 * 60 * MINUTE, 20 * MINUTE))])
    found = sessions(stream, Cut(), KINDS)
    assert found.events.tolist() == [73, 73, 34]
    assert found.duration.max() == 24 * 60 * MINUTE


def test_devices_and_client_sessions_are_kept_apart_and_campaigns_split():
    stream = stream_of([at(0, 1, 2, 3, 4)], session=[7, 8, 7, 8, -1], campaign=[-1, -1, 4, 4, 5])
    apart = sessions(stream, Cut(apart=("session",)), KINDS)
    assert sorted(zip(apart.start.tolist(), apart.events.tolist(), apart.last.tolist(), strict=True)) == [
        (0, 2, 2),
        (1, 2, 3),
        (4, 1, 4),
    ]
    assert sessions(stream, Cut(campaign="campaign"), KINDS).events.tolist() == [2, 2, 1]


def test_bounces_under_three_definitions():
    stream = stream_of(
        [
            at(0),
            at(0, 5),
            [(0, {PAGE}), (5, {OTHER})],
            [(0, {PAGE}), (5, {KEY})],
            [(0, {PAGE}), (5, {CAPTURED})],
            [(0, {PAGE}), (ENGAGED, {CAPTURED})],
        ]
    )
    found = sessions(stream, Cut(), KINDS)
    assert found.bounced().tolist() == [True, False, True, False, True, False]
    assert found.bounced("single_pageview").tolist() == [True, False, False, True, True, True]
    assert found.bounced("posthog").tolist() == [True, False, True, True, False, False]


def test_a_session_counts_where_it_starts_and_has_an_entry_and_an_exit():
    stream = stream_of([[(DAY - 1, {OTHER}), (DAY, {PAGE}), (DAY + 1, {PAGE}), (DAY + 9, {OTHER})], at(DAY + 5)])
    found = sessions(stream, Cut(), KINDS)
    assert (found.entry.tolist(), found.exit.tolist()) == ([1, 4], [2, 4])
    counted = session_counts(found, days(0, 2))
    assert [counted.sessions.tolist(), counted.events.tolist(), counted.pages.tolist()] == [[1, 1], [4, 1], [2, 1]]
    assert (counted.microseconds.tolist(), counted.lasting.tolist(), counted.several, counted.median()) == ([10, 0], [10], 1, 5.0)
    assert SessionCounts.joined([counted, counted]).bounces.tolist() == [0, 2]


def test_the_median_of_durations_counts_sessions_that_took_no_time():
    rng = np.random.default_rng(3)
    for number in range(60):
        own = rng.choice([0, 0, 3, 4, 9, 25], size=number % 8)
        stream = stream_of([at(*{0, int(length)}) for length in own])
        found = session_counts(sessions(stream, Cut(), KINDS), days(0, 1))
        expected = float(np.median(own)) if len(own) else None
        assert (found.median(), SessionCounts.joined([found, found]).median()) == (expected, expected)
        assert found.several == int((own > 0).sum())


def test_the_name_of_a_session_depends_on_subject_and_start_alone():
    one = sessions(stream_of([at(0, 5), at(0)]), Cut(), KINDS).identity.tolist()
    assert len(set(one)) == 2
    assert min(one) >= 0
    assert sessions(stream_of([at(0, 7, 9)]), Cut(), KINDS).identity.tolist() == one[:1]


SITE = ["/", "/about", "/pricing"]
SECOND = 1_000_000


def visits(*paths):
    """`"0:/ 420:/about"`: seconds and pages of one subject."""
    histories = [[(int(time) * SECOND, page) for time, page in (visit.split(":") for visit in path.split())] for path in paths]
    items = [SITE.index(page) if page in SITE else -1 for history in histories for _, page in history]
    return stream_of([at(*(time for time, _ in history)) for history in histories], page=items, texts={"page": SITE})


def lines(stream, question, **also):
    _, edges = graph(stream, question)
    found = shown(edges, SITE, question, **also)
    return [f"{edge.step}_{edge.origin} {edge.step + 1}_{edge.target} {edge.passages}" for edge in found.edges]


def test_p1_paths():
    stream = visits("0:/ 420:/about", "0:/ 420:/pricing 480:/about", "0:/pricing 420:/", "0:/ 420:/pricing")
    assert lines(stream, Paths("page")) == ["1_/ 2_/pricing 2", "1_/ 2_/about 1", "1_/pricing 2_/ 1", "2_/pricing 3_/about 1"]
    nodes, edges = graph(stream, Paths("page"))
    assert shown(edges, SITE, Paths("page")).edges[0][4:] == (2, 420, 420)
    assert {(int(s), SITE[i]): (int(n), int(n - c)) for s, i, n, c, *_ in zip(*nodes, strict=True)} == {
        (1, "/"): (3, 0),
        (1, "/pricing"): (1, 0),
        (2, "/"): (1, 1),
        (2, "/about"): (1, 1),
        (2, "/pricing"): (2, 1),
        (3, "/about"): (1, 1),
    }


def test_p1_two_pages_at_one_instant_do_not_cut_the_session():
    for path in ("0:/ 0:/about", "0:/about 0:/"):
        assert lines(visits(path), Paths("page")) == ["1_/ 2_/about 1"]


def test_only_what_hangs_together_with_the_first_step_is_shown():
    stream = visits("0:/ 1:/about 2:/pricing", "0:/pricing 1:/about 2:/pricing", "0:/ 1:/about")
    assert lines(stream, Paths("page"), limit=2) == ["1_/ 2_/about 2", "2_/about 3_/pricing 2"]
    assert lines(stream, Paths("page"), weights=(1, 1)) == ["1_/pricing 2_/about 1"]
    assert shown(graph(stream, Paths("page"))[1], SITE, Paths("page"), limit=1).covered == 2 / 5
    assert shown(graph(visits("0:/"), Paths("page"))[1], SITE, Paths("page")).covered is None


def test_paths_begin_and_end_where_they_are_asked_to():
    stream = visits("0:/pricing 1:/ 2:/about 3:/ 4:/pricing", "0:/about")
    assert lines(stream, Paths("page", start=0)) == ["1_/ 2_/about 1", "2_/about 3_/ 1", "3_/ 4_/pricing 1"]
    assert lines(stream, Paths("page", end=1)) == ["3_/pricing 4_/ 1", "4_/ 5_/about 1"]
    assert lines(stream, Paths("page", start=0, end=2, steps=2)) == ["1_/ 2_... 1", "2_... 3_/pricing 1"]
    both = Paths("page", start=0, end=2, steps=2)
    assert shortened(walk_of(stream, both), both)[0].item.tolist() == [0, ELLIPSIS, 2]


def test_repeats_are_one_visit_from_their_first_time_and_gaps_cut():
    stream = visits("0:/ 10:/ 20:/about 1000000:/")
    _, edges = graph(stream, Paths("page"))
    assert edges.taken.tolist() == [20 * SECOND]
    assert lines(stream, Paths("page", collapse_repeats=False)) == ["1_/ 2_/ 1", "2_/ 3_/about 1"]
    assert lines(stream, Paths("page", Cut(gap=None, length=None))) == ["1_/ 2_/about 1", "2_/about 3_/ 1"]


def test_graphs_of_disjoint_subjects_add_up():
    paths = [
        "0:/ 420:/about",
        "0:/ 400:/pricing 480:/about",
        "0:/pricing 420:/",
        "0:/ 440:/pricing",
        "0:/ 1:/about 9999:/ 10000:/about",
    ]
    whole = graph(visits(*paths), Paths("page"))
    halves = [[path if number in half else "" for number, path in enumerate(paths)] for half in ({0, 2, 4}, {1, 3})]
    parts = [graph(visits(*half), Paths("page")) for half in halves]
    nodes, edges = Nodes.joined([part[0] for part in parts]), Edges.joined([part[1] for part in parts])
    for got, expected in zip([*nodes, *edges[:5]], [*whole[0], *whole[1][:5]], strict=True):
        assert got.tolist() == expected.tolist()
    assert shown(edges, SITE, Paths("page")) == shown(whole[1], SITE, Paths("page"))
    assert shown(edges, SITE, Paths("page")).edges[0][3:5] == (3, 2)


def test_top_paths_hold_whole_sequences_and_durations():
    walk = walk_of(visits("0:/ 420:/about", "0:/ 20:/about", "0:/about"), Paths("page"))
    one = visits("0:/about", "0:/pricing 7:/", "0:/ 5:/about 6:/")
    other = walk_of(one._replace(subject=one.subject + 5), Paths("page"))
    assert by_path(joined([sequences(walk, counted=True), sequences(other, counted=True)])) == {
        (0, 1): (2, 2, [420 * SECOND, 20 * SECOND]),
        (1,): (2, 2, [0, 0]),
        (2, 0): (1, 1, [7 * SECOND]),
        (0, 1, 0): (1, 1, [6 * SECOND]),
    }


def test_paths_of_many_steps_and_items_are_told_apart():
    """Twenty items out of a million do not fit 63 bits at once."""
    ways = [[(7_919 * step + way) % 1_000_003 for step in range(20)] for way in (0, 1, 2, 1)]
    ways[2][:19] = ways[1][:19]
    stream = stream_of([at(*range(20)) for _ in ways], page=[item for way in ways for item in way], texts={"page": []})
    found = by_path(sequences(walk_of(stream, Paths("page", steps=20)), counted=True))
    assert found == {tuple(ways[0]): (1, 1, [19]), tuple(ways[1]): (2, 2, [19, 19]), tuple(ways[2]): (1, 1, [19])}


def test_transitions_have_artificial_ends_and_shares():
    walk = walk_of(visits("0:/ 420:/about", "0:/"), Paths("page"))
    found = added([transitions(walk), transitions(walk)])
    shares = {(int(a), int(b)): (int(n), share) for a, b, n, share in zip(*found[:3], found.shares(), strict=True)}
    assert shares == {(-3, 0): (4, 1), (0, 1): (2, 0.5), (0, -4): (2, 0.5), (1, -4): (2, 1)}


@pytest.mark.parametrize("steps", [1, 21])
def test_paths_have_two_to_twenty_steps(steps):
    with pytest.raises(ValueError, match="2 to 20"):
        Paths("page", steps=steps)


def test_pauses_are_positive():
    with pytest.raises(ValueError, match="positive"):
        Cut(gap=0)


def test_empty_streams_give_empty_answers():
    stream = stream_of([], page=[], texts={"page": SITE})
    question = Retention(START, BACK, days(0, 3), 2, (1,))
    assert matrix(members_of(stream, question), question).size.tolist() == [0, 0]
    assert lifecycle(phases(stream, START, days(0, 3)), 2).counts.sum() == 0
    assert trailing(stream, START, days(0, 3), 2).tolist() == [0, 0, 0]
    assert len(sessions(stream, Cut(apart=("page",), campaign="page"), KINDS).start) == 0
    assert [len(part[0]) for part in graph(stream, Paths("page", start=0, end=1))] == [0, 0]
    walk = walk_of(stream, Paths("page"))
    assert [len(column) for column in joined([sequences(walk, counted=True)])] == [0] * 8
    assert [len(column) for column in added([transitions(walk), transitions(walk, counted=True)])] == [0] * 4
