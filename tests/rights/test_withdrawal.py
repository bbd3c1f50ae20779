"""Events whose purpose was withdrawn are out of queries at once, and then out of the files: erased, anonymised or kept."""

import io
from contextlib import closing

import pytest

from consentryd.gateway.logs import open_logger
from consentryd.gateway.warden import Warden
from consentryd.model.clock import DAY
from consentryd.model.error import Unavailable
from consentryd.model.identity import IdentityKind
from consentryd.rights.withdrawal import Sweeper
from consentryd.storage.database import open_database
from consentryd.storage.delta import DeltaLake
from consentryd.storage.hold import hold, lift
from consentryd.storage.ledger import Ledger
from consentryd.storage.reader import Reader
from consentryd.storage.seal import Sealer
from tests.house import open_house
from tests.kit import NOW

ALL = {"analytics": True, "product": True}
CANARY = "canary-7c1f"


class Region:
    """One region of a running gateway, as queries and the disk see it."""

    def __init__(self, house):
        self.house = house
        self.store = house.house.stores["eu"]
        self.lake = DeltaLake(self.store.root)
        self.reader = Reader(self.store.root, self.lake)
        self.sweeper = Sweeper(self.store, self.lake, house.house.policy.purposes, house.services.settings)

    def seen(self, what="event", where="true", **options):
        with self.reader.snapshot(**options) as snapshot:
            return sorted(snapshot.query(f"SELECT {what} AS found FROM events WHERE {where}")["found"].to_pylist())

    def seal(self):
        Sealer(self.store.root, self.lake).run()

    async def sweep(self):
        due = self.sweeper.due()
        taken, swept = self.sweeper.take(due)
        await self.sweeper.settle(taken, swept)
        return swept

    def bodies(self):
        """What the log's rows look like on the disk: they are compressed."""
        return [body[10:60] for (body,) in self.store.reader.execute("SELECT body FROM log")]

    def holds(self, text):
        needle = text if isinstance(text, bytes) else text.encode()
        return [path.name for path in self.store.root.rglob("*") if path.is_file() and needle in path.read_bytes()]

    def entries(self):
        ledger = Ledger(self.store.reader)
        return [ledger.entry(number).body for number in range(ledger.size)]

    async def send(self, event, person, **properties):
        body = {"event": event, "anonymousId": person, "properties": properties, "context": {"consent": {"purposes": ALL}}}
        _, answer = await self.house.post("/v1/track?verbose=1", body)
        assert answer["results"][0]["outcome"] == "stored", answer


@pytest.fixture
async def region(tmp_path):
    async with open_house(tmp_path, consent={"events": {"product_*": "product"}}) as house:
        made = Region(house)
        yield made
        made.reader.close()


async def test_withdrawn_events_are_out_of_queries_at_once_wherever_they_lie(region):
    await region.send("in_lake", "a-1")
    region.seal()
    await region.send("in_log", "a-1")
    await region.send("product_tour", "a-1")
    await region.send("others", "a-2")
    assert region.seen() == ["in_lake", "in_log", "others", "product_tour"]
    await region.house.choose(anonymousId="a-1", action="withdraw", purposes=["analytics"])
    assert region.seen() == ["others", "product_tour"]
    assert region.seen(restricted=False) == ["in_lake", "in_log", "others", "product_tour"]


async def test_events_merged_into_a_person_go_with_the_person(region):
    await region.send("before_login", "a-1")
    region.seal()
    await region.house.track("login", userId="u", anonymousId="a-0", consent=ALL)
    await region.house.track("joined", userId="u", anonymousId="a-1", consent=ALL)
    assert region.seen() == ["before_login", "joined", "login"]
    await region.house.choose(key="server", userId="u", action="withdraw", purposes=["analytics"])
    assert region.seen() == []
    assert (await region.sweep())[:2] == (3, 0)
    assert [file.events for file in region.lake.state().files] == []


@pytest.mark.parametrize("had_events", [True, False])
async def test_a_refusal_reaches_whom_its_device_turns_out_to_be(region, had_events):
    house = region.house
    if had_events:
        await region.send("before_refusal", "a-1")
    await house.choose(anonymousId="a-1", action="withdraw", purposes=["analytics"])
    house.clock.advance(1)
    await house.track("bought", userId="u", anonymousId="a-0", consent=ALL)
    assert region.seen() == ["bought"]
    await house.track("product_tour", userId="u", anonymousId="a-1", consent=ALL)
    assert await house.track("bought", userId="u", consent=ALL) == "withdrawn"
    assert region.seen() == ["product_tour"]
    await region.sweep()
    assert region.seen(restricted=False) == ["product_tour"]


