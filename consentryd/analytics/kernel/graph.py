"""Paths as a graph: how many arrive at an item at a step, and go on to which (section 1.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from consentryd.analytics.kernel.chain import Bools, Ints
from consentryd.analytics.kernel.order import leading, numbered, people, summed
from consentryd.analytics.kernel.paths import ELLIPSIS, Paths, Walk, shortened, walk_of
from consentryd.analytics.stream import Stream


class Edges(NamedTuple):
    """Passages from an item at `step` to an item at the next, ascending, each once.

    `passages`: in how many sessions; `subjects`. By passage: `edge`, the number of its line, and `taken`, int64 microseconds.
    """

    step: Ints
    origin: Ints
    target: Ints
    passages: Ints
    subjects: Ints
    edge: npt.NDArray[np.int32]
    taken: Ints

    @classmethod
    def joined(cls, parts: Sequence[Edges]) -> Edges:
        """Of all parts, which have no subject in common."""
        step, origin, target, passages, subjects, edge, taken = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        at, number = numbered(step, origin, target)
        offset = np.cumsum([0, *(len(part.step) for part in parts[:-1])])
        edge = number.astype(np.int32)[edge + np.repeat(offset, [len(part.edge) for part in parts])]
        passages, subjects = (summed(number, column, len(at)) for column in (passages, subjects))
        return cls(step[at], origin[at], target[at], passages, subjects, edge, taken)


class Nodes(NamedTuple):
    """Arrivals at an item at a step, ascending, each once; of these `continued` went on. If counted, else 0, `subjects`: who arrived;
    `going` and `leaving`: who went on, and who did not."""

    step: Ints
    item: Ints
    arrivals: Ints
    continued: Ints
    subjects: Ints
    going: Ints
    leaving: Ints

    @classmethod
    def joined(cls, parts: Sequence[Nodes]) -> Nodes:
        """Of all parts, which have no subject in common."""
        step, item, *counts = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        at, number = numbered(step, item)
        return cls(step[at], item[at], *(summed(number, column, len(at)) for column in counts))


def graph(stream: Stream, question: Paths) -> tuple[Nodes, Edges]:
    """The nodes and passages of a stream."""
    return graph_of(*shortened(walk_of(stream, question), question))


def graph_of(walk: Walk, step: Ints, *, counted: bool = False) -> tuple[Nodes, Edges]:
    """Adds up visits with their steps; if `counted`, also the subjects of nodes."""
    goes_on = np.append(walk.session[1:] == walk.session[:-1], values=False) if len(step) else np.empty(0, np.bool_)
    place = np.flatnonzero(goes_on)
    return _nodes(walk, step, goes_on, counted=counted), _edges(walk, step, place)


def _nodes(walk: Walk, step: Ints, goes_on: Bools, *, counted: bool) -> Nodes:
    at, number = numbered(step, walk.item)
    arrivals = np.bincount(number, minlength=len(at))
    subjects = [np.zeros_like(arrivals)] * 3
    if counted:
        subjects = [people(number[some], walk.subject[some], len(at)) for some in (slice(None), goes_on, ~goes_on)]
    return Nodes(step[at], walk.item[at], arrivals, np.bincount(number[goes_on], minlength=len(at)), *subjects)


def _edges(walk: Walk, step: Ints, place: Ints) -> Edges:
    step, origin, target, subject = step[place], walk.item[place], walk.item[place + 1], walk.subject[place]
    by, number = numbered(step, origin, target)
    return Edges(
        step=step[by],
        origin=origin[by],
        target=target[by],
        passages=np.bincount(number, minlength=len(by)),
        subjects=people(number, subject, len(by)),
        edge=number.astype(np.int32),
        taken=walk.time[place + 1] - walk.time[place],
    )


class Edge(NamedTuple):
    """One passage to be shown. Seconds of mean and median."""

    step: int
    origin: str
    target: str
    passages: int
    subjects: int
    mean: float
    median: float


class Shown(NamedTuple):
    """The most frequent passages, by count descending, then names; `covered`: their share of all passages, none if there are none."""

    edges: list[Edge]
    covered: float | None


def shown(
    edges: Edges,
    texts: list[str],
    question: Paths,
    limit: int = 50,
    weights: tuple[int, int | None] = (1, None),
    told: Bools | None = None,
) -> Shown:
    """The `limit` most frequent passages between the least and most `weights`, of those that may be `told`.

    Of these, those that hang together with the first step, or with the end point where paths are aligned at their end.
    """
    names = {ELLIPSIS: "...", **dict(enumerate(texts))}
    low, high = weights
    may = np.ones(len(edges.step), np.bool_) if told is None else told
    allowed = np.flatnonzero(may & (edges.passages >= low) & (edges.passages <= (edges.passages if high is None else high)))
    candidates = allowed[leading(edges.passages[allowed], limit)].tolist()
    chosen = sorted(candidates, key=lambda place: _rank(edges, place, names))[:limit]
    kept = _connected(edges, chosen, question)
    found = []
    for place, taken in zip(kept, _taken(edges, kept), strict=True):
        origin, target = names[int(edges.origin[place])], names[int(edges.target[place])]
        counts = int(edges.step[place]), origin, target, int(edges.passages[place]), int(edges.subjects[place])
        found.append(Edge(*counts, float(taken.mean()), float(np.median(taken))))
    total = int(edges.passages.sum())
    return Shown(found, sum(edge.passages for edge in found) / total if total else None)


def _rank(edges: Edges, place: int, names: Mapping[int, str]) -> tuple[int, str, str]:
    step = int(edges.step[place])
    return (
        -int(edges.passages[place]),
        f"{step}_{names[int(edges.origin[place])]}",
        f"{step + 1}_{names[int(edges.target[place])]}",
    )


def _taken(edges: Edges, places: Sequence[int]) -> list[npt.NDArray[np.float64]]:
    """Of some edges the seconds that each passage took."""
    wanted = np.zeros(len(edges.step), np.bool_)
    wanted[list(places)] = True
    some = np.flatnonzero(wanted[edges.edge])
    edge, taken = edges.edge[some], edges.taken[some] / 1_000_000
    return [taken[edge == place] for place in places]


def _connected(edges: Edges, chosen: list[int], question: Paths) -> list[int]:
    """Of the chosen passages those that a path from the first step (or to the last one) has through chosen ones."""
    backwards = question.ends_only
    reached = {(question.steps, question.end)} if backwards else set()
    kept = set()
    for place in sorted(chosen, key=lambda place: int(edges.step[place]), reverse=backwards):
        step = int(edges.step[place])
        origin, target = (step, int(edges.origin[place])), (step + 1, int(edges.target[place]))
        near, far = (target, origin) if backwards else (origin, target)
        if near in reached or (not backwards and step == 1):
            reached.add(far)
            kept.add(place)
    return [place for place in chosen if place in kept]
