"""Recognisable personal data goes in by every door and every error path; afterwards no byte of it stands anywhere.

Looked through: every file under the data directory, raw and with everything unpacked that was packed (SQLite's rows, log blocks,
Parquet), temporary files, logs at their most talkative, metrics, and what the commands print.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import ipaddress
import json
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pyarrow.parquet as pq
import pytest
import zstandard

from bench.gateway import Gateway
from consentryd.gateway.endpoints import ENDPOINTS

V4 = "203.0.113.77"
V6 = "2001:db8:ca9a:17::7e57"
AGENT = "CanaryBrowser/77.31 (zebra; unicorn) Firefox/147.0"
USER = "canary-user-7f3a91"
ANONYMOUS = "canary-anon-55ad0e"
SESSION = "canary-session-90c1"
GROUP = "canary-group-b3d2"
TOKEN = "canarytoken0b7f66d2"
URL = f"https://{USER}:secret@shop.example/profile/{USER}/{quote(AGENT, safe='')}?token={TOKEN}&utm_source=letter#{TOKEN}"
#: The search must find this, else it finds nothing.
CONTROL = "control-marker-4471"

GRANT = {"purposes": {"analytics": True}}
CONSENTS = {"granted": GRANT, "denied": {"purposes": {"analytics": False}}, "none": None, "broken": {"purposes": [USER]}}

ZSTD = b"\x28\xb5\x2f\xfd"


def needles() -> dict[str, bytes]:
    """What must not be found, by what it is."""
    texts = {
        "address": V4, "network": V4.rpartition(".")[0] + ".", "address 6": V6, "address 6, long": ipaddress.ip_address(V6).exploded,
        "agent": AGENT, "agent's name": "CanaryBrowser", "user": USER, "anonymous": ANONYMOUS, "session": SESSION, "group": GROUP,
        "token": TOKEN, "any canary": "canary-",
    }  # fmt: skip
    found = {name: text.encode() for name, text in texts.items()}
    found["address 6, packed"] = ipaddress.ip_address(V6).packed
    for name, text in (("user", USER), ("anonymous", ANONYMOUS), ("address", V4), ("token", TOKEN), ("agent", AGENT)):
        found[f"{name} in base64"] = base64.b64encode(text.encode()).rstrip(b"=")[:-1]
        found[f"{name} in hex"] = text.encode().hex().encode()
        for algorithm in ("md5", "sha1", "sha256", "sha512", "blake2b"):
            digest = hashlib.new(algorithm, text.encode())
            found[f"{algorithm} of {name}"] = digest.digest()
            found[f"{algorithm} of {name} in hex"] = digest.hexdigest().encode()
    return found


def event(kind: str, consent: Any = GRANT, **members: Any) -> dict[str, Any]:
    """A call with a canary wherever a caller might put one."""
    context: dict[str, Any] = {
        "ip": V4, "userAgent": AGENT, "page": {"url": URL, "referrer": URL, "title": f"{USER} with {AGENT}"},
        "userAgentData": {"brand": AGENT}, "device": {"id": ANONYMOUS}, "library": {"name": "test"},
    }  # fmt: skip
    if consent is not None:
        context["consent"] = consent
    return {
        "type": kind, "event": "control", "userId": USER, "anonymousId": ANONYMOUS, "sessionId": SESSION, "groupId": GROUP,
        "previousId": ANONYMOUS, "context": context,
        "properties": {
            "marker": CONTROL, "url": URL, "referrer": URL, "user_id": USER, "customerId": USER, "userAgent": AGENT,
            "note": f"hello {USER} with {AGENT}", "any": [USER, ANONYMOUS, AGENT, {USER: f"/x/{ANONYMOUS}"}],
        },
        "traits": {"id": USER, "device": ANONYMOUS, "about": AGENT}, **members,
    }  # fmt: skip


def events() -> list[dict[str, Any]]:
    """Every call with every kind of consent, and every way to be refused."""
    good = [
        event(kind, consent)
        for kind in ("track", "page", "screen", "identify", "group", "alias")
        for consent in CONSENTS.values()
    ]
    bad = [
        event("track", userId={"is": USER}), event("track", userId="x" * 300 + USER), event("track", userId="null", anonymousId=[ANONYMOUS]),
        event(TOKEN), event("track", event=["" + TOKEN]), event("track", event="x" * 300), event("track", timestamp=TOKEN),
        event("track", event=f"Profile of {USER}", timestamp=TOKEN),
        event("track", timestamp="1999-01-01T00:00:00Z"), event("track", timestamp="2099-01-01T00:00:00Z"),
        event("track", properties=[USER]), event("track", properties={"deep": nested(20)}), event("track", context=USER),
        event("track", properties={f"key {number}": USER for number in range(300)}), event("track", properties={"long": USER * 3000}),
        event("group", groupId=None), event("track", messageId={"id": USER}), event("page", userId=None, anonymousId=None),
        event("track", context={"ip": f"{V4}{V4}", "userAgent": "Googlebot/2.1 " + AGENT, "consent": GRANT}),
        event("track", context={"ip": V6, "consent": GRANT}), event("track", context={"ip": {"a": V4}, "userAgent": [AGENT]}),
    ]  # fmt: skip
    named = [event("track", event=f"Profile of {USER}", messageId=f"{ANONYMOUS}-{number}") for number in range(2)]
    return good + bad + named


def nested(depth: int) -> Any:
    return {"in": nested(depth - 1)} if depth else USER


def bodies() -> list[tuple[bytes, dict[str, str]]]:
    """Request bodies, good and broken, with their headers."""
    whole = orjson.dumps({"batch": events(), "context": {"ip": V4, "userAgent": AGENT}, "sentAt": TOKEN})
    single = orjson.dumps(event("track"))
    return [
        (whole, {}), (single, {}), (orjson.dumps([event("page")]), {"Content-Type": "text/plain"}),
        (gzip.compress(whole), {"Content-Encoding": "gzip"}), (gzip.compress(whole)[:-20], {"Content-Encoding": "gzip"}),
        (single, {"Content-Encoding": "gzip"}), (single, {"Content-Encoding": TOKEN}), (single[:-5], {}), (USER.encode(), {}),
        (orjson.dumps(USER), {}), (b'{"batch": "' + USER.encode() + b'"}', {}), (b"\xff" + USER.encode(), {}), (b"", {}),
        (orjson.dumps({"batch": [event("track")] * 1001}), {"Content-Encoding": "identity"}),
        (orjson.dumps({"batch": [{"userId": USER * 40_000}]}), {}), (b"[" * 5000 + USER.encode(), {}),
        (orjson.dumps({"writeKey": USER, "batch": []}), {}),
    ]  # fmt: skip


def headers(secret: str | None) -> dict[str, str]:
    told = {
        "User-Agent": AGENT, "X-Forwarded-For": f"{V4}", "Referer": URL, "Cookie": f"id={USER}",
        "AnonymousId": base64.b64encode(ANONYMOUS.encode()).decode(), "Content-Type": "application/json",
    }  # fmt: skip
    return told if secret is None else {**told, "Authorization": f"Bearer {secret}"}


def ask_everything(gateway: Gateway) -> bytes:
    """Every endpoint with every key, every body and wrong methods; what the readable ones answered."""
    query = f"?userId={USER}&anonymousId={ANONYMOUS}&url={URL.replace('#', '%23')}&event=control&token={TOKEN}&ip={V4}"
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace("{key}", USER).replace("{asset}", USER)
        for secret in (*gateway.keys.values(), USER, None):
            gateway.request(endpoint.method, path + query, orjson.dumps(event("track")), headers(secret))
        gateway.request("DELETE", path + query, None, headers(USER))
        gateway.request("OPTIONS", path + query, None, {**headers(None), "Origin": f"https://{USER}.example"})
    for secret in (gateway.keys["server"], gateway.keys["write"]):
        for body, more in bodies():
            gateway.request("POST", "/v1/batch", body, {**headers(secret), **more})
    strings = {"Cookie": f"euconsent-v2={TOKEN}; __gpp={USER}", "Sec-GPC": TOKEN, "DNT": USER}
    gateway.request("POST", "/v1/batch", bodies()[0][0], {**headers(gateway.keys["server"]), **strings})
    gateway.request("GET", f"/{USER}/{TOKEN}{query}", None, headers(None))
    for garbage in (
        f"GET /{USER} HTTP/9.9\r\n\r\n",
        f"{USER}\r\n\r\n",
        f"GET / HTTP/1.1\r\n{TOKEN}\r\n\r\n",
        f"GET /{TOKEN * 2000} HTTP/1.1\r\n\r\n",
    ):
        shout(gateway.port, garbage.encode())
    return gateway.request("GET", "/metrics", None, headers(gateway.keys["read"]))[1]


def shout(port: int, data: bytes) -> None:
    """What is no HTTP."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(data)
        while connection.recv(65536):
            pass


