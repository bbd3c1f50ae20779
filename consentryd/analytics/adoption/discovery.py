"""From being shown a feature to using it, and to using it again."""

from __future__ import annotations

import pyarrow.compute as pc

from consentryd.analytics.adoption.model import AdoptionQuery, Discovery
from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.period import Period
from consentryd.analytics.region_view import Span
from consentryd.analytics.source import Source
from consentryd.analytics.trends.measuring import scaled
from consentryd.analytics.view import HISTORY
from consentryd.model.clock import DAY


def discovery_of(question: AdoptionQuery, exposed: Matcher, period: Period, asked: Asked) -> Discovery:
    """Of those that `shown_to` lists."""
    people = shown_to(question, exposed, period, asked)
    statement = f"SELECT count(*) AS exposed, count(*) FILTER (used) AS used, count(*) FILTER (again) AS again FROM ({people})"
    table = asked.execution.gather(statement, Span(period.since, period.until))
    counts = [int(pc.sum(table[name]).as_py() or 0) for name in ("exposed", "used", "again")]
    shown_counts: list[int | None] = []
    for count in counts:
        gone = shown_counts and shown_counts[-1] is None
        shown_counts.append(None if gone or asked.hides(count) else scaled(count, asked.scale))
    return Discovery(exposed=shown_counts[0], used=shown_counts[1], used_again=shown_counts[2])


def shown_to(question: AdoptionQuery, exposed: Matcher, period: Period, asked: Asked) -> str:
    """A row for each subject `s` that was shown the feature in the range: whether it `used` it then, and `again`.

    A use at the instant of the exposure counts as after it. Uses count up to now, also after the range.
    """
    source = Source(asked.setting, HISTORY)
    where = "true" if question.where is None else source.holds(question.where)
    shown, used = (f"({source.matches(matcher)} AND {where})" for matcher in (exposed, question.feature))
    within = f"t >= {period.since} AND t < {period.until}"
    rows = f"SELECT e.subject AS s, epoch_us(e.time) AS t, {shown} AS shown, {used} AS used FROM {source.sql} WHERE e.subject IS NOT NULL"
    first = f"SELECT *, min(t) FILTER (shown AND {within}) OVER (PARTITION BY s) AS x FROM ({rows}) WHERE shown OR used"
    uses = f"SELECT s, t, used, lag(t) OVER (PARTITION BY s, used ORDER BY t) AS before FROM ({first}) WHERE x IS NOT NULL AND t >= x"
    again = f"bool_or(used AND before IS NOT NULL AND t - before <= {question.again_days * DAY})"
    return f"SELECT s, bool_or(used) AS used, {again} AS again FROM ({uses}) GROUP BY s"
