"""`/v1/consent` through the front door: who may choose for whom, what a choice does to events, and what receipts prove."""

import base64
import copy
import hashlib
import json

import pytest
import rfc8785

from consentryd.consent.receipt import BadReceipt, is_about, principal, verify
from consentryd.gateway.opt_in import opt_in_rates
from consentryd.model.clock import DAY, SECOND, ManualClock
from consentryd.model.identity import IdentityKind
from consentryd.storage.note import Verifier
from consentryd.storage.person import suppress
from consentryd.storage.signing import path_of
from consentryd.storage.statistic import Count
from tests.house import open_house
from tests.kit import NOW

ANALYTICS = {"analytics": True}
GRANT = {"action": "grant", "purposes": ["analytics"]}


@pytest.fixture
async def house(tmp_path):
    async with open_house(tmp_path) as house:
        yield house


async def keys_of(house):
    _, answer = await house.ask("GET", "/.well-known/consentry/keys.json", key=None)
    return [Verifier.parse(key["vkey"]) for key in answer["keys"]]


async def test_a_stored_grant_lets_events_in_and_they_name_its_entry(house):
    assert await house.track(anonymousId="a-1") == "not_allowed_anonymously"
    answer = await house.choose(anonymousId="a-1", **GRANT)
    assert answer["in_force"] == {"analytics": "granted"}
    assert await house.track(anonymousId="a-1") == "stored"
    assert await house.track(anonymousId="a-2") == "not_allowed_anonymously"
    assert [row["consent_ref"] for row in house.rows()] == [f"ledger:eu/{answer['receipt']['ledger']['entry']}"]


async def test_nothing_of_a_purpose_is_stored_after_its_withdrawal(house):
    await house.choose(anonymousId="a-1", purposes=ANALYTICS)
    assert await house.track(anonymousId="a-1") == "stored"
    answer = await house.choose(anonymousId="a-1", action="withdraw", purposes=["analytics"])
    assert answer["in_force"] == {"analytics": "refused"}
    assert await house.track(anonymousId="a-1", consent=ANALYTICS) == "withdrawn"
    assert await house.track("page_viewed", anonymousId="a-1", consent=ANALYTICS) == "anonymous"
    assert [row["subject"] is None for row in house.rows()] == [False, True]


async def test_a_network_may_put_only_so_many_choices_on_record_with_the_public_key(tmp_path):
    async with open_house(tmp_path, limits={"consents_per_second_per_network": 1}) as house:
        told = {"anonymousId": "a-1", **GRANT}
        assert [(await house.post("/v1/consent", told))[0] for _ in range(7)] == [200] * 5 + [429] * 2
        assert [(await house.post("/v1/consent", told, key="server"))[0] for _ in range(7)] == [200] * 7
        house.clock.advance(SECOND)
        assert [(await house.post("/v1/consent", told))[0] for _ in range(2)] == [200, 429]


async def test_the_person_may_choose_anew(house):
    for action, outcome in (("deny", "withdrawn"), ("grant", "stored"), ("withdraw", "withdrawn"), ("grant", "stored")):
        await house.choose(anonymousId="a-1", action=action, purposes=["analytics"])
        assert await house.track(anonymousId="a-1") == outcome


async def test_a_signal_of_the_event_that_denies_wins_over_a_stored_grant(house):
    await house.choose(anonymousId="a-1", **GRANT)
    assert await house.track(anonymousId="a-1", consent={"analytics": False}) == "consent_denied"


async def test_a_refusal_without_names_is_of_every_purpose(house):
    answer = await house.choose(anonymousId="a-1", action="withdraw")
    assert set(answer["in_force"]) == house.house.policy.purposes.all
    assert set(answer["in_force"].values()) == {"refused"}


async def test_a_grant_expires(tmp_path):
    clock = ManualClock(NOW)
    async with open_house(tmp_path, clock) as house:
        await house.choose(anonymousId="a-1", **GRANT)
        clock.advance(395 * DAY)
        assert await house.track(anonymousId="a-1") == "stored"
        clock.advance(1)
        assert await house.track(anonymousId="a-1") == "not_allowed_anonymously"
        _, told = await house.ask("GET", "/v1/consent?anonymousId=a-1")
        assert told["regions"][0]["in_force"] == {}


