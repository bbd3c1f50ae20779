"""The address that is printed is one that a client can ask."""

import pytest

from consentryd.gateway.address import is_everywhere, url_of


@pytest.mark.parametrize(
    ("host", "everywhere", "url"),
    [
        ("127.0.0.1", False, "http://127.0.0.1:8088"),
        ("::1", False, "http://[::1]:8088"),
        ("gateway.internal", False, "http://gateway.internal:8088"),
        ("0.0.0.0", True, "http://localhost:8088"),
        ("::", True, "http://localhost:8088"),
    ],
)
def test_what_stands_for_every_address_is_printed_as_one_that_can_be_asked(host, everywhere, url):
    assert (url_of(host, 8088), is_everywhere(host)) == (url, everywhere)
