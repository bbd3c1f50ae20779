"""Whatever stands in a body, it is a clear statement or an error to tell, and nothing of it but short codes reaches the ledger."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentryd.config.settings import Consent
from consentryd.consent.purposes import load_purposes
from consentryd.gateway.statement import read_statement
from consentryd.model.client import UNKNOWN_CLIENT
from consentryd.model.error import BadRequest, ConsentryError, Forbidden, Unprocessable
from consentryd.model.identity import IdentityKind
from consentryd.storage.choice import ChoiceState
from tests.kit import KEYS

PURPOSES = load_purposes(Consent(categories={"C0002": ["analytics", "product"], "statistik": ["analytics"]}))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(["grant", "withdraw", "analytics", "a-1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.just("analytics"), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["action", "purposes", "anonymousId", "anonymous_id", "userId", "user_id", "notice", "language", "region"]


def read(body, key="write"):
    return read_statement(body, KEYS[key], UNKNOWN_CLIENT, PURPOSES, [], 255)


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES) | VALUES, st.sampled_from(["write", "server"]))
def test_any_body_is_a_statement_or_an_error_to_tell(body, key):
    try:
        statement = read(body, key)
    except (BadRequest, Forbidden, Unprocessable):
        return
    assert statement.identities
    assert set(statement.choices) <= PURPOSES.all
    assert key == "server" or [identity.kind for identity in statement.identities] == [IdentityKind.ANONYMOUS_ID]
    assert statement.language is None or re.fullmatch(r"[A-Za-z0-9-]+", statement.language)
    assert all(part is None or re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", part) for part in statement.notice)


@pytest.mark.parametrize(
    ("purposes", "choices"),
    [
        ({"C0002": True}, {"analytics": "granted", "product": "granted"}),
        ({"c0002": True, "statistik": False}, {"analytics": "denied", "product": "granted"}),
        ({"statistik": False, "analytics": True}, {"analytics": "denied"}),
        ({"analytics": True, "nothing here": False}, {"analytics": "granted"}),
    ],
)
def test_categories_stand_for_purposes_and_a_refusal_wins(purposes, choices):
    assert read({"anonymousId": "a-1", "purposes": purposes}).choices == {
        name: ChoiceState(state) for name, state in choices.items()
    }


@pytest.mark.parametrize(
    "beside",
    [
        {"notice": "Version 2 (Nov)"},
        {"notice": 2},
        {"notice": {"version": [], "hash": "x"}},
        {"language": "en_US"},
        {"language": 1},
    ],
)
def test_a_refusal_counts_whatever_stands_beside_it(beside):
    told = {"anonymousId": "a-1", "action": "withdraw", "purposes": ["analytics"]}
    assert read({**told, **beside}) == read(told)
    with pytest.raises(BadRequest):
        read({**told, **beside, "action": "grant"})


def test_both_spellings_are_understood():
    told = {"purposes": {"analytics": True}}
    assert read({**told, "anonymous_id": "a-1"}) == read({**told, "anonymousId": "a-1"})
    ids = {identity.kind: identity.value for identity in read({**told, "anonymous_id": "a", "user_id": "u"}, "server").identities}
    assert ids == {IdentityKind.USER_ID: "u", IdentityKind.ANONYMOUS_ID: "a"}


def test_messages_never_repeat_what_was_sent():
    for body in (
        {"anonymousId": "a", "action": "jane@x"},
        {"anonymousId": "a", "purposes": {"a": 1}, "notice": "jane@x"},
        {"userId": "jane@x"},
    ):
        with pytest.raises(ConsentryError) as caught:
            read(body)
        assert "jane" not in json.dumps(caught.value.body())
