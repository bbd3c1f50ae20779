"""The answer to a funnel before anything is added up: one line for each subject that entered, or for each attempt."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

#: In `Chains.time` and `Chains.row`: the chain does not have this step.
ABSENT: Final = -1


class Chains(NamedTuple):
    """m lines of a funnel of k steps, of one stream; by subject ascending, attempts of one subject by time.

    `subject` int64[m]; `depth` int64[m]: mandatory steps of the deepest attempt, excluded or not; `reached` bool[m, k]: which steps count as
    done (all false where excluded); `time` int64[m, k]: UTC microseconds of the chosen attempt's steps (R-F8), `ABSENT` where it has none;
    `row` int64[m, k]: positions of these events in the stream; `excluded` bool[m]. In any order, column j is the j-th step completed.
    """

    subject: Ints
    depth: Ints
    reached: Bools
    time: Ints
    row: Ints
    excluded: Bools

    def take(self, lines: npt.NDArray[np.integer] | Bools) -> Chains:
        """Some of the lines."""
        subject, depth, reached, time, row, excluded = self
        return Chains(subject[lines], depth[lines], reached[lines], time[lines], row[lines], excluded[lines])

    def subjects_at(self, step: int) -> Ints:
        """Who did a step."""
        return np.unique(self.subject[self.reached[:, step]])

    def dropped_before(self, step: int, previous: int) -> Ints:
        """Who did the step before, but not this one."""
        return np.setdiff1d(self.subjects_at(previous), self.subjects_at(step))

    def subjects_excluded(self) -> Ints:
        """Who was excluded, of several attempts in one or more."""
        return np.unique(self.subject[self.excluded])


def blank(subject: Ints, steps: int) -> Chains:
    """Lines in which nothing happened yet. They are filled and read step by step, so that is how they lie in memory."""
    lines = len(subject)
    return Chains(
        subject=subject,
        depth=np.zeros(lines, np.int64),
        reached=np.zeros((lines, steps), np.bool_, order="F"),
        time=np.full((lines, steps), ABSENT, np.int64, order="F"),
        row=np.full((lines, steps), ABSENT, np.int64, order="F"),
        excluded=np.zeros(lines, np.bool_),
    )


def joined(parts: list[Chains]) -> Chains:
    """Lines of several streams, or of parts of one."""
    return Chains(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def forgotten(chains: Chains) -> Chains:
    """Without the attempts of those who are excluded."""
    kept = ~chains.excluded[:, None]
    return chains._replace(time=np.where(kept, chains.time, ABSENT), row=np.where(kept, chains.row, ABSENT))


def ends(chains: Chains) -> Ints:
    """Time of the deepest step of each chosen attempt."""
    last: Ints = chains.time.max(axis=1, initial=ABSENT)
    return last
