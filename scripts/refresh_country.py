"""Replaces the country database that ships: checks a MaxMind-format file, copies it in and updates version and digest in its README.

    python scripts/refresh_country.py FILE.mmdb --version VERSION

FILE is `geo-whois-asn-country.mmdb` of the ip-location-db project. `NOTICE` names the version too:
change it by hand, with the licence in view.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import maxminddb

DATA: Final = Path(__file__).parent.parent / "consentryd" / "privacy" / "data"
MAX_BYTES: Final = 12 * 1024 * 1024

#: Networks whose country has not changed for decades, v4 and v6.
KNOWN: Final = {"193.0.6.0": "NL", "200.160.2.0": "BR", "133.11.0.0": "JP", "2001:67c:2e8::": "NL", "10.0.0.0": None}


def check(path: Path) -> datetime:
    """When the file was built. Raises SystemExit if it is too big, holds one protocol only, or does not know the known networks."""
    if path.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{path.name}: more than {MAX_BYTES:,} bytes")
    with maxminddb.open_database(path) as database:
        metadata = database.metadata()
        if metadata.ip_version != 6:  # noqa: PLR2004
            raise SystemExit(f"{path.name}: IPv4 only")
        for network, country in KNOWN.items():
            record = database.get(network)
            found = record.get("country_code") if isinstance(record, dict) else None
            if found != country:
                raise SystemExit(f"{path.name}: {network} is {found}, not {country}")
        return datetime.fromtimestamp(metadata.build_epoch, UTC)


def describe(path: Path, version: str, built: datetime) -> None:
    readme = DATA / "README.md"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    text = readme.read_text()
    text = re.sub(r"\| version \|.*", f"| version | {version}, built {built:%Y-%m-%dT%H:%M:%SZ} |", text)
    text = re.sub(r"\| size, SHA-256 \|.*", f"| size, SHA-256 | {path.stat().st_size:,} bytes, `{digest}` |", text)
    readme.write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--version", required=True)
    arguments = parser.parse_args()
    built = check(arguments.file)
    shutil.copyfile(arguments.file, DATA / "country.mmdb")
    describe(DATA / "country.mmdb", arguments.version, built)


if __name__ == "__main__":
    main()
