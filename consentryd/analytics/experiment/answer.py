"""An experiment's report: the split first, then every metric and variant against control, and what it would take to see more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial, reduce
from math import isfinite, sqrt
from typing import Any, Final

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.exchange import in_base, number_columns
from consentryd.analytics.experiment.measuring import (
    FIRST_SEEN,
    VARIANT,
    Frame,
    Measured,
    Part,
    capped,
    definitions_of,
    members_of,
    mixed_of,
    part_of,
)
from consentryd.analytics.experiment.model import ArmRow, ExperimentMetric, ExperimentQuery, ExperimentResult, SplitCheck
from consentryd.analytics.field import field_of
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import named_instant
from consentryd.analytics.region_view import Span
from consentryd.analytics.selecting import select
from consentryd.analytics.source import Source
from consentryd.analytics.statistics import cuped, power, sequential
from consentryd.analytics.statistics.experiment import (
    Measure,
    Method,
    Metric,
    Plan,
    Report,
    Row,
    mixed_warning,
    report,
    split_warning,
)
from consentryd.analytics.statistics.moments import Moments
from consentryd.analytics.statistics.proportion import Proportion
from consentryd.analytics.stream import Stream
from consentryd.analytics.streaming import Column
from consentryd.model.clock import DAY

TOO_SMALL: Final = "an arm has too few subjects to be shown"
MIXED: Final = "Too many of the subjects saw more than one variant."
NOT_YET: Final = "The planned number of subjects is not reached, or was not fixed before the start: read as a sequence."


def answer(question: ExperimentQuery, asked: Asked) -> ExperimentResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    frame, span = _framed(question, asked)
    missing: Counter[str] = Counter()
    values = [f"v{number}" for number in range(len(question.metrics))]

    def work(stream: Stream) -> Part:
        return part_of(in_base(stream, values, asked.rates, missing), frame)

    selection = select(asked, definitions_of(question), partial(_columns, question))
    found = reduce(Part.merge, asked.execution.streams(selection, span, work, None, join=partial(reduce, Part.merge)))
    for currency, count in missing.items():
        asked.warn(f"missing_rate {currency}", count)
    return _result(question, asked, found, asked.envelope(asked.period("day"), interval=False))


def arm_members(question: ExperimentQuery, arm: str, asked: Asked) -> list[int]:
    """The subjects of a variant that are analysed."""
    return _exposed(question, partial(members_of, arm=question.variants.index(arm)), asked)


def mixed_members(question: ExperimentQuery, asked: Asked) -> list[int]:
    """The subjects that saw several variants, whether they are left out or not."""
    return _exposed(question, mixed_of, asked)


def _exposed(question: ExperimentQuery, who: Callable[..., list[int]], asked: Asked) -> list[int]:
    frame, span = _framed(question, asked)
    selection = select(asked, [question.exposure], partial(_columns, question))
    parts = asked.execution.streams(selection, span, partial(who, frame=frame), None)
    return [subject for part in parts for subject in part]


def _framed(question: ExperimentQuery, asked: Asked) -> tuple[Frame, Span]:
    """The range of exposures, and the time of all events that count."""
    period = asked.period("day")
    window = None if question.window_days is None else round(question.window_days * DAY)
    after = max([0, *(round(metric.to_days * DAY) for metric in question.metrics if metric.to_days is not None)])
    until = None if window is None else period.until + max(window, after)
    span = Span(period.since - round(question.look_back_days * DAY), until)
    return Frame(question, window, period.since, period.until, asked.now - asked.late), span


def _columns(question: ExperimentQuery, source: Source) -> list[Column]:
    found = [Column(VARIANT, "text", f"nullif({field_of(question.variant).text}, '')")]
    if question.look_back_days > 0:
        found.append(Column(FIRST_SEEN, "integer", source.first(Matcher())))
    for number, metric in enumerate(question.metrics):
        if metric.property is not None:
            found += number_columns(f"v{number}", metric.property)
    return found


def _result(question: ExperimentQuery, asked: Asked, found: Part, envelope: dict[str, Any]) -> ExperimentResult:
    arms = [capped(each.arms, question.winsorise, cupped=question.look_back_days > 0) for each in found.metrics]
    metrics = [
        Metric(metric.name, tuple(measures), metric.direction, metric.primary)
        for metric, measures in zip(question.metrics, arms, strict=True)
    ]
    used = _method(question, found, asked)
    told = report(
        metrics,
        found.exposed,
        found.mixed,
        found.seen,
        Plan(alpha=question.alpha, method=used, weights=tuple(question.weights)),
    )
    hidden = any(asked.hides(count) for count in found.exposed)
    secret = {metric.name for metric, each in zip(question.metrics, found.metrics, strict=True) if _is_small(each, asked)}
    rows = [] if hidden else list(_rows(question, told, arms, secret))
    return ExperimentResult(
        **envelope,
        method=used,
        days_to_go=None if hidden else _days_to_go(question, found, rows, asked),
        exposed={} if hidden else dict(zip(question.variants, found.exposed, strict=True)),
        mixed=None if asked.hides(found.mixed) else found.mixed,
        split=None if told.split is None or hidden else SplitCheck(**told.split._asdict()),
        controls=[] if hidden else [_row(row, question) for row in told.controls if row.metric not in secret],
        arms=rows,
        variance_reduction={} if hidden else {name: share for name, share in told.reductions.items() if name not in secret},
        notes=[
            *([] if hidden else _checks(told, few=asked.hides(found.mixed))),
            *([NOT_YET] if used != question.method else []),
            *([TOO_SMALL] if hidden else []),
            *_secrets(secret),
        ],
    )


def _method(question: ExperimentQuery, found: Part, asked: Asked) -> Method:
    """A fixed-horizon test only where its size was fixed before the first exposure, and is reached."""
    if question.method != "frequentist" or question.planned is None:
        return question.method
    planned_at = named_instant(question.planned.at, asked.zone, asked.now, asked.week_start)
    return sequential.method(question.planned.subjects, planned_at, found.started, sum(found.exposed))


def _checks(told: Report, *, few: bool) -> Iterator[str]:
    """What the split and the exposures say; of `few` subjects that saw several variants not which share they are."""
    if split := split_warning(told.split):
        yield split
    if mixed := mixed_warning(told.mixed_share):
        yield MIXED if few else mixed


def _secrets(secret: set[str]) -> Iterator[str]:
    for name in sorted(secret):
        yield f"{name}: too few subjects did it, or did not, to be shown"


def _is_small(metric: Measured, asked: Asked) -> bool:
    """Whether it tells of 1 to least - 1 subjects of an arm who did it, or did not."""
    others = [each.n - each.successes for each in metric.arms if isinstance(each, Proportion)]
    return any(asked.hides(count) for count in (*metric.behind, *others))


def _rows(question: ExperimentQuery, told: Report, arms: list[list[Measure]], secret: set[str]) -> Iterator[ArmRow]:
    places = {metric.name: number for number, metric in enumerate(question.metrics)}
    for row in told.rows:
        if row.metric not in secret:
            metric, measures = question.metrics[places[row.metric]], arms[places[row.metric]]
            detectable, needed = _power(metric, measures[0], min(told.controls[places[row.metric]].n, row.n), question)
            yield _row(row, question).model_copy(update={"detectable": _finite(detectable), "needed": needed})


def _power(metric: ExperimentMetric, control: Measure, n: int, question: ExperimentQuery) -> tuple[float | None, int | None]:
    """The effect that n subjects per arm show, and the subjects per arm that show the effect wanted; None where it cannot be told."""
    wanted = metric.smallest_effect
    if isinstance(control, Proportion):
        if not control.n:
            return None, None
        seen = power.detectable(control.rate, n, question.alpha, direction=metric.direction)
        goal = None if wanted is None else control.rate + (wanted if metric.direction == "increase" else -wanted)
        possible = goal is not None and 0 <= goal <= 1 and goal != control.rate
        return seen, power.sample_size(control.rate, goal, question.alpha) if possible and goal is not None else None
    plain = control.plain if isinstance(control, cuped.Arm) else control
    if not isinstance(plain, Moments) or plain.n < 2:  # noqa: PLR2004 -- a deviation needs two
        return None, None
    deviation = sqrt(plain.variance)
    seen = power.detectable_mean(deviation, n, question.alpha)
    return seen, None if wanted is None or not deviation else power.sample_size_of_mean(deviation, wanted, question.alpha)


def _days_to_go(question: ExperimentQuery, found: Part, rows: list[ArmRow], asked: Asked) -> int | None:
    """At the pace since the first exposure; None where nothing says how many there are to be."""
    per_arm = max((row.needed or 0 for row in rows), default=0)
    wanted = question.planned.subjects if question.planned is not None else per_arm * len(question.variants)
    present = sum(found.exposed)
    days = (asked.now - found.started) / DAY
    return power.days_to_go(wanted, present, present / days) if wanted and present and days > 0 else None


def _row(row: Row, question: ExperimentQuery) -> ArmRow:
    values = asdict(row)
    values["arm"] = question.variants[row.arm]
    return ArmRow(**{name: _finite(value) for name, value in values.items()})


def _finite(value: Any) -> Any:
    """JSON knows no nan and no infinity: null; of an interval without one of its ends, too."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, tuple | list):
        ends = tuple(float(each) for each in value)
        return ends if all(map(isfinite, ends)) else None
    return value
