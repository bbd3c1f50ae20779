"""Summaries, adoption, cohorts, segments and churn on histories that can be counted by hand."""

from __future__ import annotations

import pytest

from tests.analytics.site import Shop, subject

WEEK = {"from": "2026-03-01", "to": "2026-03-07"}


@pytest.fixture
def busy(shop: Shop) -> Shop:
    shop.add(
        (1, "2026-03-01T10:00:00", "signed_up"),
        (1, "2026-03-02T10:00:00", "exported"),
        (1, "2026-03-04T10:00:00", "exported"),
        (2, "2026-03-01T10:00:00", "signed_up"),
        (2, "2026-03-05T10:00:00", "exported"),
        (3, "2026-03-03T10:00:00", "viewed"),
        (4, "2026-02-01T10:00:00", "exported"),
    )
    shop.seal()
    return shop


def test_adoption_counts_eligible_subjects_only_and_time_from_sign_up(busy):
    found = busy.ask(kind="adoption", feature={"event": "exported"}, signup={"event": "signed_up"}, range=WEEK)
    assert (found.eligible, found.adopters, found.rate) == (3, 2, pytest.approx(2 / 3))
    assert found.uses_mean == 1.5
    assert found.days_to_adopt_mean == pytest.approx(2.5)
    assert found.usage_gap_days_median == 2.0
    assert [bucket.subjects for bucket in found.buckets] == [0, 1, 0, 0, 1, 0, 0]
    assert found.buckets[-1].cumulative_share == pytest.approx(2 / 3)


def test_adoption_among_those_of_whom_a_condition_holds(busy):
    eligible = {"type": "did", "event": "signed_up"}
    assert busy.ask(kind="adoption", feature={"event": "exported"}, eligible=eligible, range=WEEK).rate == 1.0


def test_cohorts_have_sizes_and_overlaps(busy):
    exported, signed = ({"type": "did", "event": event} for event in ("exported", "signed_up"))
    stopped = {"type": "stopped", "event": "exported", "history_days": 60, "recent_days": 30}
    found = busy.ask(kind="cohorts", cohorts=[exported, signed, stopped])
    assert [cohort.subjects for cohort in found.cohorts] == [3, 2, 1]
    assert [(overlap.subjects, overlap.jaccard) for overlap in found.overlaps] == [(2, 2 / 3), (1, 1 / 3), (0, 0)]


@pytest.mark.parametrize(
    ("definition", "people"),
    [
        ({"type": "did", "event": "exported", "times": 2, "window": {"last": 20}}, 1),
        ({"type": "did", "event": "exported", "op": "eq", "times": 0}, 1),
        ({"type": "did", "event": "exported", "op": "lte", "times": 1}, 3),
        ({"type": "first_did", "event": "exported", "window": {"from": "2026-03-01"}}, 2),
        ({"type": "did_then", "first": {"event": "signed_up"}, "then": {"event": "exported"}, "within_days": 1}, 1),
        ({"type": "did_then", "first": {"event": "signed_up"}, "then": {"event": "exported"}, "within_days": 4}, 2),
        (
            {
                "type": "did_then",
                "first": {"event": "signed_up"},
                "then": {"event": "exported"},
                "without": {"event": "x"},
                "within_days": 9,
            },
            2,
        ),
        (
            {
                "type": "did_then",
                "first": {"event": "signed_up"},
                "then": {"event": "exported"},
                "without": {"event": "signed_up"},
                "within_days": 9,
            },
            2,
        ),
        (
            {
                "type": "did_then",
                "first": {"event": "exported"},
                "then": {"event": "exported"},
                "without": {"event": "viewed"},
                "within_days": 9,
            },
            1,
        ),
        ({"type": "did_regularly", "event": "exported", "period": "week", "periods": 8, "least": 2}, 0),
        ({"type": "did_regularly", "event": "exported", "period": "day", "periods": 20, "least": 2}, 1),
        ({"type": "restarted", "event": "exported", "history_days": 60, "recent_days": 20, "gap_days": 10}, 0),
        ({"type": "not", "condition": {"type": "did", "event": "signed_up"}}, 2),
        ({"type": "did", "event": "signed_up", "window": {"last": 19, "unit": "day"}}, 0),
        ({"type": "did", "event": "signed_up", "window": {"last": 19, "unit": "day", "calendar": True}}, 0),
        ({"type": "did", "event": "signed_up", "window": {"last": 20, "unit": "day", "calendar": True}}, 2),
    ],
)
def test_a_cohort_is_those_of_whom_its_rule_is_true(busy, definition, people):
    assert busy.ask(kind="cohorts", cohorts=[definition]).cohorts[0].subjects == people


