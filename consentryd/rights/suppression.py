"""Keeping people out from the moment they ask to be erased, and letting them in again if they take it back.

A request keeps out the identities that it names, and those that the index knows of their person. Several requests may keep one identity
out. Each notes in its terms what held before any open one of them, so that taking one back leaves what the others ask for, and what was
there before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from consentryd.model.error import Conflict
from consentryd.rights.demand import RequestStatus, RequestType
from consentryd.storage import person as people
from consentryd.storage.request import Casebook, RequestRow

_OPEN: Final = (RequestStatus.PENDING, RequestStatus.ON_HOLD, RequestStatus.IN_PROGRESS)

#: What a request's terms say of the block that it asks for.
_BLOCK: Final = frozenset({"until", "suppressed"})


class Block(NamedTuple):
    """`until` is UTC microseconds; None: for ever."""

    until: int | None


class Named(NamedTuple):
    """The identities that a request names; `themself` as for `find_person`."""

    request: str
    digests: Sequence[bytes]
    themself: bool


def keep_out(book: Casebook, named: Named, until: int | None, now: int) -> dict[str, Any]:
    """Refuse events of whoever is named from this transaction on. What the request's terms have to say of it."""
    found = people.find_person(book.connection, named.digests, themself=named.themself)
    digests = people.without_shared(book.connection, found, named.digests).digests
    before = {digest.hex(): _before(book, digest) for digest in digests}
    people.suppress(book.connection, digests, until, now)
    book.reach(named.request, set(digests).difference(named.digests))
    return {"until": until, "suppressed": {name: None if block is None else list(block) for name, block in before.items()}}


def let_in(book: Casebook, row: RequestRow, now: int, *, but: Collection[bytes] = ()) -> None:
    """The request keeps nobody out any more, `but` these: its identities are kept out as far as others ask for it. Call before it counts as
    cancelled.
    """
    for digest, before in _suppressed(row).items():
        if digest in but:
            continue
        blocks = [before, *(_block(other) for other in _erasures(book, digest) if other.id != row.id)]
        people.release(book.connection, [digest], now)
        for block in blocks:
            if block is not None:
                people.suppress(book.connection, [digest], block.until, now)
    book.reach_no_more(row.id)
    if "suppressed" in row.terms:
        book.update(row.id, now, terms={**row.terms, "suppressed": {}})


def settle(book: Casebook, request: str, erased: Collection[bytes], now: int) -> None:
    """The person of the request has gone, with the identities `erased`: taking another one back lets none of these in any more, if this one
    keeps them out. What is somebody else's by now is let in.
    """
    own, gone = book.get(request), set(erased)
    if own is None or "suppressed" not in own.terms:
        return
    let_in(book, own, now, but=gone)
    for name in dict.fromkeys(each for digest in erased for each in book.concerning(digest)):
        row = book.get(name)
        if row is not None and row.status in _OPEN and row.terms.get("suppressed"):
            left = {digest.hex(): block for digest, block in _suppressed(row).items() if digest not in gone}
            book.update(name, now, terms={**row.terms, "suppressed": left})


def check_done(book: Casebook, digests: Collection[bytes]) -> None:
    """Raises `Conflict` while an erasure is open that keeps one of the identities out: it would go on to."""
    if any(row.status in _OPEN and _block(row) for digest in digests for row in _erasures(book, digest)):
        raise Conflict("conflict", "An erasure of theirs is not done yet. Take it back, or wait for its end.")


def readmit(book: Casebook, digests: Collection[bytes], now: int) -> list[bytes]:
    """Let identities in again that erasures keep out which are done; those that were out. Call within a transaction. Raises `Conflict`."""
    check_done(book, digests)
    found = [digest for digest in digests if _is_out(_in_force(book.connection, digest), now)]
    people.release(book.connection, found, now)
    for row in {row.id: row for digest in found for row in _erasures(book, digest)}.values():
        terms = {name: value for name, value in row.terms.items() if name not in _BLOCK}
        book.update(row.id, row.changed_at, terms=terms)
    return found


def _is_out(block: Block | None, now: int) -> bool:
    return block is not None and (block.until is None or now < block.until)


def _before(book: Casebook, digest: bytes) -> Block | None:
    """What kept the identity out before the first of the requests that are open now."""
    for row in _erasures(book, digest):
        if row.status in _OPEN and digest in (noted := _suppressed(row)):
            return noted[digest]
    return _in_force(book.connection, digest)


def _in_force(connection: sqlite3.Connection, digest: bytes) -> Block | None:
    row = connection.execute("SELECT until FROM suppression WHERE digest = ?", (digest,)).fetchone()
    return None if row is None else Block(row[0])


def _erasures(book: Casebook, digest: bytes) -> list[RequestRow]:
    """The erasures that name the identity or reach it, and were not taken back, oldest first."""
    rows = map(book.get, book.concerning(digest))
    found = [row for row in rows if row and row.type == RequestType.ERASURE and row.status != RequestStatus.CANCELLED]
    return sorted(found, key=lambda row: (row.received_at, row.id))


def _suppressed(row: RequestRow) -> dict[bytes, Block | None]:
    """What held before, by identity. Requests of before this was noted list what nothing kept out before them."""
    noted = row.terms.get("suppressed", {})
    if isinstance(noted, list):
        return dict.fromkeys(map(bytes.fromhex, noted))
    return {bytes.fromhex(name): each and Block(*each) for name, each in noted.items()}


def _block(row: RequestRow) -> Block | None:
    """What a request asks for; nothing if it does not keep its person out."""
    return Block(row.terms.get("until")) if "suppressed" in row.terms else None
