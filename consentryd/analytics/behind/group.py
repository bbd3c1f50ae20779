"""The subjects of trends, funnels and retention, and of single groups of their breakdowns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from consentryd.analytics import literal
from consentryd.analytics.asked import Asked
from consentryd.analytics.behind.point import Point
from consentryd.analytics.breakdown import EVERYONE_LABEL, NONE_LABEL, By, joined
from consentryd.analytics.funnels.answer import answer as answer_funnel
from consentryd.analytics.funnels.answer import run_of as funnel_of
from consentryd.analytics.funnels.grouping import OTHER, attributed
from consentryd.analytics.funnels.model import FunnelQuery
from consentryd.analytics.funnels.run import GROUP, Run, lines_of
from consentryd.analytics.group import OTHER as REST
from consentryd.analytics.group import label_of, values_label
from consentryd.analytics.kernel.chain import Chains, Ints
from consentryd.analytics.kernel.retention import members_of
from consentryd.analytics.kernel.trend import entered
from consentryd.analytics.period import Period
from consentryd.analytics.region_view import Span
from consentryd.analytics.retention.answer import answer as answer_retention
from consentryd.analytics.retention.answer import run_of as retention_of
from consentryd.analytics.retention.model import RetentionQuery
from consentryd.analytics.stream import NONE, Int32s, Stream
from consentryd.analytics.trends import trailing
from consentryd.analytics.trends.answer import shown_of
from consentryd.analytics.trends.model import LETTERS, Trends
from consentryd.analytics.trends.rows import Frame
from consentryd.model.error import Unprocessable


def of_trends(question: Trends, point: Point, asked: Asked) -> list[int]:
    """Of a series, in the range or a bucket. Of weekly and monthly actives those of the days that end with the bucket, or the last complete
    one."""
    _refuse_accounts(question.count_by)
    period = asked.period(question.interval)
    number = LETTERS.index(point.series or "A")
    if number >= len(question.series) or (point.bucket or 0) >= period.buckets:
        raise Unprocessable("invalid", "The query has no such series or bucket.", field="series")
    series = question.series[number]
    frame, among = _framed(question, point, period, asked)
    measure, where = series.numerator or series, "true" if point.bucket is None else f"b = {point.bucket}"
    if measure.math in trailing.WINDOWS and not trailing.degrades(measure.math, period.interval):
        days = trailing.days_of(period, trailing.WINDOWS[measure.math])
        frame, where = replace(frame, period=days), _last_days(measure.math, point, period, days, asked)
    statement = f"SELECT DISTINCT subject FROM ({frame.rows(measure)}) WHERE subject IS NOT NULL AND {where} AND {among}"
    found: list[int] = asked.execution.gather(statement, Span(frame.period.since, frame.period.until))["subject"].to_pylist()
    return found


def _framed(question: Trends, point: Point, period: Period, asked: Asked) -> tuple[Frame, str]:
    """The frame, and what holds of the rows of the group."""
    if point.group is None:
        return Frame(asked.setting, period, question.where), "true"
    shown = shown_of(question, period, asked)
    named = [(joined(label_of(group, question.breakdown) or []), group == REST) for group in shown.groups]
    group = shown.groups[named.index(_named(point, named))]
    return shown.frame, f"g = {literal.text(group)}"


def _named(point: Point, groups: Sequence[tuple[str, bool]]) -> tuple[str, bool]:
    """The group that a point names, and whether it is the rest. Raises `Unprocessable` if the answer shows none such."""
    for rest in (True, False) if point.rest is None else (point.rest,):
        if (point.group or "", rest) in groups:
            return point.group or "", rest
    raise Unprocessable("invalid", "The query shows no such group.", field="group")


def _last_days(math: str, point: Point, period: Period, days: Period, asked: Asked) -> str:
    """The days of the window that ends with the bucket."""
    complete = [number for number, done in enumerate(asked.complete(period)) if done]
    bucket = point.bucket if point.bucket is not None else complete[-1] if complete else None
    last = None if bucket is None else days.bucket_at(period.edges[bucket + 1] - 1)
    return "false" if last is None else f"b BETWEEN {last - trailing.WINDOWS[math] + 1} AND {last}"


def of_funnel(question: FunnelQuery, point: Point, asked: Asked) -> list[int]:
    """Who did a step, dropped before it, or was excluded; of a bucket of entry, or of a group."""
    _refuse_accounts(question.count_by)
    period = asked.period(question.trend or "day")
    run = funnel_of(question, period, asked)
    step = point.step or 0
    if step >= len(question.steps) or (point.dropped and step == 0):
        raise Unprocessable("invalid", "The query has no such step.", field="step")
    if point.bucket is not None and (point.group is not None or question.trend is None or point.bucket >= period.buckets):
        raise Unprocessable("invalid", "The query's trend has no such bucket.", field="bucket")
    lines, run = _lines(run, point, period, asked)

    def work(stream: Stream) -> list[int]:
        chains = lines(stream)
        if point.step is None:
            return _listed(chains.subjects_excluded())
        before = run.plan.mandatory[run.plan.before(step) - 1]
        return _listed(chains.dropped_before(step, before) if point.dropped else chains.subjects_at(step))

    grouped = point.group is not None and run.cohort is None and bool(question.breakdown and question.breakdown.keys)
    name = None if grouped else ("who", question.definition_hash(), point, run.plan)
    parts = asked.execution.streams(run.selection(grouped=grouped), run.span, work, name, run.texts)
    return [subject for part in parts for subject in part]


def _listed(subjects: Ints) -> list[int]:
    found: list[int] = subjects.tolist()
    return found


def _lines(run: Run, point: Point, period: Period, asked: Asked) -> tuple[Callable[[Stream], Chains], Run]:
    """What makes the lines that a point is about, and of whom."""
    plan, held, breakdown = run.plan, run.held, run.question.breakdown
    if point.bucket is not None:
        return partial(entered, funnel=plan, edges=period.edges, bucket=point.bucket, held=held), run
    if point.group is None:
        return partial(lines_of, plan=plan, held=held), run
    groups = [(group.group, group.rest) for group in answer_funnel(run.question, asked).groups]
    label, rest = _named(point, groups)
    if breakdown is not None and breakdown.cohorts:
        return partial(lines_of, plan=plan, held=held), replace(run, cohort=_cohort(label))
    return partial(_of_group, question=run.question, run=run, label=None if rest else label, shown=_shown(groups)), run


def _of_group(stream: Stream, *, question: FunnelQuery, run: Run, label: str | None, shown: list[str]) -> Chains:
    """The chains of a group; without a label those of the rest."""
    assert question.breakdown is not None
    texts = list(stream.texts.get(GROUP, []))
    if label is None:
        grouped = attributed(stream, run.plan, question, _codes(texts, shown, question.breakdown.keys))
        return grouped.chains.take(grouped.group == OTHER)
    grouped = attributed(stream, run.plan, question)
    return grouped.chains.take(np.isin(grouped.group, _codes(texts, [label], question.breakdown.keys)))


def of_retention(question: RetentionQuery, point: Point, asked: Asked) -> list[int]:
    """Who of a cohort came back in a period, of everybody or of a group."""
    _refuse_accounts(question.count_by)
    run = retention_of(question, asked)
    grouped = point.group is not None and not question.named()
    plan = run.plan(grouped=grouped)
    if (point.cohort or 0) >= plan.cohorts or (point.period or 0) >= plan.periods:
        raise Unprocessable("invalid", "The query has no such cohort or period.", field="cohort")
    groups, label, rest = [], "", False
    if point.group is not None:
        groups = [(group.group, group.rest) for group in answer_retention(question, asked).groups]
        label, rest = _named(point, groups)
    if point.group is not None and question.named():
        run = replace(run, cohort=_cohort(label))
    wanted = _shown(groups) if rest else [label]

    def work(stream: Stream) -> list[int]:
        members = members_of(stream, plan)
        if grouped:
            codes = _codes(list(stream.texts.get(GROUP, [])), wanted, question.properties())
            members = members._replace(cohort=np.where(np.isin(members.group, codes, invert=rest), members.cohort, -1))
        found: list[int] = np.unique(members.subjects_at(point.cohort or 0, point.period or 0)).tolist()
        return found

    parts = asked.execution.streams(run.selection(grouped=grouped), run.span, work, None)
    return [subject for part in parts for subject in part]


def _shown(groups: Sequence[tuple[str, bool]]) -> list[str]:
    """The labels of groups that are not the rest."""
    return [label for label, rest in groups if not rest]


def _codes(texts: Sequence[str], labels: Sequence[str], keys: list[By]) -> Int32s:
    """The codes of the values that are called so."""
    names = [*((code, values_label(text, keys)) for code, text in enumerate(texts)), (NONE, NONE_LABEL)]
    return np.array([code for code, name in names if name in labels], np.int32)


def _cohort(label: str) -> str | None:
    return None if label == EVERYONE_LABEL else label


def _refuse_accounts(count_by: str) -> None:
    if count_by == "group":
        raise Unprocessable("invalid", "Behind this number are accounts, not subjects.", field="count_by")
