"""Retention, lifecycle, stickiness, sessions and paths of random histories against the reference."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest

from consentryd.analytics.kernel.graph import graph_of
from consentryd.analytics.kernel.lifecycle import STATUSES, phases
from consentryd.analytics.kernel.paths import Paths, shortened, walk_of
from consentryd.analytics.kernel.retention import Retention, members_of
from consentryd.analytics.kernel.sequences import sequences, transitions
from consentryd.analytics.kernel.sessions import Cut, Kinds, sessions
from consentryd.analytics.kernel.stickiness import habits, trailing
from tests.analytics import reference_activity as reference
from tests.analytics.kernel.histories import by_path, stream_of

START, BACK, EVENT = range(3)
KINDS = [{START}, {BACK}, {START, BACK}, {EVENT}, {START, EVENT}, {START, BACK, EVENT}, set()]
EDGES = (5, 9, 10, 14, 21, 25, 30)


def draw_histories(draw, span=36, longest=12):
    return [[(draw.randrange(span), draw.choice(KINDS)) for _ in range(draw.randrange(longest))] for _ in range(25)]


def retention(draw):
    kind = draw.choice(["recurring", "first_match", "first_ever"])
    return Retention(
        START,
        BACK,
        EDGES,
        draw.choice([2, 4, 6]),
        draw.choice([(1, 1, 1), (1, 1, 1, 1, 1), (1, 2, 1), (2, 3)]),
        kind=kind,
        event=EVENT if kind == "first_ever" else None,
        or_after=draw.random() < 0.5,
        unit=draw.choice([None, None, 4]),
        min_occurrences=draw.choice([1, 1, 2]),
        zero_returned=draw.random() < 0.5,
        count_events=draw.random() < 0.5,
    )


def compare_retention(seed, rounds):
    draw = random.Random(f"retention {seed}")
    for _ in range(rounds):
        question, histories = retention(draw), draw_histories(draw)
        found = members_of(stream_of(histories), question)
        lines = {}
        for subject, cohort, time, _, returned, amount in zip(*found, strict=True):
            lines[int(subject), int(cohort)] = (int(time), returned.tolist(), amount.tolist())
        for number, history in enumerate(histories):
            for cohort, entered in reference.members(history, question).items():
                returned, events = reference.retained(history, question, cohort, entered)
                time, got, amount = lines.pop((10 + number, cohort))
                assert (time, got) == (entered, returned), (question, history)
                assert amount == (events if question.count_events else []), (question, history)
        assert not lines


def compare_lifecycle(seed, rounds):
    draw = random.Random(f"lifecycle {seed}")
    for _ in range(rounds):
        histories = draw_histories(draw)
        found = phases(stream_of(histories), START, EDGES)
        got = Counter((int(s), int(b), STATUSES[p]) for s, b, p in zip(*found, strict=True))
        assert got == Counter(
            (10 + n, *line) for n, history in enumerate(histories) for line in reference.phases(history, START, EDGES)
        )


def compare_stickiness(seed, rounds):
    draw = random.Random(f"stickiness {seed}")
    for _ in range(rounds):
        histories, times, length = draw_histories(draw), draw.choice([1, 2]), draw.choice([1, 2, 3, 9])
        found = habits(stream_of(histories), START, EDGES, times)
        expected = {10 + number: reference.habit(history, START, EDGES, times) for number, history in enumerate(histories)}
        assert dict(zip(found.subject.tolist(), found.buckets.tolist(), strict=True)) == {s: n for s, n in expected.items() if n}
        active = [reference.trailing(history, START, EDGES, length) for history in histories]
        assert trailing(stream_of(histories), START, EDGES, length).tolist() == [sum(day) for day in zip(*active, strict=True)]


def draw_cut(draw):
    return Cut(
        gap=draw.choice([None, 2, 4]),
        length=draw.choice([None, 3, 8]),
        closed=draw.random() < 0.3,
        apart=draw.choice([(), (), ("device",), ("device", "session")]),
        campaign=draw.choice([None, "campaign"]),
    )


def compare_sessions(seed, rounds):
    draw = random.Random(f"sessions {seed}")
    for _ in range(rounds):
        cut, histories = draw_cut(draw), draw_histories(draw, span=40)
        histories = [
            [*{time: (time, done) for time, done in sorted(history, key=lambda e: e[0])}.values()] for history in histories
        ]
        columns = {name: [draw.choice([-1, 0, 1]) for h in histories for _ in h] for name in ("device", "session", "campaign")}
        found = sessions(stream_of(histories, **columns), cut, Kinds(page=START, key=EVENT, interactive=BACK))
        columns_of = (found.subject, found.start, found.end, found.events, found.pages, found.keys, found.others)
        got = [tuple(map(int, line)) for line in zip(*columns_of, strict=True)]
        place, expected = 0, []
        for number, history in enumerate(histories):
            events = []
            for time, done in history:
                events.append(
                    {"time": time, "done": done, "place": place} | {name: column[place] for name, column in columns.items()}
                )
                place += 1
            for session in reference.sessions(events, cut):
                counts = [sum(wanted(event["done"]) for event in session) for wanted in (_page, _key, _other)]
                expected.append((10 + number, session[0]["time"], session[-1]["time"], len(session), *counts))
        assert sorted(got) == sorted(expected), cut
        _check_pages(found, histories)


def _page(done):
    return START in done


def _key(done):
    return EVENT in done


def _other(done):
    return BACK in done and START not in done


def _check_pages(found, histories):
    flat = [event for history in histories for event in history]
    for start, end, pages, entry, leave, first, last in zip(
        found.start, found.end, found.pages, found.entry, found.exit, found.first, found.last, strict=True
    ):
        assert (flat[first][0], flat[last][0]) == (start, end)
        assert (pages == 0) == (entry == -1) == (leave == -1)
        if pages:
            assert start <= flat[entry][0] <= flat[leave][0] <= end
            assert _page(flat[entry][1])
            assert _page(flat[leave][1])


def compare_paths(seed, rounds):
    draw = random.Random(f"paths {seed}")
    for _ in range(rounds):
        question = Paths(
            "item",
            Cut(gap=draw.choice([None, 3]), length=draw.choice([None, 9])),
            steps=draw.choice([2, 3, 5]),
            start=draw.choice([None, 0, 9]) if draw.random() < 0.6 else None,
            end=draw.choice([None, 1]),
            collapse_repeats=draw.random() < 0.7,
        )
        histories = draw_histories(draw, span=30, longest=16)
        items = [draw.choice([-1, 0, 1, 2]) for history in histories for _ in history]
        stream = stream_of(histories, item=items, texts={"item": ["a", "b", "c"]})
        visits = expected_visits(histories, items, question)
        check_graph(graph_of(*shortened(walk_of(stream, question), question), counted=True), visits)
        check_sequences(stream, question, visits)


def expected_visits(histories, items, question):
    flat, found = iter(items), []
    for number, history in enumerate(histories):
        events = sorted(
            ({"time": time, "item": next(flat)} for time, _ in history), key=lambda event: (event["time"], event["item"])
        )
        cut = reference.sessions(events, question.cut)
        found += [(number, reference.path([(event["time"], event["item"]) for event in session], question)) for session in cut]
    return [(number, path) for number, path in found if path]


def check_graph(found, visits):
    nodes, edges = found
    arrivals = Counter((step, item) for _, path in visits for step, _, item in path)
    assert {(int(s), int(i)): int(n) for s, i, n, *_ in zip(*nodes, strict=True)} == arrivals
    passages = [(a[0], a[2], b[2], number, b[1] - a[1]) for number, path in visits for a, b in pairwise(path)]
    expected = Counter(passage[:3] for passage in passages)
    subjects = Counter(passage[:3] for passage in {passage[:4] for passage in passages})
    got = list(zip(*(column.tolist() for column in edges[:5]), strict=True))
    assert {line[:3]: line[3:] for line in got} == {edge: (n, subjects[edge]) for edge, n in expected.items()}
    for place, line in enumerate(got):
        taken = edges.taken[edges.edge == place]
        assert sorted(taken.tolist()) == sorted(passage[4] for passage in passages if passage[:3] == line[:3])
    assert {(int(s), int(i)): int(n) for s, i, n in zip(nodes.step, nodes.item, nodes.subjects, strict=True)} == Counter(
        visit[:2] for visit in {(step, item, number) for number, path in visits for step, _, item in path}
    )
    assert int((nodes.arrivals - nodes.continued).sum()) == len(visits)


def check_sequences(stream, question, visits):
    walk, _ = shortened(walk_of(stream, question), question)
    paths = [(number, tuple(item for _, _, item in path), path[-1][1] - path[0][1]) for number, path in visits]
    expected = Counter(path for _, path, _ in paths)
    people = Counter(path for _, path in {path[:2] for path in paths})
    found, plain = sequences(walk, counted=True), sequences(walk)
    assert {path: each[:2] for path, each in by_path(found).items()} == {path: (n, people[path]) for path, n in expected.items()}
    for path, (_, _, taken) in by_path(found).items():
        assert sorted(taken) == sorted(length for _, own, length in paths if own == path)
    assert {path: (n, taken) for path, (n, _, taken) in by_path(plain).items()} == {
        path: (n, taken) for path, (n, _, taken) in by_path(found).items()
    }
    pairs = [(number, pair) for number, path, _ in paths for pair in zip((-3, *path), (*path, -4), strict=True)]
    followed, people = Counter(pair for _, pair in pairs), Counter(pair for _, pair in set(pairs))
    assert told(transitions(walk)) == {pair: (n, 0) for pair, n in followed.items()}
    assert told(transitions(walk, counted=True)) == {pair: (n, people[pair]) for pair, n in followed.items()}


def told(transitions):
    return {(int(a), int(b)): (int(n), int(people)) for a, b, n, people in zip(*transitions, strict=True)}


COMPARISONS = [compare_retention, compare_lifecycle, compare_stickiness, compare_sessions, compare_paths]


@pytest.mark.parametrize("compare", COMPARISONS)
def test_histories_give_what_the_definitions_give(compare):
    compare(1, 60)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("compare", COMPARISONS)
def test_many_histories_give_what_the_definitions_give(compare):
    compare(2, 1_000)
