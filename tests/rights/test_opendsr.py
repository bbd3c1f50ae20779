"""The OpenDSR 2.0 protocol through the front door: discovery, requests, status, cancelling, callbacks, each signed."""

from __future__ import annotations

import base64
import gzip
import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from bench.gateway import Gateway
from consentryd.config.settings import Rights
from consentryd.model.error import ConfigError
from consentryd.rights.opendsr import load_processor
from tests.rights.receiver import Receiver, receiving

DOMAIN = "opendsr.example.com"
CONTEXT = {"consent": {"purposes": {"analytics": True}}}


def certified(folder: Path) -> tuple[Path, Path]:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DOMAIN)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, now - timedelta(days=1), now + timedelta(days=9))
    certificate = folder / "opendsr.pem"
    certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private = folder / "opendsr.key"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("opendsr")
    certificate, key = certified(folder)
    rights = {"DOMAIN": DOMAIN, "CERTIFICATE": str(certificate), "KEY": str(key)}
    environ = {f"CONSENTRY_RIGHTS_OPENDSR_{name}": value for name, value in rights.items()}
    environ |= {
        "CONSENTRY_RIGHTS_CALLBACKS": f"{receiver.url}/callback",
        "CONSENTRY_SERVER_PUBLIC_URL": "https://events.example.com",
    }
    made = Gateway(folder / "gateway", environ=environ)
    made.start()
    yield made
    assert made.stop() == 0


def ask(
    gateway: Gateway, method: str, path: str, body: Any = None, key: str | None = "privacy"
) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    headers = {"Authorization": f"Bearer {gateway.keys[key]}"} if key else {}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    answer = response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    connection.close()
    return answer


def check_signature(gateway: Gateway, headers: dict[str, str], body: bytes) -> None:
    certificate = x509.load_pem_x509_certificate(ask(gateway, "GET", "/opendsr/certificate.pem", key=None)[2])
    public = certificate.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    lower = {name.lower(): value for name, value in headers.items()}
    for name in ("opendsr", "opengdpr"):
        assert lower[f"x-{name}-processor-domain"] == DOMAIN
        public.verify(base64.b64decode(lower[f"x-{name}-signature"]), body, padding.PKCS1v15(), hashes.SHA256())


def request(kind: str, **more: Any) -> dict[str, Any]:
    return {
        "regulation": "gdpr",
        "subject_request_id": str(uuid.uuid4()),
        "subject_request_type": kind,
        "submitted_time": "2026-11-20T10:00:00Z",
        "subject_identities": [{"identity_type": "controller_customer_id", "identity_value": "ann-77", "identity_format": "raw"}],
        "api_version": "2.0",
        **more,
    }


