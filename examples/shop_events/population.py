"""Who visits: countries, machines, ways in, and a person as the shop's log would know one."""

from __future__ import annotations

from itertools import accumulate
from random import Random
from typing import Final, NamedTuple


class Country(NamedTuple):
    """`offset` is the hours its clocks are ahead of UTC; `networks` are first halves of addresses of large access providers there."""

    code: str
    share: int
    locale: str
    timezone: str
    offset: int
    currency: str
    opt_in: bool
    networks: tuple[str, ...]


COUNTRIES: Final = (
    Country("DE", 30, "de-DE", "Europe/Berlin", 1, "EUR", True, ("91.12", "87.128", "84.128", "79.192")),
    Country("FR", 11, "fr-FR", "Europe/Paris", 1, "EUR", True, ("90.12", "86.192", "82.64")),
    Country("NL", 7, "nl-NL", "Europe/Amsterdam", 1, "EUR", True, ("84.24", "77.160", "86.80")),
    Country("AT", 6, "de-AT", "Europe/Vienna", 1, "EUR", True, ("80.108", "62.178")),
    Country("ES", 5, "es-ES", "Europe/Madrid", 1, "EUR", True, ("83.32", "88.0")),
    Country("IT", 5, "it-IT", "Europe/Rome", 1, "EUR", True, ("79.16", "82.48")),
    Country("PL", 3, "pl-PL", "Europe/Warsaw", 1, "EUR", True, ("83.0", "79.184")),
    Country("SE", 3, "sv-SE", "Europe/Stockholm", 1, "EUR", True, ("90.224", "81.224")),
    Country("GB", 10, "en-GB", "Europe/London", 0, "GBP", True, ("86.128", "81.128", "109.144")),
    Country("CH", 4, "de-CH", "Europe/Zurich", 1, "EUR", False, ("85.0", "178.192")),
    Country("US", 11, "en-US", "America/New_York", -5, "USD", False, ("73.12", "24.16", "98.192", "174.48")),
    Country("CA", 3, "en-CA", "America/Toronto", -5, "USD", False, ("70.48", "99.224")),
    Country("JP", 2, "ja-JP", "Asia/Tokyo", 9, "USD", False, ("126.64", "126.128")),
)


class Agent(NamedTuple):
    share: int
    width: int
    height: int
    text: str


_WEBKIT: Final = "AppleWebKit/537.36 (KHTML, like Gecko)"
_IOS: Final = "AppleWebKit/605.1.15 (KHTML, like Gecko)"

AGENTS: Final = (
    Agent(24, 390, 844, f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) {_IOS} Version/18.6 Mobile/15E148 Safari/604.1"),
    Agent(5, 393, 852, f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_7 like Mac OS X) {_IOS} Version/17.7 Mobile/15E148 Safari/604.1"),
    Agent(18, 412, 915, f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} Chrome/144.0.0.0 Mobile Safari/537.36"),
    Agent(6, 360, 780, f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36"),
    Agent(17, 1920, 1080, f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/144.0.0.0 Safari/537.36"),
    Agent(6, 1536, 864, f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/143.0.0.0 Safari/537.36 Edg/143.0.0.0"),
    Agent(7, 1920, 1080, "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:147.0) Gecko/20100101 Firefox/147.0"),
    Agent(8, 1512, 982, f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_IOS} Version/18.6 Safari/605.1.15"),
    Agent(5, 1728, 1117, f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_WEBKIT} Chrome/144.0.0.0 Safari/537.36"),
    Agent(2, 1920, 1200, "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0"),
    Agent(2, 820, 1180, f"Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) {_IOS} Version/17.7 Mobile/15E148 Safari/604.1"),
)
BOT: Final = Agent(0, 0, 0, "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")


class Source(NamedTuple):
    """A way in: where the link stood, what the campaign wrote into it, and where it lands."""

    share: int
    referrer: str
    utm: str
    landing: str


SOURCES: Final = (
    Source(34, "", "", "home"),
    Source(30, "https://www.google.com/", "", "listing"),
    Source(5, "https://duckduckgo.com/", "", "listing"),
    Source(10, "https://www.google.com/", "utm_source=google&utm_medium=cpc&utm_campaign=espresso", "product"),
    Source(8, "https://l.instagram.com/", "utm_source=instagram&utm_medium=social&utm_campaign=autumn", "product"),
    Source(9, "", "utm_source=newsletter&utm_medium=email&utm_campaign=weekly", "product"),
    Source(4, "https://coffee-notes.example/best-grinders", "", "product"),
)

_AGENT_WEIGHTS: Final = tuple(accumulate(agent.share for agent in AGENTS))
_SOURCE_WEIGHTS: Final = tuple(accumulate(source.share for source in SOURCES))


class Device:
    """One browser of a person: its anonymous id, its network, the answer its banner got and whether the person is signed in on it."""

    __slots__ = ("agent", "anonymous_id", "asked", "choice", "ip", "signed_in")

    def __init__(self, random: Random, country: Country) -> None:
        text = f"{random.getrandbits(128):032x}"
        self.anonymous_id = f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"
        self.agent = random.choices(AGENTS, cum_weights=_AGENT_WEIGHTS)[0]
        # The host part is zero: the network's own address, which no household has.
        self.ip = f"{random.choice(country.networks)}.{random.randrange(256)}.0"
        self.asked = False
        self.choice = ""
        self.signed_in = False


class Person:
    __slots__ = ("cart", "country", "devices", "orders", "plan", "sessions", "user_id", "variant")

    def __init__(self, random: Random, country: Country) -> None:
        self.country = country
        self.devices = [Device(random, country)]
        self.user_id = ""
        self.variant = "B" if random.random() < 0.5 else "A"
        self.sessions = 0
        self.orders = 0
        self.cart: tuple[int, ...] = ()
        self.plan = -1


GRANT: Final = '{"purposes":{"analytics":true,"marketing":true},"notice":"2026-01"}'
STATISTICS_ONLY: Final = '{"purposes":{"analytics":true,"marketing":false},"notice":"2026-01"}'
DENIAL: Final = '{"purposes":{"analytics":false,"marketing":false},"notice":"2026-01"}'
GPC: Final = '{"gpc":true}'


def choose_consent(random: Random, country: Country) -> str:
    """What a person answers to the banner, as `context.consent`; empty for no answer. Where the law does not ask for one, few give one."""
    drawn = random.random()
    if country.opt_in:
        return GRANT if drawn < 0.46 else STATISTICS_ONLY if drawn < 0.60 else DENIAL if drawn < 0.86 else ""
    return GPC if drawn < 0.09 else GRANT if drawn < 0.15 else DENIAL if drawn < 0.17 else ""


def choose_source(random: Random) -> Source:
    return random.choices(SOURCES, cum_weights=_SOURCE_WEIGHTS)[0]
