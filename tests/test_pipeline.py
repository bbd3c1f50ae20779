"""Raw events through the whole house, over real stores: one outcome each, one short case for every reason."""

import asyncio
import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consentryd.config.settings import Privacy, Region, Settings, Site, Storage
from consentryd.gateway.compose import House, open_stores
from consentryd.gateway.intake import Intake
from consentryd.gateway.protocols.segment import parse, read_envelope
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
        yield Front(House(conf, stores, clock))
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


async def test_an_opt_out_signal_stops_what_it_covers(front):
    context = {"consent": {"purposes": {"analytics": True, "advertising": True}}}
    verdicts = await front.send(track(context=context), signals={"sec-gpc": "1"}, client=Client(country="US"))
    assert verdicts[0] in (Outcome.STORED, Reason.OPTED_OUT)


async def test_an_object_beyond_all_numbers_costs_its_own_event_only(front):
    batch = json.dumps({"batch": [track(properties={"a": 1}), track(messageId="m-2")]})
    events = read_envelope(parse(batch.replace('"a": 1', '"a": 1e999').encode()), None, 10).events
    results = await front.house.collector.collect(Intake(KEY, front.house.clock.now(), GERMAN), events)
    assert [result.reason or result.outcome for result in results] == [Reason.INVALID_PROPERTIES, Outcome.STORED]


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


async def test_another_regions_events_are_refused_whole_or_one_by_one(tmp_path):
    regions = {"eu": Region(countries=["*"]), "us": Region(countries=["US"], endpoint="https://us.example")}
    with opened(tmp_path, served=["eu"], regions=regions) as front:
        with pytest.raises(Misdirected) as refusal:
            await front.send(track(), client=Client(country="US"))
        assert refusal.value.detail == {"region": "us", "endpoint": "https://us.example"}
        american = {"context": {**GRANT, "ip": "8.8.8.8", "userAgent": "Mozilla/5.0"}}
        assert await front.send(track(), track(messageId="m-2", **american)) == [Outcome.STORED, Reason.WRONG_REGION]


async def test_a_batch_is_answered_event_by_event_and_nothing_is_stored_twice(front):
    batch = [track(), track(), track(messageId="m-2"), track(messageId="m-3", event="")]
    assert await front.send(*batch) == [Outcome.STORED, Outcome.DUPLICATE, Outcome.STORED, Reason.INVALID_EVENT]
    assert await front.send(*batch) == [Outcome.DUPLICATE, Outcome.DUPLICATE, Outcome.DUPLICATE, Reason.INVALID_EVENT]
    assert len(front.rows()) == 2


async def test_a_store_that_fails_is_a_503_and_a_region_that_fails_alone_is_a_retry(front):
    await asyncio.to_thread(front.house.stores["us"].log.close)
    american = track(userId="u-2", messageId="m-2", context={**GRANT, "ip": "8.8.8.8", "userAgent": "Mozilla/5.0"})
    assert await front.send(track(), american) == [Outcome.STORED, Reason.UNAVAILABLE]
    with pytest.raises(Unavailable):
        await front.send(american)


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