def settled(gateway: Gateway, path: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while True:
        status, headers, body = ask(gateway, "GET", path)
        assert status == 200
        check_signature(gateway, headers, body)
        told: dict[str, Any] = json.loads(body)
        if told["request_status"] == "completed" or time.monotonic() > deadline:
            return told
        time.sleep(0.1)


@pytest.mark.parametrize("path", ["/opendsr/requests", "/opendsr/v2/requests", "/opendsr/opengdpr_requests"])
def test_an_erasure_is_created_carried_out_and_reported_each_time_signed(gateway: Gateway, receiver: Receiver, path: str) -> None:
    batch = [{"type": "track", "event": "Bought", "userId": "ann-77", "context": CONTEXT}]
    ask(gateway, "POST", "/v1/batch", {"batch": batch}, key="server")
    body = request(
        "erasure", status_callback_urls=[f"{receiver.url}/callback"], extensions={DOMAIN: {"anonymous_ids": ["device-1"]}}
    )
    status, headers, answer = ask(gateway, "POST", path, body)
    assert status == 201
    check_signature(gateway, headers, answer)
    created = json.loads(answer)
    assert json.loads(base64.b64decode(created["encoded_request"])) == body
    assert created["controller_id"] == "default"
    told = settled(gateway, f"{path}/{body['subject_request_id']}")
    assert (told["request_status"], told["api_version"]) == ("completed", "2.0")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not any(
        json.loads(raw)["request_status"] == "completed" and body["subject_request_id"].encode() in raw
        for raw in receiver.bodies("/callback")
    ):
        time.sleep(0.05)
    mine = [(headers, raw) for _, headers, raw in receiver.got if body["subject_request_id"].encode() in raw]
    assert json.loads(mine[-1][1])["request_status"] == "completed"
    assert json.loads(mine[-1][1])["status_callback_url"] == f"{receiver.url}/callback"
    for headers, raw in mine:
        check_signature(gateway, headers, raw)


def test_an_access_request_tells_where_its_results_are_and_how_many(gateway: Gateway) -> None:
    body = request("access")
    ask(gateway, "POST", "/opendsr/requests", body)
    told = settled(gateway, f"/opendsr/requests/{body['subject_request_id']}")
    assert told["results_url"] == f"https://events.example.com/v1/privacy/requests/{body['subject_request_id']}/export"
    assert told["results_count"] >= 0
    assert ask(gateway, "DELETE", f"/opendsr/requests/{body['subject_request_id']}")[0] == 409


def test_discovery_tells_what_may_be_asked(gateway: Gateway) -> None:
    status, headers, body = ask(gateway, "GET", "/opendsr/discovery", key=None)
    assert status == 200
    check_signature(gateway, headers, body)
    told = json.loads(body)
    assert told["processor_certificate"] == "https://events.example.com/opendsr/certificate.pem"
    assert {"identity_type": "email", "identity_format": "sha256"} in told["supported_identities"]


@pytest.mark.parametrize(
    "change",
    [
        {"subject_request_id": "not a uuid"},
        {"subject_request_id": str(uuid.uuid1())},
        {"submitted_time": "yesterday"},
        {"subject_request_type": "rectification"},
        {"subject_request_type": ["erasure"]},
        {"subject_request_type": {}},
        {"subject_identities": []},
        {"subject_identities": [{"identity_type": "email", "identity_value": "x@y.example", "identity_format": "md5"}]},
        {"subject_identities": [{"identity_type": ["email"], "identity_value": "x@y.example", "identity_format": "raw"}]},
        {"subject_identities": [{"identity_type": {}, "identity_value": "x@y.example", "identity_format": "raw"}]},
        {"subject_identities": [{"identity_type": "email", "identity_value": "x@y.example", "identity_format": ["raw"]}]},
        {"subject_identities": "ann-77"},
        {"status_callback_urls": ["https://elsewhere.example/"]},
        {"extensions": {DOMAIN: {"anonymous_ids": 7}}},
    ],
)
def test_a_malformed_request_is_a_400_in_the_protocols_words(gateway: Gateway, change: dict[str, Any]) -> None:
    status, headers, body = ask(gateway, "POST", "/opendsr/requests", {**request("erasure"), **change})
    assert status == 400
    check_signature(gateway, headers, body)
    told = json.loads(body)
    assert told["error"]["code"] == 400
    assert b"elsewhere" not in body


def test_what_is_not_there_or_too_late_is_told_in_the_protocols_words(gateway: Gateway) -> None:
    done = request("access")
    ask(gateway, "POST", "/opendsr/requests", done)
    settled(gateway, f"/opendsr/requests/{done['subject_request_id']}")
    for method, name, expected in (("GET", uuid.uuid4(), 404), ("DELETE", done["subject_request_id"], 409)):
        status, headers, body = ask(gateway, method, f"/opendsr/requests/{name}")
        check_signature(gateway, headers, body)
        assert (status, json.loads(body)["error"]["code"]) == (expected, expected)


def test_a_compressed_request_is_read(gateway: Gateway) -> None:
    body = request("access")
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    headers = {"Authorization": f"Bearer {gateway.keys['privacy']}", "Content-Encoding": "gzip"}
    connection.request("POST", "/opendsr/requests", gzip.compress(json.dumps(body).encode()), headers)
    response = connection.getresponse()
    told = json.loads(response.read())
    connection.close()
    assert response.status == 201
    assert json.loads(base64.b64decode(told["encoded_request"])) == body


def test_the_key_is_checked_once_and_again_when_the_files_change(tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)
    settings = Rights(opendsr_domain=DOMAIN, opendsr_certificate=certificate, opendsr_key=key)
    first = load_processor(settings)
    assert first is not None
    assert load_processor(settings) is first
    certified(tmp_path)
    renewed = load_processor(settings)
    assert renewed is not None
    assert renewed.certificate == certificate.read_bytes() != first.certificate


def test_without_a_privacy_key_nothing_is_taken(gateway: Gateway) -> None:
    assert ask(gateway, "POST", "/opendsr/requests", request("erasure"), key="read")[0] == 403
    assert ask(gateway, "POST", "/opendsr/requests", request("erasure"), key=None)[0] == 401


def test_which_of_both_files_is_wrong_is_told(tmp_path):
    certificate, key = certified(tmp_path)
    both = partial(Rights, opendsr_domain=DOMAIN)
    for settings, says in (
        (both(opendsr_certificate=key, opendsr_key=key), "rights.opendsr_certificate is no certificate in PEM."),
        (both(opendsr_certificate=certificate, opendsr_key=certificate), "rights.opendsr_key is no private key in PEM"),
        (both(opendsr_certificate=certificate, opendsr_key=tmp_path / "none"), "none: No such file or directory."),
    ):
        with pytest.raises(ConfigError, match=says):
            load_processor(settings)
