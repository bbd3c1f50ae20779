from __future__ import annotations

import asyncio
import gzip
import json
import sqlite3
import tracemalloc
import zlib
from functools import partial

import brotli
import pytest
import zstandard

from consentryd.gateway import body
from consentryd.gateway.pipeline import TURN_BYTES
from consentryd.gateway.services import LARGE_BODIES
from consentryd.model.error import BadRequest, Misdirected, TooLarge, Unavailable
from consentryd.model.outcome import OUTCOME_OF, Outcome, Reason, Result
from tests.kit import NOW, ONLY_BEFORE_3_12, Gateway, running, settings_of

EVENT = {"type": "track", "event": "Viewed", "messageId": "m1", "anonymousId": "a1", "properties": {"n": 1}}


def stuffed(mebibytes: int) -> bytes:
    return b'{"batch":[],"x":"' + b"x" * (mebibytes << 20) + b'"}'


async def test_a_batch_is_collected_and_counted(gateway: Gateway) -> None:
    status, answer = await gateway.post("/v1/batch", {"batch": [EVENT, EVENT], "sentAt": "2026-11-21T20:00:00Z"})
    assert (status, answer) == (200, {"accepted": 2, "results": [], "success": True})
    assert [event.event for event in gateway.collector.events] == ["Viewed", "Viewed"]
    assert gateway.collector.intake.sent_at == "2026-11-21T20:00:00Z"
    assert gateway.collector.intake.received_at == NOW
    assert gateway.collector.intake.key.id == "key_w"


@pytest.mark.parametrize("call", ["track", "identify", "page", "screen", "group", "alias"])
async def test_each_call_has_a_path_and_a_short_path(gateway: Gateway, call: str) -> None:
    for path in (f"/v1/{call}", f"/v1/{call[0]}"):
        status, answer = await gateway.post(path, {"userId": "u1"})
        assert (status, answer["accepted"]) == (200, 1)
        assert gateway.collector.events[-1].type == call


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/v1/import", "/beacon/v1/batch"])
async def test_every_batch_path_takes_batches(gateway: Gateway, path: str) -> None:
    assert (await gateway.post(path, {"batch": [EVENT]}))[0] == 200
    assert (await gateway.post(path, [EVENT]))[0] == 200


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/import", "/v1/track", "/v1/t", "/beacon/v1/batch"])
async def test_a_slash_behind_a_path_makes_no_difference(gateway: Gateway, path: str) -> None:
    assert (await gateway.post(f"{path}/?verbose=1", {**EVENT, "batch": [EVENT]}))[0] == 200
    async with gateway.request("OPTIONS", f"{path}/", headers={"Origin": "https://shop.example"}) as response:
        assert response.status == 204
    async with gateway.request("GET", "/metrics") as response:
        assert f'consentry_requests_total{{route="{path}",status="200",worker="0"}} 1.0' in await response.text()


@pytest.mark.parametrize(
    ("headers", "query", "body"),
    [
        ({"Authorization": "Basic d3JpdGU6"}, "", {}),
        ({"Authorization": "basic  d3JpdGU6cGFzcw=="}, "", {}),
        ({"Authorization": "Bearer write"}, "", {}),
        ({"X-Write-Key": "write"}, "", {}),
        ({}, "?writeKey=write", {}),
        ({}, "?write_key=write", {}),
        ({}, "", {"writeKey": "write"}),
        ({}, "", {"write_key": "write"}),
        ({"Authorization": "Basic ????"}, "", {"writeKey": "write"}),
    ],
)
async def test_a_key_is_found_wherever_clients_put_it(gateway: Gateway, headers: dict, query: str, body: dict) -> None:
    assert (await gateway.post(f"/v1/batch{query}", {"batch": [EVENT], **body}, key=None, headers=headers))[0] == 200


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        (None, 401, "missing_key"),
        ("nobody", 401, "unknown_key"),
        ("read", 403, "wrong_key_kind"),
        ("privacy", 403, "wrong_key_kind"),
    ],
)
async def test_without_a_collecting_key_nothing_is_collected(gateway: Gateway, key: str | None, status: int, code: str) -> None:
    answered = await gateway.post("/v1/batch", {"batch": [EVENT]}, key=key)
    assert (answered[0], answered[1]["error"]["code"]) == (status, code)
    assert gateway.collector.events == []


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "image/png"]
)
async def test_content_types_are_not_believed(gateway: Gateway, content_type: str) -> None:
    assert (await gateway.post("/v1/batch", {"batch": [EVENT]}, headers={"Content-Type": content_type}))[0] == 200


