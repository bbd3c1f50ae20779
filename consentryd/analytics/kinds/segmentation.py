"""Who did something, or did not, and what they are: place, device, traits, and how they can be reached (section 1.16)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from consentryd.analytics import literal
from consentryd.analytics.asked import Asked
from consentryd.analytics.breakdown import NONE_LABEL, OTHER_LABEL, REST, By
from consentryd.analytics.condition import All, Condition, Did, Matcher, Window, seen_lately
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.latest import check_latest, latest_sql
from consentryd.analytics.period import Period, days_of
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.shape import Shape, Text
from consentryd.analytics.source import Source, members_sql
from consentryd.analytics.trends.measuring import scaled
from consentryd.analytics.view import HISTORY
from consentryd.model.error import Unprocessable

ANYTHING: Final = Matcher()
_WHOLE: Final = -1
_PLACE_AND_DEVICE: Final = [By(property=name) for name in ("country", "device", "os", "browser")]


class Channel(Shape):
    """A way to reach people. Who may be reached is of whom `reachable` holds, and whose stance on `purpose` is as `consent` asks."""

    name: Text
    reachable: Condition | None = Field(
        None, description="Such as a trait that is set, or a subscription that was not cancelled."
    )
    purpose: Text | None = Field(None, description="What people were asked for, such as `marketing`.")
    consent: Literal["granted", "not_refused"] = "granted"

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.reachable is None and self.purpose is None:
            raise ValueError("needs `reachable`, `purpose`, or both")
        return self


class SegmentationQuery(Question):
    """Subjects who did `did` in the range, or who did not, of whom `subjects` holds."""

    kind: Literal["segmentation"]
    did: Matcher = Field(ANYTHING, description="What they did; default: any event.")
    times: int = Field(1, ge=1, le=1_000_000, description="At least so often.")
    done: bool = Field(True, description="False: those who did it less often, or not at all.")
    seen_days: int | None = Field(
        None,
        ge=1,
        le=3_650,
        description="Only of subjects with an event of any kind in so many days before now; default: all ever seen.",
    )
    subjects: Condition | None = Field(None, description="What else holds of them: traits, cohorts, deeds.")
    by: list[By] = Field(default=_PLACE_AND_DEVICE, max_length=20, description="What they are told apart by, each on its own.")
    limit: int = Field(25, ge=1, le=500, description="Groups shown; the rest is `Other`.")
    channels: list[Channel] = Field(default=[], max_length=20)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        check_latest(self.by)
        if self.range.explicit:
            raise ValueError("a segment is made of whole local days")
        if len({channel.name for channel in self.channels}) < len(self.channels):
            raise ValueError("channels have names of their own")
        return self


class SegmentationGroup(Answered):
    value: str
    subjects: int
    events: int
    rest: bool = Field(False, description=REST)


class SegmentationBreakdown(Answered):
    """A subject is in one group: that of the last value up to the range's end; of traits of the last value known."""

    property: str
    groups: list[SegmentationGroup]


class Reach(Answered):
    """Subjects that may be reached by a channel, and their share."""

    channel: str
    subjects: int | None
    share: float | None


class SegmentationResult(Envelope):
    """`cohort` is the segment as a condition: as the `definition` of a saved cohort it is the same subjects."""

    kind: Literal["segmentation"] = "segmentation"
    subjects: int | None
    events: int | None
    breakdowns: list[SegmentationBreakdown]
    channels: list[Reach]
    cohort: Condition

    def rows(self) -> list[dict[str, Any]]:
        return [
            {"property": each.property, **group.model_dump(exclude={"rest"})}
            | {"share": group.subjects / self.subjects if self.subjects else None, "rest": group.rest}
            for each in self.breakdowns
            for group in each.groups
        ]

    def sheets(self) -> dict[str, list[dict[str, Any]]]:
        """A table for each property, and one of the channels."""
        found = {each.property: [group.model_dump() for group in each.groups] for each in self.breakdowns}
        return {**found, "channels": [each.model_dump() for each in self.channels]} if self.channels else found


