"""Is it a bot? The kept list of the `crawler-user-agents` package, plus the words bots use of themselves."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from typing import Final, NamedTuple

from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from ua_parser import Domain
from ua_parser.matchers import UserAgentMatcher
from ua_parser.regex import Resolver

#: HTTP libraries that the package lists as crawlers, and that server SDKs send events with.
LIBRARIES: Final = frozenset(
    {
        "^Apache-HttpClient",
        "^curl",
        "[wW]get",
        "Go-http-client",
        "Python-urllib",
        "aiohttp",
        "axios",
        "httpx",
        "libwww-perl",
        "node-fetch",
        "okhttp",
        "python-requests",
        "sindresorhus\\/got",
    }
)

_WORDS: Final = (r"(?i)(?:^|[^u])bot\b|(?:^|[^c])ubot\b", r"(?i)crawler|spider")  # but Cubot makes phones

#: A pattern that is a text, as nearly all of 1,500 are. As expressions they would take 7 MB and be found in 5 us; as texts in 30.
_TEXT: Final = re.compile(r"(?:[^\\.^$*+?()\[\]{}|]|\\[^A-Za-z0-9])+")
_HEAD: Final = 3  # characters; no text of the list is shorter


class _Crawlers(NamedTuple):
    """Texts by how they begin, and all that is more than a text."""

    texts: dict[str, list[str]]
    expressions: Resolver


def is_bot(user_agent: str) -> bool:
    """Whether the user agent names a crawler, monitor or headless browser. HTTP libraries do not count: servers use them rightly."""
    texts, expressions = _crawlers()
    heads = {user_agent[place : place + _HEAD] for place in range(len(user_agent))}
    named = any(text in user_agent for head in heads & texts.keys() for text in texts[head])
    return named or expressions(user_agent, Domain.USER_AGENT).user_agent is not None


def warm() -> None:
    """Compiles the list now rather than at the first look-up."""
    _crawlers()


@cache
def _crawlers() -> _Crawlers:
    texts: dict[str, list[str]] = defaultdict(list)
    expressions = list(_WORDS)
    for pattern in (entry["pattern"] for entry in CRAWLER_USER_AGENTS_DATA):
        if pattern in LIBRARIES:
            continue
        text = re.sub(r"\\(.)", r"\1", pattern)
        if _TEXT.fullmatch(pattern) and len(text) >= _HEAD:
            texts[text[:_HEAD]].append(text)
        else:
            expressions.append(pattern)
    return _Crawlers(dict(texts), Resolver(([UserAgentMatcher(expression, "bot") for expression in expressions], [], [])))
