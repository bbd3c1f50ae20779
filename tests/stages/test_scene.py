"""What contexts tell: by parts that came before, it is what they tell when they are read anew."""

import json

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from consentryd.config.settings import Consent, Settings
from consentryd.consent.policy import Policy
from consentryd.gateway.clients import Clients
from consentryd.gateway.document import look_into
from consentryd.gateway.intake import Intake
from consentryd.gateway.pipeline import prepare
from consentryd.gateway.stages.scene import Scenes, as_json
from consentryd.gateway.stages.view import Views
from consentryd.model.client import Client
from consentryd.model.key import ApiKey, KeyKind
from consentryd.model.outcome import Reason
from consentryd.privacy.agent import AgentClassifier

NOW = 1_790_000_000_000_000
KEY = ApiKey("key_w", KeyKind.WRITE, "shop", "", None, (), 0, None)


class Countries:
    def lookup(self, network):
        return (None, None) if network is None else ("DE" if network.startswith("192.") else "US", None)


def scenes():
    policy = Policy(Consent(notices=["2026-01"]))
    return Scenes(Clients(Countries(), AgentClassifier()), policy, Views(["utm_source"], titles=True))


def passage(context=None, country="FR", at=NOW):
    return prepare(Intake(KEY, at, Client(country=country), context=context), Settings())


def told(scene):
    if isinstance(scene, Reason):
        return scene
    heard = scene.signals
    signals = (heard.readings, heard.until, heard.invalid, heard.names)
    return {**{name: getattr(scene, name) for name in scene.__slots__}, "signals": signals}


AGENTS = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "python-requests/2.32",
    "",
)
ODD = st.sampled_from([None, 0, 1, True, [], {}, [1], "x", 10**400, "\U0001f600"])
URLS = st.sampled_from(["https://shop.example/p/1?utm_source=mail", "https://shop.example/", "/cart", ""])
PAGES = st.dictionaries(st.sampled_from(["url", "path", "referrer", "title", "search"]), URLS | ODD)
PURPOSES = st.dictionaries(st.sampled_from(["analytics", "marketing"]), st.booleans() | ODD)
CONTEXTS = st.fixed_dictionaries(
    {},
    optional={
        "ip": st.sampled_from(["192.0.2.7", "198.51.100.7", "nonsense"]) | ODD,
        "userAgent": st.sampled_from(AGENTS) | ODD,
        "user_agent": st.sampled_from(AGENTS) | ODD,
        "page": PAGES | ODD,
        "campaign": st.dictionaries(st.sampled_from(["source", "name", "medium"]), st.sampled_from(["spring", "mail"]) | ODD)
        | ODD,
        "consent": st.fixed_dictionaries(
            {}, optional={"purposes": PURPOSES | ODD, "notice": st.sampled_from(["2026-01", "old"]) | ODD}
        )
        | ODD,
        "consentManagement": st.fixed_dictionaries({}, optional={"allowedConsentIds": st.just(["analytics"]) | ODD}) | ODD,
        "library": st.sampled_from([None, "x", {"name": "consentry.js"}]),
    },
)
WARM = scenes()


@settings(deadline=None)
@given(
    st.lists(CONTEXTS, min_size=1, max_size=4), st.sampled_from([None, {"userAgent": AGENTS[1]}]), st.sampled_from(["FR", "US"])
)
def test_parts_that_came_before_tell_what_the_whole_would(contexts, batch, country):
    sent = [json.dumps(context).encode() for context in contexts]
    way = passage(batch, country)
    found = WARM.of(sent, way)
    assert list(map(told, found)) == [told(scenes().of([look_into(each)], way)[0]) for each in sent]


def test_a_context_too_deep_to_be_written_is_taken_for_no_other():
    deep = orjson.loads(b"[" * 1020 + b"]" * 1020)
    assert as_json({"a": deep}) != as_json({"b": deep})


def test_on_the_next_page_only_the_page_is_read(monkeypatch):
    met = scenes()
    policy, asked = met._policy, []
    monkeypatch.setattr(policy, "read", lambda *parts: asked.append(parts) or Policy.read(policy, *parts))
    bodies = [
        b'{"consent":{"purposes":{"analytics":true}},"page":{"url":"https://shop.example/p/%d"}}' % page for page in range(5)
    ]
    found = met.of(bodies, passage())
    assert [scene.setting[0].page.path for scene in found] == [f"/p/{page}" for page in range(5)]
    assert len(asked) == 1


def test_a_visit_holds_no_longer_than_its_signals():
    met = scenes()
    first, second = (b'{"consent":{"purposes":{"analytics":true}},"page":{"url":"/%d"}}' % page for page in range(2))
    (scene,) = met.of([first], passage())
    (later,) = met.of([second], passage(at=scene.until))
    assert (scene.since, later.since) == (NOW, scene.until)


def test_forgotten_is_also_what_parts_told():
    met = scenes()
    met.of([b'{"page":{"url":"/a","title":"Anna"},"campaign":{"name":"spring"}}'], passage())
    met.forget()
    assert [met._known, met._visits, met._pages] == [{}, {}, {}]
