# ruff: noqa: E501, RUF001 -- user agents and addresses as they are sent
from __future__ import annotations

import string
import sys
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentryd.privacy.address import MAX_HOPS, forwarded_for, truncate

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("192.0.2.7/32")]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("127.0.0.1", "127.0.0.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("2A02:8108:0096:1::1", "2a02:8108:96::/48"),
        ("::1", "::/48"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("::FFFF:cb00:714d", "203.0.113.0/24"),
        ("2002:cb00:714d:1::1", "2002::/16"),
        ("2001:0:cb00:714d:8000:63bf:3fff:fdd2", "2001::/32"),
        ("64:ff9b::203.0.113.77", "203.0.113.0/24"),
        ("64:ff9b:1:cb00:71:4d00::", "64:ff9b:1::/48"),
    ],
)
def test_an_address_becomes_its_network(address: str, network: str) -> None:
    assert truncate(address) == network


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "unknown", "203.0.113", "203.0.113.256", "203.0.113.077", "0xcb.0.113.1", "3405803853", "203.0.113.77:80", "203.0.113.77/24",
        "[2001:db8::1]", "[2001:db8::1]:443", "fe80::1%eth0", "2001:db8::1%1", "1:2:3:4:5:6:7", ":::", "２０３.0.113.77", "203.0.113.77\n",
        " 203.0.113.77", "\x00", "203.0.113.77\x00", "\ud800", "1" * 100_000, ":" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_bare_address_becomes_none(text: str) -> None:
    assert truncate(text) is None


@given(st.integers(0, 2**32 - 1))
def test_every_v4_address_lies_in_its_24_and_a_mapped_one_in_the_same(number: int) -> None:
    address = IPv4Address(number)
    network = truncate(str(address))
    assert network is not None
    assert ip_network(network).prefixlen == 24
    assert address in ip_network(network)
    assert truncate(f"::ffff:{address}") == network


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1))
def test_addresses_that_share_48_bits_are_one_network_unless_they_carry_a_v4_address(first: int, second: int) -> None:
    low = (1 << 80) - 1
    one, other = IPv6Address(first), IPv6Address((first & ~low) | (second & low))
    network = truncate(str(one))
    assert network is not None
    if one.ipv4_mapped is None and other.ipv4_mapped is None and one not in ip_network("64:ff9b::/48"):
        assert ip_network(network).prefixlen <= 48
        assert one in ip_network(network)
        assert truncate(str(other)) == network


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_no_tunnelled_v4_address_shows_more_than_its_first_24_bits(client: int, relay: int) -> None:
    v4 = IPv4Address(client)
    six_to_four = IPv6Address((0x2002 << 112) | (client << 80) | 1)
    teredo = IPv6Address((0x20010000 << 96) | (relay << 64) | (client ^ 0xFFFFFFFF))
    assert truncate(str(six_to_four)) == "2002::/16"
    assert truncate(str(teredo)) == "2001::/32"
    assert truncate(f"64:ff9b::{v4}") == truncate(str(v4))


@given(st.text(max_size=60) | st.text(string.hexdigits + ":.%[]/", max_size=60))
def test_any_text_gives_a_network_or_none(text: str) -> None:
    network = truncate(text)
    assert network is None or ip_network(network).prefixlen in {16, 24, 32, 48}


@pytest.mark.parametrize(
    ("header", "peer", "client"),
    [
        (None, "10.0.0.1", "10.0.0.1"),
        ("", "10.0.0.1", "10.0.0.1"),
        ("203.0.113.7", "198.51.100.1", "198.51.100.1"),
        ("203.0.113.7", "10.0.0.1", "203.0.113.7"),
        ("203.0.113.7", "::ffff:10.0.0.1", "203.0.113.7"),
        ("203.0.113.7", "fd12::1", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7", "10.0.0.1", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7, 192.0.2.7,10.9.9.9", "10.0.0.1", "203.0.113.7"),
        ("203.0.113.7, ::ffff:10.9.9.9", "10.0.0.1", "203.0.113.7"),
        ("10.1.1.1, 10.2.2.2", "10.0.0.1", "10.1.1.1"),
        ("203.0.113.7:4711", "10.0.0.1", "203.0.113.7"),
        ("[2001:db8::1]:4711", "10.0.0.1", "2001:db8::1"),
        ('"[2001:db8::1]"', "10.0.0.1", "2001:db8::1"),
        ("2001:db8::1", "10.0.0.1", "2001:db8::1"),
        ("203.0.113.7, unknown", "10.0.0.1", None),
        ("203.0.113.7, _hidden", "10.0.0.1", None),
        ("203.0.113.7,", "10.0.0.1", None),
        ("203.0.113.7, ", "unix:", "unix:"),
    ],
)
def test_the_rightmost_untrusted_hop_is_the_client_if_the_peer_is_trusted(
    header: str | None, peer: str, client: str | None
) -> None:
    assert forwarded_for(header, peer, TRUSTED) == client


def test_nobody_is_believed_when_nobody_is_trusted() -> None:
    assert forwarded_for("203.0.113.7", "10.0.0.1", []) == "10.0.0.1"


def test_only_the_last_hops_of_an_endless_header_are_read() -> None:
    assert forwarded_for("203.0.113.7," + ",".join(["10.0.0.1"] * MAX_HOPS), "10.0.0.1", TRUSTED) == "10.0.0.1"


@given(st.text(max_size=80) | st.text('0123456789abcdef.:,[] "', max_size=80))
def test_any_header_gives_an_address_or_none(header: str) -> None:
    client = forwarded_for(header, "10.0.0.1", TRUSTED)
    assert client is None or ip_address(client)


def test_no_address_outlives_the_call() -> None:
    address = ".".join(["198", "51", "100", str(200 + 1)])
    header = address + ", 10.0.0.1"
    held = sys.getrefcount(address), sys.getrefcount(header)
    assert truncate(address) == "198.51.100.0/24"
    assert forwarded_for(header, "10.0.0.1", TRUSTED) == address
    assert forwarded_for(header, address, TRUSTED) == address
    assert (sys.getrefcount(address), sys.getrefcount(header)) == held
