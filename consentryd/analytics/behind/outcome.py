"""The subjects behind numbers of churn, adoption, revenue, experiments, attribution, segments and predictions, by the rules of each."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, get_args

from consentryd.analytics.adoption.discovery import shown_to
from consentryd.analytics.adoption.model import AdoptionQuery
from consentryd.analytics.adoption.people import people_sql
from consentryd.analytics.asked import Asked
from consentryd.analytics.behind.point import AdoptionPart, ChurnPart, DiscoveryPart, RevenuePart
from consentryd.analytics.experiment.answer import arm_members, mixed_members
from consentryd.analytics.experiment.model import ExperimentQuery
from consentryd.analytics.kinds.attribution import AttributionQuery, touched_by
from consentryd.analytics.kinds.churn import ChurnQuery, length_of
from consentryd.analytics.kinds.rfm import RfmQuery, subjects_in, subjects_with
from consentryd.analytics.kinds.segmentation import SegmentationQuery, members, members_with
from consentryd.analytics.period import Period
from consentryd.analytics.prediction.answer import scored_tenth
from consentryd.analytics.prediction.model import PredictionQuery
from consentryd.analytics.region_view import Span
from consentryd.analytics.revenue.model import RevenueQuery
from consentryd.analytics.revenue.payment import payments_sql
from consentryd.analytics.source import Source
from consentryd.analytics.trends.model import Measure
from consentryd.analytics.trends.rows import Frame
from consentryd.analytics.view import EVENTS, HISTORY
from consentryd.model.error import Unprocessable

CHURN_PARTS: Final = frozenset(get_args(ChurnPart))
ADOPTION_PARTS: Final = frozenset(get_args(AdoptionPart))
DISCOVERY_PARTS: Final = frozenset(get_args(DiscoveryPart))
REVENUE_PARTS: Final = frozenset(get_args(RevenuePart))


def behind(question: Any, point: Any, asked: Asked) -> list[int]:
    """The subjects of a point of a question. Raises `Unprocessable` for a point that it does not have."""
    match question:
        case RfmQuery():
            return of_rfm(question, point, asked)
        case SegmentationQuery() if point.dimension is not None:
            return members_with(question, point.dimension, point.value, asked)
        case SegmentationQuery() if point.channel in {None, *(channel.name for channel in question.channels)}:
            return members(question, point.channel, asked)
        case PredictionQuery() if point.tenth is not None:
            return [each.subject for each in scored_tenth(question, point.tenth, asked)]
        case ChurnQuery() if point.bucket is not None and point.part in CHURN_PARTS:
            return of_churn(question, point.bucket, point.part, asked)
        case AdoptionQuery() if point.part in ADOPTION_PARTS | DISCOVERY_PARTS:
            return of_adoption(question, point.part, asked)
        case RevenueQuery() if point.part in REVENUE_PARTS:
            return of_revenue(question, point.part, point.bucket, asked)
        case ExperimentQuery() if point.part in {None, "mixed"}:
            return of_experiment(question, point.arm, asked)
        case AttributionQuery() if point.channel is not None:
            return of_attribution(question, point.channel, asked)
        case _:
            raise Unprocessable("invalid", "This query has no subjects at this point.", field="point")


def of_churn(question: ChurnQuery, bucket: int, part: ChurnPart, asked: Asked) -> list[int]:
    """Of a bucket that starts at s, with the question's days d."""
    period = asked.period(question.interval)
    _check_bucket(bucket, period)
    start, end = period.edges[bucket], period.edges[bucket + 1]
    length = length_of(question, period, asked)
    source = Source(asked.setting)
    conditions = ["e.subject IS NOT NULL", source.matches(question.activity)]
    if question.where is not None:
        conditions.append(source.holds(question.where))

    events = f"FROM {source.sql} WHERE {' AND '.join(conditions)}"
    if part == "resurrected":
        last = "lag(epoch_us(e.time)) OVER (PARTITION BY e.subject ORDER BY e.time)"
        pauses = f"SELECT e.subject AS s, epoch_us(e.time) AS t, {last} AS before {events}"
        statement = f"SELECT DISTINCT s FROM ({pauses}) WHERE t >= {start} AND t < {end} AND t - before >= {length}"
        return _gathered(statement, Span(None, end), asked)

    def within(since: int, until: int) -> str:
        return f"count(*) FILTER (epoch_us(e.time) >= {since} AND epoch_us(e.time) < {until}) > 0"

    before, ever = within(start - length, start), f"min(epoch_us(e.time)) < {start}"
    having = {
        "active_before": before,
        "churned": f"{before} AND NOT {within(start, start + length)}",
        "pool": f"{ever} AND NOT {before}",
        "returned": f"{ever} AND NOT {before} AND {within(start, end)}",
    }[part]
    statement = f"SELECT e.subject AS s {events} GROUP BY e.subject HAVING {having}"
    return _gathered(statement, Span(None, max(end, start + length)), asked)


