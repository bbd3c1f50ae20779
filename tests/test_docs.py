"""What a user can meet is documented, and what is made from the code is up to date."""

from pathlib import Path

import pytest

from consentryd.config.reference import reference as settings_reference
from consentryd.gateway.cli.reference import reference as command_reference
from consentryd.gateway.endpoints import ENDPOINTS
from consentryd.model.outcome import Outcome, Reason

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize(("page", "make"), [("configuration.md", settings_reference), ("cli.md", command_reference)])
def test_generated_pages_are_up_to_date(page, make):
    assert (DOCS / page).read_text(encoding="utf-8") == make(), f"docs/{page} is old; run `make docs`"


@pytest.mark.parametrize("word", [*Outcome, *Reason])
def test_every_outcome_and_reason_is_documented(word):
    assert f"`{word.value}`" in (DOCS / "http-api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted({endpoint.path for endpoint in ENDPOINTS}))
def test_every_endpoint_is_documented(path):
    assert f"{path}`" in (DOCS / "http-api.md").read_text(encoding="utf-8")
