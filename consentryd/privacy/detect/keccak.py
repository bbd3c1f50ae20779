"""Keccak-256 (FIPS 202's permutation with the padding of the original submission), which Ethereum uses and `hashlib` does not have.

Slow (0.4 ms a block) and seldom asked: only about texts that have the form of an address in letters of both cases.
"""

from __future__ import annotations

from typing import Final

_RATE: Final = 136
_MASK: Final = (1 << 64) - 1
_ROUNDS: Final = 24


def _round_constants() -> list[int]:
    """FIPS 202 section 3.2.5: bits of a linear feedback shift register."""
    constants, register = [], 1
    for _ in range(_ROUNDS):
        constant = 0
        for power in range(7):
            constant |= (register & 1) << ((1 << power) - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return constants


_CONSTANTS: Final = _round_constants()


def _moves() -> list[tuple[int, int, int]]:
    """FIPS 202 sections 3.2.2 and 3.2.3: for each lane where it comes from, and by how many bits it is rotated left and right."""
    moves = [(0, 0, 64)] * 25
    x, y = 1, 0
    for step in range(_ROUNDS):
        source = x + 5 * y
        x, y = y, (2 * x + 3 * y) % 5
        by = (step + 1) * (step + 2) // 2 % 64
        moves[x + 5 * y] = source, by, 64 - by
    return moves


_MOVES: Final = _moves()
_NEIGHBOURS: Final = [(at, at - at % 5 + (at + 1) % 5, at - at % 5 + (at + 2) % 5) for at in range(25)]


def _permuted(lanes: list[int]) -> list[int]:
    """The 24 rounds over 25 lanes of 64 bits; lane (x, y) stands at x + 5 y."""
    for constant in _CONSTANTS:
        c0, c1, c2, c3, c4 = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        d = [
            c4 ^ (c1 << 1 & _MASK | c1 >> 63),
            c0 ^ (c2 << 1 & _MASK | c2 >> 63),
            c1 ^ (c3 << 1 & _MASK | c3 >> 63),
            c2 ^ (c4 << 1 & _MASK | c4 >> 63),
            c3 ^ (c0 << 1 & _MASK | c0 >> 63),
        ] * 5
        b = [(lane := lanes[source] ^ d[source]) << by & _MASK | lane >> back for source, by, back in _MOVES]
        lanes = [b[at] ^ (~b[right] & b[beyond]) for at, right, beyond in _NEIGHBOURS]
        lanes[0] ^= constant
    return lanes


def keccak_256(data: bytes, padding: int = 0x01) -> bytes:
    """32 bytes. With `padding` 0x06 it is SHA3-256."""
    padded = bytearray(data) + bytes([padding]) + bytes(-(len(data) + 1) % _RATE)
    padded[-1] |= 0x80
    lanes = [0] * 25
    for start in range(0, len(padded), _RATE):
        for at in range(_RATE // 8):
            lanes[at] ^= int.from_bytes(padded[start + 8 * at : start + 8 * at + 8], "little")
        lanes = _permuted(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])