async def test_a_grant_counts_under_a_notice_in_force_only(tmp_path):
    async with open_house(tmp_path, consent={"notices": ["2026-11"]}) as house:
        for notice in (None, "2025-01", {"hash": "0" * 64}):
            status, answer = await house.post("/v1/consent", {"anonymousId": "a-1", "notice": notice, **GRANT})
            assert (status, answer["error"]["code"]) == (422, "invalid")
        await house.choose(anonymousId="a-1", notice="2026-11", **GRANT)
        assert await house.track(anonymousId="a-1") == "stored"
        await house.choose(anonymousId="a-1", action="withdraw")
    async with open_house(tmp_path, consent={"notices": ["2026-12"]}) as house:
        await house.choose(anonymousId="a-2", notice="2026-12", **GRANT)
    async with open_house(tmp_path, consent={"notices": ["2027-01"]}) as house:
        assert await house.track(anonymousId="a-2") == "not_allowed_anonymously"
        _, told = await house.ask("GET", "/v1/consent?anonymousId=a-2")
        assert told["regions"][0]["in_force"] == {}


async def test_a_notice_in_force_may_have_any_name(tmp_path):
    async with open_house(tmp_path, consent={"notices": ["M\xe4rz 2026, Fassung 2"]}) as house:
        for notice in ("M\xe4rz 2026, Fassung 2", {"version": "M\xe4rz 2026, Fassung 2"}):
            answer = await house.choose(anonymousId="a-1", notice=notice, **GRANT)
            assert answer["receipt"]
        status, _ = await house.post("/v1/consent", {"anonymousId": "a-1", "notice": "M\xe4rz 2026", **GRANT})
        assert status == 400


async def test_of_a_refusal_under_a_notice_that_nobody_knows_the_notice_is_not_kept(tmp_path):
    async with open_house(tmp_path, consent={"notices": ["2026-11"]}) as house:
        for notice, kept in (("john.doe", None), ({"text": "Dear John"}, None), ("2026-11", "2026-11")):
            answer = await house.choose(anonymousId="a-1", notice=notice, action="deny", purposes=["analytics"])
            assert answer["in_force"] == {"analytics": "refused"}
            told = answer["receipt"]["ledger"]["body"]
            assert (told["notice"] or {}).get("version") == kept
            assert kept or told["notice"] is None


async def test_signing_keys_that_are_damaged_are_a_trouble_with_a_name(tmp_path):
    async with open_house(tmp_path) as house:
        await house.choose(anonymousId="a-1", **GRANT)
        path_of(house.house.settings.storage.data_dir, "eu").write_text('{"version": 1, "origin": "x", "keys": [{}]}')
        for method, path, body in (
            ("POST", "/v1/consent", {"anonymousId": "a-2", **GRANT}),
            ("GET", "/v1/ledger/eu/checkpoint", None),
            ("GET", "/.well-known/consentry/keys.json", None),
        ):
            async with house.request(method, path, json=body, headers={"Authorization": "Bearer write"}) as response:
                assert (response.status, response.headers["Retry-After"]) == (503, "60")
                assert (await response.json())["error"]["code"] == "keys_unavailable"
                assert "signing" not in await response.text()
        assert "signing.json" in house.log
        assert await house.track(anonymousId="a-1") == "stored"


async def test_a_stranger_with_the_public_key_grants_nothing_for_a_user_id(house):
    status, answer = await house.post("/v1/consent", {"userId": "victim", **GRANT})
    assert (status, answer["error"]["code"]) == (403, "forbidden_identity")
    answer = await house.choose(anonymousId="mine", userId="victim", **GRANT)
    assert answer["identities"] == ["anonymous_id"]
    assert await house.track(userId="victim", anonymousId="theirs") == "not_allowed_anonymously"
    # even joined to the person by an event, the device's grant covers that device's events alone
    assert await house.track(userId="victim", anonymousId="mine") == "stored"
    assert await house.track(userId="victim", anonymousId="theirs") == "not_allowed_anonymously"


