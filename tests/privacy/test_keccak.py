"""Keccak-256 against published vectors and the standard library, and Ethereum addresses by their letter case."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentryd.privacy.detect.keccak import keccak_256
from tests.privacy.test_scrub import stored


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        (b"testing", "5f16f4c7f149ac4f9510d9cf8cf384038ad348b3bcdc01915f95de12df9d1b02"),
    ],
)
def test_keccak_agrees_with_published_digests(data: bytes, digest: str) -> None:
    assert keccak_256(data).hex() == digest


@settings(max_examples=40, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.integers(130, 140).map(bytes)))
def test_with_the_padding_of_the_standard_it_is_sha3(data: bytes) -> None:
    assert keccak_256(data, 0x06) == hashlib.sha3_256(data).digest()


#: The addresses of EIP-55 itself.
CHECKED = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]


@pytest.mark.parametrize("address", CHECKED)
def test_an_address_with_a_right_checksum_or_in_one_case_is_taken_out(address: str) -> None:
    assert stored(f"send to {address} please") == "send to [crypto] please"
    assert stored(f"0x{address[2:].lower()}") == "[crypto]"
    assert stored(f"0x{address[2:].upper()}") == "[crypto]"


@pytest.mark.parametrize("address", CHECKED[4:])
def test_forty_digits_whose_letters_are_in_the_wrong_case_are_no_address(address: str) -> None:
    wrong = f"0x{address[2:].swapcase()}"
    assert stored(wrong) == wrong