def ask_a_locked_store(gateway: Gateway) -> None:
    """The 503."""
    held = [sqlite3.connect(path, isolation_level=None, timeout=30) for path in gateway.data.glob("*/region.db")]
    for connection in held:
        connection.execute("BEGIN IMMEDIATE")
    body = orjson.dumps({"batch": [event("track"), event("track", context={"ip": "73.12.7.9", "consent": GRANT})]})
    assert gateway.request("POST", "/v1/batch", body, headers(gateway.keys["server"]))[0] == 503
    for connection in held:
        connection.close()


def import_files(gateway: Gateway, folder: Path) -> bytes:
    """A log and a file of events, some of both broken; what the command printed."""
    log, lines = folder / "access.log", folder / "events.jsonl"
    log.write_text(
        f'{V4} - {USER} [20/Nov/2026:10:15:02 +0100] "GET /p?token={TOKEN} HTTP/1.1" 200 1 "{URL}" "{AGENT}"\n{V4} {USER} {TOKEN}\n'
    )
    lines.write_bytes(b"\n".join(orjson.dumps(each) for each in events()) + b'\n{"userId": "' + USER.encode() + b"\n")
    command = [sys.executable, "-m", "consentryd", "import", str(log), str(lines), "--config", str(gateway.config)]
    done = subprocess.run(
        command, env=gateway.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=100
    )
    assert done.returncode == 1, done.stdout
    log.unlink()
    lines.unlink()
    return done.stdout


