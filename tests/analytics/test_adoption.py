"""Adoption against a plain reading of the same events."""

from __future__ import annotations

import random
from itertools import pairwise
from statistics import median

import pytest

from consentryd.model.clock import DAY
from consentryd.model.error import Unprocessable
from tests.analytics.site import Shop, instant

SINCE, UNTIL = instant("2026-02-02T00:00:00"), instant("2026-03-02T00:00:00")
RELEASED = instant("2026-01-20T00:00:00")
QUESTION = {
    "kind": "adoption",
    "feature": {"event": "exported"},
    "signup": {"event": "signed_up"},
    "released": "2026-01-20",
    "exposed": {"event": "shown"},
    "interval": "week",
    "range": {"from": "2026-02-02", "to": "2026-03-01"},
}
NOW = "2026-03-20T12:00:00"


def history(seed: int, people: int = 40):
    rng = random.Random(seed)
    start = instant("2026-01-05T00:00:00")
    for person in range(1, people):
        joined = start + rng.randrange(40 * DAY)
        yield person, joined, "signed_up"
        for _ in range(rng.randrange(14)):
            at = start + rng.randrange(70 * DAY)
            yield person, at, rng.choice(["exported", "viewed", "shown"])


@pytest.fixture(scope="module", params=[1, 2, 3])
def rows(request):
    return list(history(request.param))


@pytest.fixture(scope="module")
def shop(tmp_path_factory, rows):
    made = Shop(tmp_path_factory.mktemp("adoption"))
    made.add(*((person, at, event, {"country": "DE" if person % 3 else "FR"}) for person, at, event in rows[::2]))
    made.seal()
    made.add(*((person, at, event, {"country": "DE" if person % 3 else "FR"}) for person, at, event in rows[1::2]))
    made.add(*((person, "2026-01-02", "identified", {"type": "identify", "plan": "pro"}) for person in range(1, 40, 2)))
    yield made
    made.close()


def times(rows, person, event, since=0, until=2**62):
    return sorted(at for who, at, what in rows if who == person and what == event and since <= at < until)


def active(rows, since, until, events=("exported", "viewed", "shown", "signed_up")):
    return {who for who, at, what in rows if since <= at < until and what in events}


@pytest.mark.parametrize("uses", [1, 2])
def test_adopters_depth_and_gaps_are_those_of_a_plain_reading(shop, rows, uses):
    found = shop.ask(NOW, **QUESTION, uses=uses)
    eligible = active(rows, SINCE, UNTIL)
    own = {person: times(rows, person, "exported", SINCE, UNTIL) for person in eligible}
    adopters = {person: each for person, each in own.items() if len(each) >= uses}
    assert (found.eligible, found.adopters) == (len(eligible), len(adopters))
    assert found.uses_mean == pytest.approx(sum(map(len, adopters.values())) / len(adopters))
    assert found.uses_median == median(map(len, adopters.values()))
    gaps = [median(later - sooner for sooner, later in pairwise(each)) for each in adopters.values() if len(each) > 1]
    assert found.usage_gap_days_median == pytest.approx(median(gaps) / DAY)
    waits = []
    for person in adopters:
        first, since = times(rows, person, "exported")[0], max(times(rows, person, "signed_up")[0], RELEASED)
        waits += [first - since] if first >= since else []
    assert found.days_to_adopt_median == pytest.approx(median(waits) / DAY)


def test_each_bucket_has_its_active_subjects_and_its_users(shop, rows):
    found = shop.ask(NOW, **QUESTION)
    firsts = {person: times(rows, person, "exported")[:1] for person in active(rows, SINCE, UNTIL)}
    so_far = 0
    for number, bucket in enumerate(found.buckets):
        since, until = SINCE + number * 7 * DAY, SINCE + (number + 1) * 7 * DAY
        users = active(rows, since, until, ("exported",))
        assert (bucket.active, bucket.users) == (len(active(rows, since, until)), len(users))
        assert bucket.share == pytest.approx(len(users) / bucket.active)
        new = sum(bool(each) and since <= each[0] < until for each in firsts.values())
        so_far += new
        assert (bucket.subjects, bucket.cumulative_share) == (new, pytest.approx(so_far / found.eligible))


def test_the_curve_has_only_those_in_its_denominator_who_were_observed_so_long(shop, rows):
    found = shop.ask(NOW, **QUESTION, curve_days=40)
    eligible = active(rows, SINCE, UNTIL)
    start = {person: max(times(rows, person, "signed_up")[0], RELEASED) for person in eligible}
    for point in found.curve:
        observed = [person for person in eligible if UNTIL - start[person] >= point.day * DAY]
        adopted = [
            person for person in observed if any(at - start[person] <= point.day * DAY for at in times(rows, person, "exported"))
        ]
        assert point.subjects == len(observed)
        assert point.share == (pytest.approx(len(adopted) / len(observed)) if observed else None)
    assert [point.day for point in found.curve] == list(range(41))


