"""Funnels through the engine: entries in the range, later steps after it, groups, small counts, log and lake alike."""

from __future__ import annotations

import pytest

from tests.analytics.site import Shop

STEPS = [{"event": "viewed"}, {"event": "added"}, {"event": "bought"}]
RANGE = {"from": "2026-03-01", "to": "2026-03-05"}


@pytest.fixture
def busy(shop: Shop) -> Shop:
    shop.add(
        (1, "2026-03-01T10:00:00", "viewed", {"device": "mobile"}),
        (1, "2026-03-01T10:00:10", "added", {"device": "desktop"}),
        (1, "2026-03-07", "bought", {"device": "desktop"}),
        (2, "2026-03-02", "viewed", {"device": "mobile"}),
        (2, "2026-03-03", "added", {"device": "mobile"}),
        (3, "2026-03-02", "added", {}),
        (3, "2026-03-05T23:59:59", "viewed", {"device": "desktop"}),
        (4, "2026-03-06", "viewed", {}),
    )
    return shop


def funnel(shop, **options):
    return shop.ask(kind="funnel", steps=STEPS, range=RANGE, **options)


def counts(steps):
    return [step.count for step in steps]


def test_entries_lie_in_the_range_and_later_steps_may_lie_after_it(busy):
    found = funnel(busy)
    assert counts(found.steps) == [3, 2, 1]
    assert found.steps[1].conversion_from_first == pytest.approx(2 / 3)
    assert found.steps[1].median_s == pytest.approx((10 + 86_400) / 2)
    assert found.complete


def test_a_window_that_is_over_ends_an_attempt(busy):
    assert counts(funnel(busy, window={"n": 1, "unit": "day"}).steps) == [3, 2, 0]


def test_a_funnel_whose_last_window_is_open_is_not_complete(busy):
    assert not busy.ask("2026-03-10T00:00:00", kind="funnel", steps=STEPS, range=RANGE).complete


def test_groups_are_those_of_the_chosen_touch_and_the_rest_is_other(busy):
    breakdown = {"by": {"property": "device"}, "attribution": "last_touch", "limit": 1}
    groups = {group.group: counts(group.steps) for group in funnel(busy, breakdown=breakdown).groups}
    assert groups == {"desktop": [2, 1, 1], "Other": [1, 1, 0]}


def test_steps_of_fewer_subjects_than_allowed_are_not_shown_nor_any_after(busy):
    found = busy.ask(kind="funnel", steps=STEPS, range=RANGE, least=2)
    assert counts(found.steps) == [3, 2, None]
    assert found.steps[2].mean_s is None
    assert found.overall.conversion is None


def test_half_sealed_and_merged_subjects_give_what_one_log_would(busy):
    busy.seal()
    busy.add((5, "2026-03-04", "bought", {}))
    busy.merge(5, into=2)
    assert counts(funnel(busy).steps) == [3, 2, 2]
    busy.seal()
    busy.compact()
    assert counts(funnel(busy).steps) == [3, 2, 2]


def test_a_trend_has_each_subject_in_the_bucket_of_its_entry(busy):
    found = funnel(busy, trend="day")
    assert [bucket.counts for bucket in found.trend] == [[1, 1, 1], [1, 1, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_the_anonymous_lane_is_refused(busy):
    with pytest.raises(Exception, match="followed") as error:
        funnel(busy, lane="all")
    assert error.value.status == 422


EXCLUDED = [{"event": "removed", "from_step": 0, "to_step": 1}]


def excluding(shop, people, device, *, removed):
    """So many people each of whom views and adds something, and takes it back between the two or not."""
    for person in people:
        events = [("10:00", "viewed"), *([("10:01", "removed")] if removed else []), ("10:02", "added")]
        shop.add(*((person, f"2026-03-02T{time}:00", event, {"device": device}) for time, event in events))


@pytest.mark.parametrize(
    "breakdown",
    [
        {"attribution": "first_touch"},
        {"attribution": "last_touch"},
        {"attribution": "step", "step": 0},
        {"attribution": "step", "step": 1},
        {"attribution": "first_touch", "hold": ["device"]},
        {"attribution": "all_steps"},
        {"by": {"property": "plan", "of": "subject"}},
    ],
)
def test_a_group_has_excluded_those_that_would_have_been_in_it(shop, breakdown):
    for person in range(1, 16):
        shop.add((person, "2026-03-01", "identified", {"type": "identify", "plan": "mobile" if person <= 8 else "desktop"}))
    excluding(shop, range(1, 7), "mobile", removed=False)
    excluding(shop, range(7, 9), "mobile", removed=True)
    excluding(shop, range(9, 13), "desktop", removed=False)
    excluding(shop, range(13, 16), "desktop", removed=True)
    by = {"by": {"property": "device"}, **breakdown}
    found = funnel(shop, exclusions=EXCLUDED, hold_constant=by.pop("hold", []), breakdown=by)
    assert {group.group: (counts(group.steps), group.excluded) for group in found.groups} == {
        "mobile": ([6, 6, 0], 2),
        "desktop": ([4, 4, 0], 3),
    }
    assert found.excluded == 5


def test_attempts_that_were_excluded_are_hidden_by_how_many_subjects_they_are_of(shop):
    for hour in range(6):
        shop.add(*((1, f"2026-03-02T1{hour}:{minute}:00", event) for minute, event in ((10, "viewed"), (20, "removed"))))
    excluding(shop, range(2, 9), "mobile", removed=False)
    assert [funnel(shop, exclusions=EXCLUDED, count_by="entries", least=least).excluded for least in (0, 5)] == [6, None]


def test_few_excluded_do_not_follow_from_those_of_all_and_of_the_other_groups(shop):
    excluding(shop, range(1, 8), "mobile", removed=False)
    excluding(shop, range(8, 16), "mobile", removed=True)
    excluding(shop, range(16, 23), "desktop", removed=False)
    excluding(shop, range(23, 25), "desktop", removed=True)
    found = funnel(shop, exclusions=EXCLUDED, breakdown={"by": {"property": "device"}}, least=5)
    assert (found.excluded, [group.excluded for group in found.groups]) == (10, [None, None])
