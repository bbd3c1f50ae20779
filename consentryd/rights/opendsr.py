"""OpenDSR 2.0, the request protocol between data controllers and processors: its words to ours and back, and its signatures.

We are the processor; a site is the controller. Specification: sections 5.3 (identities), 7 (requests), 8 (status, callbacks), 9 (cancel).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from consentryd.config.settings import Rights
from consentryd.model.error import BadRequest, ConfigError
from consentryd.rights.demand import Demand, RequestStatus, RequestType, read_demand

API_VERSION: Final = "2.0"
TYPES: Final = (RequestType.ACCESS, RequestType.PORTABILITY, RequestType.ERASURE)

#: Identity types of section 5.3 that we know, in our words.
IDENTITIES: Final = {"controller_customer_id": "user_id", "email": "email"}
FORMATS: Final = {"controller_customer_id": ("raw", "sha256"), "email": ("raw", "sha256")}

_UUID4: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_STATUSES: Final = {RequestStatus.ON_HOLD: "pending"}
_NAMES: Final = ("OpenDSR", "OpenGDPR")


@dataclass(frozen=True, slots=True)
class Processor:
    """Our side: the domain, its certificate (PEM) and the key that signs answers and callbacks."""

    domain: str
    certificate: bytes
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = field(repr=False)

    def headers(self, body: bytes) -> dict[str, str]:
        """The signature of a body, under today's names and the protocol's former ones."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            signature = self.key.sign(body, padding.PKCS1v15(), hashes.SHA256())
        else:
            signature = self.key.sign(body, ec.ECDSA(hashes.SHA256()))
        text = base64.b64encode(signature).decode()
        return {
            f"X-{name}-{what}": value
            for name in _NAMES
            for what, value in (("Processor-Domain", self.domain), ("Signature", text))
        }


def load_processor(settings: Rights) -> Processor | None:
    """None where OpenDSR is not set up. Raises `ConfigError` if it is half set up, or the key is not the certificate's."""
    given = (settings.opendsr_domain, settings.opendsr_certificate, settings.opendsr_key)
    if not any(given):
        return None
    if settings.opendsr_domain is None or settings.opendsr_certificate is None or settings.opendsr_key is None:
        raise ConfigError("rights.opendsr_domain, rights.opendsr_certificate and rights.opendsr_key go together.")
    try:
        certificate, key = Path(settings.opendsr_certificate).read_bytes(), Path(settings.opendsr_key).read_bytes()
    except OSError as error:
        raise ConfigError(f"The OpenDSR certificate or its key cannot be read: {error.filename}: {error.strerror}.") from None
    return _read_processor(settings.opendsr_domain, certificate, key)


@lru_cache(maxsize=1)
def _read_processor(domain: str, certificate: bytes, private: bytes) -> Processor:
    """Remembered while the files say the same: OpenSSL takes tens of milliseconds to check an RSA key."""
    try:
        public = load_pem_x509_certificate(certificate).public_key()
    except ValueError:
        raise ConfigError("rights.opendsr_certificate is no certificate in PEM.") from None
    try:
        key = load_pem_private_key(private, None)
    except (ValueError, TypeError):
        raise ConfigError("rights.opendsr_key is no private key in PEM without a pass phrase.") from None
    fits = public == key.public_key()
    if not fits or not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise ConfigError("The OpenDSR key is not the certificate's, or neither RSA nor ECDSA.")
    return Processor(domain, certificate, key)


def discovery(certificate_url: str) -> dict[str, Any]:
    return {
        "api_version": API_VERSION,
        "supported_identities": [
            {"identity_type": kind, "identity_format": form} for kind, forms in FORMATS.items() for form in forms
        ],
        "supported_subject_request_types": [kind.value for kind in TYPES],
        "processor_certificate": certificate_url,
    }


def read_request(body: Any, domain: str) -> Demand:
    """A request of section 7.1 in our words. Raises `BadRequest`, `Unprocessable`; neither repeats a value."""
    if not isinstance(body, dict):
        raise BadRequest("bad_request", "The request is not an object.")
    for name, shape in (("subject_request_id", _UUID4), ("submitted_time", _RFC3339)):
        if not isinstance(body.get(name), str) or not shape.fullmatch(body[name]):
            raise BadRequest("bad_request", f"{name} is required: a lower-case version 4 UUID, or an RFC 3339 time.")
    if body.get("subject_request_type") not in [kind.value for kind in TYPES]:
        raise BadRequest("bad_request", "subject_request_type is access, portability or erasure.")
    extension = (body.get("extensions") or {}).get(domain) if isinstance(body.get("extensions"), dict) else None
    anonymous = extension.get("anonymous_ids", []) if isinstance(extension, dict) else []
    named = body.get("subject_identities") or []
    if not isinstance(named, list) or not isinstance(anonymous, list):
        raise BadRequest("bad_request", "Identities stand in an array.")
    identities = [_identity(each) for each in named]
    identities += [{"type": "anonymous_id", "value": value, "format": "raw"} for value in anonymous]
    return read_demand(
        {
            "type": body["subject_request_type"],
            "request_id": body["subject_request_id"],
            "regulation": body.get("regulation", "gdpr"),
            "identities": identities,
            "callbacks": body.get("status_callback_urls") or [],
        }
    )


def _identity(told: Any) -> dict[str, Any]:
    kind, form = (told.get("identity_type"), told.get("identity_format")) if isinstance(told, dict) else (None, None)
    if not isinstance(kind, str) or form not in FORMATS.get(kind, ()):
        raise BadRequest("bad_request", "An identity is of a type or format that /opendsr/discovery does not list.")
    return {"type": IDENTITIES[kind], "value": told.get("identity_value"), "format": form}


def extensions_of(told: Mapping[str, Any], domain: str | None) -> dict[str, Any]:
    """What the protocol has no words for, under our domain, as requests have it: the regions in which nothing was done."""
    missing = told.get("regions_not_covered")
    return {"extensions": {domain: {"regions_not_covered": missing}}} if missing and domain is not None else {}


def status_of(told: Mapping[str, Any], domain: str | None, public_url: str | None) -> dict[str, Any]:
    """A request's state, section 8.3. `told` is what `Desk.get` gives."""
    status = RequestStatus(told["status"])
    answer = {
        "controller_id": told["sites"][0],
        "expected_completion_time": told["due_at"],
        "subject_request_id": told["id"],
        "request_status": _STATUSES.get(status, status.value),
        "api_version": API_VERSION,
        **extensions_of(told, domain),
    }
    export = told.get("export")
    if export is not None and public_url is not None:
        answer |= {"results_url": f"{public_url.rstrip('/')}{export['path']}", "results_count": export["events"]}
    return answer
