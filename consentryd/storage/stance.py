"""Who refuses a purpose and who grants it, of all subjects of a region at once: for answers about whom something may be done to."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from consentryd.storage.alias import Aliases
from consentryd.storage.choice import Choice, ChoiceState, standing_of

Subjects = np.ndarray[tuple[int], np.dtype[np.int64]]


class Stances(NamedTuple):
    """Subjects, ascending, as what they are merged into. Who refuses as one of several merged subjects refuses as all of them."""

    refused: Subjects
    granted: Subjects


def read_stances(connection: sqlite3.Connection, purpose: str, aliases: Aliases) -> Stances:
    """Every stance on a purpose; who said nothing is in neither."""
    rows = connection.execute(
        "SELECT subject, purpose, digest, state, vouched, decided_at, entry, notice FROM choice WHERE purpose = ? ORDER BY subject",
        (purpose,),
    )
    refused: set[int] = set()
    granted: set[int] = set()
    for subject, choices in groupby(_resolved(rows, aliases), key=lambda pair: pair[0]):
        standing = standing_of(choice for _, choice in choices)
        (refused if purpose in standing.refused else granted).add(subject)
    return Stances(_sorted(refused), _sorted(granted - refused))


def _resolved(rows: Iterator[tuple[Any, ...]], aliases: Aliases) -> Iterator[tuple[int, Choice]]:
    for subject, purpose, digest, state, vouched, *rest in rows:
        yield aliases.resolve(subject), Choice(purpose, digest, ChoiceState(state), bool(vouched), *rest)


def _sorted(subjects: set[int]) -> Subjects:
    return np.array(sorted(subjects), np.int64)
