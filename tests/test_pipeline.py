"""Raw events through the whole house, over real stores: one outcome each, one short case for every reason."""

import asyncio
import contextlib
import json
from unittest.mock import AsyncMock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consentryd.config.settings import PiiRule, Privacy, Region, Settings, Site, Storage
from consentryd.gateway.compose import House, open_stores
from consentryd.gateway.intake import Intake
from consentryd.gateway.protocols.segment import parse, read_envelope
from consentryd.gateway.results import encode_results
from consentryd.gateway.stages.consent import Consent
from consentryd.gateway.stages.place import Place
from consentryd.gateway.stages.scrub import Scrub
from consentryd.gateway.stages.validate import Validate
from consentryd.model.client import Client
from consentryd.model.clock import DAY, MINUTE, ManualClock
from consentryd.model.error import Misdirected, Unavailable
from consentryd.model.event import POSITION
from consentryd.model.key import ApiKey, KeyKind
from consentryd.model.outcome import OUTCOME_OF, Outcome, Reason, Verdict
from consentryd.privacy.identifier import Identifiers
from consentryd.storage import block
from consentryd.storage.database import open_database

NOW = 1_795_291_200_000_000
KEY = ApiKey("k", KeyKind.WRITE, "shop", "", None, (), 0, None)
GRANT = {"consent": {"purposes": {"analytics": True}}}
GERMAN = Client(country="DE", device="mobile", os="Android", browser="Chrome", browser_major=120)


class Front:
    """A house and its door: give it wire events, get verdicts and stored rows."""

    def __init__(self, house):
        self.house = house

    async def send(self, *items, client=GERMAN, key=KEY, **intake):
        envelope = read_envelope(parse(json.dumps({"batch": items}).encode()), None, 1000)
        results = await self.house.collector.collect(Intake(key, self.house.clock.now(), client, **intake), envelope.events)
        return [result.reason or result.outcome for result in results]

    def rows(self, region="eu"):
        connection = open_database(self.house.stores[region].root / "region.db", "region", readonly=True)
        columns = [block.decode(body) for (body,) in connection.execute("SELECT body FROM log ORDER BY seq")]
        connection.close()
        return [dict(zip(POSITION, row, strict=True)) for each in columns for row in zip(*each, strict=True)]


@contextlib.contextmanager
def opened(path, served=None, **sections):
    conf = Settings(storage=Storage(data_dir=path, min_free_bytes=0), **sections)
    clock = ManualClock(NOW)
    stores = open_stores(conf, served, clock)
    try:
        with contextlib.closing(House(conf, stores, clock)) as house:
            yield Front(house)
    finally:
        for store in stores.values():
            store.close()


@pytest.fixture
def front(tmp_path):
    with opened(tmp_path) as front:
        yield front


def track(**fields):
    return {"type": "track", "event": "Bought", "userId": "u-1", "messageId": "m-1", "context": GRANT, **fields}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (track(), Outcome.STORED),
        (track(type="page", context={}), Outcome.ANONYMOUS),
        (track(type="bogus"), Reason.INVALID_TYPE),
        (track(event=""), Reason.INVALID_EVENT),
        ("not an object", Reason.INVALID_EVENT),
        (track(userId="undefined"), Reason.INVALID_ID),
        (track(userId=None), Reason.MISSING_IDENTITY),
        (track(type="alias"), Reason.MISSING_IDENTITY),
        (track(properties=[1]), Reason.INVALID_PROPERTIES),
        (track(properties="x"), Reason.INVALID_PROPERTIES),
        (track(properties=[]), Outcome.STORED),  # PHP's empty object
        (track(properties={"text": "x" * 40_000}), Reason.TOO_LARGE),
        (track(properties=json.loads('{"a":' * 20 + "1" + "}" * 20)), Reason.TOO_DEEP),
        (track(properties=json.loads('{"a":' * 400 + "1" + "}" * 400)), Reason.TOO_DEEP),
        (track(traits={"a": json.loads("[" * 400 + "]" * 400)}), Reason.TOO_DEEP),
        (track(timestamp="soon"), Reason.INVALID_TIME),
        (track(timestamp="1999-01-01T00:00:00Z"), Reason.TOO_OLD),
        (track(timestamp="2039-01-01T00:00:00Z"), Reason.IN_FUTURE),
        (track(context={"consent": {"purposes": {"analytics": False}}}), Reason.CONSENT_DENIED),
        (track(context={"consent": {"purposes": "yes"}}), Reason.CONSENT_INVALID),
        (track(context={}), Reason.NOT_ALLOWED_ANONYMOUSLY),
    ],
)
async def test_each_event_has_its_fate(front, item, expected):
    assert await front.send(item) == [expected]
    assert len(front.rows()) == (expected in (Outcome.STORED, Outcome.ANONYMOUS))


