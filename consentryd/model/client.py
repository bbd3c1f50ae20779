"""What is kept of who called: a country and a device class, never an address or a user agent."""

from __future__ import annotations

from typing import NamedTuple


class Client(NamedTuple):
    """The coarse description of a visitor's machine. Countries are ISO 3166-1 alpha-2, subdivisions ISO 3166-2 without the country."""

    country: str | None = None
    subdivision: str | None = None
    device: str | None = None
    os: str | None = None
    browser: str | None = None
    browser_major: int | None = None
    bot: bool = False


UNKNOWN_CLIENT = Client()
