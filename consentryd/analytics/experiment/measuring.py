"""From a bucket's events to what each arm of an experiment did, metric by metric."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from consentryd.analytics.condition import Matcher
from consentryd.analytics.experiment.model import ExperimentMetric, ExperimentQuery
from consentryd.analytics.kernel.funnel import MAX_WINDOW, Funnel, Step
from consentryd.analytics.kernel.solution import chains_of
from consentryd.analytics.statistics import cuped
from consentryd.analytics.statistics.array import Bools, Floats
from consentryd.analytics.statistics.experiment import Measure
from consentryd.analytics.statistics.exposure import Assignment, assign, kept, outcome
from consentryd.analytics.statistics.moments import Moments, Pair, moments, pair
from consentryd.analytics.statistics.proportion import Proportion
from consentryd.analytics.stream import NONE, Stream
from consentryd.model.clock import DAY

VARIANT: Final = "variant"
#: When the subject was first seen at all, UTC microseconds.
FIRST_SEEN: Final = "first_seen"
_FAR: Final = np.iinfo(np.int64).max


class Raw(NamedTuple):
    """Each subject's value before (nan: was not there) and since; kept only where outliers are to be brought down."""

    before: Floats
    since: Floats

    def merge(self, other: Raw) -> Raw:
        return Raw(np.concatenate([self.before, other.before]), np.concatenate([self.since, other.since]))


class Measured(NamedTuple):
    """A metric by arm: what arms compare by. `behind`: how many subjects each of the numbers in it is of, those for whom it is 0 apart."""

    arms: list[Any]
    behind: list[int]

    def merge(self, other: Measured) -> Measured:
        """Of both; the parts must have no subject in common."""
        arms = [mine.merge(theirs) for mine, theirs in zip(self.arms, other.arms, strict=True)]
        return Measured(arms, [mine + theirs for mine, theirs in zip(self.behind, other.behind, strict=True)])


class Part(NamedTuple):
    """Of `seen` subjects: how many each arm has, how many saw several variants, the metrics, the first exposure."""

    exposed: list[int]
    mixed: int
    seen: int
    metrics: list[Measured]
    started: int

    def merge(self, other: Part) -> Part:
        """Of both; the parts must have no subject in common."""
        exposed = [one + two for one, two in zip(self.exposed, other.exposed, strict=True)]
        metrics = [mine.merge(theirs) for mine, theirs in zip(self.metrics, other.metrics, strict=True)]
        return Part(exposed, self.mixed + other.mixed, self.seen + other.seen, metrics, min(self.started, other.started))


class Frame(NamedTuple):
    """`window` in microseconds from the first exposure, which lies in [since, until); what lies beyond the watermark is not known yet."""

    question: ExperimentQuery
    window: int | None
    since: int
    until: int
    watermark: int


def definitions_of(question: ExperimentQuery) -> list[Matcher]:
    """The exposure, then for each metric its event, and what it is divided by or its steps."""
    return [question.exposure, *(matcher for metric in question.metrics for matcher in _of_metric(metric))]


def part_of(stream: Stream, frame: Frame) -> Part:
    """What the subjects of a stream did."""
    stream, assignment = _assigned(stream, frame)
    chosen = _some(assignment, _analysed(assignment, frame))
    metrics = [
        _measured(stream, chosen, number, first, metric, frame) for number, (first, metric) in enumerate(_placed(frame.question))
    ]
    started = int(chosen.first.min()) if len(chosen.first) else int(_FAR)
    exposed = chosen.exposed(len(frame.question.variants))
    return Part(exposed, int(assignment.mixed.sum()), len(assignment.subject), metrics, started)


def members_of(stream: Stream, frame: Frame, arm: int) -> list[int]:
    """The subjects of an arm that are analysed."""
    _, assignment = _assigned(stream, frame)
    lines = _analysed(assignment, frame) & (assignment.variant == arm)
    found: list[int] = assignment.subject[lines].tolist()
    return found


def mixed_of(stream: Stream, frame: Frame) -> list[int]:
    """The subjects that saw several variants."""
    _, assignment = _assigned(stream, frame)
    found: list[int] = assignment.subject[assignment.mixed].tolist()
    return found


def capped(arms: list[Any], share: float | None, *, cupped: bool) -> list[Measure]:
    """Raw values as what arms compare by, with outliers of all arms brought down to one cap; others as they are."""
    if not arms or not isinstance(arms[0], Raw):
        return arms
    together = np.concatenate([arm.since for arm in arms])
    cap = float(np.quantile(together, share)) if share is not None and len(together) else np.inf
    return [_of_values(arm.before, np.minimum(arm.since, cap), cupped=cupped) for arm in arms]


def _of_metric(metric: ExperimentMetric) -> list[Matcher]:
    return [metric.event, *([] if metric.per is None else [metric.per]), *metric.steps]


def _placed(question: ExperimentQuery) -> Iterator[tuple[int, ExperimentMetric]]:
    """Each metric with the place of its event among the definitions."""
    place = 1
    for metric in question.metrics:
        yield place, metric
        place += len(_of_metric(metric))


def _assigned(stream: Stream, frame: Frame) -> tuple[Stream, Assignment]:
    """Of those who saw a listed variant, if only after another one."""
    within = _within(stream, frame)
    found = assign(within, 0, VARIANT)
    return within, _some(found, _is_listed(found, frame) | found.mixed)


