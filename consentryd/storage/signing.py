"""The Ed25519 keys a region signs receipts and checkpoints with.

They lie in `<data>/<region>/keys/signing.json`: public keys in the clear for ever, so that what they signed still verifies; of secrets only
the newest, wrapped with AES-256-GCM by the region's key of that purpose.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consentryd.model.clock import Clock
from consentryd.model.error import ConfigError
from consentryd.storage.durable import replace_private
from consentryd.storage.note import Verifier, sign_note

SIGNING: Final = "signing.json"
FILE_VERSION: Final = 1
_NONCE_BYTES: Final = 12
_PUBLIC_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key of a region. Times are UTC microseconds; `retired_at` is None for the one in use."""

    verifier: Verifier
    created_at: int
    retired_at: int | None

    @property
    def id(self) -> str:
        """Eight hex digits: the key id of signed notes."""
        return self.verifier.key_id.hex()


@dataclass(frozen=True, slots=True)
class Signer:
    """The key in use."""

    verifier: Verifier
    key: Ed25519PrivateKey = field(repr=False)

    @property
    def id(self) -> str:
        return self.verifier.key_id.hex()

    @property
    def origin(self) -> str:
        """The name of the region's ledger, which is also the key's."""
        return self.verifier.name

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message)

    def sign_note(self, text: str) -> str:
        return sign_note(text, self.verifier, self.key)


class SigningKeys:
    """A region's signing keys. Another process's rotation is noticed at the next use. `wrap` is the region's key `signing`."""

    def __init__(self, root: Path, region: str, wrap: bytes, clock: Clock) -> None:
        self._path = path_of(root, region)
        self._region = region
        self._cipher = AESGCM(wrap)
        self._clock = clock
        self._known: tuple[int, int] | None = None
        self._signer: Signer | None = None

    def signer(self) -> Signer:
        """The key to sign with, made on first use. Raises `ConfigError` when the file is damaged, or gone since the last use."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            if self._known is not None:
                raise ConfigError(f"The signing keys {self._path} are gone. Restore the file from a backup.") from None
            self._create()
            stat = self._path.stat()
        if self._signer is None or (stat.st_ino, stat.st_mtime_ns) != self._known:
            self._signer = self._unwrap(read(self._path))
            self._known = (stat.st_ino, stat.st_mtime_ns)
        return self._signer

    def public(self) -> list[PublicKey]:
        """Every key there ever was, oldest first."""
        self.signer()
        return public_keys(self._path)

    def rotate(self) -> tuple[PublicKey, PublicKey]:
        """A new key signs from now on; the old one's secret is destroyed. Returns the old and the new key."""
        self.signer()
        with _locked(self._path):
            document = read(self._path)
            now = self._clock.now()
            for key in document["keys"]:
                key["retired_at"] = key["retired_at"] or now
                key["secret"] = None
            document["keys"].append(self._new_key(document["origin"], now))
            replace_private(self._path, json.dumps(document, indent=1))
        *_, old, new = public_keys(self._path)
        return old, new

    def _create(self) -> None:
        with _locked(self._path):
            if not self._path.exists():
                origin = f"consentry/{self._region}/{secrets.token_hex(4)}"
                keys = [self._new_key(origin, self._clock.now())]
                replace_private(self._path, json.dumps({"version": FILE_VERSION, "origin": origin, "keys": keys}, indent=1))

    def _new_key(self, origin: str, now: int) -> dict[str, Any]:
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes_raw()
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, key.private_bytes_raw(), self._aad(origin, public))
        return {"public": _encode(public), "created_at": now, "retired_at": None, "secret": _encode(sealed)}

    def _unwrap(self, document: dict[str, Any]) -> Signer:
        origin, key = document["origin"], document["keys"][-1]
        try:
            public, sealed = base64.b64decode(key["public"]), base64.b64decode(key["secret"])
            secret = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._aad(origin, public))
        except (InvalidTag, ValueError, TypeError):
            raise ConfigError(
                f"The signing key in {self._path} is damaged or another region's. Restore the file from a backup."
            ) from None
        return Signer(Verifier(origin, public), Ed25519PrivateKey.from_private_bytes(secret))

    def _aad(self, origin: str, public: bytes) -> bytes:
        return f"consentry|signing key|{self._region}|{origin}|".encode() + public


def path_of(root: Path, region: str) -> Path:
    return root / region / "keys" / SIGNING


def public_keys(path: Path) -> list[PublicKey]:
    """The public half of a file of signing keys, which needs no master key. Raises `ConfigError`."""
    document = read(path)
    return [
        PublicKey(Verifier(document["origin"], base64.b64decode(key["public"])), key["created_at"], key["retired_at"])
        for key in document["keys"]
    ]


def read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        whole = document["version"] == FILE_VERSION and isinstance(document["origin"], str)
        if whole and document["keys"] and all(map(_is_key, document["keys"])):
            return dict(document)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ConfigError(f"The signing keys {path} cannot be read as version {FILE_VERSION}. Restore the file from a backup.")


def _is_key(key: dict[str, Any]) -> bool:
    """Raises `KeyError`, `TypeError`, `ValueError` for what is none at all."""
    return len(base64.b64decode(key["public"])) == _PUBLIC_BYTES and {"created_at", "retired_at", "secret"} <= key.keys()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
