from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from consentryd.gateway.endpoints import ENDPOINTS
from consentryd.gateway.health import Check
from consentryd.gateway.reference import http_api
from consentryd.model.clock import SECOND
from consentryd.model.outcome import OUTCOME_OF, Outcome, Reason, Result
from consentryd.storage.rejected import Letter
from tests.kit import NOW, Gateway, running, settings_of

CHROMIUM = shutil.which("chromium") or ""
ROOT = Path(__file__).parents[2]


async def test_what_is_not_there_has_the_error_shape(gateway: Gateway) -> None:
    for path in ("/nowhere", "/v1/batch//", "/v1/batch/x", "/docs/x.js", "/docs/../x", "/v1/%00", "/v1/projects//settings"):
        status, answer = await gateway.ask("GET", path)
        assert (status, answer["error"]["code"]) == (404, "not_found"), path


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
async def test_wrong_methods_are_told_the_right_ones(gateway: Gateway, endpoint) -> None:
    path = re.sub(r"\{\w+\}", "x", endpoint.path)
    own = {other.method for other in ENDPOINTS if other.path == endpoint.path}
    for method in sorted({"PUT", "DELETE", "PATCH", "PROPFIND"} - own):
        async with gateway.request(method, path) as response:
            assert response.status == 405
            assert endpoint.method in response.headers["Allow"]
            assert (await response.json())["error"]["code"] == "method_not_allowed"


async def test_segments_browser_sdk_finds_its_settings(gateway: Gateway) -> None:
    status, answer = await gateway.ask("GET", "/v1/projects/write/settings", key=None)
    host = gateway.url.removeprefix("http://")
    assert status == 200
    assert answer["integrations"] == {"Segment.io": {"apiKey": "write", "apiHost": f"{host}/v1", "protocol": "http"}}


async def test_the_public_address_is_what_sdks_are_told() -> None:
    async with running(settings_of(server={"public_url": "https://events.example/in/"})) as gateway:
        answer = (await gateway.ask("GET", "/v1/projects/write/settings"))[1]
        assert answer["integrations"]["Segment.io"] == {"apiKey": "write", "apiHost": "events.example/in/v1", "protocol": "https"}


@pytest.mark.parametrize("path", ["/sourceConfig", "/sourceConfig/"])
async def test_rudders_browser_sdk_finds_an_enabled_source(gateway: Gateway, path: str) -> None:
    status, answer = await gateway.ask("GET", f"{path}?p=npm&writeKey=write", key=None)
    assert (status, answer["source"]["enabled"], answer["source"]["destinations"]) == (200, True, [])
    assert answer["source"]["writeKey"] == "write"


@pytest.mark.parametrize("path", ["/v1/projects/{}/settings", "/sourceConfig?writeKey={}"])
async def test_sdk_settings_are_for_write_keys(gateway: Gateway, path: str) -> None:
    assert (await gateway.ask("GET", path.format("nobody"), key=None))[0] == 401
    assert (await gateway.ask("GET", path.format("read"), key=None))[0] == 403
    refused = await gateway.ask("GET", path.format("listed"), key=None, headers={"Origin": "https://evil.example"})
    assert refused[0] == 403


async def test_refused_events_can_be_read_back_with_a_read_key(gateway: Gateway) -> None:
    for n, site in enumerate(("shop", "blog", "shop")):
        gateway.rejected.letters.append(Letter(site, NOW + n, Outcome.REJECTED, Reason.INVALID_ID, f'{{"n":{n}}}'))
    status, answer = await gateway.ask("GET", "/v1/rejected", key="read")
    assert status == 200
    assert [letter["event"]["n"] for letter in answer["rejected"]] == [2, 0]
    assert answer["rejected"][0] == {
        "received_at": "2026-11-21T20:00:00.000002Z",
        "outcome": "rejected",
        "reason": "invalid_id",
        "event": {"n": 2},
    }
    assert len((await gateway.ask("GET", "/v1/rejected?limit=1", key="read"))[1]["rejected"]) == 1


