"""Randomness in stock: nobody gets what another got."""

from __future__ import annotations

from consentryd.model.chance import Chance


def test_no_bytes_are_given_twice() -> None:
    chance = Chance()
    taken = [chance.take(7) for _ in range(2000)]
    assert len(set(taken)) == 2000
    assert all(len(each) == 7 for each in taken)


def test_numbers_are_of_63_bits_and_above_zero() -> None:
    numbers = [Chance().number() for _ in range(50)]
    assert all(0 < number < 2**63 for number in numbers)
    assert max(numbers).bit_length() > 60
    assert len(set(numbers)) == 50


def test_zero_is_drawn_again(monkeypatch) -> None:
    monkeypatch.setattr("consentryd.model.chance.secrets.token_bytes", lambda count: bytes(8) + b"\x01" * (count - 8))
    assert Chance().number() == 0x0101010101010101 >> 1