def _analysed(assignment: Assignment, frame: Frame) -> Bools:
    return kept(assignment, frame.watermark, frame.window, frame.question.mixed) & _is_listed(assignment, frame)


def _is_listed(assignment: Assignment, frame: Frame) -> Bools:
    found: Bools = assignment.variant < len(frame.question.variants)
    return found


def _within(stream: Stream, frame: Frame) -> Stream:
    """Variants as their places in the list, other values as the place after it; exposures outside of the range are none."""
    variants, texts = frame.question.variants, stream.texts.get(VARIANT, [])
    places = np.array([*(variants.index(text) if text in variants else len(variants) for text in texts), NONE], np.int32)
    inside = (stream.time >= frame.since) & (stream.time < frame.until)
    codes = np.where(inside, places[stream.values[VARIANT]], NONE)
    return stream._replace(values={**stream.values, VARIANT: codes.astype(np.int32)})


def _some(assignment: Assignment, lines: Bools) -> Assignment:
    return Assignment(assignment.subject[lines], assignment.variant[lines], assignment.first[lines], assignment.mixed[lines])


def _measured(stream: Stream, lines: Assignment, number: int, first: int, metric: ExperimentMetric, frame: Frame) -> Measured:
    if metric.type in {"retention", "funnel"}:
        if metric.to_days is not None:
            lines = _some(lines, lines.first + round(metric.to_days * DAY) <= frame.watermark)
        did = (
            _came_back(stream, lines, first, metric)
            if metric.type == "retention"
            else _finished(stream, lines, first, metric, frame)
        )
        return _of_those(did, _owns(lines, frame))
    value = f"v{number}" if metric.property is not None else None
    look_back = round(frame.question.look_back_days * DAY)
    seen = stream.values[FIRST_SEEN][np.searchsorted(stream.subject, lines.subject)] if look_back > 0 else None
    found = outcome(stream, lines, first, value, frame.window, look_back, seen)
    owns = _owns(lines, frame)
    if metric.type == "conversion":
        return _of_those(found.events > 0, owns)
    behind = [int(np.count_nonzero(found.total[own])) for own in owns]
    if metric.type == "ratio":
        below = outcome(stream, lines, first + 1, None, frame.window)
        behind += [int(np.count_nonzero(below.total[own])) for own in owns]
        return Measured([pair(found.total[own], below.total[own]) if own.any() else Pair() for own in owns], behind)
    raw = [Raw(found.before[own], found.total[own]) for own in owns]
    return Measured(raw if frame.question.winsorise is not None else capped(raw, None, cupped=look_back > 0), behind)


def _owns(lines: Assignment, frame: Frame) -> list[Bools]:
    """The lines of each arm."""
    return [lines.variant == arm for arm in range(len(frame.question.variants))]


def _of_those(did: Bools, owns: list[Bools]) -> Measured:
    """Who did it."""
    behind = [int(did[own].sum()) for own in owns]
    return Measured([Proportion(some, int(own.sum())) for some, own in zip(behind, owns, strict=True)], behind)


def _of_values(before: Floats, since: Floats, *, cupped: bool) -> Measure:
    if cupped:
        return cuped.arm(before, since)
    return moments(since) if len(since) else Moments()


def _came_back(stream: Stream, lines: Assignment, definition: int, metric: ExperimentMetric) -> Bools:
    """Which lines have an event in [from, to) days after their exposure."""
    rows = np.flatnonzero(stream.matches(definition))
    line, rows = _own(stream, lines, rows)
    since = stream.time[rows] - lines.first[line]
    back = (since >= round((metric.from_days or 0) * DAY)) & (since < round((metric.to_days or 0) * DAY))
    return np.asarray(np.bincount(line[back], minlength=len(lines.subject)) > 0, np.bool_)


def _finished(stream: Stream, lines: Assignment, first: int, metric: ExperimentMetric, frame: Frame) -> Bools:
    """Which lines did all steps in order, each event used once, from their exposure on and within the window after it."""
    line, rows = _own(stream, lines, np.arange(len(stream.subject)))
    since = stream.time[rows] - lines.first[line]
    rows = rows[(since >= 0) & (since <= (MAX_WINDOW if frame.window is None else frame.window))]
    after = stream._replace(subject=stream.subject[rows], time=stream.time[rows], code=stream.code[rows], values={})
    steps = tuple(Step(first + number) for number in range(1 + len(metric.steps)))
    bounds = (int(after.time.min()), int(after.time.max()) + 1) if len(rows) else (0, 1)
    found = chains_of(after, Funnel(steps, frame.window or MAX_WINDOW, *bounds))
    return np.isin(lines.subject, found.subjects_at(len(steps) - 1))


def _own(stream: Stream, lines: Assignment, rows: Any) -> tuple[Any, Any]:
    """The line of each row whose subject has one, and these rows."""
    if not len(lines.subject):
        return rows[:0], rows[:0]
    place = np.minimum(np.searchsorted(lines.subject, stream.subject[rows]), len(lines.subject) - 1)
    has = lines.subject[place] == stream.subject[rows]
    return place[has], rows[has]