async def test_a_stranger_with_the_public_key_lifts_no_withdrawal(house):
    await house.track(userId="victim", anonymousId="mine", consent=ANALYTICS)
    await house.choose(key="server", userId="victim", action="withdraw")
    house.clock.advance(1)
    await house.choose(anonymousId="mine", **GRANT)
    assert await house.track(userId="victim", anonymousId="mine", consent=ANALYTICS) == "withdrawn"
    assert await house.track(userId="victim", consent=ANALYTICS) == "withdrawn"
    house.clock.advance(1)
    await house.choose(key="server", userId="victim", **GRANT)
    assert await house.track(userId="victim") == "stored"


async def test_a_stranger_with_the_public_key_reads_nothing_of_a_user_id(house):
    await house.choose(key="server", userId="victim", action="withdraw", purposes=["marketing"])
    await house.track(userId="victim", anonymousId="mine", consent=ANALYTICS)
    assert (await house.ask("GET", "/v1/consent?userId=victim"))[0] == 403
    assert await house.ask("GET", "/v1/consent?anonymousId=mine&userId=victim") == (200, {"regions": []})


async def test_a_withdrawal_by_one_device_binds_the_person_everywhere(house):
    await house.track(userId="u", anonymousId="a-1", consent=ANALYTICS)
    await house.track(userId="u", anonymousId="a-2", consent=ANALYTICS)
    await house.choose(anonymousId="a-1", action="withdraw")
    assert await house.track(anonymousId="a-2", consent=ANALYTICS) == "withdrawn"
    assert await house.track(userId="u", consent=ANALYTICS) == "withdrawn"


async def test_a_device_that_another_user_takes_over_stays_refused(tmp_path):
    async with open_house(tmp_path, consent={"events": {"ad_*": "marketing"}}) as house:
        both = {"analytics": True, "marketing": True}
        await house.track(userId="u", anonymousId="a-1", consent=both)
        await house.choose(anonymousId="a-1", purposes={"marketing": False})
        assert await house.track(userId="v", anonymousId="a-1", consent=both) == "stored"
        for ids in ({"anonymousId": "a-1"}, {"userId": "v", "anonymousId": "a-1"}):
            assert await house.track("ad_seen", consent=both, **ids) == "withdrawn"
        _, told = await house.ask("GET", "/v1/consent?anonymousId=a-1")
        assert told["regions"][0]["in_force"] == {"marketing": "refused"}
        await house.choose(anonymousId="a-1", purposes={"marketing": True})
        assert await house.track("ad_seen", consent=both, anonymousId="a-1") == "stored"


async def test_the_state_is_read_by_its_owner_and_by_the_privacy_key(house):
    await house.choose(anonymousId="a-1", purposes={"analytics": True, "marketing": False}, notice="2026-11", language="de")
    _, own = await house.ask("GET", "/v1/consent?anonymousId=a-1")
    assert own["regions"][0]["in_force"] == {"analytics": "granted", "marketing": "refused"}
    assert [choice["state"] for choice in own["regions"][0]["choices"]] == ["granted", "denied"]
    await house.choose(key="server", userId="u", anonymousId="a-1", action="withdraw", purposes=["analytics"])
    _, whole = await house.ask("GET", "/v1/consent?userId=u", key="privacy")
    assert whole["regions"][0]["in_force"] == {"analytics": "refused", "marketing": "refused"}
    assert "proofs" not in own["regions"][0]
    (first, _) = whole["regions"][0]["proofs"]
    _, entry = await house.ask("GET", f"/v1/ledger/eu/entries/{first['entry']}", key="privacy")
    assert entry["body"]["principals"] == [principal(bytes.fromhex(first["nonce"]), "shop", IdentityKind.ANONYMOUS_ID, "a-1")]
    assert await house.ask("GET", "/v1/consent?anonymousId=a-9") == (200, {"regions": []})
    assert (await house.ask("GET", "/v1/consent?anonymousId=a-1", key="read"))[0] == 403


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"anonymousId": "a-1"},
        {"anonymousId": "a-1", "action": "grant"},
        {"anonymousId": "a-1", "action": "forget", "purposes": ["analytics"]},
        {"anonymousId": "a-1", "action": ["grant"], "purposes": ["analytics"]},
        {"anonymousId": "a-1", "action": "withdraw", "purposes": {"analytics": True}},
        {"anonymousId": "a-1", "purposes": {"analytics": "yes"}},
        {"anonymousId": "a-1", "purposes": {"nonsense": True}},
        {"anonymousId": "a-1", "purposes": ["analytics"]},
        {"anonymousId": "undefined", **GRANT},
        {"anonymousId": ["a"], **GRANT},
        {"anonymousId": "a-1", "notice": "jane@example.com", **GRANT},
        {"anonymousId": "a-1", "notice": {"hash": "short"}, **GRANT},
        {"anonymousId": "a-1", "language": "Jane Doe", **GRANT},
        {"action": "withdraw"},
    ],
)
async def test_what_is_no_clear_choice_is_refused_and_nothing_is_kept(house, body):
    status, answer = await house.post("/v1/consent", body)
    assert (status, answer["error"]["code"] in {"bad_body", "bad_parameter"}) == (400, True)
    assert house.house.stores["eu"].reader.execute("SELECT count(*) FROM choice").fetchone() == (0,)


