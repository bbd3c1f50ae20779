"""The secret keys of a region. Nothing stored in one region can be joined to another's: every key is the region's own.

On disk they live in `<data>/<region>/keys/ring.json`, each wrapped by the master key with AES-256-GCM, bound to its region and purpose.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consentryd.model.error import ConfigError
from consentryd.storage.durable import place_private, replace_private
from consentryd.storage.location import DATABASE
from consentryd.storage.master import MasterKey

RING: Final = "ring.json"
RING_VERSION: Final = 1
_NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class RegionKeys:
    """32 random bytes each: `identity` peppers identity digests, `dedup` event-id hashes, `property` hashed property values, `subject` wraps
    the subjects' own encryption keys, `signing` the keys that sign receipts and checkpoints."""

    identity: bytes = field(repr=False)
    dedup: bytes = field(repr=False)
    property: bytes = field(repr=False)
    subject: bytes = field(repr=False)
    signing: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> RegionKeys:
        return cls(*(secrets.token_bytes(32) for _ in fields(cls)))


def open_region_keys(root: Path, region: str, master: MasterKey) -> RegionKeys:
    """The keys of `region` under the data directory `root`, created on first use.

    Raises `ConfigError` when `master` is not the one that wrapped them, when the ring was damaged, when it is missing although the
    region holds data, and when other regions' rings do not open with `master`: never new keys in the place of lost ones.
    """
    path = _ring_path(root, region)
    if not path.exists():
        _check_may_create(root, region, master)
        _create(path, region, master)
    return _unwrap(_read(path), region, master, path)


def is_wrapped_by(path: Path, master: MasterKey) -> bool:
    """Whether the ring at `path` is there and names `master`. Raises `ConfigError` if it cannot be read."""
    return path.exists() and master.id in _read(path)["wraps"]


def check_ring(path: Path) -> None:
    """Raises `ConfigError` if a ring cannot be read. Whether a master key opens it only that can tell."""
    _read(path)


def rotate_master(root: Path, old: MasterKey, new: MasterKey) -> list[str]:
    """Wrap every region's keys by `new` as well as by `old`; returns the regions. No data is touched.

    Afterwards either master opens them. Call `retire_masters` once `new` is the configured one. Safe to repeat after a crash.
    """
    regions = []
    for region, path in _rings(root):
        document = _read(path)
        wraps = document["wraps"]
        if new.id not in wraps:
            wraps[new.id] = _wrap(_unwrap(document, region, old, path), region, new)
            replace_private(path, json.dumps(document, indent=1))
        _unwrap(document, region, new, path)
        regions.append(region)
    return regions


def retire_masters(root: Path, keep: MasterKey) -> None:
    """Forget the wrappings of all masters but `keep`, after checking that `keep` opens every ring."""
    rings = [(path, region, _read(path)) for region, path in _rings(root)]
    for path, region, document in rings:
        _unwrap(document, region, keep, path)
    for path, _region, document in rings:
        document["wraps"] = {keep.id: document["wraps"][keep.id]}
        replace_private(path, json.dumps(document, indent=1))


def _check_may_create(root: Path, region: str, master: MasterKey) -> None:
    if (root / region / DATABASE).exists() or (root / region / "lake").exists():
        raise ConfigError(
            f"Region {region} holds data but its keys ({_ring_path(root, region)}) are gone. Restore them from a backup."
        )
    for other, path in _rings(root):
        _unwrap(_read(path), other, master, path)


def _create(path: Path, region: str, master: MasterKey) -> None:
    for folder in (path.parent.parent, path.parent):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    ring = {"version": RING_VERSION, "region": region, "wraps": {master.id: _wrap(RegionKeys.generate(), region, master)}}
    place_private(path, json.dumps(ring, indent=1))


def _wrap(keys: RegionKeys, region: str, master: MasterKey) -> dict[str, str]:
    cipher, wrapped = AESGCM(master.secret), {}
    for purpose in _purposes():
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = cipher.encrypt(nonce, getattr(keys, purpose), _aad(region, purpose))
        wrapped[purpose] = base64.b64encode(nonce + sealed).decode()
    return wrapped


def _unwrap(document: dict[str, Any], region: str, master: MasterKey, path: Path) -> RegionKeys:
    wraps = document["wraps"]
    if master.id not in wraps:
        known = " or ".join(sorted(wraps)) or "no master"
        raise ConfigError(
            f"The master key {master.id} does not open {path}, which was wrapped by {known}. Configure that master key again."
        )
    cipher, keys = AESGCM(master.secret), {}
    try:
        for purpose in _purposes():
            sealed = base64.b64decode(wraps[master.id][purpose])
            keys[purpose] = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _aad(region, purpose))
        return RegionKeys(**keys)
    except (InvalidTag, ValueError, KeyError, TypeError):
        raise ConfigError(f"The keys in {path} are damaged or another region's. Restore the file from a backup.") from None


def _purposes() -> list[str]:
    return [purpose.name for purpose in fields(RegionKeys)]


def _aad(region: str, purpose: str) -> bytes:
    return f"consentry|region key|{region}|{purpose}".encode()


def _rings(root: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(root.glob(f"*/keys/{RING}")):
        yield path.parent.parent.name, path


def _ring_path(root: Path, region: str) -> Path:
    return root / region / "keys" / RING


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["version"] == RING_VERSION and isinstance(document["wraps"], dict):
            return dict(document)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ConfigError(f"The key ring {path} cannot be read as one of version {RING_VERSION}. Restore the file from a backup.")
