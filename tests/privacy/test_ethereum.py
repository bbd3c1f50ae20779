"""Ethereum addresses by their letter case."""

from __future__ import annotations

import pytest

from tests.privacy.test_scrub import stored

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
