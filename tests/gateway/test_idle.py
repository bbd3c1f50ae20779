"""A setting that does nothing as the others stand is said wherever settings are looked at."""

import io
import json

import pytest

from consentryd.config.settings import Privacy, Server, Settings, Site, Storage
from consentryd.gateway.compose import open_services
from consentryd.gateway.exposition import Worker
from consentryd.gateway.idle import idle
from consentryd.gateway.logs import open_logger
from consentryd.model.clock import SystemClock
from consentryd.storage.control import ControlStore
from consentryd.storage.location import CONTROL
from tests.privacy.test_country import write_database


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, []),
        ({"site": {"tracking_plan_mode": "reject"}}, ["site.tracking_plan_mode"]),
        ({"site": {"tracking_plan": "plan.json"}}, ["site.tracking_plan"]),
        ({"site": {"tracking_plan": "plan.json", "tracking_plan_mode": "flag"}}, []),
        ({"site": {"tracking_plan_mode": "flag"}, "sites": {"shop": {"country": "DE"}}}, ["site.tracking_plan_mode"]),
        ({"sites": {"shop": {"tracking_plan_mode": "flag"}}}, ["sites.shop.tracking_plan_mode"]),
        (
            {"site": {"tracking_plan_mode": "flag"}, "sites": {"shop": {"tracking_plan": "plan.json"}}},
            ["site.tracking_plan_mode"],
        ),
        ({"privacy": {"city": True}}, ["privacy.city"]),
    ],
)
def test_what_does_nothing_is_named(settings, said):
    assert [line.partition(" ")[0] for line in idle(Settings.model_validate(settings))] == said


@pytest.mark.parametrize(("subdivisions", "said"), [([], 1), ([{"iso_code": "BE"}], 0)])
def test_a_database_of_ones_own_is_looked_into(tmp_path, subdivisions, said):
    database = write_database(tmp_path / "own.mmdb", {"country": {"iso_code": "DE"}, "subdivisions": subdivisions})
    assert len(idle(Settings(privacy=Privacy(city=True, country_database=database)))) == said


async def test_a_start_says_it_once_in_the_log(tmp_path):
    ControlStore(tmp_path / CONTROL, SystemClock()).close()
    log = io.StringIO()
    settings = Settings(storage=Storage(data_dir=tmp_path), site=Site(tracking_plan_mode="reject"))
    async with open_services(settings, None, Worker(), open_logger(Server(log_format="json"), log)):
        pass
    lines = [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "a setting does nothing"]
    assert [line["setting"] for line in lines] == ["site.tracking_plan_mode"]
