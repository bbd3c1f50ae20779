"""Values that can be given back: AES-256-GCM under the data subject's own key, destroyed with the subject.

The subject's number is known only inside the append transaction, after scrubbing, so a key belongs to an identity digest (which the
consent stage has computed) and every digest of a subject has one. An export opens with the keys of all digests of the subject; an
erasure destroys them all.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12
_TOKEN: Final = re.compile(r"\[enc:([A-Za-z0-9_-]{38,})\]")


class SubjectKeys(Protocol):
    """Where the subjects' own keys live."""

    def key_for(self, handle: bytes) -> bytes:
        """The 32-byte key of an identity digest, made on first use."""
        ...


class MemorySubjectKeys:
    """Keys that last as long as the process; `forget` destroys one."""

    def __init__(self) -> None:
        self._keys: dict[bytes, bytes] = {}

    def key_for(self, handle: bytes) -> bytes:
        return self._keys.setdefault(handle, secrets.token_bytes(32))

    def forget(self, handle: bytes) -> None:
        self._keys.pop(handle, None)


class Place:
    """Where a sealed value belongs; it opens nowhere else."""

    __slots__ = ("_head",)

    def __init__(self, region: str, site: str, event_id: str) -> None:
        self._head = (region, site, event_id)

    def bound_to(self, path: str) -> bytes:
        return orjson.dumps([*self._head, path])


def seal(value: Any, key: bytes, bound: bytes, random: Callable[[int], bytes]) -> str:
    """`[enc:...]`: nonce and ciphertext of the value's JSON, in base64url without padding."""
    nonce = random(_NONCE_BYTES)
    raw = nonce + AESGCM(key).encrypt(nonce, orjson.dumps(value), bound)
    return f"[enc:{base64.urlsafe_b64encode(raw).decode().rstrip('=')}]"


def unseal(value: Any, keys: Iterable[bytes], place: Place, path: str) -> Any:
    """A stored value with everything that one of `keys` opens put back; the rest, erased or another's, stays sealed."""
    keys = tuple(keys)
    match value:
        case dict():
            return {key: unseal(inner, keys, place, f"{path}.{key}") for key, inner in value.items()}
        case list():
            return [unseal(inner, keys, place, f"{path}[{index}]") for index, inner in enumerate(value)]
        case str() if "[enc:" in value:
            return _opened(value, keys, place.bound_to(path))
        case _:
            return value


def _opened(text: str, keys: tuple[bytes, ...], bound: bytes) -> Any:
    whole = _TOKEN.fullmatch(text)
    if whole is not None:
        return _open(whole, keys, bound)
    return _TOKEN.sub(lambda match: str(_open(match, keys, bound)), text)


def _open(match: re.Match[str], keys: tuple[bytes, ...], bound: bytes) -> Any:
    try:
        raw = base64.urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4))
    except ValueError:  # no seal of ours
        return match[0]
    for key in keys:
        try:
            return orjson.loads(AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], bound))
        except InvalidTag:
            continue
    return match[0]
