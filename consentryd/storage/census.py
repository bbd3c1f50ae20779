"""How many rows of each kind a region's database holds about people, for records of processing."""

from __future__ import annotations

import sqlite3
from typing import Final

_PEOPLE: Final = "SELECT count(*) FROM (SELECT max(known) AS known FROM identity GROUP BY subject) "

#: What is counted, in plain words, and how.
_COUNTS: Final = {
    "people with a user id": _PEOPLE + "WHERE known",
    "people without one": _PEOPLE + "WHERE NOT known",
    "keyed digests of identifiers": "SELECT count(*) FROM identity",
    "keyed digests of e-mail addresses": "SELECT count(*) FROM email",
    "keys of single people": "SELECT count(*) FROM subject_key",
    "choices in force": "SELECT count(*) FROM choice",
    "withdrawals being applied": "SELECT count(*) FROM withdrawal",
    "suppressed identities": "SELECT count(*) FROM suppression",
    "legal holds": "SELECT count(*) FROM legal_hold",
    "restrictions of processing": "SELECT count(*) FROM restriction",
    "requests of people": "SELECT count(*) FROM request",
    "requests not done": "SELECT count(*) FROM request WHERE done_at IS NULL",
    "exports waiting": "SELECT count(*) FROM artifact",
    "ledger entries": "SELECT count(*) FROM ledger",
    "dead letters": "SELECT count(*) FROM rejected",
}


def census(connection: sqlite3.Connection) -> dict[str, int]:
    """Counts by their names."""
    return {name: connection.execute(statement).fetchone()[0] for name, statement in _COUNTS.items()}