ENCODED = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": partial(brotli.compress, quality=1),
    "zstd": zstandard.ZstdCompressor().compress,
}


SKIPPED = (0x184D2A53).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"aside"


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(body) + compressor.flush()


@pytest.mark.parametrize(
    ("header", "encode"),
    [
        *ENCODED.items(),
        ("deflate", raw_deflate),
        ("gzip, br", lambda body: brotli.compress(gzip.compress(body))),
        (None, gzip.compress),
        (None, ENCODED["zstd"]),
        ("identity", gzip.compress),
        ("gzip", lambda body: gzip.compress(body[:20]) + gzip.compress(body[20:])),
        ("zstd", lambda body: ENCODED["zstd"](body[:20]) + ENCODED["zstd"](body[20:])),
        ("zstd", lambda body: SKIPPED + zstandard.ZstdCompressor(write_checksum=True, write_content_size=False).compress(body)),
    ],
)
async def test_every_content_coding_is_undone(gateway: Gateway, header: str | None, encode) -> None:
    body = encode(json.dumps({"batch": [EVENT] * 50}).encode())
    status, answer = await gateway.post("/v1/batch", body, headers={"Content-Encoding": header} if header else {})
    assert (status, answer["accepted"]) == (200, 50)


@pytest.mark.parametrize("coding", sorted(ENCODED))
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.999])
async def test_a_body_that_is_cut_off_is_told_so(gateway: Gateway, coding: str, kept: float) -> None:
    whole = ENCODED[coding](json.dumps({"batch": [{**EVENT, "messageId": f"m-{n}"} for n in range(50)]}).encode())
    status, answer = await gateway.post("/v1/batch", whole[: int(len(whole) * kept)], headers={"Content-Encoding": coding})
    assert (status, answer["error"]["code"]) == (400, "bad_encoding")


@pytest.mark.parametrize(
    "body",
    [
        ENCODED["zstd"](b"[1]") + SKIPPED[:-1],
        ENCODED["zstd"](b"[1]") + SKIPPED[:6],
        ENCODED["zstd"](b"[1]") + b"{}",
        zstandard.ZstdCompressor(write_checksum=True).compress(b"[1]")[:-1],
        ENCODED["zstd"](b"") * 1025,
    ],
    ids=["skipped", "head", "more", "checksum", "crowd"],
)
async def test_zstd_of_which_something_is_missing_or_too_much_is_told_so(gateway: Gateway, body: bytes) -> None:
    status, answer = await gateway.post("/v1/batch", body, headers={"Content-Encoding": "zstd"})
    assert (status, answer["error"]["code"]) == (400, "bad_encoding")


