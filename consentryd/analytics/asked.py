"""A question on its way to the answer: the data it may see, its now, and what its answer must respect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from zoneinfo import ZoneInfo

from consentryd.analytics.calendar import Interval, label_of
from consentryd.analytics.currency import Rates
from consentryd.analytics.execution import Execution
from consentryd.analytics.membership import Audience
from consentryd.analytics.period import Period, Range, resolve
from consentryd.analytics.question import Envelope, Question, ResolvedRange, Sampling, Warned
from consentryd.analytics.source import Setting
from consentryd.model.error import Unprocessable

_WARNINGS: Final[dict[str, str]] = {
    "future_events": "Events dated more than a day ahead are left out.",
    "missing_rate": "Amounts in a currency without a rate for their day are left out.",
    "total_excludes_suppressed": "The total leaves out the groups that are too small to be shown, so that it gives nothing away.",
    "activity_is_page_view": "The activity event is a bare page view: choose what shows that someone uses the product.",
    "history_truncated": "Events older than so many days are deleted: whose first ones were earlier may count as new.",
    "sampled": "Of so many events a sample of subjects, by their ids, was looked at: counts are estimates of the whole.",
    "unknown_event": "No event of this name is stored: nothing matches it.",
    "anonymous_visitors": "Visitors of the anonymous lane are other visitors on the next UTC day.",
}


@dataclass(slots=True)
class Asked:
    """`now` in UTC microseconds. `least` is the smallest group that may be shown; `late` the time late events are waited for."""

    question: Question
    site: str
    execution: Execution
    now: int
    zone: ZoneInfo
    week_start: int
    least: int = 0
    late: int = 0
    rates: Rates = field(default_factory=lambda: Rates("EUR", {}))
    audiences: Mapping[str, Audience] = field(default_factory=dict)
    warnings: Counter[str] = field(default_factory=Counter)
    said: set[tuple[str, Hashable]] = field(default_factory=set)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def about(self, question: Question) -> Asked:
        """The same circumstances for a question that is part of this one; its range, filter and lane are its own."""
        return replace(self, question=question)

    @property
    def setting(self) -> Setting:
        return Setting(self.zone, self.now, self.week_start, self.audiences, self.rates)

    def period(self, interval: Interval, wanted: Range | None = None) -> Period:
        """The buckets of the question's range, or of another."""
        return resolve(wanted or self.question.range, interval, self.zone.key, self.week_start, self.now)

    def complete(self, period: Period) -> list[bool]:
        return period.complete(self.now, self.late)

    @property
    def scale(self) -> float:
        """By what counts of a sample are multiplied."""
        return self.execution.rules.scale

    def hides(self, count: int) -> bool:
        """Whether a group of so many subjects is too small to be shown. Of nobody there is nothing to hide."""
        return 0 < count < self.least

    def shown(self, count: int) -> int | None:
        """A number of subjects as it may be shown: None of a small group, of a sample the estimate of the whole."""
        return None if self.hides(count) else round(count * self.scale)

    def unheard(self) -> Asked:
        """The same, where what there is to warn of is said elsewhere."""
        return replace(self, warnings=Counter(), said=set())

    def warn(self, code: str, count: int = 1, of: Hashable = None) -> None:
        """`of`: what is counted, such as the rows; said again of the same, it is not counted again."""
        if not count or (of is not None and (code, of) in self.said):
            return
        self.said.add((code, of))
        self.warnings[code] += count

    def label(self, instant: int) -> str:
        """An instant as people of the question's zone write it."""
        return label_of(instant, self.zone)

    def refuse_single(self, message: str) -> None:
        """Raises `Unprocessable` where groups of one must not be shown."""
        if self.least > 1:
            raise Unprocessable("invalid", message, field="min_group_size")

    def envelope(self, period: Period, *, interval: bool = True) -> dict[str, Any]:
        """The members of `Envelope` as keyword arguments, `kind` aside."""
        rate = self.question.sampling
        return {
            "definition_hash": self.question.definition_hash(),
            "site": self.site,
            "resolved_range": ResolvedRange(
                from_=label_of(period.since, self.zone),
                to=label_of(period.until, self.zone),
                interval=period.interval if interval else None,
            ),
            "timezone": self.zone.key,
            "generated_at": label_of(self.now, ZoneInfo("UTC")),
            "watermark": label_of(self.now, ZoneInfo("UTC")),
            "sampling": Sampling(rate=rate, scaled=rate < 1.0),
            "min_group_size": self.least,
            "warnings": [_warned(code, count) for code, count in sorted(self.warnings.items())],
        }


def _warned(code: str, count: int) -> Warned:
    name, _, detail = code.partition(" ")
    return Warned(code=name, message=_WARNINGS[name] + (f" ({detail})" if detail else ""), count=count)


Answer = Callable[[Any, Asked], Envelope]
