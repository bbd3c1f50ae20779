"""A funnel's groups: by values of properties, the largest and the rest, or by saved cohorts (R-F13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from consentryd.analytics.account import streams_of
from consentryd.analytics.breakdown import EVERYONE_LABEL, OTHER_LABEL
from consentryd.analytics.funnels.model import FunnelBreakdown, FunnelGroup, FunnelQuery
from consentryd.analytics.funnels.run import GROUP, Run, lines_of
from consentryd.analytics.funnels.told import Told
from consentryd.analytics.group import values_label
from consentryd.analytics.kernel import attribution
from consentryd.analytics.kernel.chain import Chains, forgotten
from consentryd.analytics.kernel.conversion import Conversion
from consentryd.analytics.kernel.funnel import Funnel
from consentryd.analytics.stream import NONE, Int32s, Stream
from consentryd.analytics.suppression import Cell, Line, hidden_of

#: The code of all values that are not shown.
OTHER: Final = -2


class Groups(NamedTuple):
    """The groups shown, how many were left out for being small, how many of their steps are hidden, and whether subjects are in several."""

    shown: list[FunnelGroup]
    suppressed: int = 0
    cells: int = 0
    overlap: bool = False


class _Grouped(NamedTuple):
    by_code: Mapping[int, Conversion]
    overlap: bool


def groups_of(run: Run, total: Conversion, told: Told) -> Groups:
    """Without a breakdown there are none."""
    breakdown = run.question.breakdown
    if breakdown is None:
        return Groups([])
    return _by_cohort(run, breakdown, total, told) if breakdown.cohorts else _by_value(run, breakdown, total, told)


def _by_cohort(run: Run, breakdown: FunnelBreakdown, total: Conversion, told: Told) -> Groups:
    found = {EVERYONE_LABEL: total} | {name: replace(run, cohort=name).total() for name in breakdown.cohorts}
    large = {name: numbers for name, numbers in found.items() if not run.asked.hides(int(numbers.people[0]))}
    shown = [_group(name, numbers, told, None) for name, numbers in large.items()]
    return Groups(shown, len(found) - len(large), overlap=True)


def _by_value(run: Run, breakdown: FunnelBreakdown, total: Conversion, told: Told) -> Groups:
    """The `limit` largest. The small ones and the rest are `Other`, joined by the next smallest until it is large enough."""
    every = _grouped(run, None)
    texts = run.texts.known.get(GROUP, [])
    labels = {code: _label(code, texts, breakdown) for code in every.by_code}
    sizes = {code: int(numbers.people[0]) for code, numbers in every.by_code.items() if numbers.people[0]}
    ranked = sorted(sizes, key=lambda code: (-int(every.by_code[code].counts[0]), labels[code]))
    top = [code for code in ranked if not run.asked.hides(sizes[code])][: breakdown.limit]
    while top and run.asked.hides(sum(size for code, size in sizes.items() if code not in top)):
        top.pop()
    found, suppressed = {code: every.by_code[code] for code in top}, 0
    if len(top) < len(ranked):
        rest = _grouped(run, np.array(top, np.int32)).by_code.get(OTHER)
        if rest is None or run.asked.hides(int(rest.people[0])):
            suppressed = len(ranked) - len(top)
        else:
            found[OTHER] = rest
    cuts = _cuts(list(found.values()), None if every.overlap else total, told)
    quiet = set() if every.overlap else _quiet(found, total, run.asked.least)
    shown = [
        _group(labels.get(code, OTHER_LABEL), numbers, told, cut, rest=code == OTHER, quiet=code in quiet)
        for (code, numbers), cut in zip(found.items(), cuts, strict=True)
    ]
    return Groups(shown, suppressed, sum(len(run.plan.steps) - cut for cut in cuts), every.overlap)


def _quiet(groups: Mapping[int, Conversion], total: Conversion, least: int) -> set[Cell]:
    """The groups whose excluded are not shown: too few, or beside too few. None: those of no group that is shown."""
    barred: dict[Cell, int] = {code: numbers.excluded_people for code, numbers in groups.items()}
    barred[None] = total.excluded_people - sum(barred.values())
    return hidden_of([Line(barred)], least)


def _cuts(groups: Sequence[Conversion], total: Conversion | None, told: Told) -> list[int]:
    """The first step of each group that is not shown. Where one group's alone is not, it would follow from the total's, and so would that of
    a few together: then the smallest groups beside them are not shown from there on either."""
    cuts = [told.cut(numbers.people.tolist()) for numbers in groups]
    if total is None:
        return cuts
    for step in range(told.cut(total.people.tolist())):
        sizes = {place: size for place in reversed(range(len(groups))) if (size := int(groups[place].people[step]))}
        hidden = hidden_of([Line(sizes)], told.asked.least, {place for place in sizes if cuts[place] <= step})
        for place in sizes.keys() & hidden:
            cuts[place] = min(cuts[place], step)
    return cuts


def _group(
    label: str, numbers: Conversion, told: Told, cut: int | None, *, rest: bool = False, quiet: bool = False
) -> FunnelGroup:
    """`quiet`: how many were excluded would tell of too few, here or elsewhere."""
    return FunnelGroup(
        group=label,
        rest=rest,
        steps=told.steps(numbers, cut),
        overall=told.overall(numbers, cut),
        excluded=None if quiet else told.excluded(numbers),
    )


def _grouped(run: Run, kept: Int32s | None) -> _Grouped:
    """Numbers by code of the group; with `kept`, all other codes are one."""
    work = partial(_by_code, plan=run.plan, question=run.question, kept=kept)
    name = ("groups", run.plan, run.question.definition_hash(), None if kept is None else kept.tobytes())
    parts = list(streams_of(run.asked, run.selection(grouped=True), run.span, work, name, run.texts))
    merged: dict[int, Conversion] = {}
    for part in parts:
        for code, numbers in part.by_code.items():
            merged[code] = merged[code].merge(numbers) if code in merged else numbers
    return _Grouped(merged, any(part.overlap for part in parts))


def _by_code(stream: Stream, *, plan: Funnel, question: FunnelQuery, kept: Int32s | None) -> _Grouped:
    grouped = attributed(stream, plan, question, kept)
    return _Grouped(grouped.conversions(plan.pairs()), grouped.overlap)


def attributed(stream: Stream, plan: Funnel, question: FunnelQuery, kept: Int32s | None = None) -> attribution.Grouped:
    """Chains, and for each the code of the value that it counts for; with `kept`, `OTHER` for all other values and none.

    A trait is that at the first step. Where the funnel is run value by value, the others are one value before; where a chain has one value,
    after: an event without one names nothing, whatever is kept.
    """
    breakdown, held = question.breakdown, tuple(question.held)
    assert breakdown is not None
    of_trait = all(by.of == "subject" for by in breakdown.keys)
    step = 0 if of_trait else breakdown.step
    single = of_trait or step or held or plan.count_entries or plan.order != "ordered"
    if breakdown.attribution == "all_steps" and not of_trait:
        return attribution.all_steps(_merged(stream, kept), plan, GROUP)
    if breakdown.attribution == "step" and not single:
        return attribution.at_first_step(_merged(stream, kept), plan, GROUP)
    lines = _followed(stream, plan, held)
    if of_trait or breakdown.attribution == "step":
        found = attribution.at_step(lines, attribution.column_of(stream, plan, GROUP, step), step)
    else:
        columns = [attribution.column_of(stream, plan, GROUP, number) for number in range(len(plan.steps))]
        found = attribution.touched(lines, columns, last=breakdown.attribution == "last_touch")
    found = found._replace(chains=forgotten(found.chains) if plan.exclusions and not plan.count_entries else found.chains)
    return found if kept is None else found._replace(group=np.where(np.isin(found.group, kept), found.group, OTHER))


def _followed(stream: Stream, plan: Funnel, held: tuple[str, ...]) -> Chains:
    """Chains, of subjects that are excluded those that they would have had: these say which group they are excluded from."""
    lines = lines_of(stream, plan, held)
    if plan.count_entries or not lines.excluded.any():
        return lines
    free = lines_of(stream, replace(plan, exclusions=()), held)
    own = np.searchsorted(free.subject, lines.subject[lines.excluded])
    time, row = lines.time.copy(), lines.row.copy()
    time[lines.excluded], row[lines.excluded] = free.time[own], free.row[own]
    return lines._replace(time=time, row=row)


def _merged(stream: Stream, kept: Int32s | None) -> Stream:
    """With one value for all that are not kept."""
    if kept is None:
        return stream
    codes = stream.values[GROUP]
    other = np.where(np.isin(codes, kept), codes, OTHER).astype(np.int32)
    return stream._replace(values={**stream.values, GROUP: other})


def _label(code: int, texts: Sequence[str], breakdown: FunnelBreakdown) -> str:
    return values_label(None if code == NONE else texts[code], breakdown.keys)