def test_an_event_exactly_at_the_start_of_the_last_days_is_in_them(shop):
    shop.add((1, "2026-03-10T12:00:00", "viewed"))
    definition = {"type": "did", "event": "viewed", "window": {"last": 10}}
    assert shop.ask("2026-03-20T12:00:00", kind="cohorts", cohorts=[definition]).cohorts[0].subjects == 1
    assert shop.ask("2026-03-20T12:00:00.000001", kind="cohorts", cohorts=[definition]).cohorts[0].subjects == 0


def test_rfm_scores_are_quintiles_in_which_equals_share_the_lower(shop):
    for person in range(1, 11):
        shop.add(
            *((person, f"2026-03-{person:02}T10:00:00", "bought", {"revenue": f"{person}.0000"}) for _ in range(1 + (person > 5)))
        )
    found = shop.ask(kind="rfm", event={"event": "bought"}, range={"from": "2026-03-01", "to": "2026-03-15"})
    assert found.subjects == 10
    assert sorted({cell.frequency for cell in found.cells}) == [1, 3]
    assert sum(cell.subjects for cell in found.cells if cell.recency == 5) == 2
    assert sum(found.segments.values()) == 10


def test_churn_is_of_those_active_before_and_resurrection_of_those_long_away(shop):
    shop.add((1, "2026-01-05"), (1, "2026-01-15"), (2, "2026-01-05"), (3, "2025-12-01"), (3, "2026-01-12"))
    found = shop.ask(kind="churn", interval="week", days=7, range={"from": "2026-01-12", "to": "2026-01-18"})
    bucket = found.buckets[0]
    assert (bucket.active_before, bucket.churned, bucket.churn_rate) == (2, 1, 0.5)
    assert (bucket.pool, bucket.returned, bucket.resurrected, bucket.resurrection_rate) == (1, 1, 2, 1.0)


def test_the_summary_shows_numbers_with_those_before(busy):
    conversion = [{"event": "signed_up"}, {"event": "exported"}]
    found = busy.ask("2026-03-08T00:00:00", kind="kpi", conversion=conversion, range=WEEK)
    numbers = {number.name: number for number in found.numbers}
    assert numbers["active_subjects"].value == 3
    assert numbers["active_subjects"].before == 0
    assert numbers["weekly_active"].value == 3
    assert numbers["monthly_active"].value == 3
    assert numbers["conversion"].value == 1.0
    assert numbers["sessions"].value == 6
    assert numbers["retention_day_1"].value == pytest.approx(1 / 6)


def test_the_summary_shows_how_many_came_back_in_the_range_before(shop):
    shop.add((1, "2026-03-08"), (1, "2026-03-09"), (2, "2026-03-08"), (3, "2026-03-11"), (3, "2026-03-12"), (3, "2026-03-18"))
    found = shop.ask(kind="kpi", range={"from": "2026-03-11", "to": "2026-03-13"})
    numbers = {number.name: number for number in found.numbers}
    day, week = numbers["retention_day_1"], numbers["retention_day_7"]
    assert (day.value, day.before, day.change) == (0.5, pytest.approx(1 / 3), pytest.approx(0.5))
    assert (week.value, week.before) == (0.5, 0.0)
    assert list(numbers)[-3:] == ["retention_day_1", "retention_day_7", "retention_day_30"]


