"""As whom the subjects of a file count, and whether: merged, hidden, withdrawn, sampled."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from consentryd.analytics.rollup.bits import Ints
from consentryd.analytics.rules import Rules
from consentryd.storage.reader import Snapshot
from consentryd.storage.rollup import Rollup

Bools = npt.NDArray[np.bool_]


class Standing(NamedTuple):
    """Of a rollup's subjects. `known`: as whom each counts. `seen`: whether it counts at all. `gone`: of which purposes it does not.

    `apart`: subjects of which some events count and others, for a purpose, do not; they have to be looked up among the events.
    """

    known: Ints
    seen: Bools
    gone: dict[str, Bools]
    apart: Ints


class Register:
    """The standing of everybody in one snapshot."""

    def __init__(self, snapshot: Snapshot, rules: Rules) -> None:
        self._aliases = snapshot.aliases
        self._hidden = snapshot.hidden.subjects
        self._rules = rules
        grouped: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for subject, purpose, until in snapshot.withdrawn:
            if purpose in rules.purposes:
                grouped[purpose].append((subject, until))
        self._withdrawn = {purpose: np.array(sorted(pairs), np.int64).T for purpose, pairs in grouped.items()}
        absent = np.unique(np.concatenate([self._hidden, *(pairs[0] for pairs in self._withdrawn.values())]))
        merged = self._aliases.subjects[np.isin(self._aliases.becomes, absent)]
        self._absent = np.union1d(absent, merged)

    def is_whole(self, rollup: Rollup) -> bool:
        """Whether all that a rollup counts may be counted."""
        return self._rules.sampling >= 1.0 and not _found(self._absent, rollup.subjects).any()

    def of(self, rollup: Rollup) -> Standing:
        known = self._known(rollup.subjects)
        seen = ~_found(known, self._hidden)
        if self._rules.sampling < 1.0:
            seen &= self._rules.in_sample(known)
        gone: dict[str, Bools] = {}
        apart = np.zeros(len(known), np.bool_)
        first, last = rollup.received
        for purpose, (subjects, until) in self._withdrawn.items():
            limit = np.full(len(known), -1, np.int64)
            mine = _found(known, subjects)
            limit[mine] = until[np.searchsorted(subjects, known[mine])]
            gone[purpose] = limit >= last
            apart |= (limit >= first) & (limit < last)
        return Standing(known, seen & ~apart, gone, np.unique(known[seen & apart]))

    def _known(self, subjects: Ints) -> Ints:
        merged = _found(subjects, self._aliases.subjects)
        if not merged.any():
            return subjects
        known = subjects.copy()
        known[merged] = self._aliases.becomes[np.searchsorted(self._aliases.subjects, subjects[merged])]
        return known


def _found(values: Ints, among: Ints) -> Bools:
    """Which values are among others, which ascend."""
    if not len(among):
        return np.zeros(len(values), np.bool_)
    place = np.minimum(np.searchsorted(among, values), len(among) - 1)
    found: Bools = among[place] == values
    return found
