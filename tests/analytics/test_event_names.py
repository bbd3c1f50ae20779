"""A name that no event has is said, rather than answered with noughts alone."""

from __future__ import annotations

import pytest

from tests.analytics.site import Shop

RANGE = {"from": "2026-03-01", "to": "2026-03-10"}


def unknown(shop: Shop, **question) -> list[str]:
    found = shop.ask(**{"range": RANGE, "kind": "trends", **question}).warnings
    return [warned.message.rpartition("(")[2].rstrip(")") for warned in found if warned.code == "unknown_event"]


@pytest.fixture
def busy(shop: Shop) -> Shop:
    shop.add((1, "2026-01-01", "bought"), (None, "2026-03-02", "counted"), (2, "2026-03-02", "viewed"))
    return shop


def test_a_name_is_unknown_if_nothing_was_ever_called_so(busy):
    assert unknown(busy, series=[{"event": ["viewed", "bought", "veiwed"]}, {"event": "counted"}, {}]) == ["veiwed"]
    assert unknown(busy, series=[{"event": "viewed", "where": {"type": "did", "event": "Bought"}}]) == ["Bought"]
    assert unknown(busy, kind="funnel", steps=[{"event": "viewed"}, {"event": "payed"}]) == ["payed"]
    busy.add((3, "2026-03-02", "payed"))
    assert unknown(busy, kind="funnel", steps=[{"event": "viewed"}, {"event": "payed"}]) == []


def test_names_that_were_found_are_not_looked_for_again(busy, monkeypatch):
    assert unknown(busy, series=[{"event": "viewed"}]) == []
    monkeypatch.setattr("consentryd.analytics.execution.Execution.with_rules", lambda *_: pytest.fail("looked again"))
    assert unknown(busy, series=[{"event": "viewed"}]) == []


def test_nothing_is_said_where_groups_of_one_are_hidden(busy):
    assert unknown(busy, series=[{"event": "veiwed"}], min_group_size=5) == []