async def test_bots_are_dropped_flagged_or_kept_as_set(tmp_path):
    bot = GERMAN._replace(bot=True)
    for number, (setting, expected) in enumerate([("drop", Reason.BOT), ("flag", Outcome.STORED), ("keep", Outcome.STORED)]):
        with opened(tmp_path / str(number), privacy=Privacy(bots=setting)) as front:
            assert await front.send(track(), client=bot) == [expected]
            stored = front.rows()
            assert [row["properties"] for row in stored] == {"drop": [], "flag": ['{"$flags":["bot"]}'], "keep": [None]}[setting]


async def test_a_lane_that_is_off_drops_what_has_no_grant(tmp_path):
    with opened(tmp_path, site=Site(anonymous_lane="off")) as front:
        assert await front.send(track(type="page", context={})) == [Reason.NO_CONSENT]


async def test_the_tracking_plan_rejects_or_flags(tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"Bought": {"required": ["price"], "properties": {"price": {"type": "number"}}}}))
    for mode, expected in (("reject", Reason.PLAN_VIOLATION), ("flag", Outcome.STORED), ("off", Outcome.STORED)):
        with opened(tmp_path / mode, sites={"shop": Site(tracking_plan=plan, tracking_plan_mode=mode)}) as front:
            assert await front.send(track()) == [expected]
            assert await front.send(track(messageId="m-2", properties={"price": 1})) == [Outcome.STORED]
            assert await front.send(track(messageId="m-3", event="Unplanned")) == [Outcome.STORED]


@pytest.mark.parametrize("size", [0, 10**7], ids=["at once", "in turns"])
async def test_of_many_events_the_one_that_breaks_the_plan_is_told(tmp_path, size):
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"Bought": {"required": ["price"]}}))
    with opened(tmp_path, sites={"shop": Site(tracking_plan=plan, tracking_plan_mode="reject")}) as front:
        items = [
            track(messageId=f"m-{n}", properties={} if n == 150 else {"price": 1, "note": "word " * 400}) for n in range(300)
        ]
        events = read_envelope(parse(json.dumps(items).encode()), None, 300).events
        results = await front.house.collector.collect(Intake(KEY, NOW, GERMAN, size=size), events)
        assert [n for n, result in enumerate(results) if result.violation] == [150]
        assert [n for n, result in enumerate(results) if result.reason is Reason.PLAN_VIOLATION] == [150]
        await front.house.stores["eu"].log.append(())
        (letter,) = await front.house.stores["eu"].newest_rejected(10, "shop")
        assert json.loads(letter.event)["violation"] == {"pointer": "/price", "keyword": "required"}


@pytest.mark.parametrize("ids", [{}, {"userId": "null"}], ids=["stored", "refused"])
@pytest.mark.parametrize(("words", "turns"), [(20, 1), (4000, 5), (6000, 8)])
async def test_other_requests_have_their_turn_while_a_large_body_is_looked_at(front, monkeypatch, words, turns, ids):
    others = 0

    async def other():
        nonlocal others
        while True:
            await asyncio.sleep(0)
            others += 1

    seen = []
    scrubber = front.house.scrubbers["eu"]
    scrub = scrubber.scrub
    monkeypatch.setattr(scrubber, "scrub", lambda *given: seen.append(others) or scrub(*given))
    beside = asyncio.create_task(other())
    await asyncio.sleep(0)
    items = [track(messageId=f"m-{n}", properties={"note": "word " * words}, **ids) for n in range(30)]
    body = json.dumps(items).encode()
    raws = read_envelope(parse(body), None, 30).events
    results = await front.house.collector.collect(Intake(KEY, NOW, GERMAN, size=len(body)), raws)
    beside.cancel()
    assert {result.outcome for result in results} == {Outcome.REJECTED if ids else Outcome.STORED}
    assert (len(seen), len(set(seen))) == (30, turns)


async def test_what_a_page_says_as_its_event_is_not_remembered(front):
    validate = front.house.pipeline.stages[0].__self__
    pages = [track(messageId=f"m-{n}", type="page", event=str(n) * 1000) for n in range(3)]
    assert await front.send(*pages) == [Outcome.STORED] * 3
    assert await front.send(track(messageId="m-4", type="page", event="x")) == [Outcome.STORED]
    assert list(validate._names) == [("page", "x")]


async def test_where_the_plan_is_broken_is_told_of_a_hundred_events_of_a_request(tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"Bought": {"required": ["price"]}}))
    with opened(tmp_path, sites={"shop": Site(tracking_plan=plan, tracking_plan_mode="reject")}) as front:
        items = [track(messageId=f"m-{n}", properties={}) for n in range(300)]
        events = read_envelope(parse(json.dumps(items).encode()), None, 300).events
        results = await front.house.collector.collect(Intake(KEY, NOW, GERMAN), events)
        assert {result.reason for result in results} == {Reason.PLAN_VIOLATION}
        assert [n for n, result in enumerate(results) if result.violation] == list(range(100))


