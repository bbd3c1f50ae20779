"""What of paths may be shown: no passage of too few, and none that follows from who arrives, goes on and leaves."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from consentryd.analytics.kernel.chain import Bools
from consentryd.analytics.kernel.graph import Edges, Nodes
from consentryd.analytics.kernel.order import leading
from consentryd.analytics.kernel.sequences import Sequences, Transitions
from consentryd.analytics.suppression import Line, hidden_of

_NODE, _GOING, _LEAVING, _EDGE, _START = range(5)


class Told(NamedTuple):
    """Which edges, which nodes, and of which nodes it is shown how many go on."""

    edges: Bools
    nodes: Bools
    going: Bools


def told_of(nodes: Nodes, edges: Edges, least: int) -> Told:
    """Arrivals are those who go on and those who leave; who goes on is on the edges from a node, who arrives on those to it."""
    hidden = hidden_of(_lines(nodes, edges), least) if least > 1 else set()

    def shown(*kinds: int) -> Bools:
        number = len(edges.step) if _EDGE in kinds else len(nodes.step)
        return np.array([not any((kind, place) in hidden for kind in kinds) for place in range(number)], np.bool_)

    return Told(shown(_EDGE), shown(_NODE), shown(_GOING, _LEAVING))


def _lines(nodes: Nodes, edges: Edges) -> list[Line]:
    place = {node: number for number, node in enumerate(zip(nodes.step.tolist(), nodes.item.tolist(), strict=True))}
    arrivals, people, going, leaving = (
        column.tolist() for column in (nodes.arrivals, nodes.subjects, nodes.going, nodes.leaving)
    )
    leaves: dict[int, dict[tuple[int, int], int]] = defaultdict(dict)
    comes: dict[int, dict[tuple[int, int], int]] = defaultdict(dict)
    starts = list(arrivals)
    columns = (edges.step, edges.origin, edges.target, edges.passages, edges.subjects)
    for number, (step, origin, target, passages, subjects) in enumerate(zip(*(each.tolist() for each in columns), strict=True)):
        leaves[place[step, origin]][_EDGE, number] = subjects
        comes[place[step + 1, target]][_EDGE, number] = subjects
        starts[place[step + 1, target]] -= passages
    by_step: dict[int, dict[tuple[int, int], int]] = defaultdict(dict)
    for (step, _), number in place.items():
        by_step[step][_NODE, number] = people[number]
    return [
        Line({(_EDGE, number): count for number, count in enumerate(edges.subjects.tolist())}, shared=True),
        *(Line(parts, shared=True) for parts in by_step.values()),
        *(Line({(_GOING, n): going[n], (_LEAVING, n): leaving[n]}, (_NODE, n), shared=True) for n in range(len(people))),
        *(Line(parts, (_GOING, number), shared=True) for number, parts in leaves.items()),
        *(Line({**parts, (_START, n): min(starts[n], people[n])}, (_NODE, n), shared=True) for n, parts in comes.items()),
    ]


def told_transitions(found: Transitions, least: int) -> Bools:
    """As often as an item is come to, it is left."""
    if least <= 1:
        return np.ones(len(found.subjects), np.bool_)
    lines: dict[tuple[str, int], dict[int, int]] = defaultdict(dict)
    columns = (found.origin, found.target, found.subjects)
    for pair, (origin, target, subjects) in enumerate(zip(*(each.tolist() for each in columns), strict=True)):
        lines["from", origin][pair] = lines["to", target][pair] = subjects
    hidden = hidden_of([Line(parts, shared=True) for parts in lines.values()], least)
    return np.array([pair not in hidden for pair in range(len(found.subjects))], np.bool_)


def told_paths(paths: Sequences, most: int, least: int) -> Bools:
    """All sessions are known, so that of the rest of the paths one must be of enough subjects; else the rarest shown joins them."""
    large: Bools = paths.subjects >= least
    if least <= 1 or not (~large).any():
        return np.ones_like(large)
    top = leading(paths.sessions, most)
    top = top[np.argsort(-paths.sessions[top], kind="stable")][:most]
    shown = top[large[top]]
    rest = int(large.sum()) - len(shown)
    found = np.zeros_like(large)
    found[shown if rest else shown[:-1]] = True
    return found