@pytest.mark.parametrize("again", [3, 14])
def test_discovery_is_shown_then_used_then_used_again_soon(shop, rows, again):
    found = shop.ask(NOW, **QUESTION, again_days=again).discovery
    exposed = used = used_again = 0
    for person in range(1, 40):
        shown = times(rows, person, "shown", SINCE, UNTIL)
        if shown:
            after = times(rows, person, "exported", shown[0])
            exposed += 1
            used += bool(after)
            used_again += any(later - sooner <= again * DAY for sooner, later in pairwise(after))
    assert (found.exposed, found.used, found.used_again) == (exposed, used, used_again)


def test_segments_are_by_last_value_or_by_trait(shop, rows):
    found = shop.ask(NOW, **QUESTION, by=[{"property": "country"}, {"property": "plan", "of": "subject"}])
    eligible, users = active(rows, SINCE, UNTIL), active(rows, SINCE, UNTIL, ("exported",))
    countries = {"DE": lambda person: person % 3, "FR": lambda person: not person % 3}
    plans = {"pro": lambda person: person % 2, "∅ (none)": lambda person: not person % 2}
    for segments, groups in zip(found.segments, [countries, plans], strict=True):
        for group in segments.groups:
            members = {person for person in eligible if groups[group.value](person)}
            assert (group.eligible, group.adopters) == (len(members), len(members & users))
            assert group.rate == pytest.approx(len(members & users) / len(members))
        assert sum(group.eligible for group in segments.groups) == found.eligible
    again = "share that uses it again, by weeks"
    assert list(found.sheets()) == ["by bucket", "adoption curve", again, "shown, used, used again", "country", "plan"]
    assert list(found.sheets()[again][0].values()) == found.retention
    assert found.sheets()["shown, used, used again"] == [found.discovery.model_dump()]


def test_small_groups_are_not_shown(shop):
    plain = shop.ask(NOW, **QUESTION, by=[{"property": "country"}])
    sizes = {group.value: group.eligible for group in plain.segments[0].groups}
    found = shop.ask(NOW, least=min(sizes.values()) + 1, **QUESTION, by=[{"property": "country"}])
    assert [(group.value, group.eligible) for group in found.segments[0].groups] == [("Other", plain.eligible)]
    hidden = shop.ask(NOW, least=plain.eligible + 1, **QUESTION)
    assert (hidden.eligible, hidden.rate, hidden.discovery.exposed) == (None, None, None)
    assert {point.share for point in hidden.curve} == {None}


def test_bins_and_sessions_are_no_groups_of_subjects(shop):
    with pytest.raises(Unprocessable, match="edges"):
        shop.ask(NOW, **QUESTION, by=[{"property": "age", "bins": 3}])


def test_retention_is_of_those_whose_first_use_is_in_the_range(tmp_path):
    """Not of those of the weeks that the range's days lie in."""
    made = Shop(tmp_path)
    made.add(*((person, day, "exported") for person in range(1, 5) for day in ("2026-03-09", "2026-03-17")))
    made.add(
        (5, "2026-03-12", "exported"), (6, "2026-03-10", "exported"), (6, "2026-03-12", "exported"), (6, "2026-03-18", "exported")
    )
    question = {"kind": "adoption", "feature": {"event": "exported"}}
    for day, least, curve in (
        ("11", 0, [1.0, 0.0, 0.0]),
        ("10", 0, [1.0, 0.5, 0.0]),
        ("09", 0, [1.0, 5 / 6, 0.0]),
        ("11", 2, [None] * 3),
    ):
        found = made.ask("2026-04-20T12:00:00", least=least, range={"from": f"2026-03-{day}", "to": "2026-03-13"}, **question)
        assert found.retention[:3] == [None if share is None else pytest.approx(share) for share in curve]
    made.close()


def test_who_never_signed_up_has_no_time_to_adopt(shop):
    options = {**QUESTION, "signup": {"event": "never"}, "released": None}
    found = shop.ask(NOW, **options)
    assert (found.days_to_adopt_mean, found.days_to_adopt_median) == (None, None)
    assert {point.subjects for point in found.curve} == {0}


FREE = {"type": "subject", "property": "plan", "value": "free"}


@pytest.mark.parametrize(
    ("eligible", "people"),
    [(FREE, 2), (FREE | {"value": "pro"}, 1), (FREE | {"op": "is_not"}, 2), ({"type": "not", "condition": FREE}, 2)],
)
def test_who_is_eligible_is_so_by_now(tmp_path, eligible, people):
    """Not by what somebody was before: 1 and 2 are on the free plan, 3 is on another, and 4 never said."""
    shop = Shop(tmp_path)
    said = [(1, "2026-02-04", "free"), (2, "2026-02-03", "pro"), (2, "2026-02-05", "free"), (3, "2026-02-05", "pro")]
    shop.add(*((person, at, "identify", {"type": "identify", "plan": plan}) for person, at, plan in said))
    shop.add(*((person, "2026-02-02", "viewed", {"beta": person == 2}) for person in (1, 2, 3, 4)))
    question = {"kind": "adoption", "feature": {"event": "viewed"}, "range": QUESTION["range"]}
    assert shop.ask(NOW, **question, eligible=eligible).eligible == people
    assert shop.ask(NOW, kind="cohorts", cohorts=[eligible]).cohorts[0].subjects == people
    both = {"type": "and", "conditions": [FREE, {"property": "beta", "value": True}]}
    assert shop.ask(NOW, **question, eligible=both).eligible == 1
    shop.close()