@pytest.mark.parametrize("coding", sorted(ENCODED))
async def test_a_bomb_is_refused_while_it_inflates(gateway: Gateway, coding: str) -> None:
    body = ENCODED[coding](stuffed(16))
    assert len(body) < 512 * 1024
    status, answer = await gateway.post("/v1/batch", body, headers={"Content-Encoding": coding})
    assert (status, answer["error"]["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("coding", sorted(ENCODED))
def test_a_bomb_costs_memory_for_the_limit_and_not_for_its_size(coding: str) -> None:
    bomb, limit = ENCODED[coding](stuffed(64)), 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            body.inflate(bomb, coding, limit)
        assert tracemalloc.get_traced_memory()[1] < 12 * limit
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("between", [b"", b"\0"])
def test_members_of_a_body_are_undone_one_by_one_up_to_a_number(monkeypatch, between: bytes) -> None:
    made: list[int] = []
    decoder = zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", lambda **given: made.append(1) or decoder(**given))
    members = [gzip.compress(bytes([65 + number % 26]) * number) for number in range(1000)]
    assert body.inflate(between.join(members), "gzip", 1 << 20) == b"".join(map(gzip.decompress, members))
    made.clear()
    with pytest.raises(BadRequest, match="Content-Encoding"):
        body.inflate(between.join([gzip.compress(b"")] * 20_000), "gzip", 1 << 20)
    assert len(made) == 1024


async def test_a_few_large_bodies_are_read_at_a_time_and_small_ones_do_not_wait_for_them(gateway: Gateway, monkeypatch) -> None:
    held, full, under_way = asyncio.Event(), asyncio.Event(), 0
    collect_events = gateway.collector.collect

    async def collect_slowly(intake, events):
        nonlocal under_way
        if intake.size > TURN_BYTES:
            under_way += 1
            if under_way == LARGE_BODIES:
                full.set()
            await held.wait()
        return await collect_events(intake, events)

    monkeypatch.setattr(gateway.collector, "collect", collect_slowly)
    large = gzip.compress(json.dumps({"batch": [EVENT], "x": "x" * TURN_BYTES}).encode())
    sent = [
        asyncio.create_task(gateway.post("/v1/batch", large, headers={"Content-Encoding": "gzip"}))
        for _ in range(LARGE_BODIES + 3)
    ]
    await full.wait()
    for _ in range(3):
        assert (await gateway.post("/v1/track", EVENT))[0] == 200
    assert under_way == LARGE_BODIES
    held.set()
    assert {status for status, _ in await asyncio.gather(*sent)} == {200}
    assert under_way == LARGE_BODIES + 3


async def test_of_bodies_that_take_their_time_a_process_holds_so_much(gateway: Gateway, monkeypatch) -> None:
    monkeypatch.setattr(body.ARRIVING, "most", 300_000)
    took, go_on = asyncio.Event(), asyncio.Event()
    take = body.ARRIVING.take
    monkeypatch.setattr(body.ARRIVING, "take", lambda *sizes: (take(*sizes), body.ARRIVING.taken < 200_000 or took.set()))

    async def slowly():
        yield b'{"batch": [], "x": "' + b"x" * 200_000
        await go_on.wait()
        yield b'"}'

    first = asyncio.create_task(gateway.ask("POST", "/v1/batch", data=slowly()))
    await took.wait()
    status, answer = await gateway.ask("POST", "/v1/batch", data=slowly())
    assert (status, answer["error"]["code"]) == (503, "overloaded")
    go_on.set()
    assert (await first)[0] == 200
    assert (await gateway.ask("POST", "/v1/batch", data=slowly()))[0] == 200
    assert body.ARRIVING.taken == 0


async def test_a_body_larger_than_all_room_comes_in_alone(gateway: Gateway, monkeypatch) -> None:
    monkeypatch.setattr(body.ARRIVING, "most", 100_000)

    async def piecemeal():
        yield b'{"batch": [], "x": "' + b"x" * 150_000
        await asyncio.sleep(0.1)
        yield b"x" * 150_000 + b'"}'

    assert (await gateway.ask("POST", "/v1/batch", data=piecemeal()))[0] == 200
    assert body.ARRIVING.taken == 0


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
async def test_a_body_whose_last_byte_is_missing_is_refused(gateway: Gateway, coding: str) -> None:
    data = ENCODED[coding](json.dumps({"batch": [EVENT]}).encode())
    assert (await gateway.post("/v1/batch", data, headers={"Content-Encoding": coding}))[0] == 200
    assert (await gateway.post("/v1/batch", data[:-1], headers={"Content-Encoding": coding}))[0] == 400


@pytest.mark.parametrize("coding", sorted(ENCODED))
async def test_a_cut_off_body_is_refused(gateway: Gateway, coding: str) -> None:
    body = ENCODED[coding](json.dumps({"batch": [{**EVENT, "messageId": str(n)} for n in range(99)]}).encode())
    for cut in (0, 1, 3, len(body) // 2):
        assert (await gateway.post("/v1/batch", body[:cut], headers={"Content-Encoding": coding}))[0] == 400
    assert gateway.collector.events == []


@pytest.mark.parametrize(
    ("encoding", "status", "code"), [("snappy", 415, "unsupported_encoding"), ("br, br, br", 415, "unsupported_encoding")]
)
async def test_unknown_codings_are_refused(gateway: Gateway, encoding: str, status: int, code: str) -> None:
    answered = await gateway.post("/v1/batch", {"batch": []}, headers={"Content-Encoding": encoding})
    assert (answered[0], answered[1]["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"7",
        b'"text"',
        b"{}",
        b'{"batch":{}}',
        b'{"batch":[NaN]}',
        b'{"batch":1e999}',
        b'{"batch":["\xff"]}',
        b"\xff\xfe{\x00}\x00",
        pytest.param(b'{"batch":' + b"[" * 5000 + b"]" * 5000 + b"}", marks=ONLY_BEFORE_3_12),
        b'{"batch":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b"data=%7B%7D",
    ],
)
async def test_what_is_no_batch_is_a_400(gateway: Gateway, body: bytes) -> None:
    status, answer = await gateway.post("/v1/batch", body)
    assert status == 400
    assert set(answer["error"]) >= {"code", "message"}
    assert gateway.collector.events == []


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"batch":[{"userId":NaN}]}', {"line": 1, "column": 21}),
        (b'{"batch":[\n{"n":Infinity}]}', {"line": 2, "column": 6}),
        (b'{"batch":[{"event":"\xff"}]}', {"byte": 20}),
        (b'{"batch":[{"properties":{"n":"\xff"}}]}', {"byte": 30}),
    ],
)
async def test_where_json_goes_wrong_is_told(gateway: Gateway, body: bytes, where: dict[str, int]) -> None:
    status, answer = await gateway.post("/v1/batch", body)
    assert (status, answer["error"].pop("code")) == (400, "bad_json")
    assert str(next(reversed(where.values()))) in answer["error"].pop("message")
    assert answer["error"] == where