@pytest.mark.parametrize(("action", "left"), [("withdraw", []), ("grant", ["bought"])])
async def test_a_server_decides_for_a_person_and_a_device_that_refused_before_it_was_theirs(region, action, left):
    house = region.house
    await house.choose(anonymousId="a-1", action="withdraw", purposes=["analytics"])
    house.clock.advance(1)
    await house.track("bought", userId="u", anonymousId="a-0", consent=ALL)
    await house.choose(key="server", userId="u", anonymousId="a-1", action=action, purposes=["analytics"])
    assert region.seen() == left
    await region.sweep()
    assert region.seen(restricted=False) == left


async def test_a_choice_beside_a_device_that_is_somebody_elses_is_not_theirs(region):
    house = region.house
    await house.track("theirs", userId="v", anonymousId="a-1", consent=ALL)
    await house.track("bought", userId="u", consent=ALL)
    await house.choose(key="server", userId="u", anonymousId="a-1", action="withdraw", purposes=["analytics"])
    assert region.seen() == ["theirs"]
    assert await house.track("theirs", userId="v", consent=ALL) == "stored"


async def test_a_sweep_erases_the_bytes_and_nothing_of_others(region):
    await region.send("first", "a-1", note=CANARY)
    region.seal()
    await region.send("second", "a-1", note=CANARY)
    await region.send("product_tour", "a-1")
    await region.send("others", "a-2", note="theirs")
    before = region.seen("event_id", "event IN ('others', 'product_tour')")
    await region.house.choose(anonymousId="a-1", action="withdraw", purposes=["analytics"])
    bodies, files = region.bodies(), {file.path for file in region.lake.state().files}
    assert all(region.holds(body) for body in bodies)
    swept = await region.sweep()
    assert (swept.erased, swept.anonymised) == (2, 0)
    assert [body for body in bodies if region.holds(body)] == []
    assert not any((region.lake.folder / path).exists() for path in files)
    assert region.seen("event_id") == before
    assert region.seen(restricted=False) == ["others", "product_tour"]
    assert region.holds(CANARY) == []
    assert region.sweeper.due() == []
    assert '"events_erased":2' in region.entries()[-1]


async def test_what_comes_after_a_new_grant_stays(region):
    await region.send("old", "a-1")
    await region.house.choose(anonymousId="a-1", action="withdraw", purposes=["analytics"])
    region.house.clock.advance(1)
    await region.house.choose(anonymousId="a-1", action="grant", purposes=["analytics"])
    assert region.seen() == []
    region.house.clock.advance(1)
    await region.send("new", "a-1")
    assert region.seen() == ["new"]
    await region.sweep()
    assert region.seen() == ["new"]


@pytest.fixture
def purposes_file(tmp_path):
    def write(fate):
        path = tmp_path / "purposes.toml"
        path.write_text(f'version = 1\n[purpose.analytics]\ntext = "Counting"\non_withdrawal = "{fate}"\n')
        return {"purposes_file": str(path)}

    return write


async def test_anonymised_events_are_counted_without_the_person(tmp_path, purposes_file):
    async with open_house(tmp_path / "data", consent=purposes_file("anonymise")) as house:
        region = Region(house)
        await region.send("bought", "a-1", note=CANARY)
        await region.send("page_viewed", "a-1", note=CANARY)
        subject = region.seen("subject")[0]
        await house.choose(anonymousId="a-1", action="withdraw")
        assert region.seen() == []
        assert (await region.sweep())[:2] == (1, 1)
        with region.reader.snapshot() as snapshot:
            (row,) = snapshot.newest(5).to_pylist()
        assert {name: value for name, value in row.items() if value is not None}.keys() <= {
            *("event_id", "site", "type", "event", "time", "received_at", "lane", "purpose", "consent_ref", "device", "os"),
            *("browser", "browser_major", "country", "host", "path", "referrer_host", "schema_version"),
        }
        assert (row["lane"], row["event"], row["time"].minute, row["consent_ref"]) == ("anonymous", "page_viewed", 0, "withdrawn")
        assert region.holds(CANARY) == []
        assert subject is not None
        region.reader.close()


@pytest.mark.parametrize(
    "sections", [{"site": {"anonymous_lane": "off"}}, {"consent": {"anonymous_after_denial": "nothing"}}], ids=["off", "nothing"]
)
async def test_where_nothing_would_have_been_counted_nothing_is_anonymised(tmp_path, purposes_file, sections):
    consent = {**purposes_file("anonymise"), **sections.get("consent", {})}
    async with open_house(tmp_path / "data", **{**sections, "consent": consent}) as house:
        region = Region(house)
        await region.send("page_viewed", "a-1")
        await house.choose(anonymousId="a-1", action="withdraw")
        assert (await region.sweep())[:2] == (1, 0)
        region.reader.close()


async def test_kept_events_are_out_of_queries_until_the_person_grants_again(tmp_path, purposes_file):
    async with open_house(tmp_path / "data", consent=purposes_file("keep")) as house:
        region = Region(house)
        await region.send("bought", "a-1")
        await house.choose(anonymousId="a-1", action="withdraw")
        assert (region.seen(), region.sweeper.due()) == ([], [])
        await house.choose(anonymousId="a-1", action="grant", purposes=["analytics"])
        assert region.seen() == ["bought"]
        region.reader.close()


