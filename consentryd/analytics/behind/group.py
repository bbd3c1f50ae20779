"""The subjects of trends, funnels and retention, and of single groups of their breakdowns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from consentryd.analytics import literal
from consentryd.analytics.asked import Asked
from consentryd.analytics.behind.point import Point
from consentryd.analytics.breakdown import EVERYONE_LABEL, NONE_LABEL, OTHER_LABEL, By
from consentryd.analytics.funnels.answer import answer as answer_funnel
from consentryd.analytics.funnels.answer import run_of as funnel_of
from consentryd.analytics.funnels.grouping import OTHER, attributed
from consentryd.analytics.funnels.model import FunnelQuery
from consentryd.analytics.funnels.run import GROUP, Run, lines_of
from consentryd.analytics.group import label_of, values_label
from consentryd.analytics.kernel.chain import Chains
from consentryd.analytics.kernel.retention import members_of
from consentryd.analytics.kernel.trend import entered
from consentryd.analytics.period import Period
from consentryd.analytics.region_view import Span
from consentryd.analytics.retention.answer import answer as answer_retention
from consentryd.analytics.retention.answer import run_of as retention_of
from consentryd.analytics.retention.model import RetentionQuery
from consentryd.analytics.stream import NONE, Bools, Stream, Values
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
    for group in shown.groups:
        if point.group == " / ".join(label_of(group, question.breakdown) or []):
            return shown.frame, f"g = {literal.text(group)}"
    raise _no_group()


def _last_days(math: str, point: Point, period: Period, days: Period, asked: Asked) -> str:
    """The days of the window that ends with the bucket."""
    complete = [number for number, done in enumerate(asked.complete(period)) if done]
    bucket = point.bucket if point.bucket is not None else complete[-1] if complete else None
    last = None if bucket is None else days.bucket_at(period.edges[bucket + 1] - 1)
    return "false" if last is None else f"b BETWEEN {last - trailing.WINDOWS[math] + 1} AND {last}"


def of_funnel(question: FunnelQuery, point: Point, asked: Asked) -> list[int]:
    """Who did a step, or dropped before it; of a bucket of entry, or of a group."""
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
        before = run.plan.mandatory[run.plan.before(step) - 1]
        found: list[int] = (chains.dropped_before(step, before) if point.dropped else chains.subjects_at(step)).tolist()
        return found

    grouped = point.group is not None and run.cohort is None and bool(question.breakdown and question.breakdown.keys)
    name = None if grouped else ("who", question.definition_hash(), point, run.plan)
    parts = asked.execution.streams(run.selection(grouped=grouped), run.span, work, name, run.texts)
    return [subject for part in parts for subject in part]


def _lines(run: Run, point: Point, period: Period, asked: Asked) -> tuple[Callable[[Stream], Chains], Run]:
    """What makes the lines that a point is about, and of whom."""
    plan, held, breakdown = run.plan, run.held, run.question.breakdown
    if point.bucket is not None:
        return partial(entered, funnel=plan, edges=period.edges, bucket=point.bucket, held=held), run
    if point.group is None or breakdown is None:
        if point.group is not None:
            raise _no_group()
        return partial(lines_of, plan=plan, held=held), run
    labels = [group.group for group in answer_funnel(run.question, asked).groups]
    if point.group not in labels:
        raise _no_group()
    if breakdown.cohorts:
        return partial(lines_of, plan=plan, held=held), replace(run, cohort=_cohort(point.group))
    return partial(_of_group, question=run.question, run=run, label=point.group, labels=labels), run


def _of_group(stream: Stream, *, question: FunnelQuery, run: Run, label: str, labels: list[str]) -> Chains:
    assert question.breakdown is not None
    texts = list(stream.texts.get(GROUP, []))
    names = [values_label(text, question.breakdown.keys) for text in texts]
    kept = None
    if label == OTHER_LABEL:
        kept = np.array([code for code, name in [*enumerate(names), (NONE, NONE_LABEL)] if name in labels], np.int32)
    grouped = attributed(stream, run.plan, question, kept)
    return grouped.chains.take(_is(grouped.group, label, names))


def of_retention(question: RetentionQuery, point: Point, asked: Asked) -> list[int]:
    """Who of a cohort came back in a period, of everybody or of a group."""
    _refuse_accounts(question.count_by)
    run = retention_of(question, asked)
    grouped = point.group is not None and not question.named()
    plan = run.plan(grouped=grouped)
    if (point.cohort or 0) >= plan.cohorts or (point.period or 0) >= plan.periods:
        raise Unprocessable("invalid", "The query has no such cohort or period.", field="cohort")
    labels = [] if point.group is None else [group.group for group in answer_retention(question, asked).groups]
    if point.group is not None and point.group not in labels:
        raise _no_group()
    if point.group is not None and question.named():
        run = replace(run, cohort=_cohort(point.group))

    def work(stream: Stream) -> list[int]:
        members = members_of(stream, plan)
        if grouped:
            kept = _in_group(members.group, stream, point.group or "", labels, question.properties())
            members = members._replace(cohort=np.where(kept, members.cohort, -1))
        found: list[int] = np.unique(members.subjects_at(point.cohort or 0, point.period or 0)).tolist()
        return found

    parts = asked.execution.streams(run.selection(grouped=grouped), run.span, work, None)
    return [subject for part in parts for subject in part]


def _in_group(column: Values, stream: Stream, label: str, labels: list[str], keys: list[By]) -> Bools:
    names = [values_label(text, keys) for text in list(stream.texts.get(GROUP, []))]
    if label != OTHER_LABEL:
        return _is(column, label, names)
    shown = [code for code, name in [*enumerate(names), (NONE, NONE_LABEL)] if name in labels]
    return ~np.isin(column, shown)


def _is(column: Values, label: str, names: list[str]) -> Bools:
    """Which values are of a label; `Other` has a code of its own, and values that are called so have theirs."""
    codes = [code for code, name in [*enumerate(names), (NONE, NONE_LABEL)] if name == label]
    return np.isin(column, [*codes, OTHER] if label == OTHER_LABEL else codes)


def _cohort(label: str) -> str | None:
    return None if label == EVERYONE_LABEL else label


def _no_group() -> Unprocessable:
    return Unprocessable("invalid", "The query shows no such group.", field="group")


def _refuse_accounts(count_by: str) -> None:
    if count_by == "group":
        raise Unprocessable("invalid", "Behind this number are accounts, not subjects.", field="count_by")
