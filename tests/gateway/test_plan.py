"""Tracking plans of which something is wrong: they stop the start with a line that says what, and nothing is fetched for them."""

import json
import socket

import pytest

from consentryd.config.settings import Settings, Site
from consentryd.gateway.plan import TrackingPlans
from consentryd.model.error import ConfigError


@pytest.fixture
def plans(tmp_path):
    def load(text):
        path = tmp_path / "plan.json"
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        return TrackingPlans(Settings(site=Site(tracking_plan=path)))

    return load


@pytest.mark.parametrize("schema", [{"$ref": "URL"}, {"properties": {"a": {"$ref": "URL"}}}, {"$schema": "URL"}])
def test_nothing_is_fetched_for_a_schema(plans, schema):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x.json"
        with pytest.raises(ConfigError, match="Bought"):
            plans(json.dumps({"Bought": schema}).replace("URL", url))
        with pytest.raises(BlockingIOError):
            server.accept()


def test_no_other_file_is_read_for_a_schema(plans, tmp_path):
    (tmp_path / "other.json").write_text('{"type": "string"}')
    with pytest.raises(ConfigError, match="can only refer to itself"):
        plans({"Bought": {"$ref": (tmp_path / "other.json").as_uri()}})


@pytest.mark.parametrize(
    "schema",
    [5, None, [], {"type": "objekt"}, {"$ref": "#/$defs/none"}, {"properties": {"a": {"pattern": "("}}}, {"required": "price"}],
)
def test_what_is_no_schema_is_told_in_a_line_with_its_event(plans, schema):
    with pytest.raises(ConfigError, match="Bought") as error:
        plans({"Viewed": {}, "Bought": schema})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "says"), [("[1]", "is not an object of"), ("null", "is not an object of"), ('{"a":', "is not JSON")]
)
def test_what_is_no_plan_is_told(plans, text, says):
    with pytest.raises(ConfigError, match=says):
        plans(text)


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}, {"if": {"$ref": "#"}}])
def test_a_schema_that_refers_to_itself_for_ever_fits_everything(plans, schema):
    assert plans({"Bought": schema}).violation("shop", "Bought", {"a": {"b": 1}}) is None


def test_a_pattern_that_steps_back_for_ever_is_given_up(plans):
    """The bound of the library itself is ten times as far."""
    loaded = plans({"Bought": {"properties": {"a": {"pattern": r"^((?!foo).)*$"}, "b": {"pattern": r"^((?!x)(?:a|a))*$"}}}})
    assert loaded.violation("shop", "Bought", {"a": "a" * 32_000}) is None
    violation = loaded.violation("shop", "Bought", {"b": "a" * 300_000})
    assert violation is not None
    assert violation == ("/b", "pattern")
