"""What people do one after the other: passages between items step by step, whole paths, and transitions (section 1.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from pydantic import Field

from consentryd.analytics import literal
from consentryd.analytics.asked import Asked
from consentryd.analytics.comparison import check_pattern
from consentryd.analytics.condition import Condition, Matcher
from consentryd.analytics.field import field_of
from consentryd.analytics.kernel.graph import Edges, Nodes, graph_of, shown
from consentryd.analytics.kernel.order import leading
from consentryd.analytics.kernel.paths import ELLIPSIS, END, START, Paths, shortened, walk_of
from consentryd.analytics.kernel.sequences import Sequences, Transitions, added, joined, sequences, transitions
from consentryd.analytics.kernel.sessions import Cut
from consentryd.analytics.kinds.passages import Told, told_of, told_paths, told_transitions
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.selecting import select
from consentryd.analytics.shape import PropertyName, Shape, Text
from consentryd.analytics.source import Source
from consentryd.analytics.stream import Stream
from consentryd.analytics.streaming import Column, Selection
from consentryd.analytics.trends.measuring import scaled
from consentryd.model.clock import DAY, MINUTE, SECOND

ANYTHING = Matcher()
_UNKNOWN: Final = -5
_SEQUENCES: Final = 50
_NAMES: Final = {START: "(start)", END: "(end)", ELLIPSIS: "..."}


class Cleaning(Shape):
    """Every match of a pattern (RE2) in an item becomes the alias; rules apply one after the other."""

    pattern: Text
    alias: Text


class PathsQuery(Question):
    """Sessions as walks from item to item."""

    kind: Literal["paths"]
    events: Matcher = Field(ANYTHING, description="Which events are steps.")
    item: PropertyName = Field("path", description="What a step is called by: `path`, `event`, or a property.")
    cleaning: list[Cleaning] = Field(default=[], max_length=50)
    exclude: list[Text] = Field(default=[], max_length=200)
    include: list[Text] = Field(default=[], max_length=200, description="Only these items; empty: all.")
    start: Text | None = Field(None, description="Paths begin at the first of this item; sessions without it are left out.")
    end: Text | None = Field(None, description="Paths end at the first of this item.")
    start_where: Condition | None = Field(None, description="What must hold for the event that a path begins at.")
    end_where: Condition | None = Field(None, description="What must hold for the event that a path ends at.")
    steps: int = Field(5, ge=2, le=20)
    gap_minutes: float | None = Field(
        30, ge=1 / 60, le=366 * 24 * 60, description="A longer pause begins another path; null: none does."
    )
    window_days: float | None = Field(None, ge=1 / 86_400, le=366, description="A path is not longer than this; default 1 day.")
    collapse_repeats: bool = True
    limit: int = Field(50, ge=1, le=1_000)
    least: int = Field(1, ge=1, description="Smallest passage shown.")
    most: int | None = Field(None, ge=1, description="Largest passage shown.")
    goal: Text | None = Field(
        None,
        description="An item: of every whole path it is shown which share of its sessions visits it, also after the last step shown.",
    )


class PathEdge(Answered):
    """`from` and `to` carry their step: `1_/` to `2_/pricing`. `sessions` passages, by `subjects`."""

    from_: str = Field(serialization_alias="from")
    to: str
    sessions: int
    subjects: int
    mean_s: float
    median_s: float


class PathNode(Answered):
    """`continued` and `dropped` are null where one of them would tell of too few."""

    step: int
    item: str
    arrivals: int
    continued: int | None
    dropped: int | None


class WholePath(Answered):
    items: list[str]
    sessions: int
    median_s: float
    goal_share: float | None


class Transition(Answered):
    from_: str = Field(serialization_alias="from")
    to: str
    sessions: int
    probability: float


class PathsResult(Envelope):
    """`covered`: the share of all passages that the edges shown make up."""

    kind: Literal["paths"] = "paths"
    edges: list[PathEdge]
    nodes: list[PathNode]
    paths: list[WholePath]
    transitions: list[Transition]
    covered: float | None

    def rows(self) -> list[dict[str, Any]]:
        return [edge.model_dump(by_alias=True) for edge in self.edges]

    def sheets(self) -> dict[str, list[dict[str, Any]]]:
        """The passages, the items between them, whole paths, and what comes after what at any step."""
        parts: dict[str, Sequence[Answered]] = {"items": self.nodes, "whole paths": self.paths, "transitions": self.transitions}
        shown = {name: [each.model_dump(by_alias=True) for each in part] for name, part in parts.items()}
        return {"": self.rows()} | shown


class _Part(NamedTuple):
    """Of one stream, or of several. How many subjects nodes and transitions have is known where small groups must not be shown."""

    nodes: Nodes
    edges: Edges
    paths: Sequences
    transitions: Transitions

    @property
    def nbytes(self) -> int:
        return sum(column.nbytes for columns in self for column in columns)

    @classmethod
    def joined(cls, parts: Sequence[_Part]) -> _Part:
        """Of all parts, which have no subject in common; at once, for each step would sort what the one before has sorted."""
        nodes, edges, paths, following = zip(*parts, strict=True)
        return cls(Nodes.joined(nodes), Edges.joined(edges), joined(paths), added(following))


def answer(question: PathsQuery, asked: Asked) -> PathsResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    period = asked.period("day")
    selection = selection_of(question, asked)
    counted = asked.least > 1
    work = partial(_part, question=question, counted=counted)
    span = Span(period.since, period.until)
    texts = asked.execution.shared_texts(selection.statement)
    name = ("paths", question.definition_hash(), counted)
    found = _Part.joined(list(asked.execution.streams(selection, span, work, name, texts, _Part.joined)))
    return _Answer(question, asked, texts.known.get("item", [])).result(found, asked.envelope(period, interval=False))


def selection_of(question: PathsQuery, asked: Asked) -> Selection:
    """The events that are steps, and which of them may be a start or an end."""
    matchers = [
        question.events,
        *(Matcher(where=where) for where in (question.start_where, question.end_where) if where is not None),
    ]
    selection = select(asked, matchers, partial(_columns, question))
    if len(matchers) == 1:
        return selection
    return replace(selection, conditions=(*selection.conditions, selection.definitions[0]))


def _columns(question: PathsQuery, source: Source) -> list[Column]:
    del source
    item = field_of(question.item).text
    if question.exclude:
        item = f"CASE WHEN {item} NOT IN {literal.texts(question.exclude)} THEN {item} END"
    for rule in question.cleaning:
        check_pattern(rule.pattern, "cleaning", rule.alias)
        item = f"regexp_replace({item}, {literal.text(rule.pattern)}, {literal.text(rule.alias)}, 'g')"
    if question.include:
        item = f"CASE WHEN {item} IN {literal.texts(question.include)} THEN {item} END"
    return [Column("item", "text", item)]


def plan_of(question: PathsQuery, texts: list[str]) -> Paths:
    """What the kernel is asked; `texts` are items by code."""
    gap = None if question.gap_minutes is None else round(question.gap_minutes * MINUTE)
    length = round((question.window_days or 1) * DAY)
    return Paths(
        "item",
        Cut(gap=gap, length=length),
        question.steps,
        _code(question.start, texts),
        _code(question.end, texts),
        question.collapse_repeats,
        start_if=None if question.start_where is None else 1,
        end_if=None if question.end_where is None else 1 + (question.start_where is not None),
        goal=_code(question.goal, texts),
    )


def code_of(item: str, texts: list[str]) -> int:
    """The code of an item, or of what stands for none."""
    known = {name: code for code, name in _NAMES.items()}
    return texts.index(item) if item in texts else known.get(item, _UNKNOWN)


def _code(item: str | None, texts: list[str]) -> int | None:
    if item is None:
        return None
    return texts.index(item) if item in texts else _UNKNOWN


def _part(stream: Stream, *, question: PathsQuery, counted: bool) -> _Part:
    texts = stream.texts.get("item", [])
    plan = plan_of(question, texts)
    walk = walk_of(stream, plan)
    short, step = shortened(walk, plan)
    whole = sequences(short, None if plan.goal is None else walk.sessions_with(plan.goal), counted=counted)
    return _Part(*graph_of(short, step, counted=counted), whole, transitions(walk, counted=counted))


class _Answer:
    def __init__(self, question: PathsQuery, asked: Asked, texts: list[str]) -> None:
        self._question, self._asked, self._texts = question, asked, texts
        self._least = max(question.least, asked.least)

    def result(self, found: _Part, envelope: dict[str, Any]) -> PathsResult:
        plan = plan_of(self._question, self._texts)
        told = told_of(found.nodes, found.edges, self._asked.least)
        weights = (self._least, self._question.most)
        graph = shown(found.edges, self._texts, plan, self._question.limit, weights, told.edges)
        edges = [
            PathEdge(
                from_=f"{edge.step}_{edge.origin}",
                to=f"{edge.step + 1}_{edge.target}",
                sessions=scaled(edge.passages, self._asked.scale),
                subjects=scaled(edge.subjects, self._asked.scale),
                mean_s=edge.mean,
                median_s=edge.median,
            )
            for edge in graph.edges
        ]
        return PathsResult(
            **envelope,
            edges=edges,
            nodes=self._nodes(found.nodes, told),
            paths=self._paths(found.paths),
            transitions=self._transitions(found.transitions),
            covered=graph.covered,
        )

    def _nodes(self, nodes: Nodes, told: Told) -> list[PathNode]:
        shown = (nodes.arrivals >= self._question.least) & told.nodes
        columns = (nodes.step, nodes.item, nodes.arrivals, nodes.continued, told.going)
        rows = zip(*(column[shown].tolist() for column in columns), strict=True)
        ranked = sorted((step, -arrivals, self._name(item), continued, going) for step, item, arrivals, continued, going in rows)
        return [
            PathNode(
                step=step,
                item=item,
                arrivals=-less,
                continued=continued if going else None,
                dropped=-less - continued if going else None,
            )
            for step, less, item, continued, going in ranked[: 4 * self._question.limit]
        ]

    def _paths(self, paths: Sequences) -> list[WholePath]:
        first = paths.first()
        items = {
            path: paths.item[first[path] : first[path] + paths.size[path]].tolist()
            for path in leading(paths.sessions, _SEQUENCES).tolist()
        }
        names = {path: [self._name(item) for item in own] for path, own in items.items()}
        ranked = np.array(sorted(names, key=lambda path: (-paths.sessions[path], names[path]))[:_SEQUENCES], np.int64)
        told = told_paths(paths, _SEQUENCES, self._asked.least)
        shown = ranked[(paths.sessions[ranked] >= self._question.least) & told[ranked]]
        return [
            WholePath(
                items=names[path],
                sessions=scaled(int(paths.sessions[path]), self._asked.scale),
                median_s=float(np.median(durations)) / SECOND,
                goal_share=self._goal_share(paths, path),
            )
            for path, durations in zip(shown.tolist(), paths.durations(shown), strict=True)
        ]

    def _goal_share(self, paths: Sequences, path: int) -> float | None:
        """Not where too few of the path's subjects met the goal, or too few did not."""
        people = int(paths.people[path])
        if self._question.goal is None or self._asked.hides(people) or self._asked.hides(int(paths.subjects[path]) - people):
            return None
        return int(paths.met[path]) / int(paths.sessions[path])

    def _transitions(self, found: Transitions) -> list[Transition]:
        chances, large = found.shares(), told_transitions(found, self._asked.least)
        most = 4 * self._question.limit
        names = {
            pair: (self._name(int(found.origin[pair])), self._name(int(found.target[pair])))
            for pair in leading(found.sessions, most).tolist()
        }
        ranked = sorted(names, key=lambda pair: (-found.sessions[pair], *names[pair]))[:most]
        return [
            Transition(
                from_=names[pair][0],
                to=names[pair][1],
                sessions=scaled(int(found.sessions[pair]), self._asked.scale),
                probability=float(chances[pair]),
            )
            for pair in ranked
            if found.sessions[pair] >= self._question.least and large[pair]
        ]

    def _name(self, item: int) -> str:
        return _NAMES.get(item) or self._texts[item]