@pytest.mark.parametrize(
    ("key", "query", "status"),
    [(None, "", 401), ("write", "", 403), ("server", "", 403)]
    + [("read", f"?limit={bad}", 400) for bad in ("0", "501", "x", "-1", "", "1e2", "²")],
)
async def test_reading_needs_a_read_key_and_a_sane_limit(gateway: Gateway, key: str | None, query: str, status: int) -> None:
    assert (await gateway.ask("GET", f"/v1/rejected{query}", key=key))[0] == status


async def test_readiness_follows_the_checks(gateway: Gateway) -> None:
    assert await gateway.ask("GET", "/livez", key=None) == (200, {"alive": True})
    assert (await gateway.ask("GET", "/readyz", key=None))[0] == 200
    gateway.collector.checks.append(Check("disk", ok=False, detail="12 MB free"))
    async with gateway.request("GET", "/readyz") as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "2")
        checks = (await response.json())["error"]["checks"]
    assert checks == [
        {"name": "log eu", "ok": True, "detail": ""},
        {"name": "disk", "ok": False, "detail": "12 MB free"},
    ]


async def test_a_network_may_ask_for_metrics_only_so_often(gateway: Gateway) -> None:
    async def ask(path: str) -> int:
        async with gateway.request("GET", path) as response:
            return response.status

    assert [await ask("/metrics") for _ in range(52)] == [200] * 50 + [429] * 2
    assert {await ask("/readyz") for _ in range(52)} == {200}
    gateway.clock.advance(SECOND)
    assert await ask("/metrics") == 200


@pytest.mark.parametrize("line", [b"OPTIONS *", b"CONNECT shop.example:443", b"OPTIONS http://shop.example"])
async def test_what_is_asked_of_no_path_is_answered_in_the_one_error_shape(gateway: Gateway, line: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(gateway.url).port)
    writer.write(line + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 404")
    assert b"Server: consentry" in head
    assert json.loads(body)["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("code", "status"), [(sqlite3.SQLITE_FULL, 503), (sqlite3.SQLITE_BUSY, 503), (sqlite3.SQLITE_ERROR, 500)]
)
async def test_what_the_disk_or_the_database_refuses_may_be_sent_again(gateway: Gateway, code: int, status: int) -> None:
    def fail(_event: object) -> Result:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = code
        raise error

    gateway.collector.fate = fail
    assert (await gateway.post("/v1/batch", {"batch": [{"event": "x"}]}))[0] == status


async def test_outcomes_are_counted_once_each_and_labels_are_bounded(gateway: Gateway) -> None:
    gateway.collector.fate = lambda event: (
        Result(None, OUTCOME_OF[Reason.BOT], Reason.BOT) if event.event else Result(None, Outcome.STORED)
    )
    await gateway.post("/v1/batch", {"batch": [{"event": "x"}, {"event": "y"}, {}]})
    for n in range(50):
        await gateway.ask("GET", f"/canary-{n}?canary=canary")
        await gateway.ask("PROPFIND", "/v1/batch")
    async with gateway.request("GET", "/metrics") as response:
        page = await response.text()
    assert "canary" not in page.lower()
    samples = {
        (sample.name, *(value for name, value in sorted(sample.labels.items()) if name != "worker")): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert samples["consentry_events_total", "dropped", "bot"] == 2
    assert samples["consentry_events_total", "stored", ""] == 1
    assert samples["consentry_events_total", "rejected", "invalid_id"] == 0
    assert samples["consentry_requests_total", "unknown", "404"] == 50
    assert samples["consentry_requests_total", "/v1/batch", "405"] == 50
    assert samples["consentry_batch_seconds_count",] == 1


async def test_the_log_has_the_template_and_nothing_of_the_visitor(gateway: Gateway) -> None:
    headers = {"User-Agent": "canary-agent", "X-Forwarded-For": "203.0.113.77"}
    await gateway.post("/v1/track?email=canary%40x", {"event": "canary", "userId": "canary"}, headers=headers)
    await gateway.ask("GET", "/v1/projects/canary/settings", headers=headers)
    await gateway.ask("PROPFIND", "/canary?canary=1", headers=headers)
    lines = [json.loads(line) for line in gateway.log.splitlines()]
    assert [(line["method"], line["route"], line["status"], line["events"]) for line in lines] == [
        ("POST", "/v1/track", 200, 1),
        ("GET", "/v1/projects/{key}/settings", 401, 0),
        ("unknown", "unknown", 404, 0),
    ]
    assert "canary" not in gateway.log.lower()
    assert "127.0.0.1" not in gateway.log
    assert "203.0.113" not in gateway.log


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_the_docs_page_asks_nobody_else(gateway: Gateway, path: str) -> None:
    async with gateway.request("GET", path) as response:
        page = await response.text()
        policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "img-src 'self' data: blob:;" in policy
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert assets
    for asset in [*assets, "/openapi.json"]:
        assert asset.startswith("/")
        async with gateway.request("GET", asset) as response:
            assert response.status == 200
            assert await response.read()


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs a browser")
async def test_a_browser_shows_every_operation_and_breaks_no_policy(gateway: Gateway, tmp_path: Path) -> None:
    options = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--virtual-time-budget=10000",
        "--dump-dom",
    )
    browser = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *options,
        f"--user-data-dir={tmp_path}",
        gateway.url + "/docs",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    page, said = await browser.communicate()
    assert page.count(b'class="opblock-summary-path"') == len(ENDPOINTS)
    assert b"CONSOLE" not in said


async def test_openapi_describes_every_endpoint(gateway: Gateway) -> None:
    document = (await gateway.ask("GET", "/openapi.json"))[1]
    described = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert described == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}