def test_a_day_that_is_not_over_is_compared_with_as_much_of_the_one_before(shop):
    for hour in range(6 * 24 + 12):
        day, at = divmod(hour, 24)
        shop.add(
            (hour % 3, f"2026-03-{14 + day}T{at:02}:00:00", "viewed"), (hour % 3, f"2026-03-{14 + day}T{at:02}:01:00", "bought")
        )
    conversion = [{"event": "viewed"}, {"event": "bought"}]
    for since in ("today", "-1d"):
        found = shop.ask("2026-03-20T11:30:00", kind="kpi", conversion=conversion, range={"from": since})
        numbers = {number.name: number for number in found.numbers}
        for name in ("sessions", "active_subjects", "events_per_session", "conversion"):
            assert (numbers[name].value, numbers[name].change) == (numbers[name].before, 0), name
        assert numbers["sessions"].value == (12 if since == "today" else 36)
        daily = numbers["daily_active"]
        assert (daily.value, daily.before) == ((None, None) if since == "today" else (3, 3))
    shop.add((9, "2026-03-16T15:00:00"), (9, "2026-03-17T15:00:00"), (9, "2026-03-18T15:00:00"))
    found = {number.name: number for number in shop.ask("2026-03-20T11:30:00", kind="kpi", range={"from": "-1d"}).numbers}
    assert (found["active_subjects"].before, found["sessions"].before) == (4, 37), "the 17th whole, the 18th until 11:30"
    assert found["daily_active"].before == 4, "of the 17th, as that of now is of the 19th"
    shop.add((1, "2026-03-13T11:00:00"), (1, "2026-03-13T12:00:00"))
    week = shop.ask("2026-03-20T11:30:00", kind="kpi", range={"from": "this_week"}).numbers
    assert next(number.before for number in week if number.name == "sessions") == 1, "of the week before until Friday 11:30"


def page(path: str, **more) -> dict:
    return {"type": "page", "path": path, **more}


def test_a_web_site_at_a_glance(shop):
    shop.add(
        (1, "2026-03-02T10:00:00", "page_viewed", page("/", country="DE", utm_source="news")),
        (1, "2026-03-02T10:01:00", "page_viewed", page("/buy", country="DE")),
        (1, "2026-03-02T10:02:00", "bought", {"country": "DE"}),
        (2, "2026-03-02T10:00:00", "page_viewed", page("/", country="FR")),
        (None, "2026-03-02T10:00:00", "page_viewed", page("/")),
    )
    goals = [{"name": "order", "event": {"event": "bought"}}]
    found = shop.ask("2026-03-02T10:03:00", kind="web", goals=goals, range={"from": "2026-03-02", "to": "2026-03-02"})
    assert (found.visitors, found.live_visitors, found.page_views, found.anonymous_page_views) == (2, 2, 3, 1)
    assert (found.visits.sessions, found.visits.bounce_rate, found.bounce) == (2, 0.5, "not_engaged")
    assert [(each.value, each.visitors, each.page_views) for each in found.top["path"]] == [
        ("/", 2, 2),
        ("∅ (none)", 1, 0),
        ("/buy", 1, 1),
    ]
    assert (found.goals[0].visitors, found.goals[0].conversion) == (1, 0.5)
    assert [(entry.path, entry.sessions) for entry in found.entries] == [("/", 2)]


def test_a_dashboard_tile_names_the_event_it_lacks(busy):
    found = busy.ask(kind="dashboard", activity={"event": "viewed"}, signup={"event": "signed_up"}, range=WEEK)
    tiles = {tile.name: tile for tile in found.tiles}
    assert tiles["free_to_paid"].missing == ["payment"]
    assert tiles["free_to_paid"].result is None
    assert tiles["signups"].result["series"][0]["total"] == 2
    assert tiles["cumulative_signups"].result["series"][0]["values"][-1]["value"] == 2


