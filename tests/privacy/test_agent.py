# ruff: noqa: E501 -- user agents and addresses as they are sent
from __future__ import annotations

import gc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentryd.privacy.agent import UNKNOWN_AGENT, Agent, AgentClassifier

DEVICES = {"desktop", "mobile", "tablet", "tv", "console", "bot", "server", None}
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.fixture(scope="module")
def agents() -> AgentClassifier:
    classifier = AgentClassifier()
    classifier.warm()
    return classifier


@pytest.mark.parametrize(
    ("user_agent", "agent"),
    [
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/126.0.0.0 Safari/537.36", Agent("desktop", "Windows", "Chrome", 126)),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/126.0.0.0 Safari/537.36 Edg/126.0", Agent("desktop", "Windows", "Edge", 126)),
        ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", Agent("desktop", "Ubuntu", "Firefox", 127)),
        (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/126.0.0.0 Safari/537.36", Agent("desktop", "Chrome OS", "Chrome", 126)),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15", Agent("desktop", "Mac OS X", "Safari", 17)),
        ("Mozilla/5.0 (Windows NT 6.1; Trident/7.0; Tablet PC 2.0; rv:11.0) like Gecko", Agent("desktop", "Windows", "IE", 11)),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1", Agent("mobile", "iOS", "Mobile Safari", 17)),
        ("Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1 Mobile/15E148 Safari/604.1", Agent("tablet", "iOS", "Mobile Safari", 12)),
        (f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/126.0.0.0 Mobile Safari/537.36", Agent("mobile", "Android", "Chrome Mobile", 126)),
        (f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36", Agent("mobile", "Android", "Samsung Internet", 25)),
        (f"Mozilla/5.0 (Linux; Android 13; SM-X700) {WEBKIT} Chrome/126.0.0.0 Safari/537.36", Agent("tablet", "Android", "Chrome", 126)),
        ("Dalvik/2.1.0 (Linux; U; Android 13; SM-G991B Build/TP1A)", Agent("mobile", "Android", "Android", 13)),
        (f"Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) {WEBKIT} SamsungBrowser/2.2 Chrome/63.0 TV Safari/537.36", Agent("tv", "Tizen", "Samsung Internet", 2)),
        (f"Mozilla/5.0 (PlayStation 5 3.11) {WEBKIT.replace('537.36', '605.1.15')} Version/13.0 Safari/605.1.15", Agent("console", None, "Safari", 13)),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", Agent("bot", None, "Googlebot", 2, bot=True)),
        ("analytics-python/2.4.0", Agent("server")),
        ("analytics-node/1.1.0", Agent("server")),
        ("rudder-sdk-node/2.0", Agent("server")),
        ("axios/1.7.2", Agent("server", None, "axios", 1)),
        ("python-requests/2.32.3", Agent("server", None, "Python Requests", 2)),
        ("node-fetch/1.0 (+https://github.com/bitinn/node-fetch)", Agent("server")),
        ("node", Agent("server")),
        ("curl/8.5.0", Agent("server", None, "curl", 8)),
        ("analytics-kotlin/1.16.0", Agent("mobile")),
        ("nodeconf attendee", Agent()),
        ("", UNKNOWN_AGENT),
        (None, UNKNOWN_AGENT),
    ],
)  # fmt: skip
def test_a_user_agent_becomes_a_class(agents: AgentClassifier, user_agent: str | None, agent: Agent) -> None:
    assert agents.classify(user_agent) == agent
    assert agents.classify(user_agent) == agent


@pytest.mark.parametrize(
    "user_agent",
    ["Janes-Diary/7.0 CFNetwork/1410.0.3 Darwin/22.6.0", "CANARY77/1.0", "CANARY77", "Mozilla/5.0 (CANARY77; CANARY77) CANARY77/5", "CANARY77 Bot/1.0", "CANARY77Crawler/3"],
)  # fmt: skip
def test_no_text_of_a_user_agent_becomes_a_family(agents: AgentClassifier, user_agent: str) -> None:
    agent = agents.classify(user_agent)
    assert not any(word in str(agent) for word in ("Jane", "Diary", "CANARY", "77"))


@settings(max_examples=200)
@given(
    st.text(max_size=200)
    | st.from_regex(
        r"(Mozilla/5\.0 \([A-Za-z0-9 ;_.]{0,40}\) )?[A-Z][a-z]{1,12}/[0-9]{1,12}(\.[0-9]{1,4}){0,3}.{0,30}", fullmatch=True
    )
)
def test_any_text_has_a_class_that_fits_the_columns(user_agent: str) -> None:
    device, _, _, major, is_bot = AgentClassifier().classify(user_agent)
    assert device in DEVICES
    assert major is None or 0 <= major <= 9999
    assert is_bot == (device == "bot")


def test_only_the_first_characters_are_looked_at(agents: AgentClassifier) -> None:
    assert not agents.classify("x" * 1024 + " Googlebot/2.1").bot
    assert agents.classify("Googlebot/2.1 " + "x" * 1_000_000).bot


def test_the_cache_is_bounded_and_holds_no_user_agent() -> None:
    classifier = AgentClassifier(cache_size=16)
    for number in range(100):
        classifier.classify(f"canary-{number}")
    held = [entry for half in (classifier._young, classifier._old) for entry in half.items()]
    assert 8 <= len(held) <= 16
    assert all(isinstance(key, int) for key, _ in held)
    assert not any(
        "canary" in str(referred) for half in (classifier._young, classifier._old) for referred in gc.get_referents(half)
    )


def test_what_is_used_stays_in_the_cache() -> None:
    classifier = AgentClassifier(cache_size=4)
    kept = classifier.classify("curl/8.5.0")
    for number in range(20):
        classifier.classify(f"other/{number}")
        assert classifier.classify("curl/8.5.0") is kept
