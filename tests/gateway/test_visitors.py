"""The anonymous lane's daily tokens: one visitor is one for a day and a site, nobody is anybody the day after."""

import base64
import io
import json
import multiprocessing

import pytest

from consentryd.gateway.day_keys import GRACE, DayKeys
from consentryd.gateway.logs import open_logger
from consentryd.gateway.warden import Warden
from consentryd.model.clock import DAY, MINUTE, ManualClock
from consentryd.privacy.visitor import fingerprint, token
from consentryd.storage.ledger import Ledger
from tests.house import open_house
from tests.kit import NOW

DAILY = {"anonymous_lane": "daily"}
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
NETWORK = "127.0.0.0/24"
MIDNIGHT = (NOW // DAY + 1) * DAY


@pytest.fixture
def keys():
    made = DayKeys()
    yield made
    made.close()


async def view(house, agent=AGENT, key="write", **context):
    body = {"anonymousId": "a-1", "context": context}
    status, answer = await house.post("/v1/page?verbose=1", body, key=key, headers={"User-Agent": agent})
    assert (status, answer["results"][0]["outcome"]) == (200, "anonymous")
    return house.rows()[-1]["visitor"]


async def test_a_visitor_is_one_for_a_day_and_another_the_next(tmp_path, keys):
    clock = ManualClock(NOW)
    async with open_house(tmp_path, clock, day_keys=keys, site=DAILY) as house:
        first = await view(house)
        assert (len(first), await view(house)) == (24, first)
        assert await view(house, agent=AGENT + "x") != first
        clock.advance(DAY)
        assert await view(house) not in {first, None}
        assert {row["subject"] for row in house.rows()} == {None}


async def test_tokens_differ_between_sites_and_regions_and_are_made_only_where_daily(keys):
    found = fingerprint(keys.key(NOW), "shop", NETWORK, AGENT)
    others = [fingerprint(keys.key(NOW), *fields) for fields in (("blog", NETWORK, AGENT), ("shop", "", NETWORK + AGENT))]
    assert len({token(found, "eu"), token(found, "us"), *(token(other, "eu") for other in others)}) == 4


@pytest.mark.parametrize("lane", ["counts", "auto"])
async def test_where_only_counts_are_allowed_there_is_no_token(tmp_path, keys, lane):
    async with open_house(tmp_path, day_keys=keys, site={"anonymous_lane": lane}) as house:
        assert await view(house) is None
        assert keys.expire(NOW) == []


async def test_who_objected_is_counted_without_a_token(tmp_path, keys):
    async with open_house(tmp_path, day_keys=keys, site=DAILY) as house:
        assert await view(house, consent={"purposes": {"analytics": False}}) is None


async def test_a_server_s_events_count_the_visitors_that_it_names(tmp_path, keys):
    async with open_house(tmp_path, day_keys=keys, site=DAILY) as house:
        one = await view(house, key="server", ip="203.0.113.7", userAgent=AGENT)
        assert await view(house, key="server", ip="203.0.113.99", userAgent=AGENT) == one
        assert await view(house, key="server", ip="198.51.100.7", userAgent=AGENT) not in {one, None}
        assert await view(house, key="server", userAgent=AGENT) is None


def test_a_key_is_overwritten_when_its_day_and_the_grace_are_over(keys):
    old = keys.key(MIDNIGHT - 1)
    new = keys.key(MIDNIGHT)
    assert keys.key(MIDNIGHT - 1) == old
    assert keys.expire(MIDNIGHT + GRACE - 1) == ["2026-11-21", "2026-11-22"]
    assert keys.expire(MIDNIGHT + GRACE) == ["2026-11-22"]
    assert (keys.key(MIDNIGHT - 1), keys.key(MIDNIGHT)) == (None, new)
    assert GRACE <= 30 * MINUTE
    assert old not in keys._memory[:]


def test_a_clock_that_was_ahead_leaves_no_day_without_a_key(keys):
    today = keys.key(NOW)
    ahead = keys.key(NOW + 365 * DAY)
    assert keys.key(NOW) == today
    keys.expire(NOW)
    assert keys.key(NOW) == today
    assert keys.key(NOW + DAY) not in {None, ahead}
    assert ahead not in keys._memory[:]
    keys.expire(NOW - 30 * DAY)
    assert keys.key(NOW - 30 * DAY) is not None


def test_a_clock_set_back_over_midnight_by_a_little_keeps_the_new_day_s_key(keys):
    new = keys.key(MIDNIGHT)
    keys.expire(MIDNIGHT - MINUTE)
    assert keys.key(MIDNIGHT) == new


def child(keys, connection):
    connection.send((keys.key(NOW), keys.key(NOW + DAY)))


def test_worker_processes_share_the_keys_whoever_makes_them(keys):
    context = multiprocessing.get_context("spawn")
    mine = keys.key(NOW)
    ours, theirs = context.Pipe()
    process = context.Process(target=child, args=(keys, theirs))
    process.start()
    assert ours.recv() == (mine, keys.key(NOW + DAY))
    process.join()


def everywhere(root, logged):
    """All bytes on the disk, and the log."""
    return b"".join(path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()) + logged.encode()


def recomputed(data, wanted):
    """Whether some 32 bytes of the data, raw or in text, make the token."""
    keys = {data[start : start + 32] for start in range(len(data) - 31)}
    keys |= {bytes.fromhex(text) for text in windows(data, 64, b"0123456789abcdef")}
    keys |= {found for text in windows(data, 44, None) if len(found := decoded(text)) == 32}
    return any(token(fingerprint(key, "shop", NETWORK, AGENT), "eu") == wanted for key in keys)


def windows(data, size, alphabet):
    allowed = set(alphabet or b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_")
    run = 0
    for position, byte in enumerate(data):
        run = run + 1 if byte in allowed else 0
        if run >= size:
            yield data[position - size + 1 : position + 1].decode()


def decoded(text):
    try:
        return base64.b64decode(text, altchars=b"-_" if {"-", "_"} & set(text) else None, validate=True)
    except ValueError:
        return b""


async def test_yesterday_s_tokens_cannot_be_recomputed_from_anything_on_the_disk(tmp_path, keys):
    clock = ManualClock(NOW)
    async with open_house(tmp_path, clock, day_keys=keys, site=DAILY) as house:
        wanted = await view(house)
        secret = keys.key(NOW)
        clock.advance(DAY + GRACE)
        warden = warden_of(house, keys)
        await warden.look()
        data = everywhere(tmp_path, house.log) + json.dumps(house.rows()).encode()
    assert wanted.encode() in data
    assert not recomputed(data, wanted)
    # the search would find the key, had it been written in any of these forms
    for form in (secret, secret.hex().encode(), base64.b64encode(secret)):
        assert recomputed(b"noise " + form + b" noise", wanted)


def warden_of(house, keys):
    settings = house.services.settings
    logger = open_logger(settings.server, io.StringIO())
    return Warden(settings, house.house.policy, house.house.stores, house.house.registrar, keys, house.clock, logger)


def days(house):
    ledger = Ledger(house.house.stores["eu"].reader)
    bodies = [json.loads(ledger.entry(number).body) for number in range(ledger.size)]
    return [(body["kind"].removeprefix("daily_key_"), body["day"]) for body in bodies if "day" in body]


async def test_the_ledger_tells_when_a_key_was_made_and_that_it_is_destroyed(tmp_path, keys):
    clock = ManualClock(NOW)
    async with open_house(tmp_path, clock, day_keys=keys, site=DAILY) as house:
        warden = warden_of(house, keys)
        await view(house)
        for step in (0, DAY, GRACE, 0):
            clock.advance(step)
            await warden.look()
        assert days(house) == [("made", "2026-11-21"), ("destroyed", "2026-11-21")]
        await view(house)
        await warden.look()
    # the memory of a process that ended is gone, and the next one says so
    restarted = DayKeys()
    async with open_house(tmp_path, clock, day_keys=restarted, site=DAILY) as house:
        await warden_of(house, restarted).look()
        assert days(house)[2:] == [("made", "2026-11-22"), ("destroyed", "2026-11-22")]
    restarted.close()
