"""An event's region: declared, else the subject's home, else the visitor's country, else the strictest."""

import pytest

from consentryd.config.settings import Region, Site
from consentryd.consent.signals.reading import NO_SIGNALS
from consentryd.gateway.intake import Intake
from consentryd.gateway.stages.passage import Passage
from consentryd.gateway.stages.person import Person, Persons
from consentryd.gateway.stages.place import Place
from consentryd.gateway.stages.scene import Scene
from consentryd.gateway.stages.staged import PlacedEvent, ValidEvent
from consentryd.model.client import Client
from consentryd.model.error import Misdirected
from consentryd.model.key import ApiKey, KeyKind
from consentryd.model.outcome import Reason

REGIONS = {
    "us": Region(countries=["US"]),
    "eu": Region(countries=["EEA", "*"]),
    "asia": Region(countries=["JP"], endpoint="https://asia.example"),
}


class Home:
    def __init__(self, *known, at=0):
        self.values = set(known)
        self.at = at
        self.asked = 0

    def since(self, identity):
        self.asked += 1
        return self.at if identity[2] in self.values else None

    def look(self, identities):
        self.asked += 1
        return [identity for identity in identities if identity[2] in self.values], False


class Homes(dict):
    """Homes by region, asked one after the other."""

    @property
    def regions(self):
        return self.keys()

    def since(self, region, identity):
        return self[region].since(identity)

    def look(self, regions, identities):
        return {region: self[region].look(identities) for region in regions}


def event(country=None, user=None, anonymous="a"):
    scene = Scene(Client(country=country), None, {}, NO_SIGNALS, "", 0)
    return ValidEvent("track", "x", Person(user, anonymous), "1", None, None, None, 0, {}, b"{}", {}, {}, scene)


def passage(declared=None, pinned=None):
    key = ApiKey("k", KeyKind.WRITE, "shop", "", pinned, (), 0, None)
    return Passage(Intake(key, 0, Client(), region=declared), Site(), 0, {}, 0)


@pytest.mark.parametrize(
    ("country", "declared", "pinned", "expected"),
    [
        ("US", None, None, "us"),
        ("DE", None, None, "eu"),
        ("BR", None, None, "eu"),
        (None, None, None, "eu"),
        ("US", "eu", None, "eu"),
        ("US", "EU", None, "eu"),
        ("US", " Eu ", None, "eu"),
        ("US", "", None, "us"),
        ("US", "nowhere", "eu", "eu"),
        ("US", "us", "eu", "eu"),
    ],
)
def test_declared_then_country_then_strictest(country, declared, pinned, expected):
    place = Place(REGIONS, Homes({"us": Home(), "eu": Home()}), Persons(200))
    assert place.put_regions([event(country)], passage(declared, pinned))[0].region == expected


@pytest.mark.parametrize(
    ("declared", "pinned"), [("nowhere", None), ("usa", None), (["us"], None), (7, None), ("us", "gone"), (None, "gone")]
)
def test_a_declared_region_that_there_is_not_is_refused(declared, pinned):
    place = Place(REGIONS, Homes({"us": Home(), "eu": Home()}), Persons(200))
    with pytest.raises(Misdirected) as refusal:
        place.put_regions([event("US")], passage(declared, pinned))
    assert refusal.value.code == "unknown_region"
    assert refusal.value.detail == {"regions": ["us", "eu", "asia"]}


def test_a_known_subject_stays_at_home_wherever_it_travels():
    place = Place(REGIONS, Homes({"us": Home(), "eu": Home("a")}), Persons(200))
    assert place.put_regions([event("US")], passage())[0].region == "eu"


def test_a_new_subject_stays_where_its_first_event_was_placed():
    place = Place(REGIONS, Homes({"us": Home(), "eu": Home()}), Persons(200))
    assert [place.put_regions([event(country)], passage())[0].region for country in ("US", "DE")] == ["us", "us"]


def test_a_home_is_asked_for_once():
    homes = Homes({"us": Home(), "eu": Home("a")})
    place = Place(REGIONS, homes, Persons(200))
    for _ in range(5):
        place.put_regions([event("US")], passage())
    assert [home.asked for home in homes.values()] == [1, 1]


def test_where_somebody_unknown_was_placed_counts_until_a_store_knows_them():
    homes = Homes({"us": Home(), "eu": Home()})
    place = Place(REGIONS, homes, Persons(200))
    assert place.put_regions([event("US")], passage())[0].region == "us"
    homes["eu"].values.add("a")  # by another process
    assert place.put_regions([event("US")], passage())[0].region == "eu"


def test_of_several_regions_that_know_a_subject_the_first_to_know_it_is_its_home():
    place = Place(REGIONS, Homes({"us": Home("a", at=2), "eu": Home("a", at=1)}), Persons(200))
    assert [each.region for each in place.put_regions([event("US"), event("US")], passage())] == ["eu", "eu"]


def test_a_subject_that_every_region_learnt_of_at_one_time_is_at_home_where_its_country_is():
    homes = Homes({"us": Home("a", "b", at=1), "eu": Home("a", "b", at=1)})
    for country, anonymous, home in (("DE", "a", "eu"), ("US", "b", "us")):
        place = Place(REGIONS, homes, Persons(200))
        assert place.put_regions([event(country, anonymous=anonymous)], passage())[0].region == home


def test_a_region_that_is_not_served_is_refused_and_named():
    place = Place(REGIONS, Homes({"eu": Home()}), Persons(200))
    way = passage()
    assert place.put_regions([event("JP")], way)[0] is Reason.WRONG_REGION
    assert (way.misdirected, place.endpoint("asia")) == ("asia", "https://asia.example")
    assert isinstance(place.put_regions([event("DE")], way)[0], PlacedEvent)


def test_a_requests_newcomers_are_asked_about_at_once():
    homes = Homes({"us": Home(), "eu": Home("b")})
    place, way = Place(REGIONS, homes, Persons(200)), passage()
    placed = place.put_regions([event("US", anonymous=value) for value in "abc"], way)
    assert [each.region for each in placed] == ["us", "eu", "us"]
    assert [home.asked for home in homes.values()] == [1, 1]
