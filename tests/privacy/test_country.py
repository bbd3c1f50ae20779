from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

import pytest

from consentryd.model.error import ConfigError
from consentryd.privacy.address import truncate
from consentryd.privacy.country import UNKNOWN_PLACE, CountryDatabase

REPOSITORY = Path(__file__).parent.parent.parent
DATA = REPOSITORY / "consentryd" / "privacy" / "data"


def encode(value: Any) -> bytes:
    """MaxMind's data format, as much of it as records of places need."""
    if isinstance(value, str):
        raw = value.encode()
        assert len(raw) < 29
        return bytes([0x40 | len(raw)]) + raw
    if isinstance(value, dict):
        return bytes([0xE0 | len(value)]) + b"".join(encode(key) + encode(item) for key, item in value.items())
    if isinstance(value, list):
        return bytes([len(value), 4]) + b"".join(map(encode, value))
    assert isinstance(value, int)
    return bytes([0xC0 | 4]) + struct.pack(">I", value)


def encode_metadata(node_count: int, record_size: int, built: int) -> bytes:
    """The format fixes the width of each number: 32 bits for the node count, 64 for the time, 16 for the others."""
    numbers = {"record_size": record_size, "ip_version": 6, "binary_format_major_version": 2, "binary_format_minor_version": 0}
    short = b"".join(encode(key) + bytes([0xA0 | 2]) + struct.pack(">H", value) for key, value in numbers.items())
    time = encode("build_epoch") + bytes([8, 2]) + struct.pack(">Q", built)
    rest = encode({"node_count": node_count, "database_type": "test", "languages": [], "description": {}})
    return bytes([0xE0 | 9]) + short + time + rest[1:]


def write_database(path: Path, record: Any) -> Path:
    """A v6 database of one node: every address has this record."""
    tree = struct.pack(">I", 1 + 16)[1:] * 2
    path.write_bytes(tree + bytes(16) + encode(record) + b"\xab\xcd\xefMaxMind.com" + encode_metadata(1, 24, 1_700_000_000))
    return path


@pytest.fixture(scope="module")
def shipped() -> CountryDatabase:
    return CountryDatabase()


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("193.0.6.139", "NL"),
        ("200.160.2.3", "BR"),
        ("133.11.0.1", "JP"),
        ("81.2.69.160", "GB"),
        ("2001:67c:2e8:22::c100:68b", "NL"),
        ("8.8.8.8", "US"),
    ],
)
def test_the_shipped_database_knows_public_networks(shipped: CountryDatabase, address: str, country: str) -> None:
    assert shipped.lookup(truncate(address)) == (country, None)


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "127.0.0.1", "192.168.1.1", "169.254.1.1", "100.64.0.1", "192.0.2.1", "203.0.113.9", "0.0.0.0", "255.255.255.255",
     "::1", "::", "fe80::1", "fd00::1", "2001:db8::1", "2002:5102:45a0::1", "2001:0:5102:45a0::", "224.0.0.1"],
)  # fmt: skip
def test_networks_that_are_not_public_are_nowhere_even_if_the_database_names_a_country(address: str, tmp_path: Path) -> None:
    everywhere = CountryDatabase(write_database(tmp_path / "all.mmdb", {"country_code": "DE"}))
    assert everywhere.lookup(truncate(address)) == UNKNOWN_PLACE
    assert everywhere.lookup("8.8.8.0/24") == ("DE", None)


def test_no_network_is_nowhere(shipped: CountryDatabase) -> None:
    assert shipped.lookup(None) == UNKNOWN_PLACE


@pytest.mark.parametrize(
    ("record", "place"),
    [
        ({"country": {"iso_code": "FR"}, "subdivisions": [{"iso_code": "IDF"}, {"iso_code": "75"}]}, ("FR", "IDF")),
        ({"country": {"iso_code": "FR"}, "subdivisions": []}, ("FR", None)),
        ({"country_code": "DE", "country": "Germany"}, ("DE", None)),
        ({"country": "SE"}, ("SE", None)),
        ({"registered_country": {"iso_code": "US"}}, (None, None)),
        ({"country_code": "EU", "subdivisions": [{"iso_code": "X"}]}, (None, None)),
        ({"country_code": "ZZ"}, (None, None)),
        ({"country_code": "de"}, (None, None)),
        ({"country": {"iso_code": 7}}, (None, None)),
        ({"country": {"iso_code": "US"}, "subdivisions": [{"iso_code": "California"}]}, ("US", None)),
        ({"country": {"iso_code": "US"}, "subdivisions": ["CA"]}, ("US", None)),
        ("DE", (None, None)),
    ],
)
def test_records_of_every_vendor_are_read(record: Any, place: tuple[str | None, str | None], tmp_path: Path) -> None:
    path = write_database(tmp_path / "vendor.mmdb", record)
    assert CountryDatabase(path, city=True).lookup("8.8.8.0/24") == place
    assert CountryDatabase(path).lookup("8.8.8.0/24") == (place[0], None)


def test_a_missing_or_broken_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "broken.mmdb").write_bytes(b"not a database")
    for name in ("missing.mmdb", "broken.mmdb"):
        with pytest.raises(ConfigError, match=name):
            CountryDatabase(tmp_path / name).open()


def test_a_closed_database_opens_again(tmp_path: Path) -> None:
    database = CountryDatabase(write_database(tmp_path / "one.mmdb", {"country_code": "DE"}))
    assert database.open() == 1_700_000_000
    database.close()
    assert database.lookup("8.8.8.0/24") == ("DE", None)
    database.close()


def test_the_readme_describes_the_file_that_ships_and_the_notice_names_its_version() -> None:
    readme = (DATA / "README.md").read_text()
    assert hashlib.sha256((DATA / "country.mmdb").read_bytes()).hexdigest() in readme
    version = readme.split("| version | ")[1].split(",")[0]
    assert version in (REPOSITORY / "NOTICE").read_text()