def of_rfm(question: RfmQuery, point: Any, asked: Asked) -> list[int]:
    """Of a segment, perhaps those who were in another, or of a cell."""
    if point.segment is not None:
        return subjects_in(question, point.was, point.segment, asked)
    return subjects_with(question, point.recency, point.frequency, point.monetary, asked)


def of_adoption(question: AdoptionQuery, part: AdoptionPart | DiscoveryPart, asked: Asked) -> list[int]:
    """Eligible subjects, or the adopters among them; or who was shown the feature, used it then, or used it again."""
    period = asked.period(question.interval)
    span = Span(period.since, period.until)
    if part in ADOPTION_PARTS:
        least = 0 if part == "eligible" else question.uses
        return _gathered(f"SELECT subject AS s FROM ({people_sql(question, period, asked)}) WHERE uses >= {least}", span, asked)
    if question.exposed is None:
        raise Unprocessable("invalid", "The query says nothing of who was `exposed`.", field="part")
    among = {"exposed": "true", "used": "used", "used_again": "again"}[part]
    return _gathered(f"SELECT s FROM ({shown_to(question, question.exposed, period, asked)}) WHERE {among}", span, asked)


def of_revenue(question: RevenueQuery, part: RevenuePart, bucket: int | None, asked: Asked) -> list[int]:
    """Who paid, or was active, in a bucket, or in the whole range."""
    period = asked.period(question.interval)
    if bucket is not None:
        _check_bucket(bucket, period)
    statement = (_paying if part == "paying" else _active)(question, bucket, period, asked)
    return _gathered(statement, Span(period.since, period.until), asked)


def _paying(question: RevenueQuery, bucket: int | None, period: Period, asked: Asked) -> str:
    since, until = (period.since, period.until) if bucket is None else (period.edges[bucket], period.edges[bucket + 1])
    rows = payments_sql(question, asked, HISTORY if question.refunds == "accrual" else EVENTS)
    return f"SELECT DISTINCT s FROM ({rows}) WHERE NOT refund AND amount > 0 AND booked >= {since} AND booked < {until}"


def _active(question: RevenueQuery, bucket: int | None, period: Period, asked: Asked) -> str:
    activity = Measure(event=question.activity.event, where=question.activity.where, math="unique")
    rows = Frame(asked.setting, period, question.where).rows(activity)
    among = "" if bucket is None else f" AND b = {bucket}"
    return f"SELECT DISTINCT subject AS s FROM ({rows}) WHERE subject IS NOT NULL{among}"


def of_experiment(question: ExperimentQuery, arm: str | None, asked: Asked) -> list[int]:
    """The subjects of a variant as they are analysed; without one those that saw several."""
    if arm is None:
        return mixed_members(question, asked)
    if arm not in question.variants:
        raise Unprocessable("invalid", "The experiment has no such variant.", field="arm")
    return arm_members(question, arm, asked)


def of_attribution(question: AttributionQuery, channel: str, asked: Asked) -> list[int]:
    """The converting subjects that a channel touched."""
    return touched_by(question, channel, asked, Counter())


def _check_bucket(bucket: int, period: Period) -> None:
    if bucket >= period.buckets:
        raise Unprocessable("invalid", "The query has no such bucket.", field="bucket")


def _gathered(statement: str, span: Span, asked: Asked) -> list[int]:
    found: list[int] = asked.execution.gather(statement, span)["s"].to_pylist()
    return found
