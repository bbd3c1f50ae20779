"""Receipts of choices: ISO/IEC TS 27560 fields, signed, with the ledger entry they stand in and the proof that it does. Pure.

A receipt verifies offline, with the gateway's public keys and nothing else. Who it is about is in it only as a commitment: HMAC-SHA256 of
the identifier under the receipt's nonce.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import rfc8785

from consentryd.consent.purposes import Purposes
from consentryd.model.identity import IdentityKind
from consentryd.storage.ledger import Entry
from consentryd.storage.merkle import leaf_hash, verify_inclusion
from consentryd.storage.note import BadNote, Verifier, open_checkpoint
from consentryd.storage.signing import Signer

TYPE: Final = "consentry-consent-receipt"
ALGORITHM: Final = "Ed25519"
SCHEMA: Final = "ISO/IEC TS 27560:2023"

#: Our state of a choice in the words of TS 27560.
EVENT_STATE: Final = {"granted": "given", "denied": "refused", "withdrawn": "withdrawn"}


class BadReceipt(ValueError):
    """The receipt is not what was issued. The message says what does not hold."""


class Terms(NamedTuple):
    """What receipts say of the processing, besides the choice itself. `kept_days` tells how long events of a purpose are kept."""

    region: str
    purposes: Purposes
    controller: str
    validity_days: int
    kept_days: Callable[[str], int]
    recipients: Sequence[str] = ()


class Proof(NamedTuple):
    """The signed head of the ledger and the way from the entry to it."""

    checkpoint: str
    inclusion: Sequence[bytes]


def principal(nonce: bytes, site: str, kind: IdentityKind, value: str) -> str:
    """The commitment to an identifier, 64 hex digits. Only who has nonce and identifier can tell that they belong together."""
    return hmac.new(nonce, f"{site}\0{kind}\0{value}".encode(), hashlib.sha256).hexdigest()


def issue(entry: Entry, nonce: bytes, proof: Proof, terms: Terms, signer: Signer) -> dict[str, Any]:
    """The receipt of a `consent` entry."""
    body = json.loads(entry.body)
    receipt = {
        "type": TYPE,
        "version": 1,
        **_record(body, entry.number, signer.origin, terms),
        "nonce": nonce.hex(),
        "ledger": {
            "origin": signer.origin,
            "entry": entry.number,
            "body": body,
            "inclusion": [base64.b64encode(step).decode() for step in proof.inclusion],
            "checkpoint": proof.checkpoint,
        },
    }
    signature = base64.b64encode(signer.sign(rfc8785.dumps(receipt))).decode()
    return {**receipt, "signature": {"algorithm": ALGORITHM, "key": signer.id, "value": signature}}


def verify(receipt: Mapping[str, Any], keys: Iterable[Verifier]) -> dict[str, Any]:
    """The ledger entry that the receipt proves: who signed it, that the entry is in the signed tree, and that both say the same.

    Raises `BadReceipt`.
    """
    try:
        return _verify(receipt, list(keys))
    except BadNote as error:
        raise BadReceipt(f"the checkpoint: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, rfc8785.CanonicalizationError) as error:
        if isinstance(error, BadReceipt):
            raise
        raise BadReceipt("this is no receipt, or a part of it is missing") from None


def is_about(receipt: Mapping[str, Any], kind: IdentityKind, value: str) -> bool:
    """Whether a verified receipt is this identifier's."""
    body = receipt["ledger"]["body"]
    return principal(bytes.fromhex(receipt["nonce"]), body["site"], kind, value) in body["principals"]


def _verify(receipt: Mapping[str, Any], keys: list[Verifier]) -> dict[str, Any]:
    if receipt["type"] != TYPE:
        raise BadReceipt("this is no receipt")
    ledger, signature = receipt["ledger"], receipt["signature"]
    signed = rfc8785.dumps({name: value for name, value in receipt.items() if name != "signature"})
    candidates = [key for key in keys if key.key_id.hex() == signature["key"] and key.name == ledger["origin"]]
    if not candidates:
        raise BadReceipt(f"key {str(signature['key'])[:8]} is not among the keys given")
    if signature["algorithm"] != ALGORITHM or not any(key.verify(_decode(signature["value"]), signed) for key in candidates):
        raise BadReceipt("its signature does not fit: something was changed")
    checkpoint = open_checkpoint(ledger["checkpoint"], [key for key in keys if key.name == ledger["origin"]])
    if checkpoint.origin != ledger["origin"]:
        raise BadReceipt("the checkpoint is another ledger's")
    body: dict[str, Any] = ledger["body"]
    steps = [_decode(step) for step in ledger["inclusion"]]
    if not verify_inclusion(leaf_hash(rfc8785.dumps(body)), ledger["entry"], checkpoint.size, steps, checkpoint.root):
        raise BadReceipt("the entry is not in the tree that the checkpoint signs")
    _check_record(receipt, body)
    return body


def _check_record(receipt: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    """The readable part says what the entry says. How long a choice holds is in no entry."""
    ledger = receipt["ledger"]
    same = (
        receipt["header"]["record_id"] == _record_id(ledger["origin"], ledger["entry"])
        and receipt["header"]["pii_principal_id"] == body["principals"]
        and [{**event, "validity_duration": None} for event in receipt["event"]] == _events(body, None)
        and [row["purpose"] for row in receipt["pii_processing"]["purposes"]] == sorted(body["choices"])
    )
    if not same:
        raise BadReceipt("what it says is not what the ledger's entry says")


def _record(body: Mapping[str, Any], number: int, origin: str, terms: Terms) -> dict[str, Any]:
    return {
        "header": {
            "schema_version": SCHEMA,
            "record_id": _record_id(origin, number),
            "pii_principal_id": body["principals"],
        },
        "pii_processing": {
            "privacy_notice": body["notice"],
            "language": body["language"],
            "purposes": [_purpose(name, body, terms) for name in sorted(body["choices"])],
        },
        "party_identification": [{"party_id": body["site"], "party_name": terms.controller, "party_type": "controller"}],
        "event": _events(body, f"P{terms.validity_days}D"),
    }


def _purpose(name: str, body: Mapping[str, Any], terms: Terms) -> dict[str, Any]:
    known = terms.purposes.by_name.get(name)
    return {
        "purpose": name,
        "purpose_description": known.text if known else name,
        "lawful_basis": "consent",
        "pii_information": ["events of use", "country", "class of device"],
        "collection_method": "sent by the site, scrubbed of personal data before storage",
        "storage_locations": [terms.region],
        "retention_period": f"P{terms.kept_days(name)}D",
        "jurisdiction": body["jurisdiction"],
        "recipient_third_parties": list(terms.recipients),
        "withdrawal_method": 'POST /v1/consent with {"action": "withdraw"}',
        "privacy_rights": ["access", "rectification", "erasure", "restriction", "objection", "portability", "complaint"],
    }


def _events(body: Mapping[str, Any], validity: str | None) -> list[dict[str, Any]]:
    """A grant holds for a time, a refusal until the person chooses anew."""
    return [
        {
            "event_time": body["at"],
            "event_type": "explicit",
            "event_state": EVENT_STATE[state],
            "purpose": name,
            "entity_id": body["by"],
            "validity_duration": validity if state == "granted" else None,
        }
        for name, state in sorted(body["choices"].items())
    ]


def _record_id(origin: str, number: int) -> str:
    return f"{origin}/{number}"


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise BadReceipt("what should be base64 is not") from None