@pytest.mark.parametrize(
    "properties",
    [b'{"n":123456789012345678901234567890}', b'{"n":1,"n":2}', b'{"n":' + b"[" * 500 + b"]" * 500 + b"}", b'{"n":"\\u0000"}'],
)
async def test_odd_json_of_one_event_is_left_to_validation(gateway: Gateway, properties: bytes) -> None:
    assert (await gateway.post("/v1/track", b'{"event":"x","properties":' + properties + b"}"))[0] == 200


async def test_the_last_of_duplicate_keys_counts(gateway: Gateway) -> None:
    await gateway.post("/v1/track", b'{"event":"a","event":"b"}')
    assert gateway.collector.events[0].event == "b"


async def test_half_an_emoji_costs_the_character_and_not_the_batch(gateway: Gateway) -> None:
    body = rb'{"batch":[{"type":"track","event":"\ud83d","properties":{"ok":"\ud83d\ude00","path":"c:\\ud83d"}}]}'
    assert (await gateway.post("/v1/batch", body))[0] == 200
    event = gateway.collector.events[0]
    assert (event.event, event.properties) == ("\ufffd", {"ok": "\U0001f600", "path": "c:\\ud83d"})


async def test_a_byte_order_mark_is_skipped(gateway: Gateway) -> None:
    assert (await gateway.post("/v1/batch", b'\xef\xbb\xbf{"batch":[]}'))[0] == 200


async def test_sizes_are_limited() -> None:
    async with running(settings_of(limits={"batch_events": 2, "batch_bytes": 1024})) as gateway:
        assert (await gateway.post("/v1/batch", {"batch": [{}] * 2}))[0] == 200
        status, answer = await gateway.post("/v1/batch", {"batch": [{}] * 3})
        assert (status, answer["error"]["code"]) == (413, "batch_too_large")
        status, answer = await gateway.post("/v1/batch", b" " * 1025)
        assert (status, answer["error"]["code"]) == (413, "body_too_large")

        async def chunks():
            for _ in range(40):
                yield b" " * 100

        status, answer = await gateway.ask("POST", "/v1/batch", data=chunks())
        assert (status, answer["error"]["code"]) == (413, "body_too_large")


async def test_results_name_what_was_not_stored_or_everything_on_request(gateway: Gateway) -> None:
    fates = {
        "a": Result("a", Outcome.STORED),
        "b": Result("b", Outcome.DUPLICATE),
        "c": Result("c", OUTCOME_OF[Reason.NO_CONSENT], Reason.NO_CONSENT),
        "d": Result("d", Outcome.ANONYMOUS),
    }
    gateway.collector.fate = lambda event: fates[event.event_id]
    body = {"batch": [{"messageId": name} for name in fates]}
    told = [
        {"id": "b", "outcome": "duplicate", "reason": None},
        {"id": "c", "outcome": "dropped", "reason": "no_consent"},
        {"id": "d", "outcome": "anonymous", "reason": None},
    ]
    assert await gateway.post("/v1/batch", body) == (200, {"accepted": 3, "results": told, "success": True})
    verbose = (await gateway.post("/v1/batch?verbose=1", body))[1]
    assert [result["id"] for result in verbose["results"]] == list(fates)