async def test_a_beacon_may_choose_with_its_key_in_the_body(house):
    body = json.dumps({"writeKey": "write", "anonymous_id": "a-1", **GRANT}).encode()
    status, answer = await house.post("/v1/consent", body, key=None, headers={"Content-Type": "text/plain"})
    assert (status, answer["in_force"]) == (200, {"analytics": "granted"})
    assert (await house.post("/v1/consent", {"anonymousId": "a-1", **GRANT}, key=None))[0] == 401


async def test_a_receipt_verifies_offline_before_and_after_the_key_was_rotated(house):
    answer = await house.choose(anonymousId="a-1", purposes={"analytics": True, "marketing": False}, notice={"text": "We count."})
    receipt = answer["receipt"]
    entry = verify(receipt, await keys_of(house))
    assert entry["choices"] == {"analytics": "granted", "marketing": "denied"}
    assert entry["notice"] == {"version": None, "sha256": hashlib.sha256(b"We count.").hexdigest()}
    assert is_about(receipt, IdentityKind.ANONYMOUS_ID, "a-1")
    assert not is_about(receipt, IdentityKind.ANONYMOUS_ID, "a-2")
    house.house.stores["eu"].signing.rotate()
    newer = (await house.choose(anonymousId="a-1", action="withdraw"))["receipt"]
    assert newer["signature"]["key"] != receipt["signature"]["key"]
    keys = await keys_of(house)
    assert verify(receipt, keys) == entry
    assert verify(newer, keys)["choices"]["analytics"] == "withdrawn"


CHANGES = [
    lambda receipt: receipt["event"][0].update(event_state="given"),
    lambda receipt: receipt["ledger"]["body"]["choices"].update(analytics="granted"),
    lambda receipt: receipt.update(nonce="00" * 32),
    lambda receipt: receipt["signature"].update(algorithm="none"),
    lambda receipt: receipt["ledger"].update(entry=0),
    lambda receipt: receipt["signature"].update(value=receipt["signature"]["value"][::-1]),
    lambda receipt: receipt["signature"].update(key="00000000"),
    lambda receipt: receipt["ledger"].update(checkpoint=receipt["ledger"]["checkpoint"].replace("\n2\n", "\n3\n")),
    lambda receipt: receipt.pop("ledger"),
    lambda receipt: receipt.update(type="something"),
]


@pytest.mark.parametrize("change", CHANGES)
async def test_a_changed_receipt_does_not_verify(house, change):
    await house.choose(anonymousId="a-0", **GRANT)
    receipt = (await house.choose(anonymousId="a-1", action="withdraw"))["receipt"]
    keys = await keys_of(house)
    verify(receipt, keys)
    changed = copy.deepcopy(receipt)
    change(changed)
    with pytest.raises(BadReceipt):
        verify(changed, keys)


def signed_anew(house, receipt):
    unsigned = {name: value for name, value in receipt.items() if name != "signature"}
    signer = house.house.stores["eu"].signing.signer()
    value = base64.b64encode(signer.sign(rfc8785.dumps(unsigned))).decode()
    return {**unsigned, "signature": {"algorithm": "Ed25519", "key": signer.id, "value": value}}


async def test_a_receipt_says_how_long_a_grant_holds_and_of_a_refusal_no_end(house):
    receipt = (await house.choose(anonymousId="a-1", purposes={"analytics": True, "marketing": False}))["receipt"]
    told = [(event["event_state"], event["validity_duration"]) for event in receipt["event"]]
    assert told == [("given", "P395D"), ("refused", None)]
    verify(receipt, await keys_of(house))


