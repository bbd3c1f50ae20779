"""Questions that follow subjects over days are not asked of visitors whose token changes every day (section 1.0)."""

from __future__ import annotations

from consentryd.analytics.asked import Asked
from consentryd.model.error import Unprocessable


def require_subjects(asked: Asked) -> None:
    """Raises `Unprocessable` unless the question is about the consented lane alone."""
    if asked.question.lane != "consented":
        raise Unprocessable(
            "invalid",
            "Visitors of the anonymous lane cannot be followed from one day to the next; this question needs subjects.",
            field="lane",
        )