async def test_the_docs_page_is_given_few_enough_schemas_to_write_out(gateway: Gateway) -> None:
    async with gateway.request("GET", "/docs/start.js") as response:
        assert '"/docs/openapi.json"' in await response.text()
    shown = (await gateway.ask("GET", "/docs/openapi.json"))[1]
    schemas = shown["components"]["schemas"]

    def written_out(part: object) -> int:
        if isinstance(part, dict) and "$ref" in part:
            return written_out(schemas[part["$ref"].rpartition("/")[2]])
        parts = list(part.values()) if isinstance(part, dict) else part if isinstance(part, list) else []
        return 1 + sum(map(written_out, parts))

    for path, operations in shown["paths"].items():
        for method, operation in operations.items():
            assert written_out(operation) < 100_000, (method, path)


async def test_openapi_is_of_its_version(gateway: Gateway) -> None:
    def parts(schema: object) -> Iterator[dict[str, object]]:
        if isinstance(schema, dict):
            yield schema
            schema = list(schema.values())
        for part in schema if isinstance(schema, list) else ():
            yield from parts(part)

    document = (await gateway.ask("GET", "/openapi.json"))[1]
    assert [part for part in parts(document) if part.get("type") == "null" or "const" in part] == []


def test_every_error_code_and_status_is_in_the_reference() -> None:
    raised = re.compile(r'raise (?:Bad|Un|For|Not|Method|Conf|Too|Mis|Rate)\w+\(\s*"(\w+)"')
    codes = {
        code for source in (ROOT / "consentryd" / "gateway").rglob("*.py") for code in raised.findall(source.read_text("utf-8"))
    }
    assert len(codes) > 10
    page = http_api()
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []
    assert [status for endpoint in ENDPOINTS for status in endpoint.statuses if f"| {status} |" not in page] == []


def test_the_reference_is_what_the_table_says() -> None:
    """`make docs` renews it."""
    assert (ROOT / "docs" / "http-api.md").read_text(encoding="utf-8") == http_api()


async def test_every_metric_is_in_the_reference(gateway) -> None:
    async with gateway.request("GET", "/metrics") as response:
        shown = re.findall(r"# TYPE (\w+)", await response.text())
    assert len(shown) > 10
    assert [name for name in shown if f"| `{name}` |" not in http_api()] == []