async def test_an_interrupted_sweep_is_finished_by_the_next(region):
    await region.send("bought", "a-1", note=CANARY)
    await region.house.choose(anonymousId="a-1", action="withdraw", purposes=["analytics"])
    due = region.sweeper.due()
    region.sweeper.take(due)
    assert region.sweeper.due() == due
    assert region.seen() == []
    await region.sweep()
    assert (region.sweeper.due(), region.seen(), region.holds(CANARY)) == ([], [], [])


async def test_refusals_of_people_without_events_and_repeated_ones_leave_nothing_to_sweep(region):
    await region.house.choose(anonymousId="a-1", purposes={"analytics": False})
    assert region.sweeper.due() == []
    await region.send("bought", "a-2")
    await region.house.choose(anonymousId="a-2", action="withdraw", purposes=["analytics"])
    await region.sweep()
    await region.house.choose(anonymousId="a-2", action="deny", purposes=["analytics"])
    assert region.sweeper.due() == []


async def test_a_withdrawal_renewed_during_a_sweep_waits_for_the_next(region):
    await region.send("bought", "a-1")
    await region.house.choose(anonymousId="a-1", action="withdraw", purposes=["analytics"])
    due = region.sweeper.due()
    region.house.clock.advance(1)
    await region.house.choose(anonymousId="a-1", action="grant", purposes=["analytics"])
    await region.house.choose(anonymousId="a-1", action="withdraw", purposes=["analytics"])
    await region.sweeper.settle(*region.sweeper.take(due))
    assert [each.until for each in region.sweeper.due()] == [due[0].until + 1]


async def test_the_warden_sweeps_in_the_background_and_tries_again_while_the_lake_is_busy(region):
    settings, log = region.house.services.settings, open_logger(region.house.services.settings.server, io.StringIO())
    stores, registrar = region.house.house.stores, region.house.house.registrar
    warden = Warden(settings, region.house.house.policy, stores, registrar, None, region.house.clock, log)
    await region.send("bought", "a-1")
    await region.house.choose(anonymousId="a-1", action="withdraw", purposes=["analytics"])
    with region.lake.writing():
        await warden.look()
    assert len(region.sweeper.due()) == 1
    await warden.look()
    assert (region.sweeper.due(), region.seen(restricted=False)) == ([], [])


async def test_the_warden_goes_on_when_the_clock_is_set_back(region):
    settings, log = region.house.services.settings, open_logger(region.house.services.settings.server, io.StringIO())
    stores, registrar = region.house.house.stores, region.house.house.registrar
    warden = Warden(settings, region.house.house.policy, stores, registrar, None, region.house.clock, log)
    await warden.look()
    region.house.clock.advance(-DAY)
    await region.send("bought", "a-1")
    await region.house.choose(anonymousId="a-1", action="withdraw", purposes=["analytics"])
    await warden.look()
    assert (region.sweeper.due(), region.seen(restricted=False)) == ([], [])


async def test_a_reader_at_work_makes_the_sweep_wait(region):
    await region.send("bought", "a-1")
    await region.house.choose(anonymousId="a-1", action="withdraw", purposes=["analytics"])
    with region.lake.writing(), pytest.raises(Unavailable):
        region.sweeper.take(region.sweeper.due())
    assert len(region.sweeper.due()) == 1


async def test_events_under_a_legal_hold_are_out_of_queries_and_stay_on_the_disk_until_it_is_lifted(region):
    await region.send("mine", "a-1")
    await region.send("others", "a-2")
    digest = region.house.house.pseudonyms["eu"].identity("shop", IdentityKind.ANONYMOUS_ID, "a-1")
    with closing(open_database(region.store.root / "region.db", "region")) as connection:
        hold(connection, "shop", [digest], "case 7", NOW)
        await region.house.choose(anonymousId="a-1", action="withdraw", purposes=["analytics"])
        assert region.seen() == ["others"]
        assert region.sweeper.due() == []
        lift(connection, [digest], "case 7")
    assert (await region.sweep()).erased == 1
    assert region.seen(restricted=False) == ["others"]


async def test_a_hold_that_is_set_while_a_sweep_begins_is_kept(region):
    await region.send("mine", "a-1")
    digest = region.house.house.pseudonyms["eu"].identity("shop", IdentityKind.ANONYMOUS_ID, "a-1")
    await region.house.choose(anonymousId="a-1", action="withdraw", purposes=["analytics"])
    due = region.sweeper.due()
    assert len(due) == 1
    with closing(open_database(region.store.root / "region.db", "region")) as connection:
        hold(connection, "shop", [digest], "case 7", NOW)
        taken, swept = region.sweeper.take(due)
        await region.sweeper.settle(taken, swept)
        assert (taken, swept.erased) == ([], 0)
        lift(connection, [digest], "case 7")
    assert region.sweeper.due() == due