class _Count(NamedTuple):
    people: int
    events: int


def answer(question: SegmentationQuery, asked: Asked) -> SegmentationResult:
    """Raises `Unprocessable` for the anonymous lane, and for conditions on events where subjects are meant."""
    require_subjects(asked)
    period = asked.period("day")
    cohort = definition_of(question, period)
    table = asked.execution.gather(_counts_sql(question, cohort, period, asked), Span(None, period.until))
    counts: dict[int, dict[str | None, _Count]] = {}
    for row in table.to_pylist():
        own = counts.setdefault(row["i"], {})
        before = own.get(row["v"], _Count(0, 0))
        own[row["v"]] = _Count(before.people + row["people"], before.events + row["events"])
    whole = counts.get(_WHOLE, {}).get(None, _Count(0, 0))
    small = asked.hides(whole.people)
    parts = [] if small else [_groups(counts.get(number, {}), question, asked) for number in range(len(question.by))]
    envelope = asked.envelope(period, interval=False)
    envelope["suppressed_groups"] = int(small) + sum(hidden for _, hidden in parts)
    return SegmentationResult(
        **envelope,
        subjects=None if small else scaled(whole.people, asked.scale),
        events=None if small else scaled(whole.events, asked.scale),
        breakdowns=[
            SegmentationBreakdown(property=by.property, groups=groups)
            for by, (groups, _) in zip(question.by, parts, strict=False)
        ],
        channels=[] if small else [_reach(channel, cohort, period, whole.people, asked) for channel in question.channels],
        cohort=cohort,
    )


def definition_of(question: SegmentationQuery, period: Period) -> Condition:
    """The segment as a condition on subjects."""
    days = days_of(period)
    wheres = [each for each in (question.did.where, question.where) if each is not None]
    where = All(type="and", conditions=wheres) if len(wheres) > 1 else wheres[0] if wheres else None
    times = {"op": "gte", "times": question.times} if question.done else {"op": "lt", "times": question.times}
    window = Window.model_validate({"from": days.from_, "to": days.to})
    did = Did(type="did", event=question.did.event, where=where, window=window, **times)
    wanted = did if question.subjects is None else All(type="and", conditions=[did, question.subjects])
    return seen_lately(wanted, question.seen_days)


def members(question: SegmentationQuery, channel: str | None, asked: Asked) -> list[int]:
    """The subjects of the segment, or those of them that a channel reaches."""
    require_subjects(asked)
    cohort = definition_of(question, asked.period("day"))
    reach = next((each for each in question.channels if each.name == channel), None)
    parts = _reached(reach, cohort, asked.period("day"), asked)
    return sorted(int(subject) for part in parts for subject in part)


def members_with(question: SegmentationQuery, name: str, value: str | None, asked: Asked) -> list[int]:
    """The subjects of the segment with a value of a property of `by`. Raises `Unprocessable` for a property that it is not told apart by."""
    require_subjects(asked)
    by = next((each for each in question.by if each.property == name), None)
    if by is None:
        raise Unprocessable("invalid", "The query does not tell subjects apart by this.", field="dimension")
    period, source = asked.period("day"), Source(asked.setting, HISTORY)
    latest = latest_sql(by, source)
    wanted = "IS NULL" if value in {None, NONE_LABEL} else f"= {literal.text(value or '')}"
    where = _of_segment(definition_of(question, period), source, period)
    statement = f"SELECT e.subject AS s FROM {source.sql} WHERE {where} GROUP BY e.subject HAVING {latest} {wanted}"
    found: list[int] = asked.execution.gather(statement, Span(None, period.until))["s"].to_pylist()
    return found