def test_a_dashboard_is_a_table_of_its_numbers(busy):
    events = {"activity": {"event": "viewed"}, "signup": {"event": "signed_up"}}
    found = busy.ask(kind="dashboard", **events, range=WEEK)
    rows = found.rows()
    assert {
        "tile": "signups",
        "title": "Signups",
        "missing": "",
        "of": "unique signup",
        "group": None,
        "value": 2,
        "before": 0,
    } in rows
    assert {row["of"] for row in rows if row["tile"] == "lifecycle"} == {"new", "returning", "resurrecting", "dormant"}
    (lacking,) = [row for row in rows if row["tile"] == "free_to_paid"]
    assert (lacking["missing"], lacking["value"]) == ("payment", None)
    sheets = found.sheets()
    assert sheets["Signups"] == [{"of": "unique signup", "group": None, "value": 2, "before": 0}]
    assert "Free to paid" in [row["tile"] for row in sheets["Not configured"]]


def test_cohorts_are_a_table_with_their_overlaps(busy):
    viewed, signed = ({"type": "did", "event": name} for name in ("viewed", "signed_up"))
    found = busy.ask(kind="cohorts", cohorts=[viewed, signed], range=WEEK)
    (*sizes, both) = found.rows()
    assert [row["subjects"] for row in sizes] == [size.subjects for size in found.cohorts]
    overlap = found.overlaps[0]
    assert (both["cohort"], both["other"], both["subjects"], both["jaccard"]) == (0, 1, overlap.subjects, overlap.jaccard)
    assert len(found.sheets()["in both"]) == 1


def test_the_dashboard_shows_who_was_active_lately_and_how_long_visits_are(shop):
    times = ["2026-03-20T11:54:00", "2026-03-20T11:55:00", "2026-03-14T10:00:00", "2026-03-13T10:00:00", "2026-03-07T10:00:00"]
    for person, time in enumerate([*times, "2026-02-10T10:00:00"], start=1):
        shop.add((person, time, "used"))
    shop.add((1, "2026-03-20T11:54:30", "used"))
    found = shop.ask(kind="dashboard", activity={"event": "used"}, range={"from": "-10d"})
    tiles = {tile.name: tile for tile in found.tiles}

    def pair(name):
        line = tiles[name].result["series"][0]
        return line["total"], line["compared_total"]

    assert pair("weekly_active") == (3, 2)
    assert pair("monthly_active") == (5, 1)
    assert tiles["live"].result["series"][0]["total"] == 1
    assert (tiles["sessions"].missing, tiles["sessions"].result["totals"]["mean_duration_s"]) == ([], 7.5)


def test_free_to_paid_is_of_those_who_signed_up_for_the_first_time(shop):
    shop.add((1, "2026-03-02", "signed_up"), (1, "2026-03-03", "paid"), (2, "2026-02-02", "signed_up"))
    shop.add((2, "2026-03-02", "signed_up"), (2, "2026-03-03", "paid"), (3, "2026-03-02", "signed_up"))
    found = shop.ask(kind="dashboard", signup={"event": "signed_up"}, payment={"event": "paid"}, range=WEEK)
    steps = next(tile.result["steps"] for tile in found.tiles if tile.name == "free_to_paid")
    assert [step["count"] for step in steps] == [2, 1]


def test_a_report_on_a_subject_is_a_template_of_numbers_and_tables(shop):
    shop.add(
        (1, "2026-03-01T10:00:00", "identified", {"type": "identify", "role": "editor"}),
        (1, "2026-03-02T10:00:00", "video_watched", {"video": "v1", "seconds": 90}),
        (1, "2026-03-02T11:00:00", "video_watched", {"video": "v1", "seconds": 45}),
        (1, "2026-03-03T10:00:00", "video_watched", {"video": "v2", "seconds": 15}),
        (2, "2026-03-03T10:00:00", "video_watched", {"video": "v2", "seconds": 15}),
    )
    minutes = {"name": "minutes", "event": "video_watched", "of": "sum", "property": "seconds", "divide": 60, "decimals": 1}
    videos = {"name": "videos", "event": "video_watched", "of": "distinct", "property": "video"}
    table = {"name": "videos", "by": "video", "columns": [minutes]}
    found = shop.ask(
        kind="person", subject=str(subject(1)), traits=["role"], numbers=[minutes, videos], tables=[table], range=WEEK
    )
    assert (found.events, found.traits) == (4, {"role": "editor"})
    assert found.numbers == {"minutes": 2.5, "videos": 2}
    assert found.tables[0].rows == [{"value": "v1", "minutes": 2.2}, {"value": "v2", "minutes": 0.2}]
    assert [each.event for each in found.timeline][:2] == ["video_watched", "video_watched"]
    with pytest.raises(Exception, match="one subject"):
        shop.ask(kind="person", subject=str(subject(1)), least=5)


