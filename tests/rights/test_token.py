"""A site's tokens, read at a time that stands still."""

from __future__ import annotations

import base64
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consentryd.config.settings import Settings
from consentryd.model.clock import SECOND
from consentryd.model.error import Unauthorized
from consentryd.model.identity import IdentityKind
from consentryd.rights.token import is_token, read_token

SECRET, OTHER = "a secret of sixty-four bytes, which is long enough for HS512, too", "another secret of thirty-two bytes at least"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(32))
VERIFIER = base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
NOW = 1_795_291_200
SETTINGS = Settings.model_validate(
    {
        "sites": {
            "shop": {"subject_token_secret": SECRET},
            "blog": {"subject_token_secret": OTHER},
            "club": {"subject_verifier": VERIFIER},
            "both": {"subject_token_secret": SECRET, "subject_verifier": VERIFIER},
            "none": {},
        }
    }
)


def token(key: Any = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    """One of the shop's for Ann, with claims as given; those that are None are left out."""
    whole = {"aud": "shop", "sub": "ann", "iat": NOW, "exp": NOW + 600, **claims}
    return jwt.encode({name: value for name, value in whole.items() if value is not None}, key, algorithm)


def takes(text: str, settings: Settings = SETTINGS, now: int = NOW * SECOND) -> bool:
    try:
        read_token(text, settings, now)
    except Unauthorized:
        return False
    return True


def test_it_speaks_for_those_whom_it_names_at_its_site() -> None:
    caller = read_token(token(sub=" ann ", anonymous_id="device", email="Ann@x.example"), SETTINGS, NOW * SECOND)
    assert caller.sites == ("shop",)
    assert caller.identities is not None
    assert [(each.kind, each.value, each.format) for each in caller.identities] == [
        (IdentityKind.USER_ID, "ann", "raw"),
        (IdentityKind.ANONYMOUS_ID, "device", "raw"),
        (IdentityKind.EMAIL, "Ann@x.example", "raw"),
    ]
    (only,) = read_token(token(sub="", email="Ann@x.example"), SETTINGS, NOW * SECOND).identities or ()
    assert only.kind is IdentityKind.EMAIL


@pytest.mark.parametrize(
    "claims", [{"sub": None}, {"sub": ""}, {"sub": " "}, {"anonymous_id": " "}, {"email": 7}, {"email": ["x"]}]
)
def test_of_nobody_it_is_none(claims: dict[str, Any]) -> None:
    text = token(**claims)
    assert not takes(text)


@pytest.mark.parametrize(
    ("claims", "seconds", "holds"),
    [
        ({}, 0, True),
        ({}, 599, True),
        ({}, 600, False),
        ({}, -60, True),
        ({}, -61, False),
        ({"exp": NOW + 3600}, 3599, True),
        ({"exp": NOW + 3601}, 0, False),
        ({"nbf": NOW + 300}, 0, False),
        ({"nbf": NOW + 300}, 239, False),
        ({"nbf": NOW + 300}, 240, True),
        ({"nbf": NOW - 300}, -61, False),
        ({"iat": None}, 0, False),
        ({"exp": None}, 0, False),
    ],
)
def test_it_holds_from_its_time_less_a_minute_until_it_expires_an_hour_at_most(
    claims: dict[str, Any], seconds: int, holds: bool
) -> None:
    assert takes(token(**claims), now=(NOW + seconds) * SECOND) is holds


@pytest.mark.parametrize(
    ("site", "key", "algorithm", "taken"),
    [
        ("shop", SECRET, "HS256", True),
        ("shop", OTHER, "HS256", False),
        ("shop", SECRET, "HS512", False),
        ("shop", PRIVATE, "EdDSA", False),
        ("blog", SECRET, "HS256", False),
        ("blog", OTHER, "HS256", True),
        ("club", PRIVATE, "EdDSA", True),
        ("club", STRANGER, "EdDSA", False),
        ("club", VERIFIER, "HS256", False),
        ("club", PRIVATE.public_key().public_bytes_raw(), "HS256", False),
        ("both", PRIVATE, "EdDSA", True),
        ("both", SECRET, "HS256", False),
        ("none", SECRET, "HS256", False),
        ("elsewhere", SECRET, "HS256", False),
        ("club", None, "none", False),
    ],
)
def test_only_the_key_of_its_own_site_signs_it_in_the_way_that_the_settings_say(
    site: str, key: Any, algorithm: str, taken: bool
) -> None:
    assert takes(token(key, algorithm, aud=site)) is taken


@pytest.mark.parametrize(
    ("default", "key", "algorithm"),
    [({"subject_token_secret": SECRET}, SECRET, "HS256"), ({"subject_verifier": VERIFIER}, PRIVATE, "EdDSA")],
)
def test_a_key_of_all_sites_speaks_for_one_that_has_no_settings(default: dict[str, Any], key: Any, algorithm: str) -> None:
    settings = Settings.model_validate({"site": default, "sites": {"blog": {"subject_token_secret": OTHER}}})
    assert takes(token(key, algorithm, aud="any"), settings)
    assert not takes(token(OTHER, "HS256", aud="any"), settings)


def test_a_name_of_several_sites_or_a_text_without_end_is_none() -> None:
    assert not takes(token(aud=["shop"]))
    assert not takes(token(more="x" * 4096))
    assert not takes("ey.ey.ey")


def test_a_key_is_no_token() -> None:
    assert is_token(token())
    assert not any(map(is_token, ("csy_privacy_1.2.3", "ey", "ey.1", "ey.1.2.3", "")))
