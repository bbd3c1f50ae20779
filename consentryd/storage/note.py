"""Signed notes and checkpoints of transparency logs, as C2SP signed-note and tlog-checkpoint describe them. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from typing import Final, NamedTuple, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519: Final = b"\x01"
_KEY_ID_BYTES: Final = 4
_DASH: Final = "\u2014 "
_CHECKPOINT_LINES: Final = 3


class BadNote(ValueError):
    """The note is malformed, or no key given has signed it."""


class Verifier(NamedTuple):
    """A public key under the name it signs by: `vkey` is `name+<key id, hex>+<base64 of 0x01 and the 32 bytes>`."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_KEY_ID_BYTES]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """Raises `BadNote`."""
        name, _, rest = vkey.partition("+")
        key_id, _, encoded = rest.partition("+")
        verifier = cls(name, _decode(encoded)[1:])
        if verifier.vkey != vkey or key_id != verifier.key_id.hex():
            raise BadNote("this is no verifier key of signed notes")
        return verifier

    def verify(self, signature: bytes, message: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def sign_note(text: str, verifier: Verifier, key: Ed25519PrivateKey) -> str:
    """The note: its text, which ends in a newline, and one signature."""
    signature = base64.b64encode(verifier.key_id + key.sign(text.encode())).decode()
    return f"{text}\n{_DASH}{verifier.name} {signature}\n"


def open_note(note: str, verifiers: Iterable[Verifier]) -> str:
    """The text of a note that one of the verifiers signed; signatures by others are ignored. Raises `BadNote`."""
    head, parted, signatures = note.rpartition("\n\n")
    text = head + "\n"
    if not parted or not signatures.endswith("\n"):
        raise BadNote("the note has no signatures")
    by_name = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    for line in signatures.splitlines():
        name, _, encoded = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not name:
            raise BadNote("a line of signatures is malformed")
        signed = _decode(encoded)
        verifier = by_name.get((name, signed[:_KEY_ID_BYTES]))
        if verifier is not None and verifier.verify(signed[_KEY_ID_BYTES:], text.encode()):
            return text
    raise BadNote("no known key has signed the note")


class Checkpoint(NamedTuple):
    """The head of a log's tree: how many leaves it has, and their root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Extension lines are ignored. Raises `BadNote`."""
        lines = text.split("\n")
        if len(lines) <= _CHECKPOINT_LINES or not lines[0] or not lines[1].isascii() or not lines[1].isdigit():
            raise BadNote("this is no checkpoint")
        size, root = int(lines[1]), _decode(lines[2])
        if str(size) != lines[1] or len(root) != hashlib.sha256().digest_size:
            raise BadNote("this is no checkpoint")
        return cls(lines[0], size, root)


def open_checkpoint(note: str, verifiers: Iterable[Verifier]) -> Checkpoint:
    """The checkpoint in a note, signed by one of the verifiers. Raises `BadNote`."""
    return Checkpoint.parse(open_note(note, verifiers))


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, ValueError):
        raise BadNote("what should be base64 is not") from None
