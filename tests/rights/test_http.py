"""People's requests through the front door: a real gateway, its keys, and tokens that a site signed."""

from __future__ import annotations

import fcntl
import io
import json
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest

from bench.gateway import Gateway
from consentryd.model.error import ConfigError
from consentryd.storage.tenancy import vacated

SECRET = "a secret of thirty-two bytes at least, for tests"
CONTEXT = {"consent": {"purposes": {"analytics": True}}}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    made = Gateway(tmp_path_factory.mktemp("rights") / "gateway", environ={"CONSENTRY_SITE_SUBJECT_TOKEN_SECRET": SECRET})
    made.start()
    yield made
    if made.process is not None:
        assert made.stop() == 0


def ask(
    gateway: Gateway, method: str, path: str, body: Any = None, key: str = "privacy", bearer: str | None = None
) -> tuple[int, Any]:
    status, answer = gateway.request(
        method,
        path,
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {bearer or gateway.keys[key]}"},
    )
    return status, json.loads(answer)


def send(gateway: Gateway, *users: str) -> None:
    batch = [{"type": "track", "event": "Bought", "userId": user, "context": CONTEXT} for user in users]
    status, answer = ask(gateway, "POST", "/v1/batch", {"batch": batch}, key="server")
    assert (status, answer["accepted"]) == (200, len(users)), answer


def demand(kind: str, user: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "identities": [{"type": "user_id", "value": user}], "sites": ["default"], "reason": "asked", **more}


def token(**claims: Any) -> str:
    now = int(time.time())
    return jwt.encode({"aud": "default", "iat": now, "exp": now + 600, **claims}, SECRET, "HS256")


def test_an_erasure_finishes_within_the_call_and_answers_with_certificates(gateway: Gateway) -> None:
    send(gateway, "u-1", "u-2")
    status, told = ask(gateway, "POST", "/v1/privacy/requests?wait=20", demand("erasure", "u-1"))
    assert (status, told["status"]) == (200, "completed"), told
    assert {each["erasure"]["region"] for each in told["certificates"]} == {"eu", "us"}
    assert sum(each["erasure"]["stores"]["events"]["before"] for each in told["certificates"]) == 1
    assert len(told["commitment_nonce"]) == 64
    status, again = ask(gateway, "GET", f"/v1/privacy/requests/{told['id']}")
    assert (status, again["status"], "commitment_nonce" in again) == (200, "completed", False)


def test_a_request_of_the_same_id_is_the_same_request_and_another_one_is_a_conflict(gateway: Gateway) -> None:
    body = demand("restriction", "u-9", request_id="ticket-2026-0001")
    first = ask(gateway, "POST", "/v1/privacy/requests?wait=20", body)[1]
    status, second = ask(gateway, "POST", "/v1/privacy/requests", body)
    assert (status, second["received_at"]) == (200, first["received_at"])
    assert ask(gateway, "POST", "/v1/privacy/requests", {**body, "type": "erasure"})[0] == 409


def test_an_export_is_fetched_once(gateway: Gateway) -> None:
    send(gateway, "u-3", "u-3")
    told = ask(gateway, "POST", "/v1/privacy/requests?wait=20", demand("access", "u-3"))[1]
    assert told["export"]["events"] == 2
    vaults = f"*/exports/{told['id']}.vault"
    assert list(gateway.data.glob(vaults))
    headers = {"Authorization": f"Bearer {gateway.keys['privacy']}"}
    status, data = gateway.request("GET", told["export"]["path"], headers=headers)
    assert status == 200
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.read("events.jsonl").count(b"\n") == 2
    deadline = time.monotonic() + 20
    while gateway.request("HEAD", told["export"]["path"], headers=headers)[0] != 404 or list(gateway.data.glob(vaults)):
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.05)
    assert ask(gateway, "GET", f"/v1/privacy/requests/{told['id']}")[1]["export"] is None


def test_of_two_who_fetch_an_export_at_once_one_gets_it(gateway: Gateway) -> None:
    send(gateway, "u-26")
    told = ask(gateway, "POST", "/v1/privacy/requests?wait=20", demand("access", "u-26"))[1]
    headers = {"Authorization": f"Bearer {gateway.keys['privacy']}"}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: gateway.request("GET", told["export"]["path"], headers=headers)[0], range(4)))
    assert answers.count(200) == 1
    assert set(answers) <= {200, 404, 409}


def test_an_export_whose_fetching_broke_off_can_be_fetched(gateway: Gateway) -> None:
    send(gateway, "u-27")
    told = ask(gateway, "POST", "/v1/privacy/requests?wait=20", demand("access", "u-27"))[1]
    headers = {"Authorization": f"Bearer {gateway.keys['privacy']}"}
    first = gateway.data / "eu" / "exports" / f"{told['id']}.vault"  # whoever fetches holds it
    with first.open("rb") as claim:
        fcntl.flock(claim, fcntl.LOCK_EX)
        assert gateway.request("GET", told["export"]["path"], headers=headers)[0] == 409
    assert gateway.request("GET", told["export"]["path"], headers=headers)[0] == 200


