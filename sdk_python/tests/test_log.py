"""Log records as events."""

from __future__ import annotations

import logging

import pytest
from consentry.log import ConsentryHandler


@pytest.fixture
def logger():
    made = logging.getLogger("shop.orders")
    made.propagate = False
    yield made
    made.handlers.clear()
    made.propagate = True


def test_an_error_is_an_event_without_its_text(client, transport, logger):
    logger.addHandler(ConsentryHandler(client, consent={"analytics": True}))
    logger.warning("too low")
    try:
        raise KeyError("canary")
    except KeyError:
        logger.exception("order of %s failed", "canary@example.com")
    client.flush()
    (event,) = transport.events
    assert (event["event"], event["anonymousId"]) == ("log_recorded", "server")
    assert event["context"]["consent"] == {"purposes": {"analytics": True}}
    line = event["properties"].pop("line")
    assert line > 0
    assert event["properties"] == {"logger": "shop.orders", "level": "ERROR", "module": "test_log", "exception": "KeyError"}


def test_the_template_is_sent_when_asked_for_but_never_its_arguments(client, transport, logger):
    logger.addHandler(ConsentryHandler(client, message=True, event="trouble"))
    logger.error("order of %s failed", "canary")
    client.flush()
    assert transport.named("trouble")[0]["properties"]["message"] == "order of %s failed"
    assert "canary" not in repr(transport.events)


def test_our_own_records_do_not_come_back(client, transport, until):
    own = logging.getLogger("consentry")
    handler = ConsentryHandler(client, logging.DEBUG)
    own.addHandler(handler)
    try:
        transport.down = True
        client.track("seen", user_id="u")
        until(lambda: transport.requests >= 2)
        transport.down = False
        client.flush()
    finally:
        own.removeHandler(handler)
    assert [event["event"] for event in transport.events] == ["seen"]