async def test_a_receipt_of_when_refusals_were_told_a_duration_verifies(house):
    receipt = (await house.choose(anonymousId="a-1", action="withdraw"))["receipt"]
    for event in receipt["event"]:
        event["validity_duration"] = "P395D"
    verify(signed_anew(house, receipt), await keys_of(house))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda receipt: receipt["ledger"]["body"]["choices"].update(analytics="granted"), "not in the tree"),
        (lambda receipt: receipt["ledger"].update(entry=0), "not in the tree"),
        (lambda receipt: receipt["ledger"]["inclusion"].clear(), "not in the tree"),
        (lambda receipt: receipt["event"][0].update(event_state="given"), "not what the ledger's entry says"),
        (lambda receipt: receipt["header"].update(record_id="consentry/eu/0/0"), "not what the ledger's entry says"),
        (lambda receipt: receipt["header"].update(pii_principal_id=[]), "not what the ledger's entry says"),
    ],
)
async def test_even_the_gateway_cannot_sign_a_receipt_that_its_ledger_does_not_hold(house, change, problem):
    await house.choose(anonymousId="a-0", **GRANT)
    receipt = (await house.choose(anonymousId="a-1", action="withdraw"))["receipt"]
    change(receipt)
    with pytest.raises(BadReceipt, match=problem):
        verify(signed_anew(house, receipt), await keys_of(house))


async def test_a_choice_repeated_within_a_day_is_one_entry_with_a_receipt_each_time(tmp_path):
    clock = ManualClock(NOW)
    async with open_house(tmp_path, clock) as house:
        entries = []
        for step, more in [
            (0, {}),
            (1, {}),
            (0, {"language": "de"}),
            (0, {"notice": "v1"}),
            (0, {"notice": "v1"}),
            (DAY, {"notice": "v1"}),
        ]:
            clock.advance(step)
            receipt = (await house.choose(anonymousId="a-1", **GRANT, **more))["receipt"]
            assert verify(receipt, await keys_of(house))["choices"] == {"analytics": "granted"}
            entries.append(receipt["ledger"]["entry"])
        assert entries == [0, 0, 1, 2, 2, 3]
        # what one id said is not yet said by another
        assert (await house.choose(key="server", userId="u", **GRANT))["receipt"]["ledger"]["entry"] == 4
        assert (await house.choose(key="server", userId="u", anonymousId="a-1", **GRANT))["receipt"]["ledger"]["entry"] == 5


async def test_a_choice_that_was_overruled_meanwhile_counts_when_it_is_repeated(house):
    both = {"userId": "u", "anonymousId": "a-1", "purposes": ["analytics"]}
    await house.choose(key="server", action="grant", **both)
    house.clock.advance(1)
    assert await house.track("joined", userId="u", anonymousId="a-2") == "stored"
    await house.choose(anonymousId="a-2", action="deny", purposes=["analytics"])
    assert await house.track(userId="u") == "withdrawn"
    for action, outcome in (("grant", "stored"), ("deny", "withdrawn"), ("grant", "stored")):
        house.clock.advance(1)
        await house.choose(key="server", action=action, **both)
        assert await house.track(userId="u") == outcome
    await house.choose(anonymousId="a-2", action="deny", purposes=["analytics"])
    assert await house.track(userId="u") == "withdrawn"


async def test_no_identifier_is_in_the_ledger_and_no_two_entries_of_a_person_look_alike(house):
    for action in ("grant", "deny"):
        await house.choose(anonymousId="a-very-own-id", action=action, purposes=["analytics"])
    bodies = [body for (body,) in house.house.stores["eu"].reader.execute("SELECT body FROM ledger")]
    assert not any("a-very-own-id" in body for body in bodies)
    assert len({principal for body in bodies for principal in json.loads(body)["principals"]}) == 2


@pytest.mark.parametrize(("key", "ids"), [("write", {}), ("server", {"userId": "u-new"})])
async def test_who_is_let_in_on_the_device_of_somebody_erased_may_refuse(house, key, ids):
    store = house.house.stores["eu"]
    digest = house.house.pseudonyms["eu"].identity("shop", IdentityKind.ANONYMOUS_ID, "a-1")
    await store.log.transact(lambda tx: suppress(tx.connection, [digest], None, NOW))
    assert await house.track(anonymousId="a-1", userId="u-new", consent={"analytics": True}) == "stored"
    await house.choose(key=key, anonymousId="a-1", action="withdraw", purposes=["analytics"], **ids)
    assert await house.track(anonymousId="a-1", userId="u-new", consent={"analytics": True}) == "withdrawn"


