from pathlib import Path

import pytest

from consentryd.consent.decision import RULES
from consentryd.consent.profile import PROFILES
from consentryd.consent.reader import CARRIED
from consentryd.consent.reference import reference
from consentryd.consent.signals.reading import Invalid

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "consent.md").read_text(encoding="utf-8")


def test_the_page_of_jurisdictions_is_up_to_date():
    assert (DOCS / "jurisdictions.md").read_text(encoding="utf-8") == reference(), "docs/jurisdictions.md is old; run `make docs`"


@pytest.mark.parametrize("word", [*Invalid, *PROFILES])
def test_every_reason_of_refusal_and_every_profile_is_documented(word):
    assert f"| `{word}` |" in PAGE


@pytest.mark.parametrize("name", CARRIED)
def test_every_name_a_signal_is_carried_by_is_documented(name):
    assert f"`{name}`" in PAGE.replace("Sec-GPC", "sec-gpc").replace("DNT", "dnt")


def test_the_figure_shows_the_rules_in_their_order():
    figure = PAGE[PAGE.index("## The order of decision") : PAGE.index("## The anonymous lane")]
    places = [figure.index(f"      {name} ") for name, _ in RULES]
    assert places == sorted(places)
    assert figure.index("      suppression ") < places[0]


@pytest.mark.parametrize("banner", ["Cookiebot", "OneTrust", "Klaro", "Osano", "Didomi"])
def test_every_banner_has_its_recipe(banner):
    assert f"## {banner}\n" in (DOCS / "consent-banners.md").read_text(encoding="utf-8")