async def test_where_an_event_breaks_the_plan_is_told_in_the_plans_own_names(tmp_path):
    plan = tmp_path / "plan.json"
    item = {"properties": {"sku": {"pattern": "^A"}, "a/b": {"const": 1}}}
    schema = {"required": ["price"], "properties": {"price": {"type": "number"}, "items": {"items": item}}, "maxProperties": 2}
    plan.write_text(json.dumps({"Bought": {**schema, "patternProperties": {"@": {"type": "string"}}}}))
    with opened(tmp_path, sites={"shop": Site(tracking_plan=plan, tracking_plan_mode="reject")}) as front:
        wrong = [
            ({}, ("/price", "required")),
            ({"price": "S3CRET"}, ("/price", "type")),
            ({"price": 1, "items": [{"sku": "A"}, {"sku": "S3CRET"}]}, ("/items/1/sku", "pattern")),
            ({"price": 1, "items": [{"a/b": 2}]}, ("/items/0/a~1b", "const")),
            ({"price": 1, "jo@example.org": 1}, ("/*", "type")),
            ({"price": 1, "a": 1, "b": 1}, ("", "maxProperties")),
        ]
        items = [track(messageId="fits", properties={"price": 1}), *(track(properties=told) for told, _ in wrong)]
        events = read_envelope(parse(json.dumps(items).encode()), None, 10).events
        results = await front.house.collector.collect(Intake(KEY, NOW, GERMAN), events)
        assert [result.violation for result in results] == [None, *(violation for _, violation in wrong)]
        answer = json.loads(encode_results(results, verbose=False))
        assert answer["results"][1]["violation"] == {"pointer": "/price", "keyword": "type"}
        await front.send(track(messageId="m-9", properties={"price": 1}))
        letters = await front.house.stores["eu"].newest_rejected(10, "shop")
        assert [json.loads(letter.event)["violation"] for letter in letters] == [
            {"pointer": pointer, "keyword": keyword} for _, (pointer, keyword) in wrong
        ]
        assert "S3CRET" not in str(answer) + str(letters)


async def test_an_opt_out_signal_stops_what_it_covers(front):
    context = {"consent": {"purposes": {"analytics": True, "advertising": True}}}
    verdicts = await front.send(track(context=context), signals={"sec-gpc": "1"}, client=Client(country="US"))
    assert verdicts[0] in (Outcome.STORED, Reason.OPTED_OUT)


