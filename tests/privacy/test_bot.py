# ruff: noqa: E501 -- user agents and addresses as they are sent
from __future__ import annotations

import random
import re

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from consentryd.privacy.bot import _WORDS, LIBRARIES, is_bot

INSTANCES = [(entry["pattern"], instance) for entry in CRAWLER_USER_AGENTS_DATA for instance in entry["instances"]]


def test_every_user_agent_of_the_kept_list_is_a_bot_save_the_libraries() -> None:
    missed = [instance for pattern, instance in INSTANCES if pattern not in LIBRARIES and not is_bot(instance)]
    assert len(INSTANCES) > 1000
    assert missed == []


def test_of_parts_of_these_user_agents_those_are_bots_that_a_pattern_of_the_list_fits() -> None:
    chance = random.Random(3)
    patterns = [re.compile(pattern) for pattern in {entry["pattern"] for entry in CRAWLER_USER_AGENTS_DATA} - LIBRARIES]
    patterns += [re.compile(word) for word in _WORDS]
    for _, instance in chance.sample(INSTANCES, 200):
        part = instance[chance.randrange(len(instance)) :][: chance.randrange(4, 40)]
        assert is_bot(part) == any(pattern.search(part) for pattern in patterns), part


def test_every_excluded_library_is_still_in_the_list() -> None:
    assert {entry["pattern"] for entry in CRAWLER_USER_AGENTS_DATA} >= LIBRARIES


@pytest.mark.parametrize(
    "user_agent",
    ["NewBot/1.0", "some-bot", "ROBOT", "Mozilla/5.0 (compatible; AcmeCrawler/2)", "My Spider", "python-requests/2.3 (AcmeBot)", "bot", "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/126.0.0.0"],
)  # fmt: skip
def test_what_calls_itself_a_bot_is_one(user_agent: str) -> None:
    assert is_bot(user_agent)


@pytest.mark.parametrize(
    "user_agent",
    [
        "", "Mozilla/5.0 (Linux; Android 9; CUBOT_X18) AppleWebKit/537.36 Chrome/80.0 Mobile Safari/537.36",
        "Mozilla/5.0 (Linux; Android 9; CUBOT X18) AppleWebKit/537.36 Chrome/80.0 Mobile Safari/537.36", "Robotics/1.0", "Abbott/2",
        "python-requests/2.31.0", "axios/1.7.2", "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)", "Go-http-client/2.0", "okhttp/4.12.0",
        "curl/8.5.0", "Wget/1.21.3", "aiohttp/3.9.5", "python-httpx/0.27.0", "analytics-python/2.4.0",
    ],
)  # fmt: skip
def test_people_and_servers_are_no_bots(user_agent: str) -> None:
    assert not is_bot(user_agent)
