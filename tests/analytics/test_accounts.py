"""Accounts in the place of subjects: whose events are whose, and funnels, retention and counts of them against the reference."""

from __future__ import annotations

import random

import pytest

from consentryd.analytics.kernel.funnel import Funnel, Step
from consentryd.model.error import Unprocessable
from tests.analytics import reference
from tests.analytics.site import Shop, instant, values
from tests.house import open_house

RANGE = {"from": "2026-03-01", "to": "2026-03-14"}
STEPS = [{"event": "a"}, {"event": "b"}, {"event": "c"}]


def funnel(shop, **options):
    query = {"kind": "funnel", "steps": STEPS, "range": RANGE, "window": {"n": 3, "unit": "day"}, "count_by": "group", **options}
    return shop.ask(**query)


def counts(answer):
    return [step.count for step in answer.steps]


@pytest.fixture
def office(shop: Shop) -> Shop:
    """Person 1 and 2 act for north from their group calls on; 3 for south by the event; 4 for nobody."""
    shop.add(
        (1, "2026-03-02T08:00:00", "a", {}),
        (1, "2026-03-02T09:00:00", "joined", {"type": "group", "group_id": "north"}),
        (1, "2026-03-02T10:00:00", "a", {}),
        (2, "2026-03-01T09:00:00", "joined", {"type": "group", "group_id": "north"}),
        (2, "2026-03-03", "b", {}),
        (3, "2026-03-02", "a", {"group_id": "south"}),
        (3, "2026-03-03", "b", {"group_id": "south"}),
        (2, "2026-03-04", "c", {}),
        (4, "2026-03-02", "a", {}),
        (4, "2026-03-03", "b", {}),
    )
    return shop


def test_the_steps_of_an_account_may_be_done_by_several_of_its_people(office):
    assert counts(funnel(office)) == [2, 2, 1]
    assert counts(funnel(office, count_by="subject")) == [3, 2, 0]


def test_an_event_belongs_to_the_account_it_names_else_to_that_of_the_last_group_call(office):
    office.add((1, "2026-03-05", "joined", {"type": "group", "group_id": "west"}), (1, "2026-03-06", "a", {}))
    office.add((1, "2026-03-06", "a", {"group_id": "east"}))
    assert counts(funnel(office)) == [4, 2, 1]
    line = office.ask(
        kind="trends", series=[{"event": "a", "math": "unique_groups"}], range={"from": "2026-03-02", "to": "2026-03-06"}
    )
    assert (values(line.series[0]), line.series[0].total) == ([2, 0, 0, 0, 2], 4)


def test_half_sealed_accounts_give_what_one_log_would(office):
    office.seal()
    office.add((4, "2026-03-03T11:00:00", "joined", {"type": "group", "group_id": "south"}), (4, "2026-03-04", "c", {}))
    assert counts(funnel(office)) == [2, 2, 2]
    office.compact()
    assert counts(funnel(office)) == [2, 2, 2]


def test_groups_of_a_breakdown_are_of_the_accounts_chain(office):
    found = funnel(office, breakdown={"by": {"property": "group_id"}, "attribution": "step", "step": 0})
    assert {group.group: counts(group) for group in found.groups} == {"∅ (none)": [1, 1, 1], "south": [1, 1, 0]}


def test_an_account_comes_back_when_anybody_of_it_does(office):
    ask = {
        "kind": "retention",
        "start": {"event": "a"},
        "return": {"event": "c"},
        "periods": 3,
        "range": {"from": "2026-03-02", "to": "2026-03-02"},
    }
    assert office.ask(**ask, count_by="group").cohorts[0].values == [2, 0, 1, 0]
    assert office.ask(**ask).cohorts[0].values == [3, 0, 0, 0]


def test_an_account_is_here_when_anybody_of_it_is(office):
    week = {"from": "2026-03-02", "to": "2026-03-04"}
    found = office.ask(kind="lifecycle", range=week, count_by="group", activity={"event": ["a", "b", "c"]})
    assert [(each.new, each.returning, each.dormant) for each in found.buckets] == [(2, 0, 0), (0, 2, 0), (0, 1, -1)]


