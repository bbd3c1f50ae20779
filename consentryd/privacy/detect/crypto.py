"""Addresses of crypto currencies: Base58Check, Bech32 and, in letters of both cases, Ethereum by their checksums."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from Crypto.Hash import keccak

from consentryd.privacy.detect.detector import Detector, Gate

_BASE58: Final = {
    character: value for value, character in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
}
_BECH32: Final = {character: value for value, character in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_GENERATORS: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_CHECKS: Final = frozenset({1, 0x2BC830A3})  # BIP 173 and BIP 350
_ADDRESS_BYTES: Final = 25


def _is_base58check(match: re.Match[str]) -> bool:
    number = 0
    for character in match[0]:
        number = number * 58 + _BASE58[character]
    if number.bit_length() > 8 * _ADDRESS_BYTES:
        return False
    raw = number.to_bytes(_ADDRESS_BYTES, "big")
    return hashlib.sha256(hashlib.sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]


def _is_bech32(match: re.Match[str]) -> bool:
    text = match[0].lower()
    prefix, _, data = text.rpartition("1")
    values = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + [_BECH32[c] for c in data]
    check = 1
    for value in values:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            check ^= generator if top >> bit & 1 else 0
    return check in _BECH32_CHECKS


def _is_ethereum(match: re.Match[str]) -> bool:
    """EIP-55: a letter is a capital where the hash of the lower-case address has 8 or more. One case only is no checksum."""
    address = match[0][2:]
    lower = address.lower()
    if address in {lower, address.upper()}:
        return True
    hashed = keccak.new(data=lower.encode(), digest_bits=256).hexdigest()
    return all(letter.isupper() == (digit >= "8") for letter, digit in zip(address, hashed, strict=False) if letter.isalpha())


BASE58: Final = Detector(
    name="crypto",
    gate=Gate.RUN,
    pattern=re.compile(r"(?<![A-Za-z0-9])[13LMDT][1-9A-HJ-NP-Za-km-z]{25,34}(?![A-Za-z0-9])"),
    check=_is_base58check,
)
BECH32: Final = Detector(
    name="crypto",
    gate=Gate.RUN,
    pattern=re.compile(
        r"(?<![A-Za-z0-9])(?:(?:bc|tb|ltc)1[02-9ac-hj-np-z]{38,87}|(?:BC|TB|LTC)1[02-9AC-HJ-NP-Z]{38,87})(?![A-Za-z0-9])"
    ),
    check=_is_bech32,
)
ETHEREUM: Final = Detector(
    name="crypto",
    gate=Gate.RUN,
    sign="0x",
    pattern=re.compile(r"(?<![A-Za-z0-9])0x[0-9A-Fa-f]{40}(?![A-Za-z0-9])"),
    check=_is_ethereum,
)

DETECTORS: Final = (BASE58, BECH32, ETHEREUM)
