"""Which subjects there are: whom an identity, an e-mail address or a merge leads to."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Final

import orjson

from consentryd.model.error import Unavailable

#: After a restore a merge that was carried over may lead to somebody whom nothing else leads to.
SUBJECTS: Final = (
    "SELECT subject FROM identity UNION SELECT subject FROM email UNION SELECT subject FROM alias UNION SELECT becomes FROM alias"
)
#: Of ids as JSON numbers, how many are somebody's.
_TAKEN: Final = """
SELECT count(*) FROM json_each(?1) WHERE EXISTS (SELECT 1 FROM identity WHERE subject = value)
OR EXISTS (SELECT 1 FROM email WHERE subject = value) OR EXISTS (SELECT 1 FROM alias WHERE subject = value)
OR EXISTS (SELECT 1 FROM alias WHERE becomes = value)
"""


class SubjectTaken(Unavailable):
    """An id drawn for somebody new is another's already (one in 10^12 at ten million). Nothing was changed; another draw will do."""


def check_free(connection: sqlite3.Connection, subjects: Collection[int]) -> None:
    """Nobody has one of the ids. Raises `SubjectTaken`."""
    (taken,) = connection.execute(_TAKEN, (orjson.dumps(sorted(subjects)).decode(),)).fetchone()
    if taken:
        raise SubjectTaken("store_unavailable", "A new subject drew the id of another.")
