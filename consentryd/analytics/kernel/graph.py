"""Paths as a graph: how many arrive at an item at a step, and go on to which (section 1.8)."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from consentryd.analytics.kernel.chain import Ints
from consentryd.analytics.kernel.change import changes
from consentryd.analytics.kernel.paths import ELLIPSIS, Paths, Walk, shortened, walk_of
from consentryd.analytics.stream import Stream

_TABLE: Final = 8


class Edges(NamedTuple):
    """Passages from an item at `step` to an item at the next, ascending, each once.

    `passages`: in how many sessions; `subjects`; `taken`: int64 microseconds of every passage, edge by edge.
    """

    step: Ints
    origin: Ints
    target: Ints
    passages: Ints
    subjects: Ints
    taken: Ints

    def merge(self, other: Edges) -> Edges:
        """Of both. The parts must have no subject in common."""
        edge = [np.repeat(np.arange(len(part.passages)), part.passages) for part in (self, other)]
        joined = [np.concatenate(pair) for pair in zip(self, other, strict=True)]
        step, origin, target, passages, subjects, taken = joined
        order, number = _numbered(step, origin, target)
        passage = np.concatenate([number[: len(self.passages)][edge[0]], number[len(self.passages) :][edge[1]]])
        size = len(order)
        return Edges(
            step[order],
            origin[order],
            target[order],
            _summed(number, passages, size),
            _summed(number, subjects, size),
            taken[np.argsort(passage, kind="stable")],
        )


class Nodes(NamedTuple):
    """Arrivals at an item at a step, ascending, each once; of these `continued` went on."""

    step: Ints
    item: Ints
    arrivals: Ints
    continued: Ints

    def merge(self, other: Nodes) -> Nodes:
        """Of both. The parts must have no subject in common."""
        step, item, arrivals, continued = (np.concatenate(pair) for pair in zip(self, other, strict=True))
        order, number = _numbered(step, item)
        return Nodes(step[order], item[order], _summed(number, arrivals, len(order)), _summed(number, continued, len(order)))


def _numbered(*columns: Ints) -> tuple[Ints, Ints]:
    """Positions of a line of each combination, these ascending, and by line the number of its combination.

    Combinations are packed into one number; a table of all there could be beats sorting them while it is no longer than a few lines each.
    """
    packed, room = _packed(columns)
    if room > _TABLE * (len(packed) + 1):
        _, first, number = np.unique(packed, return_index=True, return_inverse=True)
        return first, number.astype(np.int64)
    place = np.full(room, -1, np.int64)
    place[packed] = np.arange(len(packed))
    there = place >= 0
    number = (np.cumsum(there) - 1)[packed]
    return place[there], number


def _packed(columns: tuple[Ints, ...]) -> tuple[Ints, int]:
    """The columns as one, in the same order, and the room of its values. Steps and items are few, so 63 bits hold them."""
    packed, room = np.zeros(len(columns[0]), np.int64), 1
    for column in columns:
        low = int(column.min(initial=0))
        span = int(column.max(initial=0)) - low + 1
        packed, room = packed * span + (column - low), room * span
    assert room < 1 << 63
    return packed, room


def _summed(number: Ints, values: Ints, size: int) -> Ints:
    found = np.zeros(size, np.int64)
    np.add.at(found, number, values)
    return found


def graph(stream: Stream, question: Paths) -> tuple[Nodes, Edges]:
    """The nodes and passages of a stream."""
    return graph_of(*shortened(walk_of(stream, question), question))


def graph_of(walk: Walk, step: Ints) -> tuple[Nodes, Edges]:
    """Adds up visits with their steps."""
    goes_on = np.append(walk.session[1:] == walk.session[:-1], values=False) if len(step) else np.empty(0, np.bool_)
    at, number = _numbered(step, walk.item)
    nodes = Nodes(
        step[at], walk.item[at], np.bincount(number, minlength=len(at)), _summed(number, goes_on.astype(np.int64), len(at))
    )
    place = np.flatnonzero(goes_on)
    origin, target, subject = walk.item[place], walk.item[place + 1], walk.subject[place]
    by, number = _numbered(step[place], origin, target)
    order = np.argsort(number, kind="stable")
    grouped = number[order]
    new = changes(grouped) | changes(subject[order])  # within an edge passages are still by subject
    edges = Edges(
        step=step[place][by],
        origin=origin[by],
        target=target[by],
        passages=np.bincount(number, minlength=len(by)),
        subjects=np.bincount(grouped[new], minlength=len(by)),
        taken=(walk.time[place + 1] - walk.time[place])[order],
    )
    return nodes, edges


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


def shown(edges: Edges, texts: list[str], question: Paths, limit: int = 50, weights: tuple[int, int | None] = (1, None)) -> Shown:
    """The `limit` most frequent passages between the least and most `weights`.

    Of these, those that hang together with the first step, or with the end point where paths are aligned at their end.
    """
    names = {ELLIPSIS: "...", **dict(enumerate(texts))}
    low, high = weights
    wanted = [
        (-int(count), int(step), names[int(origin)], names[int(target)], place)
        for place, (step, origin, target, count) in enumerate(zip(*edges[:4], strict=True))
        if count >= low and (high is None or count <= high)
    ]
    chosen = [
        place
        for *_, place in sorted(wanted, key=lambda edge: (edge[0], f"{edge[1]}_{edge[2]}", f"{edge[1] + 1}_{edge[3]}"))[:limit]
    ]
    kept = _connected(edges, chosen, question)
    bounds = np.cumsum(edges.passages)
    found = []
    for place in kept:
        taken = edges.taken[bounds[place] - edges.passages[place] : bounds[place]] / 1_000_000
        origin, target = names[int(edges.origin[place])], names[int(edges.target[place])]
        counts = int(edges.step[place]), origin, target, int(edges.passages[place]), int(edges.subjects[place])
        found.append(Edge(*counts, float(taken.mean()), float(np.median(taken))))
    total = int(edges.passages.sum())
    return Shown(found, sum(edge.passages for edge in found) / total if total else None)


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
