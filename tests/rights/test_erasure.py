"""An erased person is in no query, no file and no table; everybody else is as before; the certificate proves it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from consentryd.model.clock import HOUR, SECOND
from consentryd.model.identity import IdentityKind
from consentryd.model.outcome import Outcome, Reason
from consentryd.rights.certificate import BadCertificate, is_about, verify
from consentryd.rights.demand import read_demand
from consentryd.rights.desk import Desk
from consentryd.storage.database import open_database
from consentryd.storage.location import CONTROL
from consentryd.storage.rejected import Letter, newest, write
from tests.rights.estate import OFFICER, Estate, opened


def without_person(rows: list[dict], subject: int) -> list[dict]:
    return [row for row in rows if row["subject"] != subject]


def subject_of(estate: Estate, event_id: str, region: str = "eu") -> int:
    return next(row["subject"] for row in estate.rows(region) if row["event_id"] == event_id)


async def test_erasure_takes_the_person_from_log_and_lake_and_leaves_everybody_else_as_they_were(estate: Estate) -> None:
    await estate.send(*(estate.event(f"u-{number}", f"a-{number}", properties={"n": number}) for number in range(20)))
    estate.seal()
    await estate.send(*(estate.event(f"u-{number}", f"a-{number}", properties={"n": number}) for number in range(20)))
    before = estate.rows()
    subject = subject_of(estate, "m-4")

    asked = estate.ask("erasure", user_id="u-3")
    assert asked["status"] == "pending"
    done = estate.finish(asked["id"])

    assert done["status"] == "completed"
    assert estate.rows() == without_person(before, subject)
    assert len(before) - len(estate.rows()) == 2
    stores = done["certificates"][0]["erasure"]["stores"]
    assert stores["events"] == {"before": 2, "after": 0}
    assert stores["identity"] == {"before": 2, "after": 0}


async def test_the_certificate_verifies_offline_names_the_person_to_who_holds_the_nonce_and_notices_every_change(
    estate: Estate,
) -> None:
    await estate.send(estate.event("u-1"))
    asked = estate.ask("erasure", user_id="u-1", reason="by letter")
    certificate = estate.finish(asked["id"])["certificates"][0]
    keys = [key.verifier for key in estate.offices["eu"].signing.public()]
    nonce = bytes.fromhex(asked["commitment_nonce"])

    facts = verify(certificate, keys)
    assert facts["scan"]["found"] == 0
    assert facts["scan"]["mentions"] == []
    assert is_about(facts, nonce, "shop", IdentityKind.USER_ID, "u-1")
    assert not is_about(facts, nonce, "shop", IdentityKind.USER_ID, "u-2")
    assert "by letter" not in json.dumps(certificate)
    for path in (
        ("erasure", "subjects"),
        ("erasure", "region"),
        ("ledger", "entry"),
        ("signature", "value"),
        ("signature", "algorithm"),
    ):
        changed = json.loads(json.dumps(certificate))
        changed[path[0]][path[1]] = {"subjects": 7, "region": "us", "entry": 0, "value": "AAAA", "algorithm": "none"}[path[1]]
        with pytest.raises(BadCertificate):
            verify(changed, keys)
    with pytest.raises(BadCertificate):
        verify(certificate, [])


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("type",), "consentry-consent-receipt", "no certificate of erasure"),
        (("erasure", "subjects"), 7, "the ledger's entry is not this certificate's"),
        (("ledger", "body", "request"), "another", "not in the tree"),
        (("ledger", "entry"), 0, "not in the tree"),
        (("ledger", "inclusion"), [], "not in the tree"),
        (("ledger", "inclusion"), ["?"], "base64"),
        (("ledger", "checkpoint"), "none", "the checkpoint: "),
        (("ledger", "origin"), "another", "not among the keys"),
        (("ledger",), None, "no certificate, or a part of it"),
    ],
)
async def test_a_signature_over_what_the_ledger_does_not_hold_makes_no_certificate(
    estate: Estate, path: tuple[str, ...], value: object, says: str
) -> None:
    await estate.send(estate.event("u-1"))
    estate.finish(estate.ask("erasure", user_id="u-2")["id"])
    certificate = estate.finish(estate.ask("erasure", user_id="u-1")["id"])["certificates"][0]
    signer = estate.offices["eu"].signing.signer()
    place = certificate
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    signed = rfc8785.dumps({name: part for name, part in certificate.items() if name != "signature"})
    certificate["signature"]["value"] = base64.b64encode(signer.sign(signed)).decode()
    with pytest.raises(BadCertificate, match=says):
        verify(certificate, [key.verifier for key in estate.offices["eu"].signing.public()])


async def test_suppression_holds_from_the_answer_on_and_for_all_the_persons_identities_after_erasure(estate: Estate) -> None:
    await estate.send(estate.event("u-1", "a-1"))
    asked = estate.ask("erasure", user_id="u-1")
    assert await estate.send(estate.event("u-1")) == ["suppressed"]
    estate.finish(asked["id"])
    assert await estate.send(estate.event("u-1"), estate.event(None, "a-1")) == ["suppressed", "suppressed"]
    assert await estate.send(estate.event("u-2", "a-1")) == ["stored"], "the device is another's now"


@pytest.mark.parametrize(("block", "later"), [("no", "stored"), ("until", "stored"), ("forever", "suppressed")])
async def test_future_events_are_blocked_as_the_request_says(estate: Estate, block: str, later: str) -> None:
    await estate.send(estate.event("u-1"))
    old = subject_of(estate, "m-1")
    until = {"block_until": "2026-11-22T00:00:00Z"} if block == "until" else {}
    asked = estate.ask("erasure", user_id="u-1", block=block, **until)
    estate.finish(asked["id"])
    if block == "until":
        assert await estate.send(estate.event("u-1")) == ["suppressed"]
        estate.clock.advance(5 * 3600 * SECOND)
    assert await estate.send(estate.event("u-1", messageId="again")) == [later]
    if later == "stored":
        assert subject_of(estate, "again") != old


async def test_merged_subjects_go_together_and_a_shared_devices_other_user_stays(estate: Estate) -> None:
    await estate.send(estate.event(None, "phone"), estate.event("ann", "laptop"))
    await estate.send(estate.event("ann", "phone"), estate.event("ann", "tablet"))
    await estate.send(estate.event("bob", "tablet", messageId="bob-1"), estate.event(None, "tablet", messageId="bob-2"))
    asked = estate.ask("erasure", user_id="ann")
    done = estate.finish(asked["id"])
    assert [row["event_id"] for row in estate.rows()] == ["bob-1", "bob-2"]
    assert done["certificates"][0]["erasure"]["subjects"] == 2


@pytest.mark.parametrize("form", ["raw", "sha256"])
async def test_a_person_is_found_by_e_mail_raw_or_hashed(estate: Estate, form: str) -> None:
    identify = {"type": "identify", "traits": {"email": "Ann@Example.com", "plan": "pro"}}
    await estate.send(estate.event("ann", **identify), estate.event("bob"))
    address = "ann@example.com" if form == "sha256" else " ann@EXAMPLE.com "
    value = hashlib.sha256(address.encode()).hexdigest().upper() if form == "sha256" else address
    body = {"type": "erasure", "identities": [{"type": "email", "value": value, "format": form}]}
    asked = estate.desk.accept(read_demand(body), OFFICER)
    assert estate.finish(asked["id"])["certificates"][0]["erasure"]["stores"]["events"]["before"] == 1
    assert len(estate.rows()) == 1
    assert await estate.send(estate.event("other", **identify)) == ["suppressed"]


@pytest.mark.parametrize("kind", ["user_id", "anonymous_id"])
async def test_a_person_is_found_and_refused_by_the_hash_of_an_id(estate: Estate, kind: str) -> None:
    value = {"user_id": "ann", "anonymous_id": "phone"}[kind]
    await estate.send(estate.event("ann", "phone"), estate.event("bob"))
    hashed = hashlib.sha256(value.encode()).hexdigest()
    body = {"type": "erasure", "identities": [{"type": kind, "value": hashed, "format": "sha256"}]}
    asked = estate.desk.accept(read_demand(body), OFFICER)
    assert await estate.send(estate.event(value if kind == "user_id" else None, "phone")) == ["suppressed"]
    done = estate.finish(asked["id"])
    assert done["certificates"][0]["erasure"]["stores"]["events"]["before"] == 1
    assert [row["event_id"] for row in estate.rows()] == ["m-2"]
    assert await estate.send(estate.event("ann", "phone")) == ["suppressed"]
    assert await estate.send(estate.event(hashed)) == ["stored"], "whose id is that text is somebody else"


@pytest.mark.parametrize("kind", ["user_id", "anonymous_id"])
async def test_a_person_is_found_by_an_id_with_blanks_around_it_as_events_are(estate: Estate, kind: str) -> None:
    value = {"user_id": " ann\n", "anonymous_id": "\tphone "}[kind]
    await estate.send(estate.event(" ann\n", "\tphone "), estate.event("ann"), estate.event("bob"))
    asked = estate.ask("erasure", **{kind: value})
    assert await estate.send(estate.event(value if kind == "user_id" else None, "phone")) == ["suppressed"]
    estate.finish(asked["id"])
    assert [row["event_id"] for row in estate.rows()] == ["m-3"]


async def test_somebody_who_never_came_is_refused_by_the_hash_of_their_id(estate: Estate) -> None:
    hashed = hashlib.sha256(b"later").hexdigest()
    body = {"type": "erasure", "identities": [{"type": "user_id", "value": hashed, "format": "sha256"}]}
    estate.finish(estate.desk.accept(read_demand(body), OFFICER)["id"])
    assert await estate.send(estate.event("later"), estate.event("other")) == ["suppressed", "stored"]


async def test_late_events_of_an_erased_person_make_no_key_of_theirs_until_they_are_let_in(tmp_path: Path) -> None:
    rules = [{"key": "wish", "action": "encrypt"}]
    with opened(tmp_path / "data", privacy={"rules": rules}) as estate:
        wish = {"properties": {"wish": "a red bicycle"}}
        await estate.send(estate.event("ann", **wish), estate.event("bob", **wish))
        estate.finish(estate.ask("erasure", user_id="ann", block="until", block_until="2026-11-22T00:00:00Z")["id"])
        assert await estate.send(estate.event("ann", **wish), estate.event("bob", **wish)) == ["suppressed", "stored"]
        keys = estate.house.stores["eu"].reader.execute("SELECT count(*) FROM subject_key")
        assert keys.fetchone() == (1,)
        estate.clock.advance(5 * HOUR)
        assert await estate.send(estate.event("ann", **wish)) == ["stored"]
        request = estate.ask("access", user_id="ann")["id"]
        estate.finish(request)
        sink = io.BytesIO()
        estate.desk.write_export(request, sink)
        assert b"a red bicycle" in zipfile.ZipFile(sink).read("events.jsonl")


async def test_somebody_unknown_gets_a_certificate_that_says_so(estate: Estate) -> None:
    await estate.send(estate.event("u-1"))
    asked = estate.ask("erasure", user_id="nobody")
    done = estate.finish(asked["id"])
    assert done["certificates"][0]["erasure"]["subjects"] == 0
    assert len(estate.rows()) == 1


@pytest.mark.parametrize("said", [lambda number: {"properties": {"ref": number}}, lambda number: {"event": f"Saw {number}"}])
async def test_a_persons_number_in_somebody_elses_event_keeps_nobody_from_being_erased(
    estate: Estate, said: Callable[[str], dict[str, Any]]
) -> None:
    await estate.send(estate.event("u-1"))
    number = str(subject_of(estate, "m-1"))
    await estate.send(estate.event("u-2", **said(number)))
    told = estate.finish(estate.ask("erasure", user_id="u-1")["id"])
    mentions = told["certificates"][0]["erasure"]["scan"]["mentions"]  # none, if it happens to look like a card's number
    assert (told["status"], {Path(mention).suffix for mention in mentions} <= {".parquet", ".rollup"}) == ("completed", True)


async def test_a_persons_number_in_what_an_analyst_saved_keeps_nobody_from_being_erased(estate: Estate) -> None:
    await estate.send(estate.event("u-1"))
    with closing(open_database(estate.path / CONTROL, "control")) as connection:
        name = f"What became of {subject_of(estate, 'm-1')}"
        row = ("query_1", "shop", "query", name, estate.clock.now())
        connection.execute("INSERT INTO saved (id, site, type, name, created_at) VALUES (?, ?, ?, ?, ?)", row)
    told = estate.finish(estate.ask("erasure", user_id="u-1")["id"])
    (mention,) = told["certificates"][0]["erasure"]["scan"]["mentions"]
    assert (told["status"], mention.removesuffix("-wal")) == ("completed", CONTROL)


async def test_dead_letters_of_another_site_are_not_the_persons(estate: Estate) -> None:
    letters = [Letter(site, estate.clock.now(), Outcome.REJECTED, Reason.INVALID_ID, '{"u-1": 5}') for site in ("shop", "blog")]
    with estate.offices["eu"].casebook() as book, book.transaction() as connection:
        write(connection, letters)
    told = estate.finish(estate.ask("erasure", user_id="u-1")["id"])
    with estate.offices["eu"].casebook() as book:
        assert [letter.site for letter in newest(book.connection, 10)] == ["blog"]
    assert told["certificates"][0]["erasure"]["stores"]["dead_letters"] == {"before": 1, "after": 0}


async def test_an_address_that_two_people_share_stays_the_others(tmp_path: Path) -> None:
    identify = {"type": "identify", "traits": {"email": "family@example.com"}}
    with opened(tmp_path / "data", rights={"grace_s": 60}) as estate:
        await estate.send(estate.event("ann", **identify), estate.event("bob", **identify))
        request = estate.ask("erasure", user_id="ann")["id"]
        estate.clock.advance(30 * SECOND)
        objection = estate.ask("objection", email="family@example.com", purposes=["marketing"])["id"]
        estate.clock.advance(31 * SECOND)
        assert estate.finish(request)["status"] == "completed"
        assert estate.desk.get(objection, OFFICER)["status"] == "pending"
        assert await estate.send(estate.event("bob", **identify), estate.event("ann")) == ["stored", "suppressed"]
        estate.clock.advance(30 * SECOND)
        assert estate.finish(objection)["regions"]["eu"]["result"]["subjects"] == 1


async def test_a_retry_that_finds_a_request_in_some_regions_only_has_the_nonce_of_all_its_certificates(estate: Estate) -> None:
    body = {"type": "erasure", "request_id": "letter-of-3-may", "identities": [{"type": "user_id", "value": "u-1"}]}
    halfway = Desk(estate.settings, estate.house.policy, {"eu": estate.offices["eu"]}, estate.clock)
    first = halfway.accept(read_demand(body), OFFICER)["commitment_nonce"]
    retried = estate.desk.accept(read_demand(body), OFFICER)
    assert retried["commitment_nonce"] == first
    certificates = estate.finish("letter-of-3-may")["certificates"]
    assert len(certificates) == 2
    for certificate in certificates:
        assert is_about(certificate["erasure"], bytes.fromhex(first), "shop", IdentityKind.USER_ID, "u-1")


@pytest.mark.parametrize("kind", ["erasure", "restriction"])
async def test_who_lost_the_answer_gets_the_nonce_by_sending_the_request_again_until_it_is_done(
    estate: Estate, kind: str
) -> None:
    body = {"type": kind, "request_id": "letter-of-3-may", "identities": [{"type": "user_id", "value": "u-1"}]}
    first = estate.desk.accept(read_demand(body), OFFICER)["commitment_nonce"]
    assert estate.desk.accept(read_demand(body), OFFICER)["commitment_nonce"] == first
    assert "commitment_nonce" not in estate.desk.get("letter-of-3-may", OFFICER)
    estate.finish("letter-of-3-may")
    assert "commitment_nonce" not in estate.desk.accept(read_demand(body), OFFICER)