def unpacked(path: Path, scratch: Path) -> Iterator[bytes]:
    """The file's bytes, and what is packed inside them."""
    raw = path.read_bytes()
    yield raw
    at = raw.find(ZSTD)
    while at >= 0:
        yield from inflated(raw[at:])
        at = raw.find(ZSTD, at + 1)
    if path.suffix == ".parquet":
        yield json.dumps(pq.read_table(path).to_pylist(), default=str).encode()
    if path.suffix == ".db":
        yield from rows(path, scratch)


def inflated(data: bytes) -> Iterator[bytes]:
    try:
        yield zstandard.ZstdDecompressor().decompressobj().decompress(data)
    except zstandard.ZstdError:
        return


def rows(path: Path, scratch: Path) -> Iterator[bytes]:
    """Every value of every table, from a copy, so that looking changes nothing."""
    for suffix in ("", "-wal"):
        if (source := path.with_name(path.name + suffix)).exists():
            shutil.copy(source, scratch / source.name)
    with closing(sqlite3.connect(scratch / path.name)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for value in (value for row in connection.execute(f"SELECT * FROM {table}") for value in row):
                if isinstance(value, bytes):
                    yield value
                    yield from inflated(value)
                elif isinstance(value, str):
                    yield value.encode()


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, bytes]]]:
    """Everything there is to read, by where it stands: after a clean stop that followed a seal, and after `kill -9`."""
    folder = tmp_path_factory.mktemp("canary")
    temporary, scratch = folder / "tmp", folder / "scratch"
    temporary.mkdir()
    scratch.mkdir()
    environ = {
        "TMPDIR": str(temporary), "CONSENTRY_SERVER_TRUSTED_PROXIES": '["127.0.0.0/8"]', "CONSENTRY_SERVER_LOG_LEVEL": "debug",
        "CONSENTRY_LIMITS_REQUESTS_PER_SECOND_PER_NETWORK": "100000",
    }  # fmt: skip
    gateway = Gateway(folder / "gateway", environ=environ)

    def look(metrics: bytes, *printed: bytes) -> list[tuple[str, bytes]]:
        paths = [path for root in (gateway.directory, temporary) for path in root.rglob("*") if path.is_file()]
        found = [(str(path), part) for path in paths for part in unpacked(path, scratch)]
        return [*found, ("log", gateway.log.read_bytes()), ("metrics", metrics), *(("printed", text) for text in printed)]

    try:
        gateway.start()
        ask_everything(gateway)
        ask_a_locked_store(gateway)
        imported = import_files(gateway, folder)
        sealed = gateway.consentry("seal", "--config", str(gateway.config))
        metrics = ask_everything(gateway)
        assert gateway.stop() == 0
        stopped = look(metrics, imported, sealed)
        gateway.start()
        metrics = ask_everything(gateway)
        gateway.kill()
        return {"a clean stop": stopped, "kill -9": look(metrics)}
    finally:
        gateway.kill()


@pytest.mark.parametrize("ending", ["a clean stop", "kill -9"])
def test_no_byte_of_an_address_agent_identifier_or_token_stands_anywhere_after(
    ending: str, traces: dict[str, list[tuple[str, bytes]]]
) -> None:
    leaks = {(name, where) for where, text in traces[ending] for name, needle in needles().items() if needle in text}
    assert not leaks


@pytest.mark.parametrize("ending", ["a clean stop", "kill -9"])
def test_the_search_looks_into_log_blocks_and_lake_files_after(ending: str, traces: dict[str, list[tuple[str, bytes]]]) -> None:
    places = {Path(where).suffix for where, text in traces[ending] if CONTROL.encode() in text}
    assert {".db", ".parquet"} <= places


def test_no_api_key_is_stored_or_logged(traces: dict[str, list[tuple[str, bytes]]]) -> None:
    assert not [where for found in traces.values() for where, text in found if b"csy_write_" in text or b"csy_server_" in text]
