"""Who is out of every query: subjects whose erasure is under way or on hold, and those whose processing is restricted."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from consentryd.storage.subject import SUBJECTS

HIDDEN_SCHEMA: Final = pa.schema([("subject", pa.int64())])


#: Whoever was merged into another person restricts all of that person.
_RESTRICTED: Final = (
    "WITH kept AS (SELECT subject FROM restriction UNION SELECT subject FROM held_back) "
    "SELECT subject FROM kept UNION SELECT becomes FROM alias JOIN kept USING (subject)"
)


class Hidden:
    """An immutable set of subjects that nobody sees."""

    def __init__(self, subjects: Iterable[int] = ()) -> None:
        self.subjects = np.array(sorted(subjects), np.int64)

    def __len__(self) -> int:
        return len(self.subjects)

    def to_table(self) -> pa.Table:
        return pa.table([self.subjects], schema=HIDDEN_SCHEMA)


def load_hidden(connection: sqlite3.Connection, *, restricted: bool = True) -> Hidden:
    """The subjects to hide now; `restricted` says whether from others (True) or from the person themself."""
    found = {subject for (subject,) in connection.execute("SELECT subject FROM tombstone")}
    if restricted:
        found |= {subject for (subject,) in connection.execute(_RESTRICTED)}
    return Hidden(found)


def bury(connection: sqlite3.Connection, subjects: Iterable[int], request: str, key: bytes, now: int) -> None:
    """Hide subjects for good. `key` is the region's `identity` key, under which the marks for restored backups are made."""
    each = list(subjects)
    connection.executemany(
        "INSERT OR IGNORE INTO tombstone (subject, request) VALUES (?, ?)", [(subject, request) for subject in each]
    )
    connection.executemany(
        "INSERT OR IGNORE INTO erased (mark, request, erased_at) VALUES (?, ?, ?)",
        [(mark_of(subject, key), request, now) for subject in each],
    )


def forget_tombstones(connection: sqlite3.Connection, subjects: Iterable[int]) -> None:
    """Nothing of the subjects is stored any more, so that nothing needs hiding: even their numbers go."""
    connection.executemany("DELETE FROM tombstone WHERE subject = ?", [(subject,) for subject in subjects])


def mark_of(subject: int, key: bytes) -> bytes:
    """16 bytes that tell an erased subject when it is seen again, and nothing else."""
    return hashlib.blake2b(subject.to_bytes(8, "big"), digest_size=16, key=key, person=b"erased").digest()


def present(connection: sqlite3.Connection) -> npt.NDArray[np.int64]:
    """Whoever may have events: the subjects of the index, and those whose erasure is under way, who left it first."""
    rows = connection.execute(f"{SUBJECTS} UNION SELECT subject FROM tombstone")  # noqa: S608 - our own names
    return np.fromiter((subject for (subject,) in rows), np.int64)


def returned(connection: sqlite3.Connection, subjects: npt.NDArray[np.int64], key: bytes) -> list[int]:
    """Those of the subjects who were erased: a restored backup brought them back."""
    marks = {mark for (mark,) in connection.execute("SELECT mark FROM erased")}
    return [subject for subject in map(int, subjects) if mark_of(subject, key) in marks] if marks else []
