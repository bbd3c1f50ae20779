"""Which subjects there are: whom an identity, an e-mail address or a merge leads to."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from typing import Final

import orjson

from consentryd.model.error import Unavailable

#: Where subjects stand. After a restore a merge that was carried over may lead to somebody whom nothing else leads to.
_THERE: Final = (("identity", "subject"), ("email", "subject"), ("alias", "becomes"))
#: And whoever was merged, who is another now.
_EVER: Final = (*_THERE, ("alias", "subject"))


def _one_of(value: str, places: Sequence[tuple[str, str]]) -> str:
    found = (f"EXISTS (SELECT 1 FROM {table} WHERE {column} = {value})" for table, column in places)  # noqa: S608 - our own names
    return f"({' OR '.join(found)})"


SUBJECTS: Final = " UNION ".join(f"SELECT {column} FROM {table}" for table, column in _EVER)  # noqa: S608 - our own names
#: Whether the first parameter is somebody.
IS_SOMEBODY: Final = _one_of("?1", _THERE)
#: Of ids as JSON numbers, how many are or were somebody's.
_TAKEN: Final = f"SELECT count(*) FROM json_each(?1) WHERE {_one_of('value', _EVER)}"  # noqa: S608 - our own names


class SubjectTaken(Unavailable):
    """An id drawn for somebody new is another's already (one in 10^12 at ten million). Nothing was changed; another draw will do."""


def check_free(connection: sqlite3.Connection, subjects: Collection[int]) -> None:
    """Nobody has one of the ids. Raises `SubjectTaken`."""
    (taken,) = connection.execute(_TAKEN, (orjson.dumps(sorted(subjects)).decode(),)).fetchone()
    if taken:
        raise SubjectTaken("store_unavailable", "A new subject drew the id of another.")
