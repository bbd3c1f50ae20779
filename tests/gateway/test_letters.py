"""Dead letters tell the operator of a sender's mistake, and nothing of the person it was about."""

import orjson
import pytest

from consentryd.config.settings import Privacy
from consentryd.gateway.letters import letter
from consentryd.model.event import RawEvent
from consentryd.model.outcome import Reason
from consentryd.privacy.rules import load_rules
from consentryd.privacy.scrub import Scrubber

EMAIL = "anna.smith@example.com"
RECEIVED = 1_795_000_000_123_456


def shape(reason=Reason.INVALID_TIME, **members):
    """What a letter says of an event."""
    scrubber = Scrubber(load_rules(), b"k" * 32, "eu", Privacy())
    return orjson.loads(letter(RawEvent("track", **members), reason, "shop", RECEIVED, scrubber).event)


def test_property_names_are_scrubbed_as_keys_and_values_are_only_types():
    told = shape(event=f"Mail to {EMAIL}", properties={EMAIL: 1, "plan": EMAIL, "card 4111 1111 1111 1111": {}, "n": None})
    assert told == {
        "type": "track",
        "event": "Mail to [email]",
        "properties": {"[email]": "number", "plan": "string", "card [card]": "object", "n": "null"},
    }


@pytest.mark.parametrize("place", ["event", "properties"])
def test_a_long_name_is_cut_after_it_was_scrubbed(place):
    name = "x" * 190 + " " + EMAIL
    told = orjson.dumps(shape(event=name) if place == "event" else shape(properties={name: 1})).decode()
    assert "anna" not in told
    assert "x" * 190 + " [email]" in told


def test_of_what_was_dropped_for_want_of_consent_not_even_the_names_of_properties_are_kept():
    assert shape(Reason.CONSENT_DENIED, event="Viewed", properties={"plan": 1}) == {"type": "track", "event": "Viewed"}


@pytest.mark.parametrize("members", [{"event": "About jdoe42"}, {"event": "Viewed", "properties": {"of jdoe42": 1}}])
def test_where_the_events_own_id_stands_in_its_names_none_is_kept(members):
    assert shape(user_id="jdoe42", **members) == {"type": "track", "event": None}
    assert shape(user_id=["jdoe42"], **members)["event"] is not None