@pytest.mark.parametrize("sealed", [True, False])
def test_a_report_is_of_its_site_its_range_and_purposes_that_questions_may_see(shop, sealed):
    shop.add(
        (1, "2026-02-28T23:59:59", "too early"),
        (1, "2026-03-01T00:00:00", "first"),
        (1, "2026-03-07T23:59:59", "last"),
        (1, "2026-03-08T00:00:00", "too late"),
        (1, "2026-03-03", "elsewhere", {"site": "blog"}),
        (1, "2026-03-03", "for another purpose", {"purpose": "marketing"}),
        (2, "2026-03-03", "somebody else's"),
    )
    if sealed:
        shop.seal()
    found = shop.ask(kind="person", subject=str(subject(1)), range=WEEK)
    assert (found.events, [each.event for each in found.timeline]) == (2, ["last", "first"])


def test_sessions_of_too_few_subjects_are_not_shown(busy):
    question = {"kind": "sessions", "range": WEEK}
    assert busy.ask(**question).totals.sessions == 6
    found = busy.ask(least=4, **question)
    assert (found.totals.sessions, found.totals.mean_duration_s) == (None, None)
    assert {bucket.sessions for bucket in found.buckets} == {0, None}


def test_what_comes_between_breaks_a_sequence(shop):
    shop.add(
        (1, "2026-03-01"),
        (1, "2026-03-02", "cancelled"),
        (1, "2026-03-03", "bought"),
        (2, "2026-03-01"),
        (2, "2026-03-03", "bought"),
    )
    sequence = {"type": "did_then", "first": {"event": "viewed"}, "then": {"event": "bought"}, "within_days": 9}
    without = {**sequence, "without": {"event": "cancelled"}}
    sizes = [cohort.subjects for cohort in shop.ask(kind="cohorts", cohorts=[sequence, without]).cohorts]
    assert sizes == [2, 1]


def test_a_report_tells_what_was_watched_of_a_video_and_the_cohorts_of_a_subject(shop):
    for video, begin, end, whole in [
        ("intro", 0, 30, 100),
        ("intro", 20, 50, 100),
        ("intro", 70, 75, 100),
        ("long", 0, 900, 600),
    ]:
        shop.add((1, "2026-03-02", "watched", {"video": video, "from": begin, "to": end, "length": whole}))
    shop.add(
        (1, "2026-03-02", "watched", {"video": "intro", "from": 60}), (1, "2026-02-02", "bought", {}), (2, "2026-03-02", "viewed")
    )
    shop.save_cohort("buyers", {"type": "did", "event": "bought"})
    shop.save_cohort("viewers", {"type": "did", "event": "viewed"})
    watched = {"event": "watched", "property": "from", "until": "to", "of": "covered"}
    share = {**watched, "name": "completion", "whole": "length", "decimals": 2}
    found = shop.ask(
        kind="person",
        subject=str(subject(1)),
        range=WEEK,
        cohorts=["buyers", "viewers"],
        numbers=[{**watched, "name": "seconds"}, {**watched, "name": "none", "event": "other"}, {**share, "event": "other"}],
        tables=[{"name": "videos", "by": "video", "columns": [share]}],
    )
    assert found.numbers == {"seconds": 900, "none": 0, "completion": None}
    assert found.tables[0].rows == [{"value": "intro", "completion": 0.55}, {"value": "long", "completion": 1.0}]
    assert found.cohorts == {"buyers": True, "viewers": False}