def test_nothing_takes_the_place_of_a_data_directory_that_is_served(gateway: Gateway) -> None:
    assert gateway.process is not None
    with pytest.raises(ConfigError, match="Stop that first"), vacated(gateway.data):
        pass


def test_a_token_acts_for_its_person_and_for_nobody_else(gateway: Gateway) -> None:
    send(gateway, "u-4", "u-5")
    status, told = ask(gateway, "POST", "/v1/privacy/requests?wait=20", {"type": "access"}, bearer=token(sub="u-4"))
    assert (status, told["export"]["events"]) == (200, 1)
    assert ask(gateway, "GET", f"/v1/privacy/requests/{told['id']}", bearer=token(sub="u-4"))[0] == 200
    assert ask(gateway, "GET", f"/v1/privacy/requests/{told['id']}", bearer=token(sub="u-5"))[0] == 404
    assert ask(gateway, "GET", "/v1/privacy/requests", bearer=token(sub="u-5"))[1] == {"requests": []}
    status, refused = ask(gateway, "POST", "/v1/privacy/requests", demand("erasure", "u-4"), bearer=token(sub="u-5"))
    assert (status, refused["error"]["code"]) == (403, "forbidden_identity")


def test_a_request_id_that_another_person_used_is_a_conflict(gateway: Gateway) -> None:
    body = {"type": "restriction", "request_id": "my-request-1"}
    assert ask(gateway, "POST", "/v1/privacy/requests", body, bearer=token(sub="u-41"))[0] == 200
    assert ask(gateway, "POST", "/v1/privacy/requests", body, bearer=token(sub="u-41"))[0] == 200
    assert ask(gateway, "POST", "/v1/privacy/requests", body, bearer=token(sub="u-42"))[0] == 409


@pytest.mark.parametrize(
    "bad",
    [
        {"exp": -9},
        {"iat": -90_000, "exp": 60},
        {"aud": None},
        {"sub": None},
        {"sub": 7},
        {"iat": 3600, "exp": 7000},
        {"nbf": 3000, "exp": 3500},
        {"exp": float("inf")},
        {"sub": "half a pair \ud800"},
        {"aud": "half a pair \ud800"},
    ],
)
def test_tokens_that_are_old_long_lived_of_another_site_or_of_nobody_are_refused(gateway: Gateway, bad: dict[str, Any]) -> None:
    """The times of `bad` are seconds from now."""
    now = int(time.time())
    moved = {name: now + value if name in {"iat", "exp", "nbf"} else value for name, value in bad.items()}
    claims = {"aud": "default", "iat": now, "exp": now + 60, "sub": "u-4", **moved}
    made = jwt.encode({name: value for name, value in claims.items() if value is not None}, SECRET, "HS256")
    assert ask(gateway, "GET", "/v1/privacy/requests", bearer=made)[0] == 401


def test_a_token_signed_by_somebody_else_or_not_at_all_is_refused(gateway: Gateway) -> None:
    now = int(time.time())
    claims = {"aud": "default", "iat": now, "exp": now + 60, "sub": "u-4"}
    for forged in (jwt.encode(claims, "another secret of thirty-two bytes at least", "HS256"), jwt.encode(claims, None, "none")):
        assert ask(gateway, "GET", "/v1/privacy/requests", bearer=forged)[0] == 401


@pytest.mark.parametrize("key", ["write", "server", "read"])
def test_other_keys_do_not_open_these_doors(gateway: Gateway, key: str) -> None:
    assert ask(gateway, "POST", "/v1/privacy/requests", demand("erasure", "u-2"), key=key)[0] == 403
    assert ask(gateway, "GET", "/v1/privacy/requests", key=key)[0] == 403


@pytest.mark.parametrize(
    "body",
    [
        {"type": "erasure"},
        {"type": "deletion", "identities": [{"type": "user_id", "value": "u"}]},
        {"type": "erasure", "identities": [{"type": "phone", "value": "u"}]},
        {"type": "erasure", "identities": [{"type": "user_id", "value": "u", "format": "sha256"}]},
        {"type": "rectification", "identities": [{"type": "user_id", "value": "u"}]},
        {"type": "objection", "identities": [{"type": "user_id", "value": "u"}], "purposes": ["nonsense"]},
        {"type": "erasure", "identities": [{"type": "user_id", "value": "u"}], "purposes": ["marketing"]},
        {"type": "restriction", "identities": [{"type": "user_id", "value": "u"}], "purposes": ["marketing"]},
        {"type": "objection", "identities": [{"type": "user_id", "value": "u"}], "block": "forever"},
        {"type": "erasure", "identities": [{"type": "user_id", "value": "u"}], "callbacks": ["https://elsewhere.example/"]},
        [],
    ],
)
def test_requests_that_cannot_be_worked_on_are_refused_and_never_repeated(gateway: Gateway, body: Any) -> None:
    status, answer = ask(gateway, "POST", "/v1/privacy/requests", body)
    assert status == 422
    assert "elsewhere" not in json.dumps(answer)
    assert "Value error" not in json.dumps(answer)


def test_a_request_for_another_site_is_refused(gateway: Gateway) -> None:
    assert ask(gateway, "POST", "/v1/privacy/requests", {**demand("erasure", "u"), "sites": ["other"]})[0] == 403


