"""Write the pages that are made from the code: `make docs`."""

from pathlib import Path

from consentryd.config.reference import reference as settings_reference
from consentryd.consent.reference import reference as jurisdictions_reference
from consentryd.gateway.cli.reference import reference as command_reference
from consentryd.gateway.reference import http_api

DOCS = Path(__file__).resolve().parent.parent / "docs"

PAGES = {
    "configuration.md": settings_reference,
    "cli.md": command_reference,
    "http-api.md": http_api,
    "jurisdictions.md": jurisdictions_reference,
}

if __name__ == "__main__":
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
