"""Questions that ask what came first of all, where what came first may have been deleted (section 1.3)."""

from __future__ import annotations

from typing import Any, Final

from consentryd.analytics.adoption.model import AdoptionQuery
from consentryd.analytics.asked import Asked
from consentryd.analytics.funnels.model import FunnelQuery
from consentryd.analytics.kinds.churn import ChurnQuery
from consentryd.analytics.kinds.dashboard import DashboardQuery
from consentryd.analytics.kinds.lifecycle import LifecycleQuery
from consentryd.analytics.retention.model import RetentionQuery
from consentryd.analytics.revenue.model import RevenueQuery
from consentryd.analytics.trends.grouping import parts_of
from consentryd.analytics.trends.model import Trends
from consentryd.model.clock import DAY

#: Events are deleted a month at a time.
_MONTH: Final = 31 * DAY
_FIRSTS: Final = frozenset({"first_time_event", "first_match"})


def warn_of_deleted(question: Any, kept_days: int | None, asked: Asked) -> None:
    """Says so where the oldest events there are are about as old as events may become: older ones may have been deleted."""
    if kept_days is None or not _looks_back(question):
        return
    oldest = asked.execution.oldest
    if oldest is not None and oldest < asked.now - kept_days * DAY + _MONTH:
        asked.warn("history_truncated", kept_days)


def _looks_back(question: Any) -> bool:
    match question:
        case RetentionQuery():
            return question.cohort != "recurring"
        case FunnelQuery():
            return question.entry == "first_ever"
        case Trends():
            return any(part.math in _FIRSTS for part in parts_of(question.series))
        case RevenueQuery():
            return question.lifetime is not None or question.recurring is not None
        case _:
            return isinstance(question, LifecycleQuery | AdoptionQuery | ChurnQuery | DashboardQuery)