def test_the_list_filters_by_status_type_and_deadline(gateway: Gateway) -> None:
    ask(gateway, "POST", "/v1/privacy/requests?wait=20", demand("objection", "u-6", regulation="ccpa"))
    listed = ask(gateway, "GET", "/v1/privacy/requests?type=objection&status=completed")[1]["requests"]
    assert [each["regulation"] for each in listed] == ["ccpa"]
    assert ask(gateway, "GET", "/v1/privacy/requests?type=objection&due_days=40")[1]["requests"] == []
    assert ask(gateway, "GET", "/v1/privacy/requests?status=nonsense")[0] == 400
    assert ask(gateway, "POST", f"/v1/privacy/requests/{listed[0]['id']}/extension")[0] == 409


def test_a_legal_hold_blocks_an_erasure_visibly_until_it_is_lifted(gateway: Gateway) -> None:
    send(gateway, "u-7")
    hold = {"identities": [{"type": "user_id", "value": "u-7"}], "reason": "case 12 O 345/26"}
    assert ask(gateway, "POST", "/v1/privacy/holds", hold)[1]["held"] is True
    told = ask(gateway, "POST", "/v1/privacy/requests?wait=20", demand("erasure", "u-7"))[1]
    assert told["status"] == "on_hold"
    status, extended = ask(gateway, "POST", f"/v1/privacy/requests/{told['id']}/extension")
    assert (status, extended["due_at"] > told["due_at"]) == (200, True)
    assert ask(gateway, "POST", "/v1/privacy/holds", {**hold, "reason": "another", "lift": True})[0] == 404
    assert ask(gateway, "POST", "/v1/privacy/holds", {**hold, "lift": True})[1]["held"] is False
    deadline = time.monotonic() + 30
    while told["status"] != "completed" and time.monotonic() < deadline:
        time.sleep(0.1)
        told = ask(gateway, "GET", f"/v1/privacy/requests/{told['id']}")[1]
    assert told["status"] == "completed"
    assert sum(each["erasure"]["stores"]["events"]["before"] for each in told["certificates"]) == 1


def test_an_erased_person_is_let_in_again_by_the_officer_alone(gateway: Gateway) -> None:
    body = {"identities": [{"type": "user_id", "value": "u-8"}], "reason": "new account"}
    ask(gateway, "POST", "/v1/privacy/requests?wait=20", demand("erasure", "u-8"))
    assert ask(gateway, "POST", "/v1/privacy/readmissions", body, bearer=token(sub="u-8"))[0] == 403
    assert ask(gateway, "POST", "/v1/privacy/readmissions", {"identities": body["identities"]})[0] == 422
    assert ask(gateway, "POST", "/v1/privacy/readmissions", body) == (200, {"readmitted": 1})
    assert ask(gateway, "POST", "/v1/privacy/readmissions", body) == (200, {"readmitted": 0})
    send(gateway, "u-8")


@pytest.mark.parametrize(
    "more",
    [
        {"lift": "maybe"},
        {"lfit": True},
        {"sites": ["other"]},
        {"reason": ""},
        {"reason": 7},
        {"reason": "x" * 1001},
        {"identities": []},
    ],
)
def test_a_hold_that_would_be_another_than_was_meant_is_refused(gateway: Gateway, more: dict[str, Any]) -> None:
    hold = {"identities": [{"type": "user_id", "value": "u-51"}], "reason": "case 13", **more}
    status, answer = ask(gateway, "POST", "/v1/privacy/holds", hold)
    assert (status, answer["error"]["problems"][0]["at"]) == (422, next(iter(more)))
    assert "u-51" not in json.dumps(answer)
    assert ask(gateway, "POST", "/v1/privacy/holds", [])[0] == 422
    assert "case 13" not in json.dumps(ask(gateway, "GET", "/v1/privacy/holds")[1])


def test_nothing_of_the_people_stands_in_the_gateways_log(gateway: Gateway) -> None:
    send(gateway, "u-61", "u-62")
    ask(gateway, "POST", "/v1/privacy/requests?wait=20", demand("erasure", "u-61"))
    ask(gateway, "POST", "/v1/privacy/requests", {**demand("erasure", "u-61"), "callbacks": ["https://elsewhere.example/"]})
    ask(gateway, "POST", "/v1/privacy/requests", demand("erasure", "u-61"), bearer=token(sub="u-62"))
    ask(gateway, "POST", "/v1/privacy/holds", {"identities": [{"type": "user_id", "value": "u-61"}], "reason": "case 14 O 9"})
    assert ask(gateway, "PATCH", "/v1/privacy/holds")[0] == 405  # lines come in order, and nobody else writes this one
    deadline = time.monotonic() + 20
    while '"method":"PATCH"' not in (text := gateway.log.read_text()):
        assert time.monotonic() < deadline, text[-4000:]
        time.sleep(0.05)
    assert text.count('"route":"/v1/privacy/requests"') >= 3
    assert not any(name in text for name in ("u-61", "u-62", "elsewhere", "14 O 9", SECRET))
