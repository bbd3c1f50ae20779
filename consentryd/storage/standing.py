"""Where the identities of an event stand, asked on the event loop before an event is let in: a cache kept right by the change feed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from consentryd.model.memory import keep
from consentryd.storage.change import Feed
from consentryd.storage.choice import CACHED, NO_STANDING, Choice, Standing, read_choices, standing_of
from consentryd.storage.identity import there, wanted


def look_sql(digests: str = "?1", schema: str = "main") -> str:
    """One text: the newest change announced, whether anybody has chosen anything, and the places of the digests that stand for a subject."""
    return f"""
        {wanted(digests)}
        SELECT (SELECT coalesce(max(seq), 0) FROM {schema}.change) || ',' || EXISTS (SELECT 1 FROM {schema}.choice)
            || coalesce(group_concat(',' || place, ''), '')
        FROM {there(digests, f"{schema}.identity")}
    """  # noqa: S608 - our own names


_LOOK: Final = look_sql()


class Standings:
    """Reads through a read-only connection. Call `look` once per request.

    While nobody has chosen anything a look costs one comparison. Identities with a subject are remembered until a commit announces a
    change of theirs; the append transaction looks again, so that a stale answer can refuse too little here but never store too much.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._by_digest: dict[bytes, Standing] = {}
        self._by_pair: dict[tuple[bytes | None, bytes | None], Standing] = {}
        self._feed = Feed()
        self._feed.skip(connection)
        self.any = False

    def look(self, digests: Sequence[bytes] = ()) -> list[bytes]:
        """Take in what was committed since the last look. Those of the digests that stand for a subject."""
        (found,) = self._connection.execute(_LOOK, (b"".join(digests),)).fetchone()
        return self.learn(found, digests)

    def learn(self, found: str, digests: Sequence[bytes]) -> list[bytes]:
        """What a look (`look_sql`) has found."""
        newest, chosen, *places = map(int, found.split(","))
        self.any = bool(chosen)
        if newest != self._feed.last:
            self._follow(self._feed.read(self._connection))
        return [digests[place] for place in places]

    def of(self, user: bytes | None, anonymous: bytes | None) -> Standing:
        """What both identities' subjects refused, and the grants that cover either."""
        found = self._by_pair.get((user, anonymous))
        return self._join(user, anonymous) if found is None else found

    def subject(self, digest: bytes) -> int | None:
        row = self._connection.execute("SELECT subject FROM identity WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else int(row[0])

    def is_nobodys(self, digest: bytes) -> bool:
        """Whether the identity is known and no user id belongs to its subject."""
        row = self._connection.execute("SELECT known FROM identity WHERE digest = ?", (digest,)).fetchone()
        return row is not None and not row[0]

    def choices(self, subject: int) -> list[Choice]:
        return read_choices(self._connection, subject)

    def proofs(self, subjects: Iterable[int]) -> list[tuple[int, bytes]]:
        """Ledger entry and nonce of each choice that the subjects made and that is on record, in order."""
        found = [
            row
            for subject in subjects
            for row in self._connection.execute("SELECT entry, nonce FROM choice_proof WHERE subject = ?", (subject,))
        ]
        return sorted(found)

    def _follow(self, changed: list[bytes] | None) -> None:
        if changed is None:
            self._by_digest.clear()
        for digest in changed or ():
            self._by_digest.pop(digest, None)
        self._by_pair.clear()

    def _join(self, user: bytes | None, anonymous: bytes | None) -> Standing:
        found = [self._look(digest) for digest in (user, anonymous) if digest is not None]
        standings = [standing for standing in found if standing is not None]
        refused = frozenset().union(*(standing.refused for standing in standings))
        granted = (grant for standing in standings for grant in standing.granted)
        covering = tuple(grant for grant in granted if grant.digest is None or grant.digest in (user, anonymous))
        joined = Standing(refused, covering) if refused or covering else NO_STANDING
        if len(standings) == len(found):
            keep(self._by_pair, (user, anonymous), joined, CACHED)
        return joined

    def _look(self, digest: bytes) -> Standing | None:
        """None for an identity without a subject, which is not remembered: nothing announces that it gets one."""
        found = self._by_digest.get(digest)
        if found is None and (subject := self.subject(digest)) is not None:
            found = standing_of(self.choices(subject))
            keep(self._by_digest, digest, found, CACHED)
        return found
