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
    def __init__(self, *known):
        self.values = set(known)
        self.asked = 0

    def knows(self, identity):
        self.asked += 1
        return identity[2] in self.values

    def known(self, identities):
        self.asked += 1
        return [identity for identity in identities if identity[2] in self.values]


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
    place = Place(REGIONS, {"us": Home(), "eu": Home()}, Persons(200))
    assert place.put_regions([event(country)], passage(declared, pinned))[0].region == expected


@pytest.mark.parametrize(
    ("declared", "pinned"), [("nowhere", None), ("usa", None), (["us"], None), (7, None), ("us", "gone"), (None, "gone")]
)
def test_a_declared_region_that_there_is_not_is_refused(declared, pinned):
    place = Place(REGIONS, {"us": Home(), "eu": Home()}, Persons(200))
    with pytest.raises(Misdirected) as refusal:
        place.put_regions([event("US")], passage(declared, pinned))
    assert refusal.value.code == "unknown_region"
    assert refusal.value.detail == {"regions": ["us", "eu", "asia"]}


def test_a_known_subject_stays_at_home_wherever_it_travels():
    place = Place(REGIONS, {"us": Home(), "eu": Home("a")}, Persons(200))
    assert place.put_regions([event("US")], passage())[0].region == "eu"


def test_a_new_subject_stays_where_its_first_event_was_placed():
    place = Place(REGIONS, {"us": Home(), "eu": Home()}, Persons(200))
    assert [place.put_regions([event(country)], passage())[0].region for country in ("US", "DE")] == ["us", "us"]


def test_a_home_is_asked_for_once():
    homes = {"us": Home(), "eu": Home()}
    place = Place(REGIONS, homes, Persons(200))
    for _ in range(5):
        place.put_regions([event("US")], passage())
    assert [home.asked for home in homes.values()] == [1, 1]


def test_a_region_that_is_not_served_is_refused_and_named():
    place = Place(REGIONS, {"eu": Home()}, Persons(200))
    way = passage()
    assert place.put_regions([event("JP")], way)[0] is Reason.WRONG_REGION
    assert (way.misdirected, place.endpoint("asia")) == ("asia", "https://asia.example")
    assert isinstance(place.put_regions([event("DE")], way)[0], PlacedEvent)


def test_a_requests_newcomers_are_asked_about_at_once():
    homes = {"us": Home(), "eu": Home("b")}
    place, way = Place(REGIONS, homes, Persons(200)), passage()
    placed = place.put_regions([event("US", anonymous=value) for value in "abc"], way)
    assert [each.region for each in placed] == ["us", "eu", "us"]
    assert [home.asked for home in homes.values()] == [1, 1]