def test_the_dashboard_may_be_about_accounts(office):
    events = {name: {"event": event} for name, event in (("activity", "a"), ("signup", "a"), ("payment", "c"))}
    found = office.ask(kind="dashboard", range=RANGE, count_by="group", **events)
    tiles = {tile.name: tile.result for tile in found.tiles}
    assert tiles["paying"]["series"][0]["total"] == 1
    assert [step["count"] for step in tiles["free_to_paid"]["steps"]] == [2, 1]
    assert [len(tiles[name]["series"]) for name in ("active", "weekly_active", "monthly_active")] == [3, 1, 1]
    active = [[point["value"] for point in line["values"]] for line in tiles["active"]["series"]]
    assert active == [[0, 2, *[0] * 12], [0, *[2] * 7, *[0] * 6], [0, *[2] * 13]]
    assert [point["value"] for point in tiles["new_signups"]["series"][0]["values"]] == [0, 2, 0]
    assert [point["value"] for point in tiles["cumulative_signups"]["series"][0]["values"]] == [0, *[2] * 13]


def test_a_hidden_subject_does_nothing_for_its_account(office):
    office.hide(2)
    assert counts(funnel(office)) == [2, 1, 0]


def test_a_sample_of_subjects_is_no_sample_of_accounts(office):
    with pytest.raises(Unprocessable, match="sample"):
        funnel(office, sampling=0.5)


def test_random_accounts_give_what_the_definitions_give(tmp_path):
    draw = random.Random(11)
    shop = Shop(tmp_path)
    histories: dict[str, list] = {}
    for number in range(400):
        person, letter, minute = draw.randrange(60), draw.choice("abcx"), draw.randrange(60 * 24 * 6)
        account = f"account {person % 23}" if draw.random() < 0.8 else f"account {draw.randrange(23)}"
        time = instant("2026-03-02T00:00:00") + minute * 60_000_000
        shop.add((person + 1, time, letter, {"group_id": account}))
        histories.setdefault(account, []).append((time, {"abc".index(letter)} if letter != "x" else set()))
        if number == 200:
            shop.seal()
    question = Funnel(
        tuple(map(Step, range(3))), 3 * 86_400_000_000, instant("2026-03-01T00:00:00"), instant("2026-03-15T00:00:00")
    )
    answers = [answer for answer in (reference.funnel(history, question) for history in histories.values()) if answer]
    expected = [sum(answer.reached[step] for answer in answers) for step in range(3)]
    assert counts(funnel(shop)) == expected
    assert expected[2] > 3
    shop.close()


async def test_group_calls_and_contexts_name_the_account_over_http(tmp_path):
    async with open_house(tmp_path) as house:
        consent = {"consent": {"purposes": {"analytics": True}}}
        calls = [
            {"type": "group", "userId": "u-1", "groupId": "acme", "context": consent},
            {"type": "track", "userId": "u-1", "event": "a", "context": consent},
            {"type": "track", "userId": "u-2", "event": "b", "context": {**consent, "groupId": "acme"}},
            {"type": "track", "userId": "u-3", "event": "a", "context": {**consent, "groupId": {"odd": 1}}},
        ]
        status, answer = await house.post("/v1/batch", {"batch": calls}, key="server")
        assert (status, answer["accepted"]) == (200, 4)
        ask = {"kind": "funnel", "steps": [{"event": "a"}, {"event": "b"}], "range": {"from": "today"}, "count_by": "group"}
        status, answer = await house.post("/v1/query", ask, key="read")
        assert [step["count"] for step in answer["steps"]] == [1, 1]
        status, refused = await house.post(f"/v1/query/{answer['query_id']}/subjects", {"step": 0}, key="privacy")
        assert (status, refused["error"]["field"]) == (422, "count_by")