def _counts_sql(question: SegmentationQuery, cohort: Condition, period: Period, asked: Asked) -> str:
    """Subjects and events of the whole (-1), and of each value of each property of `by`."""
    source = Source(asked.setting, HISTORY)
    conditions = [source.matches(question.did), *([] if question.where is None else [source.holds(question.where)])]
    values = [f", {latest_sql(by, source)} AS v{number}" for number, by in enumerate(question.by)]
    within = f"e.time >= make_timestamptz({period.since})"
    people = (
        f"SELECT e.subject AS s, count(*) FILTER ({' AND '.join(conditions)} AND {within}) AS n{''.join(values)}"
        f" FROM {source.sql} WHERE {_of_segment(cohort, source, period)} GROUP BY e.subject"
    )
    sets = [f"SELECT {_WHOLE} AS i, NULL::VARCHAR AS v, count(*) AS people, coalesce(sum(n), 0)::BIGINT AS events FROM people"]
    sets += [
        f"SELECT {number}, v{number}, count(*), coalesce(sum(n), 0)::BIGINT FROM people GROUP BY v{number}"
        for number in range(len(question.by))
    ]
    return f"WITH people AS MATERIALIZED ({people}) {' UNION ALL '.join(sets)}"


def _of_segment(cohort: Condition, source: Source, period: Period) -> str:
    until = f"e.time < make_timestamptz({period.until})"
    return f"e.subject IS NOT NULL AND {until} AND e.subject IN ({members_sql(cohort, source)})"


def _groups(counts: dict[str | None, _Count], question: SegmentationQuery, asked: Asked) -> tuple[list[SegmentationGroup], int]:
    """The largest groups and `Other`, and how many are not shown. A subject is in one group, so that a small `Other` would follow from the
    whole: then the smallest groups join it until it is large enough."""
    ranked = sorted(counts.items(), key=lambda each: (-each[1].people, each[0] is None, each[0] or ""))
    shown = [each for each in ranked[: question.limit] if each[1].people >= asked.least]
    rest = [each for each in ranked if each not in shown]
    while shown and asked.hides(sum(count.people for _, count in rest)):
        rest.append(shown.pop())
    found = [_group(NONE_LABEL if value is None else value, [count], asked) for value, count in shown]
    people = sum(count.people for _, count in rest)
    if people and people >= asked.least:
        return [*found, _group(OTHER_LABEL, [count for _, count in rest], asked, rest=True)], 0
    return found, len(rest)


def _group(value: str, counts: Sequence[_Count], asked: Asked, *, rest: bool = False) -> SegmentationGroup:
    people, events = (sum(column) for column in zip(*counts, strict=True))
    return SegmentationGroup(value=value, rest=rest, subjects=scaled(people, asked.scale), events=scaled(events, asked.scale))


def _reach(channel: Channel, cohort: Condition, period: Period, whole: int, asked: Asked) -> Reach:
    reached = sum(len(part) for part in _reached(channel, cohort, period, asked))
    hidden = asked.hides(reached) or asked.hides(whole - reached)
    return Reach(
        channel=channel.name,
        subjects=None if hidden else scaled(reached, asked.scale),
        share=None if hidden or not whole else reached / whole,
    )


def _reached(channel: Channel | None, cohort: Condition, period: Period, asked: Asked) -> list[Any]:
    """The subjects of each part that are in the segment, and that a channel reaches."""
    source = Source(asked.setting, HISTORY)
    conditions = [_of_segment(cohort, source, period)]
    if channel is not None and channel.reachable is not None:
        conditions.append(f"e.subject IN ({members_sql(channel.reachable, source)})")
    statement = f"SELECT DISTINCT e.subject AS s FROM {source.sql} WHERE {' AND '.join(conditions)}"
    found = []
    for region, table in asked.execution.partials(statement, Span(None, period.until)):
        subjects = table["s"].cast(pa.int64()).to_numpy()
        if channel is not None and channel.purpose is not None:
            stances = asked.execution.stances(region, channel.purpose)
            granted = channel.consent == "granted"
            subjects = subjects[np.isin(subjects, stances.granted if granted else stances.refused, invert=not granted)]
        found.append(subjects)
    return found
