"""The data subjects' own encryption keys: random, wrapped by the region's `subject` key, in the region's database, gone with the subject."""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consentryd.model.error import CorruptStore
from consentryd.storage.change import Feed
from consentryd.storage.database import open_database

KEY_BYTES: Final = 32
CACHED: Final = 50_000
#: Longer than any event takes from its scrubbing to its commit.
UNUSED_S: Final = 300.0
_NONCE_BYTES: Final = 12


class _Fresh(NamedTuple):
    """A key that no stored event needed yet: as it will be written, and when an event last asked for it (monotonic seconds)."""

    wrapped: bytes
    used: float


class SqliteSubjectKeys:
    """A key for each identity digest, made on first use and durable with the commit of the event that needed it.

    Two processes may make a key for one digest at once: both are kept, and whoever opens values tries each. `flush` runs in every
    commit of the region's log, on its thread; `key_for` on the event loop.
    """

    def __init__(
        self,
        path: Path,
        wrap: bytes,
        random: Callable[[int], bytes] = secrets.token_bytes,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._wrap = wrap
        self._random = random
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._keys: dict[bytes, bytes] = {}
        self._fresh: dict[bytes, _Fresh] = {}  # the one used last comes last
        self._connection: sqlite3.Connection | None = None
        self._data_version = -1
        self._feed = Feed()

    def key_for(self, handle: bytes) -> bytes:
        with self._lock:
            self._refresh()
            key = self._keys.get(handle) or self._read(handle)
            if key is None:
                key = self._random(KEY_BYTES)
                self._fresh[handle] = _Fresh(wrap_key(key, handle, self._wrap), self._monotonic())
            elif (fresh := self._fresh.pop(handle, None)) is not None:
                self._fresh[handle] = fresh._replace(used=self._monotonic())
            if len(self._keys) >= CACHED:
                self._keys = {digest: known for digest, known in self._keys.items() if digest in self._fresh}
            self._keys[handle] = key
            return key

    def flush(
        self, connection: sqlite3.Connection, now: int, holders: Callable[[], AbstractSet[bytes]]
    ) -> Callable[[], None] | None:
        """Write new keys of `holders`, whose events the transaction at hand stores; call what is returned once it is committed.

        Other new keys wait: their events come with a later commit, or are refused. Nothing is stored of who is suppressed, so no key either.
        """
        if not self._fresh:
            return None
        stored = holders()
        with self._lock:
            written = {handle: self._fresh[handle].wrapped for handle in stored if handle in self._fresh}
            self._forget_unused()
        connection.executemany(
            "INSERT OR IGNORE INTO subject_key (digest, wrapped, created_at) VALUES (?, ?, ?)",
            [(handle, wrapped, now) for handle, wrapped in written.items()],
        )
        return lambda: self._settle(written)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _settle(self, written: Iterable[bytes]) -> None:
        with self._lock:
            for handle in written:
                self._fresh.pop(handle, None)

    def _forget_unused(self) -> None:
        """Let go of keys whose events were refused, once none can be on its way to its commit."""
        before = self._monotonic() - UNUSED_S
        while self._fresh and next(iter(self._fresh.values())).used < before:
            handle = next(iter(self._fresh))
            del self._fresh[handle]
            self._keys.pop(handle, None)

    def _refresh(self) -> None:
        """Forget the keys of identities that another commit changed or erased."""
        connection = self._reader()
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        if version == self._data_version:
            return
        self._data_version = version
        changed = self._feed.read(connection)
        for digest in list(self._keys) if changed is None else changed:
            if digest not in self._fresh:
                self._keys.pop(digest, None)

    def _read(self, handle: bytes) -> bytes | None:
        row = self._reader().execute("SELECT wrapped FROM subject_key WHERE digest = ? ORDER BY created_at", (handle,)).fetchone()
        return None if row is None else unwrap_key(row[0], handle, self._wrap)

    def _reader(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_database(self._path, "region", readonly=True)
        return self._connection


def wrap_key(key: bytes, handle: bytes, wrap: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(wrap).encrypt(nonce, key, _aad(handle))


def unwrap_key(wrapped: bytes, handle: bytes, wrap: bytes) -> bytes:
    """Raises `CorruptStore`."""
    try:
        return AESGCM(wrap).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _aad(handle))
    except InvalidTag:
        raise CorruptStore("a subject's key in table subject_key does not open with the region's key") from None


def keys_of(connection: sqlite3.Connection, digests: Iterable[bytes], wrap: bytes) -> list[bytes]:
    """All keys of these identities, to give values back with."""
    return [
        unwrap_key(wrapped, digest, wrap)
        for digest in digests
        for (wrapped,) in connection.execute("SELECT wrapped FROM subject_key WHERE digest = ?", (digest,))
    ]


def _aad(handle: bytes) -> bytes:
    return b"consentry|subject key|" + handle
