"""`control.db`: the API keys of an installation. A key's secret is shown once; what is stored is its SHA-256."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import sqlite3
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from consentryd.model.clock import Clock
from consentryd.model.error import ConfigError, NotFound, Unavailable
from consentryd.model.key import ApiKey, KeyKind
from consentryd.storage.database import open_database, transaction

CHECK_INTERVAL_S: Final = 0.5
_BLIND: Final = "The keys cannot be read at the moment."
SECRET_BYTES: Final = 32
SECRET_PREFIX: Final = "csy_"  # noqa: S105 -- what tells a secret from an id
SITE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def check_site_name(site: str) -> None:
    """Raises `ConfigError` for what is not 1 to 63 lower-case letters, digits, dots, dashes and underscores."""
    if not SITE_NAME.fullmatch(site):
        raise ConfigError(f"{site!r} is not a site name: use 1 to 63 lower-case letters, digits, dots, dashes and underscores.")


class ControlStore:
    """The keys, on disk and as a map in memory that follows the disk.

    Another process's change is noticed by `PRAGMA data_version`, asked at most every 0.5 s of `monotonic` (seconds), so a
    revocation holds in every worker within a second. `token` gives n random bytes. A lookup that hits costs 0.4 us.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        token: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._clock, self._monotonic, self._token = clock, monotonic, token
        self._connection = open_database(path, "control")
        self._by_hash: dict[bytes, ApiKey] = {}
        self._by_secret: dict[str, ApiKey] = {}
        self._version = -1
        self._check_at = 0.0
        self._is_blind = False
        self._follow(self._monotonic())

    def close(self) -> None:
        self._connection.close()

    def create_key(
        self,
        kind: KeyKind,
        site: str,
        name: str,
        region: str | None = None,
        origins: Iterable[str] = (),
        min_group_size: int = 0,
    ) -> tuple[ApiKey, str]:
        """A new key and its secret, `csy_<kind>_` and 43 URL-safe characters, which nothing can show again.

        Raises `ConfigError` if `site` is no site name.
        """
        check_site_name(site)
        secret = f"{SECRET_PREFIX}{kind}_{urlsafe_b64encode(self._token(SECRET_BYTES)).rstrip(b'=').decode()}"
        now = self._clock.now()
        key = ApiKey(f"key_{self._token(6).hex()}", kind, site, name, region, tuple(origins), now, None, min_group_size)
        self._connection.execute(
            "INSERT INTO api_key (id, kind, site, name, region, origins, hash, created_at, min_group_size)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (key.id, kind.value, site, name, region, json.dumps(key.origins), _digest(secret), now, min_group_size),
        )
        self._reload()
        return key, secret

    @contextmanager
    def together(self) -> Iterator[None]:
        """Keys that are made within are made all or none, whenever the process ends, and no other process makes any meanwhile."""
        with transaction(self._connection):
            yield

    def keys(self) -> list[ApiKey]:
        """Every key ever made, revoked ones too, oldest first."""
        return [_key(row) for row in self._connection.execute(f"SELECT {_FIELDS} FROM api_key ORDER BY created_at, rowid")]  # noqa: S608 -- constant

    def revoke(self, key_id: str) -> ApiKey:
        """The key, refused from now on; one that was revoked keeps its first time. Raises `NotFound`."""
        self._connection.execute(
            "UPDATE api_key SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?", (self._clock.now(), key_id)
        )
        row = self._connection.execute(f"SELECT {_FIELDS} FROM api_key WHERE id = ?", (key_id,)).fetchone()  # noqa: S608 -- constant
        if row is None:
            raise NotFound("not_found", "There is no key with this id. `consentry keys list` shows them.")
        self._reload()
        return _key(row)

    def lookup(self, secret: str) -> ApiKey | None:
        """The unrevoked key of a secret. Raises `Unavailable` while revocations cannot be read, with the reason at each look."""
        now = self._monotonic()
        if now >= self._check_at:
            self._follow(now)
        elif self._is_blind:
            raise Unavailable("store_unavailable", _BLIND)
        key = self._by_secret.get(secret)
        if key is None:
            key = self._by_hash.get(_digest(secret))
            if key is not None:
                self._by_secret[secret] = key
        return key

    def _follow(self, now: float) -> None:
        self._check_at = now + CHECK_INTERVAL_S
        self._is_blind = True
        try:
            version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
            if version != self._version:
                self._reload()
                self._version = version
        except sqlite3.OperationalError as error:
            raise Unavailable("store_unavailable", _BLIND) from error
        self._is_blind = False

    def _reload(self) -> None:
        rows = self._connection.execute(f"SELECT hash, {_FIELDS} FROM api_key WHERE revoked_at IS NULL")  # noqa: S608 -- constant
        self._by_hash = {row[0]: _key(row[1:]) for row in rows}
        self._by_secret = {}


_FIELDS: Final = "id, kind, site, name, region, origins, created_at, revoked_at, min_group_size"


def _key(row: tuple[str, str, str, str, str | None, str, int, int | None, int]) -> ApiKey:
    key_id, kind, site, name, region, origins, created_at, revoked_at, least = row
    return ApiKey(key_id, KeyKind(kind), site, name, region, tuple(json.loads(origins)), created_at, revoked_at, least)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
