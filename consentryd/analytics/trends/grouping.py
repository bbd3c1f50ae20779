"""Which groups of a breakdown are shown: those with the largest metric over the whole range, none smaller than allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from consentryd.analytics.asked import Asked
from consentryd.analytics.binning import edges_of
from consentryd.analytics.breakdown import ByCohorts, ByProperties
from consentryd.analytics.group import ALL, EVERYONE, OTHER
from consentryd.analytics.trends.aggregate import RANGE, Cells, Levels
from consentryd.analytics.trends.measuring import series_cells, subject_cells
from consentryd.analytics.trends.model import Measure, Series
from consentryd.analytics.trends.rows import Frame

_RANGE_ONLY = Levels(buckets=False)
#: What the range as a whole is shown with: where all groups are shown, they have been counted when they were chosen.
_RANGE = Levels(buckets=False, together=True)


class Shown(NamedTuple):
    """The frame whose rows carry these groups and no other, the groups in order, and how many were left out for being small."""

    frame: Frame
    groups: tuple[str, ...]
    suppressed: int = 0


def choose_groups(series: Sequence[Series], frame: Frame, asked: Asked) -> Shown:
    """The groups to show. Without a breakdown there is none: only all rows together."""
    match frame.breakdown:
        case None:
            return Shown(frame, ())
        case ByCohorts():
            return _cohorts(series, frame, asked)
        case ByProperties():
            return _values(series, _with_bins(series, frame, asked), frame.breakdown, asked)


def parts_of(series: Sequence[Series]) -> list[Measure]:
    """All measures of the series, those of ratios too."""
    found: list[Measure] = []
    for each in series:
        found += [part for part in (each.numerator, each.denominator) if part is not None] or [each]
    return found


def subjects_by_group(series: Sequence[Series], frame: Frame, asked: Asked) -> dict[str, int]:
    """The most subjects that any series has in a group."""
    found: dict[str, int] = {}
    for part in parts_of(series):
        for (group, _), count in subject_cells(part, frame, _RANGE_ONLY, asked).items():
            found[group] = max(found.get(group, 0), count)
    return found


def _cohorts(series: Sequence[Series], frame: Frame, asked: Asked) -> Shown:
    assert isinstance(frame.breakdown, ByCohorts)
    every = (EVERYONE, *(f"c{number}" for number in range(len(frame.breakdown.cohorts))))
    if not asked.least:
        return Shown(frame, every)
    sizes = subjects_by_group(series, frame, asked)
    large = tuple(group for group in every if sizes.get(group, 0) >= asked.least)
    if asked.hides(sizes.get(EVERYONE, 0)):
        asked.warn("total_excludes_suppressed")
    return Shown(replace(frame, shown=large, other=False), large, len(every) - len(large))


def _values(series: Sequence[Series], frame: Frame, breakdown: ByProperties, asked: Asked) -> Shown:
    unheard = asked.unheard()  # what is left out is said when the groups are measured
    ranked = _ranked([series_cells(each, frame, _RANGE, unheard) for each in series])
    if asked.least:
        sizes = subjects_by_group(series, frame, asked)
        large = [group for group in ranked if sizes.get(group, 0) >= asked.least]
    else:
        large = ranked
    top = tuple(large[: breakdown.limit])
    if len(top) == len(ranked):
        return Shown(frame, top)
    chosen = replace(frame, shown=top, other=True)
    if asked.least and subjects_by_group(series, chosen, asked).get(OTHER, 0) < asked.least:
        asked.warn("total_excludes_suppressed")
        return Shown(replace(frame, shown=top, other=False), top, len(ranked) - len(top))
    return Shown(chosen, (*top, OTHER))


def _ranked(cells: Sequence[Cells]) -> list[str]:
    """Groups by the first series that has them, largest first, equals by value."""
    values: dict[str, tuple[int, Any]] = {}
    for number, each in enumerate(cells):
        for (group, bucket), value in each.items():
            if bucket == RANGE and group != ALL and group not in values:
                values[group] = (number, value)
    return sorted(values, key=lambda group: (values[group][0], values[group][1] is None, -(values[group][1] or 0), group))


def _with_bins(series: Sequence[Series], frame: Frame, asked: Asked) -> Frame:
    assert isinstance(frame.breakdown, ByProperties)
    found = tuple(edges_of(by, parts_of(series), frame.span, asked) for by in frame.breakdown.by)
    return replace(frame, edges=found)