async def test_of_a_suppressed_person_no_choice_is_stored_either(house):
    store = house.house.stores["eu"]
    digest = house.house.pseudonyms["eu"].identity("shop", IdentityKind.ANONYMOUS_ID, "a-1")
    await store.log.transact(lambda tx: suppress(tx.connection, [digest], None, NOW))
    for action in ("grant", "withdraw"):
        status, answer = await house.post("/v1/consent", {"anonymousId": "a-1", "action": action, "purposes": ["analytics"]})
        assert (status, answer["error"]["code"]) == (409, "suppressed")
    for table in ("identity", "choice", "ledger"):
        assert store.reader.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


async def test_a_refusal_binds_every_region_that_knows_the_person(tmp_path):
    regions = {"eu": {"countries": ["*"]}, "us": {"countries": ["US"]}}
    async with open_house(tmp_path, regions=regions) as house:
        for region in ("eu", "us"):
            event = {"event": "x", "anonymousId": "a-1", "region": region, "context": {"consent": {"purposes": ANALYTICS}}}
            assert (await house.post("/v1/track", event))[1]["accepted"] == 1
        answer = await house.choose(anonymousId="a-1", purposes={"analytics": False, "marketing": True})
        assert (answer["region"], [other["region"] for other in answer["also"]]) == ("eu", ["us"])
        keys = await keys_of(house)
        assert verify(answer["also"][0]["receipt"], keys)["choices"] == {"analytics": "denied"}
        for region in ("eu", "us"):
            _, told = await house.post("/v1/track", {**event, "region": region})
            assert told["results"][0]["reason"] == "withdrawn"
        assert (await house.choose(anonymousId="a-2", purposes={"analytics": False}))["also"] == []


@pytest.mark.parametrize("ids", [{"anonymousId": "a-1"}, {"userId": "u-1"}, {"anonymousId": "a-2", "userId": "u-1"}])
async def test_a_refusal_binds_a_region_that_an_event_declares_and_that_knows_nothing_of_the_person(tmp_path, ids):
    regions = {"eu": {"countries": ["*"]}, "us": {"countries": ["US"]}}
    async with open_house(tmp_path, regions=regions) as house:
        ann, elsewhere = {"key": "server", "anonymousId": "a-1", "userId": "u-1"}, {"key": "server", "region": "us", **ids}
        await house.choose(action="withdraw", purposes=["analytics"], **ann)
        assert [await house.track(consent=ANALYTICS, **elsewhere) for _ in range(2)] == ["withdrawn", "withdrawn"]
        await house.choose(action="grant", purposes=["analytics"], **ann)
        assert await house.track(consent=ANALYTICS, **elsewhere) == "stored"


async def test_who_was_placed_elsewhere_by_another_worker_is_refused_there_too(tmp_path):
    regions, american = {"eu": {"countries": ["*"]}, "us": {"countries": ["US"]}}, {"ip": "73.12.7.0"}
    async with open_house(tmp_path, regions=regions) as one, open_house(tmp_path, regions=regions) as other:
        ann = {"key": "server", "userId": "u-1"}
        assert await other.track(consent={"analytics": False}, context=american, **ann) == "consent_denied"
        assert (await one.choose(action="withdraw", purposes=["analytics"], **ann))["region"] == "eu"
        assert await other.track(consent=ANALYTICS, context=american, **ann) == "withdrawn"


async def test_a_refusal_binds_a_region_that_learns_of_the_person_while_it_is_recorded(tmp_path, monkeypatch):
    regions, american = {"eu": {"countries": ["*"]}, "us": {"countries": ["US"]}}, {"ip": "73.12.7.0"}
    async with open_house(tmp_path, regions=regions) as one, open_house(tmp_path, regions=regions) as other:
        desk, ann = one.house.proving.desk, {"key": "server", "userId": "u-1"}
        record = desk._record_in

        async def overtaken(region, statement):
            if region == "eu":
                assert await other.track(consent=ANALYTICS, context=american, **ann) == "stored"
                one.house.clock.advance(1)
            return await record(region, statement)

        monkeypatch.setattr(desk, "_record_in", overtaken)
        answer = await one.choose(action="withdraw", purposes=["analytics"], **ann)
        assert (answer["region"], [each["region"] for each in answer["also"]]) == ("eu", ["us"])
        assert await other.track(consent=ANALYTICS, context=american, **ann) == "withdrawn"