@pytest.mark.parametrize("told", [{}, {"partial": False}, {"partial": "true"}, {"partial": 1}])
async def test_who_reads_only_the_status_hears_of_one_event_to_be_sent_again(gateway: Gateway, told: dict) -> None:
    gateway.collector.fate = half_taken
    body = {"batch": [EVENT, {**EVENT, "messageId": "late"}], "dropped": 3, **told}
    async with gateway.request("POST", "/v1/batch?verbose=1", json=body, headers={"X-Write-Key": "write"}) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "2")
        assert (await response.json())["error"]["code"] == "partly_unavailable"
    assert (await gateway.post("/v1/batch", body["batch"]))[0] == 503
    async with gateway.request("GET", "/metrics") as response:
        counted = await response.text()
    assert 'consentry_events_total{outcome="stored",reason="",worker="0"} 2.0' in counted
    assert 'consentry_client_dropped_events_total{worker="0"} 0.0' in counted


async def test_who_reads_results_hears_which_events_to_send_again(gateway: Gateway) -> None:
    gateway.collector.fate = half_taken
    body = {"batch": [EVENT, {**EVENT, "messageId": "late"}], "partial": True}
    late = {"id": "late", "outcome": "retry", "reason": "unavailable"}
    assert await gateway.post("/v1/batch", body) == (200, {"accepted": 1, "results": [late], "success": True})


def half_taken(event) -> Result:
    taken = event.event_id != "late"
    return Result(event.event_id, Outcome.STORED if taken else Outcome.RETRY, None if taken else Reason.UNAVAILABLE)


@pytest.mark.parametrize(
    ("failure", "status", "detail"),
    [
        (Unavailable("store_unavailable", "No.", retry_after=7), 503, {}),
        (Misdirected("wrong_region", "No.", endpoint="https://us.example"), 421, {"endpoint": "https://us.example"}),
        (RuntimeError("secret@example.com"), 500, {}),
    ],
)
async def test_failures_have_one_shape(gateway: Gateway, failure: Exception, status: int, detail: dict) -> None:
    gateway.collector.failure = failure
    async with gateway.request("POST", "/v1/track", data=b'{"event":"x"}', headers={"X-Write-Key": "write"}) as response:
        assert response.status == status
        assert (await response.json())["error"].items() >= detail.items()
        assert response.headers.get("Retry-After") == ("7" if status == 503 else None)
    assert "secret@example.com" not in gateway.log


@pytest.mark.parametrize("cause", [None, sqlite3.OperationalError("disk I/O error")])
async def test_a_database_that_stands_behind_a_503_is_told_in_the_log(gateway: Gateway, cause: Exception | None) -> None:
    failure = Unavailable("store_unavailable", "No.")
    failure.__cause__ = cause
    gateway.collector.failure = failure
    assert (await gateway.post("/v1/track", {"event": "x"}))[0] == 503
    assert ('"error":"OperationalError"' in gateway.log) is (cause is not None)


async def test_signals_of_consent_are_passed_on(gateway: Gateway) -> None:
    headers = {
        "Sec-GPC": "1",
        "DNT": "1",
        "Cookie": "euconsent-v2=CPabc; other=x; usprivacy=1YNN; __gpp=DBAA; __gpp=DBAB; __gpp=DBAA; __gpp_sid=7%2C8",
        "Referer": "https://x",
    }
    await gateway.post("/v1/track?gdpr=1&gdpr_consent=A&gdpr_consent=B&x=y", {"event": "x"}, headers=headers)
    assert gateway.collector.intake.signals == {
        "sec-gpc": "1",
        "dnt": "1",
        "gdpr": "1",
        "gdpr_consent": "A,B",
        "euconsent-v2": "CPabc",
        "us_privacy": "1YNN",
        "__gpp": "DBAA,DBAB",
        "__gpp_sid": "7,8",
    }


async def test_a_declared_region_is_passed_on(gateway: Gateway) -> None:
    await gateway.post("/v1/track", {"event": "x", "region": "us"})
    assert gateway.collector.intake.region == "us"
    await gateway.post("/v1/track", {"event": "x"}, headers={"X-Consentry-Region": "eu"})
    assert gateway.collector.intake.region == "eu"
