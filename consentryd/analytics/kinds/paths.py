"""What people do one after the other: passages between items step by step, whole paths, and transitions (section 1.8)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial, reduce
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from pydantic import Field

from consentryd.analytics import literal
from consentryd.analytics.asked import Asked
from consentryd.analytics.comparison import check_pattern
from consentryd.analytics.condition import Condition, Matcher
from consentryd.analytics.field import field_of
from consentryd.analytics.kernel.chain import Ints
from consentryd.analytics.kernel.change import changes
from consentryd.analytics.kernel.graph import Edges, Nodes, graph_of, shown
from consentryd.analytics.kernel.paths import ELLIPSIS, END, START, Paths, Walk, shortened, walk_of
from consentryd.analytics.kernel.sequences import Sequences, Transitions, added, merged, sequences, shares, transitions
from consentryd.analytics.kernel.sessions import Cut
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.selecting import select
from consentryd.analytics.shape import PropertyName, Shape, Text
from consentryd.analytics.source import Source
from consentryd.analytics.stream import Stream
from consentryd.analytics.streaming import Column
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
    goal: Text | None = Field(None, description="An item whose share of sessions is shown for every whole path.")


class PathEdge(Answered):
    """`from` and `to` carry their step: `1_/` to `2_/pricing`. `sessions` passages, by `subjects`."""

    from_: str = Field(serialization_alias="from")
    to: str
    sessions: int
    subjects: int
    mean_s: float
    median_s: float


class PathNode(Answered):
    step: int
    item: str
    arrivals: int
    continued: int
    dropped: int


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


_Key = tuple[str, int, int]


class _Part(NamedTuple):
    """`people`: by node and by transition how many subjects it is of, where small groups must not be shown."""

    nodes: Nodes
    edges: Edges
    paths: Sequences
    transitions: Transitions
    people: Counter[_Key]

    def merge(self, other: _Part) -> _Part:
        return _Part(
            self.nodes.merge(other.nodes),
            self.edges.merge(other.edges),
            merged(self.paths, other.paths),
            added(self.transitions, other.transitions),
            self.people + other.people,
        )


def answer(question: PathsQuery, asked: Asked) -> PathsResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    period = asked.period("day")
    matchers = [
        question.events,
        *(Matcher(where=where) for where in (question.start_where, question.end_where) if where is not None),
    ]
    selection = select(asked, matchers, partial(_columns, question))
    if len(matchers) > 1:
        selection = replace(selection, conditions=(*selection.conditions, selection.definitions[0]))
    work = partial(_part, question=question, counted=asked.least > 1)
    span = Span(period.since, period.until)
    texts = asked.execution.shared_texts(selection.statement)
    found = reduce(_Part.merge, asked.execution.streams(selection, span, work, ("paths", question.definition_hash()), texts))
    return _Answer(question, asked, texts.known.get("item", [])).result(found, asked.envelope(period, interval=False))


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


def _plan(question: PathsQuery, texts: list[str]) -> Paths:
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
    )


def _code(item: str | None, texts: list[str]) -> int | None:
    if item is None:
        return None
    return texts.index(item) if item in texts else _UNKNOWN


def _part(stream: Stream, *, question: PathsQuery, counted: bool) -> _Part:
    texts = stream.texts.get("item", [])
    plan = _plan(question, texts)
    walk = walk_of(stream, plan)
    short, step = shortened(walk, plan)
    people = _people(walk, short, step) if counted else Counter()
    return _Part(*graph_of(short, step), sequences(short, _code(question.goal, texts)), transitions(walk), people)


def _people(walk: Walk, short: Walk, step: Ints) -> Counter[_Key]:
    """By node (step and item) and by transition (both items) how many subjects."""
    opens = changes(walk.session)
    closes = np.append(opens[1:], values=True) if len(opens) else opens
    both = [
        ("node", step, short.item, short.subject),
        ("next", walk.item[~closes], walk.item[~opens], walk.subject[~opens]),
        ("next", np.full(int(opens.sum()), START), walk.item[opens], walk.subject[opens]),
        ("next", walk.item[closes], np.full(int(closes.sum()), END), walk.subject[closes]),
    ]
    found: Counter[_Key] = Counter()
    for kind, one, other, subject in both:
        pairs, counts = np.unique(np.unique(np.stack([one, other, subject]), axis=1)[:2], axis=1, return_counts=True)
        found.update({(kind, int(a), int(b)): int(n) for a, b, n in zip(*pairs, counts, strict=True)})
    return found


class _Answer:
    def __init__(self, question: PathsQuery, asked: Asked, texts: list[str]) -> None:
        self._question, self._asked, self._texts = question, asked, texts
        self._least = max(question.least, asked.least)

    def result(self, found: _Part, envelope: dict[str, Any]) -> PathsResult:
        plan = _plan(self._question, self._texts)
        graph = shown(found.edges, self._texts, plan, self._question.limit, (self._least, self._question.most))
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
            if edge.subjects >= self._asked.least
        ]
        return PathsResult(
            **envelope,
            edges=edges,
            nodes=self._nodes(found.nodes, found.people),
            paths=self._paths(found.paths),
            transitions=self._transitions(found.transitions, found.people),
            covered=graph.covered,
        )

    def _is_large(self, people: Counter[_Key], key: _Key) -> bool:
        """Whether enough subjects did it to be shown."""
        return self._asked.least <= 1 or people[key] >= self._asked.least

    def _nodes(self, nodes: Nodes, people: Counter[_Key]) -> list[PathNode]:
        rows = zip(*(column.tolist() for column in nodes), strict=True)
        found = [
            PathNode(step=step, item=self._name(item), arrivals=arrivals, continued=continued, dropped=arrivals - continued)
            for step, item, arrivals, continued in rows
            if arrivals >= self._question.least and self._is_large(people, ("node", step, item))
        ]
        return sorted(found, key=lambda node: (node.step, -node.arrivals, node.item))[: 4 * self._question.limit]

    def _paths(self, paths: Sequences) -> list[WholePath]:
        ranked = sorted(paths.items(), key=lambda each: (-len(each[1].durations), [self._name(item) for item in each[0]]))
        return [
            WholePath(
                items=[self._name(item) for item in items],
                sessions=scaled(len(taken.durations), self._asked.scale),
                median_s=float(np.median(taken.durations)) / SECOND,
                goal_share=None if self._question.goal is None else taken.goals / len(taken.durations),
            )
            for items, taken in ranked[:_SEQUENCES]
            if len(taken.durations) >= self._question.least and taken.subjects >= self._asked.least
        ]

    def _transitions(self, found: Transitions, people: Counter[_Key]) -> list[Transition]:
        chances = shares(found)
        ranked = sorted(found, key=lambda pair: (-found[pair], self._name(pair[0]), self._name(pair[1])))
        return [
            Transition(
                from_=self._name(pair[0]),
                to=self._name(pair[1]),
                sessions=scaled(found[pair], self._asked.scale),
                probability=chances[pair],
            )
            for pair in ranked[: 4 * self._question.limit]
            if found[pair] >= self._question.least and self._is_large(people, ("next", *pair))
        ]

    def _name(self, item: int) -> str:
        return _NAMES.get(item) or self._texts[item]