async def test_an_object_beyond_all_numbers_costs_its_own_event_only(front):
    batch = json.dumps({"batch": [track(properties={"a": 1}), track(messageId="m-2")]})
    events = read_envelope(parse(batch.replace('"a": 1', '"a": 1e999').encode()), None, 10).events
    results = await front.house.collector.collect(Intake(KEY, front.house.clock.now(), GERMAN), events)
    assert [result.reason or result.outcome for result in results] == [Reason.INVALID_PROPERTIES, Outcome.STORED]


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ('{"type": "track", "event": "x", "userId": 1e400}', Reason.INVALID_ID),
        ('{"type": "track", "event": "x", "userId": "u", "messageId": -1e400}', Reason.INVALID_ID),
        ('{"type": "track", "event": "x", "userId": "u", "timestamp": 1e400}', Reason.INVALID_TIME),
        ('{"type": "track", "event": 1e400, "userId": "u"}', Reason.INVALID_EVENT),
        ('{"type": 1e400, "event": "x", "userId": "u"}', Reason.INVALID_TYPE),
        ('{"type": "track", "event": "\\ud83d", "userId": "u", "traits": {"a": [1e400]}}', Reason.INVALID_PROPERTIES),
        ('{"type": "track", "event": "x", "userId": "u", "context": {"consent": {"at": 1e400}}}', Reason.INVALID_PROPERTIES),
        ('{"type": "page", "userId": "u", "name": 1e400}', Reason.INVALID_PROPERTIES),
        ('{"type": "screen", "userId": "u", "category": -1e400, "properties": {"a": 1}}', Reason.INVALID_PROPERTIES),
        ('{"type": "identify", "userId": "u", "context": {"traits": {"a": 1e400}}}', Reason.INVALID_PROPERTIES),
        ("1e400", Reason.INVALID_EVENT),
        ("[1e400]", Reason.INVALID_EVENT),
    ],
)
@pytest.mark.parametrize("body", ['{"batch": [%s, %s], "sentAt": 1e400}', "[%s, %s]"])
async def test_a_number_beyond_all_bounds_costs_its_own_event_only(front, body, broken, expected):
    whole = json.dumps(track(properties={"n": 1}, timestamp=NOW // 1000))
    events = read_envelope(parse((body % (broken, whole)).encode()), None, 10).events
    results = await front.house.collector.collect(Intake(KEY, NOW, GERMAN), events)
    assert [result.reason or result.outcome for result in results] == [expected, Outcome.STORED]


async def test_a_number_beyond_all_bounds_in_a_single_event_is_refused_as_its_own(front):
    for name, expected in (("timestamp", Reason.INVALID_TIME), ("userId", Reason.INVALID_ID), ("messageId", Reason.INVALID_ID)):
        body = json.dumps({**track(), name: 1}).replace(f'"{name}": 1', f'"{name}": 1e400').encode()
        events = read_envelope(parse(body), "track", 10).events
        results = await front.house.collector.collect(Intake(KEY, NOW, GERMAN), events)
        assert [result.reason for result in results] == [expected]


async def test_equal_contexts_are_judged_by_their_own_requests_and_in_their_own_time(front):
    given = track(context={"consent": {"purposes": {"analytics": True}, "at": NOW // 1000}})
    assert await front.send(given) == await front.send({**given, "messageId": "m-2"}) == [Outcome.STORED]
    assert await front.send({**given, "messageId": "m-3"}, signals={"us_privacy": "x"}) == [Reason.CONSENT_INVALID]
    assert await front.send({**given, "messageId": "m-4"}, client=Client(country="FR")) == [Outcome.STORED]
    assert await front.send({**given, "messageId": "m-5"}) == [Outcome.STORED]
    assert [row["country"] for row in front.rows()] == ["DE", "DE", "FR", "DE"]
    front.house.clock.advance(front.house.settings.consent.max_age_days * DAY + MINUTE)
    assert await front.send({**given, "messageId": "m-6"}) == [Reason.CONSENT_INVALID]
    front.house.clock.advance(-1000 * DAY)
    assert await front.send({**given, "messageId": "m-7"}) == [Reason.CONSENT_INVALID]  # chosen in the future


async def test_a_batchs_context_lies_under_each_events_own(front):
    lying_under = {"consent": {"purposes": {"analytics": True}}, "page": {"url": "https://shop.example/batch"}}
    own = {"page": {"url": "https://shop.example/own"}}
    events = [track(context=own), track(messageId="m-2", context=None), track(messageId="m-3", context={"consent": None})]
    assert await front.send(*events, context=lying_under) == [Outcome.STORED, Outcome.STORED, Reason.NOT_ALLOWED_ANONYMOUSLY]
    assert await front.send(track(messageId="m-4", context=own)) == [Reason.NOT_ALLOWED_ANONYMOUSLY]
    assert [row["path"] for row in front.rows()] == ["/own", "/batch"]


@pytest.mark.parametrize("own", [None, {}, {"purposes": {"analytics": True}}, {"gpc": False}])
@pytest.mark.parametrize(
    ("lying_under", "reason"),
    [
        ({"consent": {"purposes": {"analytics": False}}}, Reason.CONSENT_DENIED),
        ({"consentManagement": {"deniedConsentIds": ["analytics"]}}, Reason.CONSENT_DENIED),
        ({"consent": {"tcf": "C"}}, Reason.CONSENT_INVALID),
    ],
)
async def test_what_a_batchs_context_refuses_no_event_of_it_grants(front, own, lying_under, reason):
    event = track(context={"consent": own, "consentManagement": {"allowedConsentIds": ["analytics"]}})
    assert await front.send(event, context=lying_under, client=Client(country="JP")) == [reason]


@pytest.mark.parametrize("lying_under", ['{"consent": {"purposes": {"analytics": false}}, "n": 1e400}', "[1]", '"x"'])
async def test_no_event_is_stored_of_a_batch_whose_context_cannot_be_read(front, lying_under):
    american = {"ip": "8.8.8.8", "userAgent": "Mozilla/5.0"}
    events = [track(context=own, messageId=f"m-{place}") for place, own in enumerate((american, {**american, **GRANT}, {}, None))]
    envelope = read_envelope(
        parse(b'{"batch": %s, "context": %s}' % (json.dumps(events).encode(), lying_under.encode())), None, 10
    )
    results = await front.house.collector.collect(Intake(KEY, NOW, GERMAN, context=envelope.context), envelope.events)
    assert [result.reason for result in results] == [Reason.INVALID_PROPERTIES] * len(events)


@pytest.mark.parametrize("levels", [300, 900])
async def test_a_batchs_context_may_be_as_deep_as_an_events_own(front, levels):
    assert await front.send(track(), context={**GRANT, "deep": json.loads("[" * levels + "]" * levels)}) == [Outcome.STORED]


async def test_another_regions_events_are_refused_whole_or_one_by_one(tmp_path):
    regions = {"eu": Region(countries=["*"]), "us": Region(countries=["US"], endpoint="https://us.example")}
    with opened(tmp_path, served=["eu"], regions=regions) as front:
        with pytest.raises(Misdirected) as refusal:
            await front.send(track(), client=Client(country="US"))
        assert refusal.value.detail == {"region": "us", "endpoint": "https://us.example"}
        american = {"context": {**GRANT, "ip": "8.8.8.8", "userAgent": "Mozilla/5.0"}}
        assert await front.send(track(), track(messageId="m-2", **american)) == [Outcome.STORED, Reason.WRONG_REGION]


@pytest.mark.parametrize("declared", [{"key": KEY._replace(region="us")}, {"region": "US"}], ids=["by the key", "by the sender"])
async def test_what_is_refused_leaves_its_letter_in_the_region_that_was_declared(front, declared):
    stores = front.house.stores
    await front.send(track(userId="null"), track(), **declared)
    for number, where in enumerate((declared, {})):  # the next commit in each region
        await front.send(track(messageId=f"n-{number}", userId=f"n-{number}"), **where)
    assert [letter.reason for letter in await stores["us"].newest_rejected(10, "shop")] == [Reason.INVALID_ID]
    assert await stores["eu"].newest_rejected(10, "shop") == []


async def test_what_is_refused_of_a_region_that_is_not_served_leaves_no_letter(tmp_path):
    with opened(tmp_path, served=["eu"]) as front:
        assert await front.send(track(userId="null"), key=KEY._replace(region="us")) == [Reason.INVALID_ID]
        await front.send(track())
        assert await front.house.stores["eu"].newest_rejected(10, "shop") == []


async def test_a_batch_is_answered_event_by_event_and_nothing_is_stored_twice(front):
    batch = [track(), track(), track(messageId="m-2"), track(messageId="m-3", event="")]
    assert await front.send(*batch) == [Outcome.STORED, Outcome.DUPLICATE, Outcome.STORED, Reason.INVALID_EVENT]
    assert await front.send(*batch) == [Outcome.DUPLICATE, Outcome.DUPLICATE, Outcome.DUPLICATE, Reason.INVALID_EVENT]
    assert len(front.rows()) == 2


@pytest.mark.parametrize("placeholder", ["undefined", "null", "[object Object]", "0", 0, "{{message_id}}"])
async def test_events_and_sessions_that_share_a_placeholder_have_nothing_in_common(front, placeholder):
    events = [track(userId=user, messageId=placeholder, sessionId=placeholder) for user in ("u-1", "u-2")]
    assert await front.send(*events) == [Outcome.STORED, Outcome.STORED]
    assert len({row["event_id"] for row in front.rows()}) == 2
    assert [row["session"] for row in front.rows()] == [None, None]


async def test_a_result_names_the_event_by_its_senders_id_or_else_by_ours(front):
    items = [track(messageId=None), track(messageId="m-2"), track(messageId=3), track(messageId=None, type="page", context={})]
    events = read_envelope(parse(json.dumps(items).encode()), None, 10).events
    results = await front.house.collector.collect(Intake(KEY, NOW, GERMAN), events)
    first, second, third, fourth = front.rows()
    assert [result.id for result in results] == [first["event_id"], "m-2", "3", None]
    assert (second["event_id"], third["event_id"], fourth["lane"]) == ("m-2", "3", "anonymous")


async def test_a_number_as_an_id_names_its_event_whatever_becomes_of_it(front):
    items = [track(messageId=4, type="page", context={}), track(messageId=5, userId="null"), track(messageId=True)]
    events = read_envelope(parse(json.dumps(items).encode()), None, 10).events
    results = await front.house.collector.collect(Intake(KEY, NOW, GERMAN), events)
    assert [(result.id, result.reason or result.outcome) for result in results] == [
        ("4", Outcome.ANONYMOUS),
        ("5", Reason.INVALID_ID),
        (None, Reason.INVALID_ID),
    ]


async def test_a_store_that_fails_is_a_503_and_a_region_that_fails_alone_is_a_retry(front):
    await asyncio.to_thread(front.house.stores["us"].log.close)
    american = track(userId="u-2", messageId="m-2", context={**GRANT, "ip": "8.8.8.8", "userAgent": "Mozilla/5.0"})
    assert await front.send(track(), american) == [Outcome.STORED, Reason.UNAVAILABLE]
    with pytest.raises(Unavailable):
        await front.send(american)


async def test_a_batch_that_is_sent_again_whole_is_stored_once_and_its_refused_events_are_shown_once(front, monkeypatch):
    american = track(userId="u-2", messageId="m-2", context={**GRANT, "ip": "8.8.8.8", "userAgent": "Mozilla/5.0"})
    events = [track(), american, track(messageId="m-3", userId="null")]
    with monkeypatch.context() as patch:
        patch.setattr(front.house.stores["us"].log, "append", AsyncMock(side_effect=Unavailable("store_unavailable", "No.")))
        assert await front.send(*events) == [Outcome.STORED, Reason.UNAVAILABLE, Reason.INVALID_ID]
    assert await front.send(*events) == [Outcome.DUPLICATE, Outcome.STORED, Reason.INVALID_ID]
    await front.house.stores["eu"].log.append(())
    assert [letter.reason for letter in await front.house.stores["eu"].newest_rejected(10, "shop")] == [Reason.INVALID_ID]


async def test_a_consented_row_is_coarse_and_complete(front):
    page = {
        "url": "https://u:p@Shop.example/cart/?utm_source=mail&token=secret#top",
        "referrer": "https://www.google.com/search?q=x",
        "title": "Cart",
    }
    await front.send(
        track(
            context={
                **GRANT,
                "page": page,
                "campaign": {"medium": "cpc"},
                "ip": "84.128.0.9",
                "userAgent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0",
            },
            sessionId="s-1",
            properties={"revenue": "12.5", "currency": "eur", "plan": "pro"},
            timestamp="2026-11-21T19:59:00Z",
        )
    )
    (row,) = front.rows()
    assert row.pop("consent_ref")
    assert isinstance(row.pop("subject"), int)
    assert isinstance(row.pop("session"), int)
    assert json.loads(row.pop("properties")) == {"revenue": "12.5", "currency": "eur", "plan": "pro"}
    assert row == {
        "event_id": "m-1", "site": "shop", "type": "track", "event": "Bought", "time": NOW - 60_000_000, "received_at": NOW,
        "lane": "consented", "purpose": "analytics", "visitor": None, "country": "DE", "subdivision": None, "device": "desktop",
        "os": "Linux", "browser": "Firefox", "browser_major": 130, "host": "shop.example", "path": "/cart/", "title": "Cart",
        "referrer_host": "www.google.com", "utm_source": "mail", "utm_medium": "cpc", "utm_campaign": None, "utm_term": None,
        "utm_content": None, "revenue": "12.5000", "currency": "EUR", "redactions": None, "schema_version": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (None, ("shop.example", "/cart", "news.example", "Cart", "mail")),
        ({}, ("shop.example", "/cart", "news.example", "Cart", "mail")),
        ({"title": "Basket"}, ("shop.example", "/cart", "news.example", "Basket", "mail")),
        ({"path": "/cart", "referrer": "https://web.example/"}, ("shop.example", "/cart", "web.example", "Cart", "mail")),
        ({"url": "https://other.example/x"}, ("other.example", "/x", None, None, None)),
    ],
)
async def test_what_a_context_does_not_say_of_a_page_its_properties_do(front, page, expected):
    told = {"url": "https://shop.example/cart?utm_source=mail", "referrer": "https://news.example/a", "title": "Cart"}
    context = GRANT if page is None else {**GRANT, "page": page}
    await front.send(track(type="page", properties=told, context=context))
    (row,) = front.rows()
    assert (row["host"], row["path"], row["referrer_host"], row["title"], row["utm_source"]) == expected


async def test_what_is_too_long_is_cut_only_once_it_was_scrubbed(front):
    def page(before):
        return {
            **GRANT,
            "page": {"url": "https://shop.example/", "title": f"{'x ' * (before // 2)}anna.smith@example.com {'y' * 400}"},
            "campaign": {"source": f"{'x ' * ((before - 45) // 2)}4111111111111111 {'y' * 400}"},
        }

    await front.send(*(track(type="page", messageId=f"m-{before}", context=page(before)) for before in range(270, 300, 2)))
    for row in front.rows():
        assert "[email]" in row["title"] or len(row["title"]) == 300
        assert "anna" not in row["title"]
        assert "4111" not in row["utm_source"]
        assert len(row["title"]) <= 306
        assert len(row["utm_source"]) <= 260


async def test_lines_in_a_path_are_parted_as_they_were(front):
    page = {"url": "https://shop.example/search/Anna%0A4111%201111%201111%201111%0Ab/tel%09%2B4915123456789"}
    await front.send(track(type="page", context={**GRANT, "page": page}))
    assert [row["path"] for row in front.rows()] == ["/search/Anna [card] b/tel [phone]"]


async def test_in_the_anonymous_lane_too_a_campaign_is_cut_only_once_it_was_scrubbed(front):
    context = {"page": {"url": "https://shop.example/"}, "campaign": {"source": f"{'x ' * 125}anna.smith@example.com"}}
    await front.send(track(type="page", context=context))
    assert [row["utm_source"] for row in front.rows()] == [f"{'x ' * 125}[email]"]


async def test_an_anonymous_row_has_no_id_no_minute_and_no_property(front):
    page = {"url": "https://shop.example/cart?utm_source=mail&utm_term=x", "title": "Cart of Ann"}
    await front.send(
        track(type="page", context={"page": page}, sessionId="s", properties={"secret": 1}, timestamp="2026-11-21T19:59:59Z")
    )
    (row,) = front.rows()
    kept = {name: value for name, value in row.items() if value is not None}
    assert kept.pop("event_id") != "m-1"
    assert kept.pop("consent_ref")
    hour = 3_600_000_000
    assert kept == {
        "site": "shop", "type": "page", "event": "page_viewed", "time": NOW - hour, "received_at": NOW, "lane": "anonymous",
        "purpose": "analytics", "country": "DE", "device": "mobile", "os": "Android", "browser": "Chrome", "browser_major": 120,
        "host": "shop.example", "path": "/cart", "utm_source": "mail", "schema_version": 1,
    }  # fmt: skip


OWN = "jdoe|42"  # as Auth0 writes ids


async def test_the_ids_of_an_event_are_taken_out_wherever_they_stand(front):
    page = {
        "url": "https://jdoe42.shop.example/files/jdoe42?utm_source=jdoe42",
        "title": "Profile of jdoe42",
        "referrer": "https://anon-77.example/",
    }
    await front.send(
        track(
            event="Profile of jdoe42", userId="jdoe42", anonymousId="anon-77", messageId="jdoe42-1", context={**GRANT, "page": page},
            properties={
                "key": "jdoe42", "user_id": "jdoe42", "note": "hello jdoe42, jdoe421", "list": [{"jdoe42": 1}, "anon-77"], "n": 42,
                "avatar": "https://cdn.example/avatar_jdoe42.png?v=1",
            },
        ),
        track(userId=OWN, messageId="m-2", properties={"url": "https://a.example/?q=jdoe%7C42", "quoted": OWN}),
        track(type="alias", userId="jdoe42", previousId="anon-88", messageId="m-3", properties={"from": "anon-88", "to": "x anon-88"}),
        track(type="identify", userId="12345", messageId="m-4", traits={"id": "12345", "number": 12345, "amount": 1234.5}),
        track(type="identify", userId="u-1", messageId="m-5", traits={"size": "u-1"}),
    )  # fmt: skip
    row, escaped, alias, identify, short = front.rows()
    token = json.loads(row["properties"])["user_id"]
    assert token.startswith("[user_id:")
    assert json.loads(row["properties"]) == {
        "key": token, "user_id": token, "note": "hello [user_id], jdoe421", "n": 42,
        "list": [{"[user_id]": 1}, json.loads(row["properties"])["list"][1]], "avatar": "https://cdn.example/avatar_[user_id].png?v=1",
    }  # fmt: skip
    assert row["event_id"] == f"{token}-1"
    assert [row[name] for name in ("event", "title", "path", "host", "referrer_host", "utm_source")] == [
        "Profile of [user_id]", "Profile of [user_id]", "/files/[user_id]", "[user_id].shop.example", "[user_id].example", "[user_id]",
    ]  # fmt: skip
    assert {"path": "properties.key", "rule": "user_id", "action": "hash"} in json.loads(row["redactions"])
    assert {"path": "title", "rule": "user_id", "action": "type"} in json.loads(row["redactions"])
    assert "jdoe" not in escaped["properties"]
    assert "anon-88" not in alias["properties"]
    assert json.loads(identify["properties"]) | {"id": None, "number": None} == {"id": None, "number": None, "amount": 1234.5}
    assert "12345" not in identify["properties"]
    assert json.loads(short["properties"]) == {"size": "u-1"}  # too short to be told from other values


async def test_an_id_with_a_blank_is_taken_out_of_urls_however_these_write_blanks(front):
    properties = {"link": "https://a.example/?q=ref+4711+b", "other": "https://a.example/?q=ref%204711%20b"}
    await front.send(track(userId="ref 4711 b", properties=properties))
    assert set(json.loads(front.rows()[0]["properties"]).values()) == {"https://a.example/?q=[user_id]"}


def test_an_id_that_no_json_holds_is_no_error():
    assert not Identifiers(["\ud800 half"]).stand_in({"title": "whole"}, b"{}")


async def test_no_token_of_an_id_is_in_the_anonymous_lane(front):
    page = {"url": "https://shop.example/jdoe42/x?utm_source=jdoe42"}
    await front.send(track(type="page", userId="jdoe42", context={"page": page}))
    (row,) = front.rows()
    assert (row["path"], row["utm_source"]) == ("/[user_id]/x", "[user_id]")


async def test_money_is_what_scrubbing_left(tmp_path):
    rule, allowed = PiiRule(key="revenue", action="drop"), {"shop": {"Allowed": ["page"], "*": ["revenue", "currency"]}}
    for name, privacy in (("rule", Privacy(rules=[rule])), ("allow", Privacy(allow=allowed)), ("default", Privacy())):
        with opened(tmp_path / name, privacy=privacy) as front:
            await front.send(
                track(event="Allowed", properties={"revenue": "12.50", "currency": "EUR"}),
                track(messageId="m-2", properties={"revenue": "4222222222222"}),
            )
            told = [(row["revenue"], row["currency"]) for row in front.rows()]
            assert told == [("12.5000", "EUR") if name == "default" else (None, None), (None, None)]


@pytest.mark.parametrize(("action", "left"), [("drop", None), ("type", '"[properties]"')])
async def test_an_event_without_the_properties_that_a_rule_takes_out_is_stored(tmp_path, action, left):
    with opened(tmp_path / "data", privacy=Privacy(rules=[PiiRule(key="properties", action=action)])) as front:
        sold = track(event="Sold", properties={"revenue": 3, "currency": "EUR"})
        assert await front.send(sold) == [Outcome.STORED]
        (row,) = front.rows()
        assert (row["properties"], row["revenue"], row["currency"]) == (left, None, None)


@pytest.mark.parametrize("context", [GRANT, {}])
async def test_hosts_are_scrubbed_in_both_lanes(front, context):
    page = {"url": "https://536-22-1234.example.com/x", "referrer": "https://4111-1111-1111-1111.example.com/"}
    await front.send(track(type="page", context={**context, "page": page}))
    (row,) = front.rows()
    assert (row["host"], row["referrer_host"]) == ("[us_ssn].example.com", "[card].example.com")


@pytest.mark.parametrize("context", [GRANT, {}])
async def test_what_is_redacted_in_urls_is_recorded_and_counted(front, context):
    page = {"url": "https://shop.example/a/john@x.com?utm_source=john@x.com&utm_medium=mail"}
    await front.send(track(type="page", context={**context, "page": page}))
    (row,) = front.rows()
    assert (row["path"], row["utm_source"], row["utm_medium"]) == ("/a/:redacted", ":redacted", "mail")
    if context:
        assert json.loads(row["redactions"]) == [
            {"path": path, "rule": "url", "action": "type"} for path in ("path", "utm_source")
        ]
    assert front.house.scrubbers["eu"].counts == {("url", "type"): 2}


async def test_refused_events_leave_their_shape_and_never_a_value(front):
    await front.send(track(event=7, properties={"note": "call me"}), track(messageId="m-2", context={}, event="Opened"))
    await front.send(track(messageId="m-3"))
    letters = await front.house.stores["eu"].newest_rejected(10, "shop")
    assert [(letter.reason, json.loads(letter.event)) for letter in letters] == [
        (Reason.INVALID_EVENT, {"type": "track", "event": None, "properties": {"note": "string"}}),
        (Reason.NOT_ALLOWED_ANONYMOUSLY, {"type": "track", "event": "Opened"}),
    ]


def test_every_reason_has_an_outcome_and_none_is_a_success():
    assert set(OUTCOME_OF) == set(Reason)
    assert set(OUTCOME_OF.values()) <= {Outcome.DROPPED, Outcome.REJECTED, Outcome.RETRY}


async def test_the_pipeline_reads_validate_place_consent_scrub(front):
    stages = [stage.__func__ for stage in front.house.pipeline.stages]
    assert stages == [Validate.check_events, Place.put_regions, Consent.check_consents, Scrub.scrub_events]


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
names = st.sampled_from(
    [
        "type",
        "event",
        "userId",
        "anonymousId",
        "messageId",
        "timestamp",
        "properties",
        "traits",
        "context",
        "sessionId",
        "groupId",
    ]
)
wire_events = st.dictionaries(names, anything, max_size=8).flatmap(
    lambda item: st.sampled_from(["track", "page", "identify", "group"]).map(lambda kind: {"type": kind, **item})
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(wire_events | anything, max_size=6))
async def test_whatever_comes_in_each_item_leaves_with_exactly_one_outcome(front, items):
    before = len(front.rows()) + len(front.rows("us"))
    verdicts = await front.send(*items)
    assert len(verdicts) == len(items)
    assert all(isinstance(verdict, Verdict) for verdict in verdicts)
    stored = sum(verdict in (Outcome.STORED, Outcome.ANONYMOUS) for verdict in verdicts)
    assert len(front.rows()) + len(front.rows("us")) - before == stored
