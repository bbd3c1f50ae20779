"""From a client's address to its network: v4 /24, v6 /48, and less where a v6 address carries a v4 one.

Nothing here keeps an address beyond the call: no cache, no log.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final

MAX_HOPS: Final = 32

_MAPPED: Final = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96, RFC 4291
_NAT64: Final = b"\x00\x64\xff\x9b" + bytes(8)  # 64:ff9b::/96, RFC 6052
_SIX_TO_FOUR: Final = b"\x20\x02"  # 2002::/16, RFC 3056: a /48 of it would be the whole v4 address
_TEREDO: Final = b"\x20\x01\x00\x00"  # 2001::/32, RFC 4380: server and client v4 follow
_V4_BYTES: Final = 4
_LONGEST: Final = 45  # characters of the longest textual v6 address


def truncate(address: str) -> str | None:
    """The network of a bare address as CIDR text (`203.0.113.0/24`, `2001:db8:1::/48`); None for all else, also zones, ports, brackets.

    IPv4-mapped and NAT64 addresses give the /24 of the v4 address they carry; 6to4 gives `2002::/16` and Teredo `2001::/32`.
    """
    packed = _pack(address)
    if packed is None:
        return None
    return _network_v4(packed) if len(packed) == _V4_BYTES else _network_v6(packed)


def forwarded_for(header: str | None, peer: str, trusted: Sequence[IPv4Network | IPv6Network]) -> str | None:
    """The client's bare address: the rightmost hop of `X-Forwarded-For` that is no trusted proxy, if `peer` is one; else `peer`.

    Ports and brackets of hops are removed. None if that hop is no address (`unknown`, obfuscated); the leftmost hop if all are trusted.
    """
    if not trusted or not header or not _is_trusted(peer, trusted):
        return peer
    client: str | None = peer
    for hop in reversed(header.rsplit(",", MAX_HOPS)[-MAX_HOPS:]):
        client = _bare(hop)
        if client is None or not _is_trusted(client, trusted):
            break
    return client


def _pack(address: str) -> bytes | None:
    """4 bytes of a v4 address, also of one that was mapped into v6; 16 bytes of a v6 address."""
    if len(address) > _LONGEST:
        return None
    try:
        if ":" not in address:
            return inet_pton(AF_INET, address)
        packed = inet_pton(AF_INET6, address)
    except (OSError, ValueError):
        return None
    return packed[12:] if packed.startswith(_MAPPED) else packed


def _network_v4(packed: bytes) -> str:
    return f"{packed[0]}.{packed[1]}.{packed[2]}.0/24"


def _network_v6(packed: bytes) -> str:
    if packed.startswith(_SIX_TO_FOUR):
        return "2002::/16"
    if packed.startswith(_TEREDO):
        return "2001::/32"
    if packed.startswith(_NAT64):
        return _network_v4(packed[12:])
    return inet_ntop(AF_INET6, packed[:6] + bytes(10)) + "/48"


def _is_trusted(address: str, trusted: Sequence[IPv4Network | IPv6Network]) -> bool:
    packed = _pack(address)
    if packed is None:
        return False
    bits = 8 * len(packed)
    number = int.from_bytes(packed, "big")
    for network in trusted:
        if network.max_prefixlen == bits:
            host_bits = bits - network.prefixlen
            if number >> host_bits == int(network.network_address) >> host_bits:
                return True
    return False


def _bare(hop: str) -> str | None:
    """`1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]` and `[2001:db8::1]:80`, with or without quotes, without the rest."""
    hop = hop.strip(' \t"')
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    return hop if _pack(hop) is not None else None
