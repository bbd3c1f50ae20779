"""Nanoseconds an event of each analytics kernel over one sorted bucket, beside the same question in plain Python over lists.

    python bench/kernels.py [--events 1000000] [--subjects 33000] [--baseline 100000] [--rounds 3] [--only WORD]

One bucket of the lake holds about a sixteenth of all subjects: 1.25 million of 20 million events. Times are process time, the best of the
rounds, over all events of the stream, also those that the question does not look at. The baseline runs on the first `--baseline` events
and includes making lists of them.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from itertools import groupby

import numpy as np

from consentryd.analytics.kernel import attribution
from consentryd.analytics.kernel.conversion import conversion
from consentryd.analytics.kernel.funnel import DAY, Exclusion, Funnel, Step
from consentryd.analytics.kernel.graph import graph
from consentryd.analytics.kernel.hold import held_chains
from consentryd.analytics.kernel.lifecycle import lifecycle, phases
from consentryd.analytics.kernel.paths import Paths
from consentryd.analytics.kernel.retention import Retention, matrix, members_of
from consentryd.analytics.kernel.sessions import Cut, Kinds, sessions
from consentryd.analytics.kernel.solution import chains_of
from consentryd.analytics.kernel.stickiness import habits, stickiness
from consentryd.analytics.kernel.trend import trend
from consentryd.analytics.stream import Stream, one_definition_each

KINDS = 10
SHARES = [0.34, 0.22, 0.14, 0.08, 0.07, 0.05, 0.04, 0.03, 0.02, 0.01]
DAYS = tuple(day * DAY for day in range(31))
WEEKS = tuple(week * 7 * DAY for week in range(6))


def generated(events: int, subjects: int, seed: int = 1) -> Stream:
    """A month of visits with a skewed number of events a subject, pauses from seconds to days."""
    draw = np.random.default_rng(seed)
    weight = draw.pareto(1.3, subjects) + 0.2
    subject = np.sort(draw.choice(np.sort(draw.integers(0, 2**62, subjects)), events, p=weight / weight.sum()))
    moment = draw.integers(0, 30 * DAY, events)
    visit = draw.integers(0, 30, events) * DAY + draw.integers(0, DAY // 12, events)
    when = np.where(draw.random(events) < 0.8, visit, moment)
    order = np.lexsort((when, subject))
    columns = {
        "item": draw.choice(200, events, p=np.arange(200, 0, -1) / 20100).astype(np.int32),
        "plan": draw.integers(0, 6, events).astype(np.int32),
        "session": draw.integers(0, events, events),
    }
    texts = {"item": [f"/page/{number}" for number in range(200)]}
    code = draw.choice(KINDS, events, p=SHARES).astype(np.int16)
    return Stream(subject, when[order], code, one_definition_each(KINDS), columns, texts)


def funnel(*steps: int, **also: object) -> Funnel:
    return Funnel(tuple(Step(step) for step in steps), 7 * DAY, 0, 30 * DAY, **also)  # type: ignore[arg-type]


def counted(question: Funnel) -> Callable[[Stream], object]:
    return lambda stream: conversion(chains_of(stream, question), question.pairs()).counts


DAILY = Retention(0, 1, DAYS, 30, (1,) * 29)
WEEKLY = Retention(0, 1, WEEKS, 4, (1,) * 4, kind="first_match")
KERNELS: dict[str, Callable[[Stream], object]] = {
    "funnel of 3 steps": counted(funnel(0, 1, 2)),
    "funnel of 8 steps": counted(funnel(*range(8))),
    "funnel of 3 rare steps": counted(funnel(6, 7, 8)),
    "funnel with a repeated step": counted(funnel(0, 1, 0)),
    "funnel, strict ties": counted(funnel(0, 1, 2, strict_ties=True)),
    "funnel, rare exclusion": counted(funnel(0, 1, 2, exclusions=(Exclusion(9, 0, 1),))),
    "funnel, frequent exclusion": counted(funnel(0, 1, 2, exclusions=(Exclusion(3, 0, 1),))),
    "funnel, strict order": counted(funnel(0, 1, 2, order="strict")),
    "funnel, any order": counted(funnel(0, 1, 2, order="any")),
    "funnel, entries": counted(funnel(0, 1, 2, count_entries=True)),
    "funnel within a session": lambda stream: held_chains(stream, funnel(0, 1, 2), ["plan"]),
    "funnel by first value": lambda stream: attribution.at_first_step(stream, funnel(0, 1, 2), "plan").conversions(),
    "funnel trend by day": lambda stream: trend(stream, funnel(0, 1, 2), DAYS).reached,
    "retention by day": lambda stream: matrix(members_of(stream, DAILY), DAILY).retained,
    "retention by week, first": lambda stream: matrix(members_of(stream, WEEKLY), WEEKLY).retained,
    "lifecycle by day": lambda stream: lifecycle(phases(stream, 0, DAYS), 29).counts,
    "stickiness by day": lambda stream: stickiness(habits(stream, 0, DAYS), 30).counts,
    "sessions": lambda stream: sessions(stream, Cut(), Kinds(page=0, key=9)),
    "paths of 5 steps": lambda stream: graph(stream, Paths("item")),
}


def histories(stream: Stream) -> list[list[tuple[int, int, int]]]:
    rows = zip(stream.subject.tolist(), stream.time.tolist(), stream.code.tolist(), stream.values["item"].tolist(), strict=True)
    return [[row[1:] for row in group] for _, group in groupby(rows, key=lambda row: row[0])]


def plain_funnel(steps: int) -> Callable[[list[list[tuple[int, int, int]]]], object]:
    def run(known: list[list[tuple[int, int, int]]]) -> list[int]:
        counts = [0] * steps
        for history in known:
            latest: list[int | None] = [None] * steps
            for when, code, _ in history:
                if code < steps:
                    start = when if code == 0 else latest[code - 1]
                    if start is not None and when - start <= 7 * DAY:
                        latest[code] = start
            for step in range(steps):
                counts[step] += latest[step] is not None
        return counts

    return run


def plain_retention(known: list[list[tuple[int, int, int]]]) -> Counter[tuple[int, int]]:
    found: Counter[tuple[int, int]] = Counter()
    for history in known:
        starts = {when // DAY for when, code, _ in history if code == 0}
        returns = {when // DAY for when, code, _ in history if code == 1}
        found.update((start, back - start) for start in starts for back in returns if back > start)
        found.update((start, 0) for start in starts)
    return found


def plain_sessions(known: list[list[tuple[int, int, int]]]) -> list[tuple[int, int]]:
    found = []
    for history in known:
        begin = last = history[0][0]
        for when, _, _ in history:
            if when - last > 1800_000_000 or when - begin > DAY:
                found.append((begin, last))
                begin = when
            last = when
        found.append((begin, last))
    return found


def plain_paths(known: list[list[tuple[int, int, int]]]) -> Counter[tuple[int, int, int]]:
    found: Counter[tuple[int, int, int]] = Counter()
    for history in known:
        step, last, item = 0, None, None
        for when, _, page in history:
            if last is None or when - last > 1800_000_000:
                step, item = 1, page
            elif page != item:
                if step < 5:
                    found[step, item, page] += 1
                step, item = step + 1, page
            last = when
    return found


BASELINES: dict[str, Callable[[list[list[tuple[int, int, int]]]], object]] = {
    "funnel of 3 steps": plain_funnel(3),
    "funnel of 8 steps": plain_funnel(8),
    "retention by day": plain_retention,
    "sessions": plain_sessions,
    "paths of 5 steps": plain_paths,
}


def nanoseconds(work: Callable[[], object], events: int, rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return best / events * 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--subjects", type=int, default=0, help="default: a thirtieth of the events")
    parser.add_argument("--baseline", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    stream = generated(asked.events, asked.subjects or max(asked.events // 30, 1))
    small = Stream(
        *(column[: asked.baseline] for column in stream[:3]),
        stream.masks,
        {n: c[: asked.baseline] for n, c in stream.values.items()},
    )
    print(f"{asked.events:,} events of {len(np.unique(stream.subject)):,} subjects; ns an event")
    print(f"{'':<30}{'kernel':>9}{'plain Python':>15}")
    for name, kernel in KERNELS.items():
        if asked.only not in name:
            continue
        plain = BASELINES.get(name)
        shown = f"{nanoseconds(lambda plain=plain: plain(histories(small)), len(small.code), 1):15.0f}" if plain else ""
        print(
            f"{name:<30}{nanoseconds(lambda kernel=kernel: kernel(stream), asked.events, asked.rounds):9.1f}{shown}", flush=True
        )


if __name__ == "__main__":
    main()
