"""Refusals that reach back: which stored events of a subject and purpose are out of every query, and wait to be erased or anonymised."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple


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


def load_withdrawals(connection: sqlite3.Connection) -> list[Withdrawal]:
    return [
        Withdrawal(*row) for row in connection.execute("SELECT subject, purpose, until FROM withdrawal ORDER BY subject, purpose")
    ]
