"""Digests are stable in a region, and of no use outside it."""

import hashlib

import pytest

from consentryd.model.identity import IdentityKind
from consentryd.privacy.pseudonym import Pseudonymiser

EU = Pseudonymiser(b"e" * 32, b"d" * 32)
US = Pseudonymiser(b"u" * 32, b"s" * 32)
CALLS = {
    "identity": lambda region: region.identity("shop", IdentityKind.USER_ID, "u-1"),
    "session": lambda region: region.session("shop", "u-1"),
    "group": lambda region: region.group("shop", "u-1"),
    "dedup": lambda region: region.dedup("shop", "u-1"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_digest_repeats_in_its_region_and_matches_no_other(call):
    assert call(EU) == call(Pseudonymiser(b"e" * 32, b"d" * 32))
    assert call(EU) != call(US)


def test_whoever_knows_only_the_hash_of_an_identifier_finds_it():
    for kind, value in ((IdentityKind.USER_ID, "u-1"), (IdentityKind.ANONYMOUS_ID, "ä")):
        hashed = hashlib.sha256(value.encode()).hexdigest()
        assert EU.hashed("shop", kind, hashed) == EU.identity("shop", kind, value) != EU.identity("shop", kind, hashed)
    assert EU.email("shop", " Ann@Example.com") == EU.hashed(
        "shop", IdentityKind.EMAIL, hashlib.sha256(b"ann@example.com").hexdigest()
    )


def test_site_kind_and_value_each_make_another_person():
    digests = {
        EU.identity(site, kind, value)
        for site in ("shop", "blog")
        for kind in (IdentityKind.USER_ID, IdentityKind.ANONYMOUS_ID)
        for value in ("u-1", "u-2")
    }
    assert len(digests) == 8


def test_fields_cannot_slide_into_each_other():
    assert EU.dedup("shop", "a") != EU.dedup("sho", "pa")


def test_a_session_fits_a_signed_64_bit_column():
    assert all(0 <= EU.session("shop", str(number)) < 2**63 for number in range(200))
