"""Answering retention: everybody, and groups by values of properties or by saved cohorts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

import numpy as np

from consentryd.analytics.asked import Asked
from consentryd.analytics.binning import edges_of
from consentryd.analytics.breakdown import EVERYONE_LABEL, OTHER_LABEL
from consentryd.analytics.exchange import MONEY
from consentryd.analytics.group import values_label
from consentryd.analytics.kernel.retention import Grouped, Matrix, Retention
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import Period
from consentryd.analytics.region_view import Span
from consentryd.analytics.retention.model import RetentionGroup, RetentionQuery, RetentionResult
from consentryd.analytics.retention.run import GROUP, OTHER, Run
from consentryd.analytics.retention.told import Told, hidden_of, hidden_of_groups
from consentryd.analytics.stream import NONE
from consentryd.analytics.streaming import Selection


class _Groups(NamedTuple):
    """The groups shown, how many were left out for being small, and how many of their cells are not shown."""

    shown: list[RetentionGroup]
    suppressed: int = 0
    cells: int = 0


def answer(question: RetentionQuery, asked: Asked, entered: Period | None = None) -> RetentionResult:
    """Of those who started in a part of the range, if one is given. Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    run = run_of(question, asked)
    if entered is not None and (entered.since, entered.until) != (run.period.since, run.period.until):
        run = replace(run, entered=(entered.since, entered.until))
    if question.property == MONEY:
        run.warn_unconverted()
    run.check_room(1, 1 + len(question.named()))
    told, total = Told(run), run.total()
    groups = _Groups([])
    if question.named():
        groups = _by_cohort(run, total, told)
    elif question.properties():
        groups = _by_value(run, total, told)
    hidden = hidden_of(total, asked.least)
    return RetentionResult(
        **asked.envelope(run.period),
        metric=question.metric,
        cohorts=told.cohorts(total, hidden),
        curve=told.curve(total, hidden),
        groups=groups.shown,
        groups_overlap=bool(question.named()),
        suppressed_groups=groups.suppressed,
        suppressed_cells=hidden.number + groups.cells,
    )


def run_of(question: RetentionQuery, asked: Asked) -> Run:
    run = Run(question, asked, asked.period(question.interval))
    return replace(run, edges=tuple(edges_of(by, [question.start], run.span, asked) for by in question.properties()))


def plan_of(question: RetentionQuery, asked: Asked) -> tuple[Retention, Selection, Span]:
    """What the kernel is asked, and of which events."""
    run = run_of(question, asked)
    return run.plan(), run.selection(), run.span


def _by_cohort(run: Run, total: Matrix, told: Told) -> _Groups:
    found = {EVERYONE_LABEL: total} | {name: replace(run, cohort=name).total() for name in run.question.named()}
    hidden = {name: hidden_of(each, run.asked.least) for name, each in found.items()}
    shown = [
        RetentionGroup(group=name, cohorts=told.cohorts(each, hidden[name]), curve=told.curve(each, hidden[name]))
        for name, each in found.items()
    ]
    return _Groups(shown, 0, sum(each.number for each in hidden.values()))


def _by_value(run: Run, total: Matrix, told: Told) -> _Groups:
    """The `limit` largest, by the sizes of their cohorts together; the small ones and the rest are `Other`, joined by the next smallest
    until it is large enough."""
    every, least = run.grouped(None), run.asked.least
    labels = {code: _label(code, run) for code in every}
    ranked = sorted(every, key=lambda code: (-int(every[code].matrix.size.sum()), labels[code]))
    top = [code for code in ranked if every[code].people >= least][: run.question.limit]
    while top and run.asked.hides(sum(found.people for code, found in every.items() if code not in top)):
        top.pop()
    run.check_room(len(every), len(top) + 2)
    shown = {code: every[code].matrix for code in top}
    rest, small = _rest(run, every, top)
    if rest is not None and not small:
        shown[OTHER] = rest
    hidden = hidden_of_groups(list(shown.values()), rest if small else None, total, least)
    groups = [
        RetentionGroup(
            group=labels.get(code, OTHER_LABEL),
            rest=code == OTHER,
            cohorts=told.cohorts(found, gone),
            curve=told.curve(found, gone),
        )
        for (code, found), gone in zip(shown.items(), hidden, strict=True)
    ]
    return _Groups(groups, len(every) - len(top) if small else 0, sum(each.number for each in hidden))


def _rest(run: Run, every: Mapping[int, Grouped], top: list[int]) -> tuple[Matrix | None, bool]:
    """All that are not shown together, if there are any, and whether they are still too few. A subject has one group in a cohort."""
    others = [found for code, found in every.items() if code not in top]
    if not others:
        return None, False
    together = reduce(Matrix.merge, [found.matrix for found in others])
    if not run.asked.least:
        return together, False
    found = run.grouped(np.array(top, np.int32)).get(OTHER)
    return together, found is None or run.asked.hides(found.people)


def _label(code: int, run: Run) -> str:
    return values_label(None if code == NONE else run.texts.known[GROUP][code], run.question.properties())
