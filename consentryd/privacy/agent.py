"""From a user agent to device class, operating system, browser and major version. The text itself is not kept, nor cached."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Final, NamedTuple

from ua_parser import Domain
from ua_parser.loaders import load_lazy_builtins
from ua_parser.matchers import UserAgentMatcher
from ua_parser.regex import Resolver

from consentryd.privacy import bot

MAX_CHARS: Final = 1024
MAJOR_DIGITS: Final = 4
CACHED_AGENTS: Final = 4096


class Agent(NamedTuple):
    """`device` is one of desktop, mobile, tablet, tv, console, bot, server, or None; `os` and `browser` are family names of closed lists."""

    device: str | None = None
    os: str | None = None
    browser: str | None = None
    browser_major: int | None = None
    bot: bool = False


UNKNOWN_AGENT: Final = Agent()

#: The first that matches decides. Phones say "Mobile" and tablets do not, among Android's browsers.
_DEVICES: Final = (
    ("server", r"(?i)^[\w@/-]*(?:analytics|sdk|client|consentry)-(?:python|node|ruby|go|php|java|net|csharp|rust)(?:[/ ]|$)"),
    (
        "server",
        r"(?i)^(?:python-requests|python-httpx|python-urllib3?|python|aiohttp|axios|node-fetch|undici|node|deno|bun)(?:[/ ]|$)",
    ),
    ("server", r"(?i)^(?:go-http-client|curl|wget|java|apache-httpclient|libwww-perl|guzzlehttp|ruby|faraday|reqwest)(?:[/ ]|$)"),
    ("server", r"^Symfony HttpClient|sindresorhus/got"),
    ("tv", r"(?i)Smart-?TV|Apple ?TV|Google ?TV|Android ?TV|tvOS|HbbTV|Web0S|NetCast|BRAVIA|CrKey|Roku|VIDAA"),
    ("tv", r"\bAFT[A-Z]+\b|\bTV\b"),
    ("console", r"PlayStation|Xbox|Nintendo"),
    ("desktop", r"Tablet PC"),
    ("tablet", r"iPad|Tablet|Kindle|PlayBook"),
    ("mobile", r"Mobi|iPhone|iPod|Opera Mini|Windows Phone|BlackBerry|BB10|Symbian|KAIOS|^Dalvik"),
    ("mobile", r"^analytics-(?:swift|kotlin|ios|android)/"),
    ("tablet", r"Android|Silk/"),
)

_DEVICE_OF_OS: Final = {
    "iOS": "mobile",
    "Windows": "desktop",
    "Mac OS X": "desktop",
    "Mac OS": "desktop",
    "Linux": "desktop",
    "Ubuntu": "desktop",
    "Fedora": "desktop",
    "Debian": "desktop",
    "Red Hat": "desktop",
    "SUSE": "desktop",
    "Arch Linux": "desktop",
    "Linux Mint": "desktop",
    "Chrome OS": "desktop",
    "FreeBSD": "desktop",
    "OpenBSD": "desktop",
    "NetBSD": "desktop",
    "Solaris": "desktop",
}


class AgentClassifier:
    """Classifies user agents and remembers the latest results under the texts' hashes (SipHash with the process's own key)."""

    def __init__(self, cache_size: int = CACHED_AGENTS) -> None:
        self._half = max(1, cache_size // 2)
        self._young: dict[int, Agent] = {}
        self._old: dict[int, Agent] = {}

    def classify(self, user_agent: str | None) -> Agent:
        """The coarse description; `UNKNOWN_AGENT` for None and for what nobody knows. Looks at the first 1,024 characters."""
        if not user_agent:
            return UNKNOWN_AGENT
        key = hash(user_agent)
        agent = self._young.get(key)
        if agent is None:
            agent = self._old.pop(key, None) or _classify(user_agent[:MAX_CHARS])
            self._remember(key, agent)
        return agent

    def warm(self) -> None:
        """Compiles all expressions now (about 0.1 s and 18 MB) rather than in the first request."""
        bot.warm()
        _classify("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")

    def _remember(self, key: int, agent: Agent) -> None:
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[key] = agent


class _Parser(NamedTuple):
    resolve: Resolver
    browsers: frozenset[str]
    systems: frozenset[str]


@cache
def _parser() -> _Parser:
    browsers, systems, _ = load_lazy_builtins()
    # Device models are left out: they need 14 MB more and would say too much.
    return _Parser(Resolver((browsers, systems, [])), _names(browsers), _names(systems))


@cache
def _hints() -> Resolver:
    return Resolver(([UserAgentMatcher(pattern, device) for device, pattern in _DEVICES], [], []))


def _names(matchers: Iterable[object]) -> frozenset[str]:
    """The families that stand in the expressions themselves: fixed ones, and the literal alternatives of groups.

    Some expressions take the family from the user agent as it stands (`<any app> CFNetwork/...`); such names are anybody's text.
    """
    names: set[str] = set()
    for matcher in matchers:
        family = getattr(matcher, "family", None)
        names.update(() if family is None or "$" in family else (family,))
        names.update(word.replace("\\", "").strip() for word in re.split(r"[()|?^$]", getattr(matcher, "regex", "")))
    return frozenset(name for name in names if re.fullmatch(r"[A-Za-z0-9][\w .!+-]{1,40}", name))


def _classify(user_agent: str) -> Agent:
    parser = _parser()
    parsed = parser.resolve(user_agent, Domain.USER_AGENT | Domain.OS)
    browser = parsed.user_agent.family if parsed.user_agent and parsed.user_agent.family in parser.browsers else None
    system = parsed.os.family if parsed.os and parsed.os.family in parser.systems else None
    is_bot = bot.is_bot(user_agent)
    return Agent(
        device="bot" if is_bot else _device(user_agent, system),
        os=system,
        browser=browser,
        browser_major=_major(parsed.user_agent.major) if parsed.user_agent and browser else None,
        bot=is_bot,
    )


def _device(user_agent: str, system: str | None) -> str | None:
    hint = _hints()(user_agent, Domain.USER_AGENT).user_agent
    return hint.family if hint else _DEVICE_OF_OS.get(system or "")


def _major(text: str | None) -> int | None:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > MAJOR_DIGITS:
        return None
    return int(text)
