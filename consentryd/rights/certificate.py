"""Certificates of erasure: what was destroyed, how, what a search found, and the ledger entry that fixes it. Pure.

A certificate verifies offline, with the gateway's public keys and nothing else. Whom it is about is in it only as commitments:
HMAC-SHA256 of each identifier under a nonce that was given to whoever asked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import rfc8785

from consentryd.consent.receipt import ALGORITHM, Proof, principal
from consentryd.model.identity import IdentityKind
from consentryd.storage.ledger import Entry
from consentryd.storage.merkle import leaf_hash, verify_inclusion
from consentryd.storage.note import BadNote, Verifier, open_checkpoint
from consentryd.storage.signing import Signer

TYPE: Final = "consentry-erasure-certificate"

METHODS: Final = {
    "events": "files rewritten without the person's rows, old files deleted",
    "index": "rows deleted, freed bytes overwritten (SQLite secure_delete), write-ahead log truncated",
    "encrypted_values": "the person's own AES-256-GCM keys destroyed",
}


class BadCertificate(ValueError):
    """The certificate is not what was issued. The message says what does not hold."""


def digest_of(facts: Mapping[str, Any]) -> str:
    """What the ledger keeps of a certificate: SHA-256 of the canonical JSON of its facts, in hex."""
    return hashlib.sha256(rfc8785.dumps(dict(facts))).hexdigest()


def issue(facts: Mapping[str, Any], entry: Entry, proof: Proof, signer: Signer) -> dict[str, Any]:
    """`facts` and their proof: the ledger entry that holds their digest, and the signature over all of it."""
    certificate: dict[str, Any] = {
        "type": TYPE,
        "version": 1,
        "erasure": dict(facts),
        "ledger": {
            "origin": signer.origin,
            "entry": entry.number,
            "body": json.loads(entry.body),
            "inclusion": [base64.b64encode(step).decode() for step in proof.inclusion],
            "checkpoint": proof.checkpoint,
        },
    }
    signature = base64.b64encode(signer.sign(rfc8785.dumps(certificate))).decode()
    return {**certificate, "signature": {"algorithm": ALGORITHM, "key": signer.id, "value": signature}}


def verify(certificate: Mapping[str, Any], keys: Iterable[Verifier]) -> dict[str, Any]:
    """The facts: who signed them, and that the signed ledger holds them. Raises `BadCertificate`."""
    try:
        return _verify(certificate, list(keys))
    except BadNote as error:
        raise BadCertificate(f"the checkpoint: {error}") from None
    except BadCertificate:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, rfc8785.CanonicalizationError):
        raise BadCertificate("this is no certificate, or a part of it is missing") from None


def is_about(facts: Mapping[str, Any], nonce: bytes, site: str, kind: IdentityKind, value: str) -> bool:
    """Whether verified facts are about this identifier."""
    return principal(nonce, site, kind, value) in facts["commitments"]


def _verify(certificate: Mapping[str, Any], keys: list[Verifier]) -> dict[str, Any]:
    if certificate["type"] != TYPE:
        raise BadCertificate("this is no certificate of erasure")
    ledger, signature = certificate["ledger"], certificate["signature"]
    own = [key for key in keys if key.name == ledger["origin"]]
    signed = rfc8785.dumps({name: value for name, value in certificate.items() if name != "signature"})
    candidates = [key for key in own if key.key_id.hex() == signature["key"]]
    if not candidates:
        raise BadCertificate(f"key {str(signature['key'])[:8]} is not among the keys given")
    if signature["algorithm"] != ALGORITHM or not any(key.verify(_decode(signature["value"]), signed) for key in candidates):
        raise BadCertificate("its signature does not fit: something was changed")
    facts: dict[str, Any] = certificate["erasure"]
    if ledger["body"].get("certificate") != digest_of(facts):
        raise BadCertificate("the ledger's entry is not this certificate's")
    checkpoint = open_checkpoint(ledger["checkpoint"], own)
    steps = [_decode(step) for step in ledger["inclusion"]]
    if not verify_inclusion(leaf_hash(rfc8785.dumps(ledger["body"])), ledger["entry"], checkpoint.size, steps, checkpoint.root):
        raise BadCertificate("the entry is not in the tree that the checkpoint signs")
    return facts


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise BadCertificate("what should be base64 is not") from None
