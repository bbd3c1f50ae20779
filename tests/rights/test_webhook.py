"""Systems downstream are told of an erasure, signed, until they acknowledge it; callbacks hear of every change of status."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from consentryd.model.clock import HOUR, MINUTE, SECOND, SystemClock
from consentryd.rights.demand import read_demand
from consentryd.rights.desk import Caller, Desk
from consentryd.rights.herald import Herald
from consentryd.rights.webhook import SIGNATURE, is_signed, post, sign
from consentryd.storage.backup import back_up
from consentryd.storage.master import load_master
from consentryd.storage.request import Casebook
from consentryd.storage.restore import restore
from tests.rights.estate import OFFICER, Estate, opened
from tests.rights.receiver import Receiver, receiving

SECRET = "the secret of these webhooks"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def settings(receiver: Receiver, **more: object) -> dict:
    return {
        "rights": {
            "downstream": [f"{receiver.url}/crm"],
            "callbacks": [f"{receiver.url}/status"],
            "webhook_secret": SECRET,
            **more,
        },
        "regions": {"eu": {"countries": ["*"]}},
    }


async def test_an_erasure_waits_for_the_acknowledgement_and_its_certificate_records_it(
    tmp_path: Path, receiver: Receiver
) -> None:
    with opened(tmp_path / "data", **settings(receiver)) as estate:
        await estate.send(estate.event("ann"))
        receiver.statuses = [500, 503]
        request = estate.ask("erasure", user_id="ann")["id"]
        assert estate.finish(request)["status"] == "in_progress"
        assert estate.rows() == []
        for _ in range(4):
            estate.clock.advance(MINUTE)
            told = estate.finish(request)
        assert told["status"] == "completed"
        (acknowledged,) = told["certificates"][0]["erasure"]["downstream"]
        assert acknowledged["attempts"] == 3
        assert acknowledged["answer_sha256"] == hashlib.sha256(b"ok").hexdigest()
        body = json.loads(receiver.bodies("/crm")[-1])
        assert body["identities"] == [{"kind": "user_id", "value": "ann", "format": "raw"}]
        for _, headers, raw in receiver.got:
            assert is_signed(raw, headers[SIGNATURE], SECRET.encode())
            assert not is_signed(raw + b" ", headers[SIGNATURE], SECRET.encode())
        assert estate.bytes_with(b'"ann"') == []


async def test_a_system_that_never_answers_is_missing_in_the_certificate(tmp_path: Path, receiver: Receiver) -> None:
    with opened(tmp_path / "data", **settings(receiver, downstream_hours=1)) as estate:
        await estate.send(estate.event("ann"))
        receiver.statuses = [500] * 100
        request = estate.ask("erasure", user_id="ann")["id"]
        estate.finish(request)
        estate.clock.advance(2 * HOUR)
        told = estate.finish(request)
        assert told["status"] == "completed"
        assert told["certificates"][0]["erasure"]["downstream"][0]["acknowledged_at"] is None


async def test_a_system_that_is_down_for_hours_is_told_when_it_is_back(tmp_path: Path, receiver: Receiver) -> None:
    with opened(tmp_path / "data", **settings(receiver)) as estate:
        await estate.send(estate.event("ann"))
        receiver.statuses = [500] * 20
        request = estate.ask("erasure", user_id="ann")["id"]
        for _ in range(20):
            assert estate.finish(request)["status"] == "in_progress"
            estate.clock.advance(HOUR)
        (acknowledged,) = estate.finish(request)["certificates"][0]["erasure"]["downstream"]
        assert (acknowledged["attempts"], acknowledged["acknowledged_at"] is None) == (21, False)


async def test_a_system_that_does_not_answer_is_not_waited_for_once_a_person(tmp_path: Path, receiver: Receiver) -> None:
    tried: list[str] = []

    def hang(url: str, _body: bytes, _headers: Mapping[str, str]) -> tuple[int, str]:
        tried.append(url)
        raise TimeoutError

    with opened(tmp_path / "data", **settings(receiver)) as estate:
        requests = [estate.ask("erasure", user_id=f"u-{number}")["id"] for number in range(5)]
        estate.finish(requests[0], post=hang)
        assert tried == [f"{receiver.url}/crm"]
        estate.clock.advance(MINUTE)
        assert [estate.finish(request)["status"] for request in requests] == ["completed"] * 5


async def test_the_wait_for_systems_downstream_begins_when_they_are_told(tmp_path: Path, receiver: Receiver) -> None:
    with opened(tmp_path / "data", **settings(receiver, downstream_hours=1)) as estate:
        await estate.send(estate.event("ann"))
        ann = read_demand({"type": "erasure", "identities": [{"type": "user_id", "value": "ann"}]}).named
        estate.desk.hold(ann, "case 7", OFFICER)
        request = estate.ask("erasure", user_id="ann")["id"]
        assert estate.finish(request)["status"] == "on_hold"
        estate.clock.advance(9 * HOUR)
        estate.desk.hold(ann, "case 7", OFFICER, lift=True)
        receiver.statuses = [500]
        assert estate.finish(request)["status"] == "in_progress"
        estate.clock.advance(MINUTE)
        (acknowledged,) = estate.finish(request)["certificates"][0]["erasure"]["downstream"]
        assert acknowledged["attempts"] == 2


async def test_what_an_erasure_waits_for_is_told_as_it_is_now(tmp_path: Path, receiver: Receiver) -> None:
    with opened(tmp_path / "data", **settings(receiver)) as estate:
        await estate.send(estate.event("ann"))
        request = estate.ask("erasure", user_id="ann")["id"]
        with estate.offices["eu"].casebook() as book, book.transaction():
            book.update(request, estate.clock.now(), result={"waiting_for": "something that is over"})
        receiver.statuses = [500]
        assert estate.finish(request)["regions"]["eu"]["result"] == {"waiting_for": "1 of 1 systems downstream to acknowledge it"}
        estate.clock.advance(MINUTE)
        told = estate.finish(request)
        assert (told["status"], "result" in told["regions"]["eu"]) == ("completed", False)


async def test_neither_an_extension_nor_a_problem_prolongs_the_wait_for_systems_downstream(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "data", **settings(receiver, downstream_hours=2)) as estate:
        await estate.send(estate.event("ann"))
        receiver.statuses = [500] * 9
        request = estate.ask("erasure", user_id="ann")["id"]
        assert estate.finish(request)["status"] == "in_progress"
        estate.clock.advance(HOUR)
        estate.desk.extend(request, OFFICER)
        with monkeypatch.context() as broken:
            broken.setattr(Casebook, "expired_artifacts", fails)
            assert estate.runner().run() == {"eu": "the disk is full"}
        estate.clock.advance(HOUR + MINUTE)
        assert estate.finish(request)["status"] == "completed"


def fails(_book: Casebook, _now: int) -> list[str]:
    raise OSError("the disk is full")


async def test_two_processes_that_look_at_once_report_a_change_once(tmp_path: Path, receiver: Receiver) -> None:
    with opened(tmp_path / "data", **settings(receiver, downstream=[])) as estate:
        estate.ask("restriction", user_id="ann", callbacks=[f"{receiver.url}/status"])
        other = Herald(estate.desk)

        @dataclass(frozen=True, slots=True)
        class Slow(Desk):
            def get(self, request: str, caller: Caller) -> dict[str, Any]:
                told = Desk.get(self, request, caller)
                other.report()
                return told

        slow = Slow(estate.settings, estate.house.policy, estate.offices, estate.clock)
        assert Herald(slow).report() == 0
        with estate.offices["eu"].casebook() as book:
            assert len(book.deliveries.due(estate.clock.now(), 1)) == 1


async def test_callbacks_hear_of_every_change_again_when_they_did_not_answer(tmp_path: Path, receiver: Receiver) -> None:
    with opened(tmp_path / "data", **settings(receiver, grace_s=10, downstream=[])) as estate:
        asked = estate.ask("restriction", user_id="ann", callbacks=[f"{receiver.url}/status"])
        receiver.statuses = [500]
        estate.finish(asked["id"])
        estate.clock.advance(11 * SECOND)
        for _ in range(3):
            estate.finish(asked["id"])
            estate.clock.advance(10 * SECOND)
        told = [json.loads(body)["status"] for body in receiver.bodies("/status")]
        assert told.count("completed") == 1
        assert told.count("pending") == 2
        assert estate.desk.get(asked["id"], OFFICER)["status"] == "completed"


async def test_a_callback_that_was_down_hears_the_last_status_last(tmp_path: Path, receiver: Receiver) -> None:
    with opened(tmp_path / "data", **settings(receiver, grace_s=10, downstream=[])) as estate:
        asked = estate.ask("restriction", user_id="ann", callbacks=[f"{receiver.url}/status"])
        receiver.statuses = [500] * 3
        for _ in range(3):
            estate.finish(asked["id"])
            estate.clock.advance(5 * SECOND)
        for _ in range(10):
            estate.finish(asked["id"])
            estate.clock.advance(SECOND)
        told = [json.loads(body)["status"] for body in receiver.bodies("/status")]
        assert told == ["pending"] * 4 + ["completed"]


async def test_after_a_restore_what_was_told_is_not_told_again_and_what_was_not_is(tmp_path: Path, receiver: Receiver) -> None:
    path, backup = tmp_path / "data", tmp_path / "backup"
    sections = settings(receiver, grace_s=3600, downstream=[])
    with opened(path, **sections) as estate:
        asked = estate.ask("restriction", user_id="ann", callbacks=[f"{receiver.url}/status"])
        receiver.statuses = [500, 200, 500]
        estate.finish(asked["id"])
        back_up(path, backup, estate.clock)
        for pause in (MINUTE, HOUR):
            estate.clock.advance(pause)
            estate.finish(asked["id"])
    master = load_master(None, path, {})
    await asyncio.to_thread(restore, path, backup, master, SystemClock())
    with opened(path, **sections) as estate:
        estate.clock.advance(9 * HOUR)
        estate.finish(asked["id"])
        told = [json.loads(body)["status"] for body in receiver.bodies("/status")]
        assert told == ["pending", "pending", "completed", "completed"]


async def test_nothing_is_sent_where_nothing_is_configured(estate: Estate, receiver: Receiver) -> None:
    await estate.send(estate.event("ann"))
    assert estate.finish(estate.ask("erasure", user_id="ann")["id"])["status"] == "completed"
    assert receiver.got == []


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:port/", "http://127.0.0.1:99999/", "http://[::1/", "http://127.0.0.1/é", f"http://{'a' * 64}.example/"],
)
def test_an_address_that_nothing_can_be_sent_to_is_one_that_does_not_answer(url: str) -> None:
    with pytest.raises(OSError, match=r"\w"):
        post(url, b"{}", {})


def test_what_is_no_signature_is_told_from_one() -> None:
    good = sign(b"{}", b"secret", 5 * SECOND)
    assert is_signed(b"{}", good, b"secret")
    for header in ("", "t=5", "t=5,v1=", "t=5,v1=é", "v1=\ud800", good.replace("t=5", "t=6"), f"{good},v1=0"):
        assert not is_signed(b"{}", header, b"secret")
