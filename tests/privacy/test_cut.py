"""Of what is too long nothing is kept that may be half a datum."""

import pytest

from consentryd.privacy.cut import READ_CHARS, beginning
from tests.privacy.test_scrub import scrubber

#: A datum of which little is left.
LONG = f"-----BEGIN PRIVATE KEY-----{'A' * 800}-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    "datum", ["anna.schmidt@example.com", "4111 1111 1111 1111", "+49 151 234 567 89", "DE89370400440532013000"]
)
@pytest.mark.parametrize("inside", range(1, 24, 2))
def test_half_a_datum_at_the_end_of_what_is_read_is_not_kept(datum: str, inside: int) -> None:
    before = f"{LONG} {'x' * (READ_CHARS - len(LONG) - 2 - inside)} "
    read = beginning(f"{before}{datum} and more")
    title = scrubber().scrub("Viewed", "shop", {"title": read}).fields["title"]
    assert title.startswith("[pem] x")
    assert datum[:4] not in title


def test_of_a_text_without_blanks_the_beginning_is_read() -> None:
    assert beginning("\u8bcd" * 2000) == "\u8bcd" * 768
    assert beginning("x" * READ_CHARS) == "x" * READ_CHARS
