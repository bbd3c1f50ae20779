"""Refusals that reach back: which stored events of a subject and purpose are out of every query, and wait to be erased or anonymised."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import pyarrow as pa

WITHDRAWAL_SCHEMA: Final = pa.schema([("subject", pa.int64()), ("purpose", pa.string()), ("until", pa.timestamp("us", tz="UTC"))])


class Withdrawal(NamedTuple):
    """Events of `subject` for `purpose` received until then (UTC microseconds) are as good as gone."""

    subject: int
    purpose: str
    until: int


def note_refusal(connection: sqlite3.Connection, subject: int, purpose: str, now: int) -> None:
    """From this transaction on no query sees what was stored of the subject for the purpose."""
    connection.execute(
        "INSERT INTO withdrawal (subject, purpose, until) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET until = excluded.until",
        (subject, purpose, now),
    )


def let_stand(connection: sqlite3.Connection, subject: int, purpose: str, *, keeps: bool) -> None:
    """The refusal was lifted. What is kept (`on_withdrawal = keep`) may be seen again; what was to go still goes."""
    if keeps:
        connection.execute("DELETE FROM withdrawal WHERE subject = ? AND purpose = ?", (subject, purpose))


def forget_withdrawals(connection: sqlite3.Connection, done: Iterable[Withdrawal]) -> None:
    """Their events are gone. One that was renewed meanwhile stays."""
    connection.executemany("DELETE FROM withdrawal WHERE subject = ? AND purpose = ? AND until = ?", list(done))


def load_withdrawals(connection: sqlite3.Connection) -> list[Withdrawal]:
    rows = connection.execute("SELECT subject, purpose, until FROM withdrawal ORDER BY subject, purpose")
    return [Withdrawal(*row) for row in rows]


def to_table(withdrawals: Sequence[Withdrawal]) -> pa.Table:
    """Of `WITHDRAWAL_SCHEMA`."""
    columns = list(zip(*withdrawals, strict=True)) or [(), (), ()]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, WITHDRAWAL_SCHEMA, strict=True)]
    return pa.table(arrays, schema=WITHDRAWAL_SCHEMA)
