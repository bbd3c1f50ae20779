"""Messages to others that wait to be delivered, encrypted while they wait."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Final, NamedTuple

_FIELDS: Final = "id, request, kind, url, sealed, attempts, next_at, answered_at, answer"


class Delivery(NamedTuple):
    """One message. Times are UTC microseconds; `answered_at` is None until it was acknowledged."""

    id: int
    request: str
    kind: str
    url: str
    sealed: bytes | None
    attempts: int
    next_at: int
    answered_at: int | None
    answer: str | None

    @property
    def settled(self) -> bool:
        """Nothing will be tried any more."""
        return self.sealed is None


class Deliveries:
    """The messages of a region. `seal` and `unseal` encrypt for a request."""

    def __init__(
        self, connection: sqlite3.Connection, seal: Callable[[str, Any], bytes], unseal: Callable[[str, bytes], Any]
    ) -> None:
        self._connection = connection
        self._seal = seal
        self._unseal = unseal

    def add(self, request: str, kind: str, url: str, body: Any, now: int) -> None:
        """Call within a transaction."""
        self._connection.execute(
            "INSERT INTO delivery (request, kind, url, sealed, attempts, next_at) VALUES (?, ?, ?, ?, 0, ?)",
            (request, kind, url, self._seal(request, body), now),
        )

    def of(self, request: str, kind: str) -> list[Delivery]:
        rows = self._connection.execute(
            f"SELECT {_FIELDS} FROM delivery WHERE request = ? AND kind = ? ORDER BY id",  # noqa: S608 - our own names
            (request, kind),
        )
        return [Delivery(*row) for row in rows]

    def due(self, now: int, attempts: int, request: str | None = None) -> list[Delivery]:
        """Unanswered ones whose time has come: of erasures until they are given up, of others those tried less than `attempts` times.

        Of one request an address hears in order: what came later waits for what came before.
        """
        rows = self._connection.execute(
            f"SELECT {_FIELDS} FROM (SELECT *, min(id) OVER (PARTITION BY request, kind, url) AS first FROM delivery "  # noqa: S608 - our own names
            "WHERE answered_at IS NULL AND sealed IS NOT NULL AND (attempts < ?2 OR kind = 'erasure') "
            "AND (?3 IS NULL OR request = ?3)) WHERE id = first AND next_at <= ?1 ORDER BY id LIMIT 1000",
            (now, attempts, request),
        )
        return [Delivery(*row) for row in rows.fetchall()]

    def body(self, delivery: Delivery) -> Any:
        assert delivery.sealed is not None
        return self._unseal(delivery.request, delivery.sealed)

    def settle(self, delivery: Delivery, now: int, status: int, answer: str, *, next_at: int | None) -> None:
        """Record an attempt: `next_at` None means that it was acknowledged. Call within a transaction."""
        if next_at is None:
            self._connection.execute(
                "UPDATE delivery SET attempts = attempts + 1, answered_at = ?, answer = ?, sealed = NULL WHERE id = ?",
                (now, answer, delivery.id),
            )
        else:
            self._connection.execute(
                "UPDATE delivery SET attempts = attempts + 1, next_at = ?, answer = ? WHERE id = ?",
                (next_at, str(status), delivery.id),
            )

    def give_up(self, request: str) -> None:
        """What was not answered will not be sent any more."""
        self._connection.execute("UPDATE delivery SET sealed = NULL WHERE request = ? AND kind = 'erasure'", (request,))