async def test_a_grant_lifts_what_was_refused_in_every_region(tmp_path):
    regions = {"eu": {"countries": ["*"]}, "us": {"countries": ["US"]}}
    async with open_house(tmp_path, regions=regions) as house:
        for region in ("eu", "us"):
            event = {"event": "x", "userId": "u-1", "region": region, "context": {"consent": {"purposes": ANALYTICS}}}
            assert (await house.post("/v1/track", event, key="server"))[1]["accepted"] == 1
        said = {"userId": "u-1", "purposes": ["analytics"]}
        assert (await house.post("/v1/consent", {**said, "action": "withdraw"}, key="server"))[0] == 200
        answer = (await house.post("/v1/consent", {**said, "action": "grant"}, key="server"))[1]
        assert (answer["region"], [other["region"] for other in answer["also"]]) == ("eu", ["us"])
        for region in ("eu", "us"):
            _, told = await house.post("/v1/track", {**event, "region": region}, key="server")
            assert told["accepted"] == 1


async def test_statistics_count_choices_and_hide_small_groups(house):
    for number in range(6):
        await house.choose(anonymousId=f"a-{number}", purposes={"analytics": number < 4}, notice="v1" if number else "v2")
    _, answer = await house.ask("GET", "/v1/consent/statistics?by=notice", key="read")
    assert (answer["groups"], answer["suppressed_groups"]) == ([], 2)
    _, answer = await house.ask("GET", "/v1/consent/statistics?by=day", key="read")
    assert [(group["day"], group["granted"]) for group in answer["groups"]] == [("2026-11-21", 4)]
    _, answer = await house.ask("GET", "/v1/consent/statistics?until=0001-01-02", key="read")
    assert (answer["since"], answer["groups"]) == ("0001-01-01", [])
    assert (await house.ask("GET", "/v1/consent/statistics?by=person", key="read"))[0] == 400
    assert (await house.ask("GET", "/v1/consent/statistics", key="write"))[0] == 403


def test_what_is_hidden_of_a_sum_is_no_small_group_either():
    counts = [
        Count("2026-11-21", "shop", "analytics", country, "", "", "visitor", "granted", times)
        for country, times in (("AT", 1), ("BE", 2), ("DE", 5), ("FR", 6), ("NL", 20))
    ]
    groups, hidden = opt_in_rates(counts, "country", None)
    assert [(group["country"], group["granted"]) for group in groups] == [("FR", 6), ("NL", 20)]
    assert hidden == 3
    groups, hidden = opt_in_rates(counts[2:], "country", None)
    assert ([group["country"] for group in groups], hidden) == (["DE", "FR", "NL"], 0)
    assert opt_in_rates(counts[:1], "country", None) == ([], 1)


async def test_statistics_count_what_signals_said_once_a_request(house):
    no = {"gpc": True, "purposes": {"analytics": False}}
    for number in range(5):
        yes = {"type": "track", "anonymousId": f"a-{number}", "context": {"consent": {"purposes": ANALYTICS}}}
        await house.post("/v1/batch", {"batch": [{**yes, "event": name} for name in ("bought", "bought", "sold")]})
        await house.post("/v1/track", {"event": "x", "anonymousId": "a-9", "context": {"consent": no}})
        await house.track(anonymousId="a-10")
    await house.house.tally.flush()
    _, answer = await house.ask("GET", "/v1/consent/statistics?by=source", key="read")
    found = [(group["source"], group["granted"], group["denied"]) for group in answer["groups"]]
    assert found == [("own", 5, 0), ("own+gpc", 0, 5)]


async def test_global_privacy_control_is_announced(house):
    assert await house.ask("GET", "/.well-known/gpc.json", key=None) == (200, {"gpc": True, "lastUpdate": "2026-11-21"})
