"""Keeping people out from the moment they ask to be erased, and letting them in again if they take it back.

Several requests may keep one identity out. Each notes in its terms what held before any open one of them, so that taking one back leaves
what the others ask for, and what was there before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from consentryd.rights.demand import RequestStatus, RequestType
from consentryd.storage import person as people
from consentryd.storage.request import Casebook, RequestRow

_OPEN: Final = (RequestStatus.PENDING, RequestStatus.ON_HOLD, RequestStatus.IN_PROGRESS)


class Block(NamedTuple):
    """`until` is UTC microseconds; None: for ever."""

    until: int | None


def keep_out(book: Casebook, digests: Sequence[bytes], until: int | None, now: int) -> dict[str, Any]:
    """Refuse events of these identities from this transaction on. What the request's terms have to say of it."""
    before = {digest.hex(): _before(book, digest) for digest in digests}
    people.suppress(book.connection, digests, until, now)
    return {"until": until, "suppressed": {name: None if block is None else list(block) for name, block in before.items()}}


def let_in(book: Casebook, row: RequestRow, now: int) -> None:
    """The request is taken back: its identities are kept out as far as others ask for it. Call before the request counts as cancelled."""
    for name, before in _suppressed(row).items():
        digest = bytes.fromhex(name)
        blocks = [before, *(_block(other) for other in _erasures(book, digest) if other.id != row.id)]
        people.release(book.connection, [digest], now)
        for block in blocks:
            if block is not None:
                people.suppress(book.connection, [digest], block.until, now)


def outlive(book: Casebook, requests: Iterable[str], now: int) -> None:
    """Somebody these requests name was erased: taking one of them back lets nobody in any more."""
    for request in requests:
        row = book.get(request)
        if row is not None and row.status in _OPEN and row.terms.get("suppressed"):
            book.update(request, now, terms={**row.terms, "suppressed": {}})


def _before(book: Casebook, digest: bytes) -> Block | None:
    """What kept the identity out before the first of the requests that are open now."""
    for row in _erasures(book, digest):
        if row.status in _OPEN and digest.hex() in (noted := _suppressed(row)):
            return noted[digest.hex()]
    return _in_force(book.connection, digest)


def _in_force(connection: sqlite3.Connection, digest: bytes) -> Block | None:
    row = connection.execute("SELECT until FROM suppression WHERE digest = ?", (digest,)).fetchone()
    return None if row is None else Block(row[0])


def _erasures(book: Casebook, digest: bytes) -> list[RequestRow]:
    """The erasures that name the identity and were not taken back, oldest first."""
    rows = (
        book.get(request)
        for (request,) in book.connection.execute("SELECT request FROM request_identity WHERE digest = ?", (digest,)).fetchall()
    )
    found = [row for row in rows if row and row.type == RequestType.ERASURE and row.status != RequestStatus.CANCELLED]
    return sorted(found, key=lambda row: (row.received_at, row.id))


def _suppressed(row: RequestRow) -> dict[str, Block | None]:
    """What held before, by identity. Requests of before this was noted list what nothing kept out before them."""
    noted = row.terms.get("suppressed", {})
    return dict.fromkeys(noted) if isinstance(noted, list) else {name: each and Block(*each) for name, each in noted.items()}


def _block(row: RequestRow) -> Block | None:
    """What a request asks for; nothing if it does not keep its person out."""
    return Block(row.terms.get("until")) if "suppressed" in row.terms else None
