"""A prediction looks at no more events than it has time for: beyond that, at a sample of subjects, which the answer says."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from consentryd.analytics.asked import Asked
from consentryd.analytics.prediction.days import Days
from consentryd.analytics.prediction.model import PredictionQuery
from consentryd.analytics.region_view import Span

#: What `Question.sampling` allows at the least.
_LEAST_RATE: Final = 0.001


def bounded(question: PredictionQuery, days: Days, asked: Asked) -> Asked:
    """The same, about a half, a quarter, an eighth ... of the subjects where the days looked at have more than `most_events`."""
    most = question.most_events
    rows = asked.execution.rows(Span(days.period.since, days.period.until))
    rate = 1.0
    while most is not None and rows * rate > most and rate / 2 >= _LEAST_RATE:
        rate /= 2
    if rate >= question.sampling:
        return asked
    sampled = replace(asked.execution.rules, sampling=rate)
    asked.warn("sampled", rows)
    return replace(asked, question=question.model_copy(update={"sampling": rate}), execution=asked.execution.with_rules(sampled))
