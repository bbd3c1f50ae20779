"""The local days that a prediction looks at, and its three cut-offs among them."""

from __future__ import annotations

from typing import Final, NamedTuple

from consentryd.analytics.asked import Asked
from consentryd.analytics.calendar import floor, instant_of, local_of, step
from consentryd.analytics.period import Period
from consentryd.analytics.prediction.model import PredictionQuery
from consentryd.analytics.statistics.feature import WINDOWS
from consentryd.analytics.statistics.propensity import Cutoffs, cutoffs

LOOK_BACK: Final = WINDOWS[-1]


class Days(NamedTuple):
    """Day i is [edges[i], edges[i + 1]). `when` and `today` are numbers of days; what is known before `today`'s start is scored."""

    period: Period
    when: Cutoffs
    today: int

    @property
    def cuts(self) -> tuple[int, int, int]:
        """The cut-offs of learning, of trial, and today's."""
        return *self.when, self.today

    def instant(self, day: int) -> int:
        return self.period.edges[day]


def days_of(question: PredictionQuery, asked: Asked) -> Days:
    """Of whole days that are over (late events waited for), up to the end of the question's range."""
    ended = min(asked.period("day").until, asked.now - asked.late)
    today = floor(local_of(ended, asked.zone), "day", 1)
    back = LOOK_BACK + question.horizon_days + question.gap
    edges = tuple(instant_of(step(today, "day", day - back), asked.zone) for day in range(back + 1))
    period = Period(edges, "day", asked.zone, asked.week_start)
    return Days(period, cutoffs(back, question.horizon_days, question.gap), back)
