"""Ids of sealed log rows, exact: sorted runs in the region database, each cut into chunks, and named by the last log row it has ids of."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import orjson

from consentryd.storage.bloom import Hashes
from consentryd.storage.database import joined, transaction

#: As many as stand in a page of the tree itself: what does not is in a page of its own, and to look there takes three times as long.
CHUNK: Final = 120
#: So many small runs in a row are put together. A run is looked into for 10 us an id, so there must not be hundreds.
FEW: Final = 8
_SMALL: Final = 1 << 18
#: So many ids are put together at a time: all of eight runs of 100,000 at once took 29 MB.
_AT_ONCE: Final = 1 << 16
#: Behind every id, as they are sorted by.
_END: Final = b"\xff" * 9

#: Chunks of ids that stand one behind the other, each under its first one, as they are sorted by and as they are kept.
_ADD: Final = f"""
WITH RECURSIVE chunk (start) AS (SELECT 0 UNION ALL SELECT start + {CHUNK * 8} FROM chunk WHERE start + {CHUNK * 8} < length(?3))
INSERT INTO seen (run, first, newest_at, hashes)
SELECT ?1, substr(?2, start / {CHUNK} + 1, 8), ?4, substr(?3, start + 1, {CHUNK * 8}) FROM chunk
"""  # noqa: S608 - our own numbers
#: Of the looks asked for, whose runs are JSON and whose ids stand one behind the other in the parameters (as they are sorted by, and as they
#: are kept), those whose bytes stand somewhere in the chunk that would hold the id, and where.
_LOOK: Final = """
SELECT group_concat(place || ',' || at) FROM (
    SELECT look.key AS place, (
        SELECT instr(hashes, substr(?3, look.key * 8 + 1, 8))
        FROM seen WHERE run = look.value AND first <= substr(?2, look.key * 8 + 1, 8) ORDER BY first DESC LIMIT 1
    ) AS at FROM json_each(?1) AS look
) WHERE at > 0
"""
#: Over the runs, by a look for each.
_STEP: Final = """
WITH RECURSIVE step (run) AS (
    SELECT min(run) FROM seen UNION ALL SELECT (SELECT min(run) FROM seen WHERE run > step.run) FROM step WHERE step.run IS NOT NULL
)
"""
_RUNS: Final = f"{_STEP} SELECT run FROM step WHERE run IS NOT NULL"  # noqa: S608 - our own names
_EXPIRE: Final = f"""
{_STEP}
DELETE FROM seen WHERE run IN (SELECT run FROM step WHERE (SELECT newest_at FROM seen WHERE run = step.run LIMIT 1) < ?)
"""  # noqa: S608 - our own names
#: The chunks of some runs, whose numbers are JSON, that begin from an id up to another.
_PART: Final = "FROM seen WHERE run IN (SELECT value FROM json_each(?)) AND first >= ? AND first < ?"
_PACKED: Final = f"SELECT {joined('hashes')} {_PART}"
_CHUNK_OF: Final = "SELECT hashes FROM seen WHERE run = ? AND first <= ? ORDER BY first DESC LIMIT 1"


def add_run(connection: sqlite3.Connection, upto: int, hashes: Hashes, newest_at: int) -> None:
    """Keep the ids of the log rows up to and including `upto` (those since the last run), sorted, as a run of that number.

    Call within the transaction that also decides that these rows are sealed; newest_at is their last `committed_at`.
    """
    if len(hashes):
        connection.execute(_ADD, (upto, hashes[::CHUNK].astype(">u8").tobytes(), hashes.astype("<u8").tobytes(), newest_at))


def in_runs(connection: sqlite3.Connection, looks: Sequence[tuple[int, int]]) -> set[int]:
    """The ids that are in the run in which they are looked for; a look is a run and an id. All looks are one statement."""
    if not looks:
        return set()
    ids = np.array([wanted for _, wanted in looks], np.uint64)
    parameters = (orjson.dumps([run for run, _ in looks]).decode(), ids.astype(">u8").tobytes(), ids.astype("<u8").tobytes())
    (found,) = connection.execute(_LOOK, parameters).fetchone()
    numbers = map(int, found.split(",") if found else ())
    return {
        looks[place][1]
        for place, at in zip(numbers, numbers, strict=True)
        if (at - 1) % 8 == 0 or _is_in_chunk(connection, *looks[place])
    }


def _is_in_chunk(connection: sqlite3.Connection, run: int, wanted: int) -> bool:
    """Where the bytes were found between two ids."""
    (chunk,) = connection.execute(_CHUNK_OF, (run, wanted.to_bytes(8, "big"))).fetchone()
    return bool(np.uint64(wanted) in np.frombuffer(chunk, "<u8"))


def runs(connection: sqlite3.Connection) -> list[int]:
    """The numbers of all runs, ascending."""
    return [run for (run,) in connection.execute(_RUNS)]


def expire(connection: sqlite3.Connection, before: int) -> None:
    """Forget the runs whose newest ids are older. The chunks of a run are of one age: to ask each is to read all ids that there are."""
    connection.execute(_EXPIRE, (before,))


def newest_at(connection: sqlite3.Connection) -> int:
    """When the last of the log rows that have ids in a run was committed, UTC microseconds; 0 if there is none."""
    row = connection.execute("SELECT newest_at FROM seen WHERE run = (SELECT max(run) FROM seen) LIMIT 1").fetchone()
    return 0 if row is None else int(row[0])


def seen_upto(connection: sqlite3.Connection) -> int:
    """The last log row whose ids stand in a run; 0 if there is none."""
    row = connection.execute("SELECT max(run) FROM seen").fetchone()
    return int(row[0] or 0)


def merge_small_runs(connection: sqlite3.Connection) -> bool:
    """Make one run of the newest small ones, in a transaction, once there are a few; whether there were. By one sealer at a time."""
    small = _newest_small(connection)
    if len(small) < FEW:
        return False
    with transaction(connection):
        newest_at, count = connection.execute(
            "SELECT max(newest_at), sum(length(hashes)) / 8 FROM seen WHERE run BETWEEN ? AND ?", (small[-1], small[0])
        ).fetchone()
        for hashes in _taken(connection, small, -(-count // _AT_ONCE)):
            add_run(connection, small[0], hashes, newest_at)
    return True


def _taken(connection: sqlite3.Connection, merged: Sequence[int], parts: int) -> Iterator[Hashes]:
    """Ids of some runs in their order, part by part in whole chunks, each taken out of the table before it is given."""
    numbers = orjson.dumps(merged).decode()
    left = np.empty(0, np.uint64)
    for part in range(parts):
        low, high = ((1 << 64) * each // parts for each in (part, part + 1))
        bounds = numbers, low.to_bytes(8, "big"), _END if part + 1 == parts else high.to_bytes(8, "big")
        (packed,) = connection.execute(_PACKED, bounds).fetchone()
        connection.execute(f"DELETE {_PART}", bounds)
        left = np.sort(np.concatenate([left, np.frombuffer(packed or b"", "<u8")]))
        ready = int(np.searchsorted(left, np.uint64(high - 1), side="right")) // CHUNK * CHUNK
        yield left[:ready]
        left = left[ready:]
    yield left


def _newest_small(connection: sqlite3.Connection) -> list[int]:
    """Newest first, up to the first that is not small."""
    small = []
    for run in reversed(runs(connection)):
        (count,) = connection.execute(
            "SELECT sum(length(hashes)) / 8 FROM (SELECT hashes FROM seen WHERE run = ? LIMIT ?)", (run, _SMALL // CHUNK + 1)
        ).fetchone()
        if count >= _SMALL:
            break
        small.append(run)
    return small
