"""The specification's vectors, asked through the whole engine: half of the events sealed, half still in the log."""

from __future__ import annotations

import pytest

from tests.analytics.site import Shop

DAY = "2020-06-{:02}T10:00:00"


def fill(shop: Shop, events: list[tuple[int, str]]) -> None:
    for number, (person, time) in enumerate(events):
        shop.add((person, time, "viewed"))
        if number == len(events) // 2:
            shop.seal()


def days(*people: tuple[int, ...]) -> list[tuple[int, str]]:
    return [(person, DAY.format(10 + day)) for person, active in enumerate(people, start=1) for day in active]


def table(result) -> list[list[int]]:
    """Each cohort's values for as long as its periods lie in the range."""
    count = len(result.cohorts)
    return [cohort.values[: count - number] for number, cohort in enumerate(result.cohorts)]


def retention(shop: Shop, start: str, end: str, periods: int, **options):
    wanted = {"from": start, "to": end}
    return shop.ask("2020-09-01T00:00:00", kind="retention", range=wanted, periods=periods, **options)


def test_r1_daily_recurring(shop):
    fill(shop, days((0, 1, 2, 5, 5, 6), (1, 2, 3, 6)))
    assert table(retention(shop, "2020-06-10", "2020-06-20", 10)) == [
        [1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0],
        [2, 2, 1, 0, 1, 2, 0, 0, 0, 0],
        [2, 1, 0, 1, 2, 0, 0, 0, 0],
        [1, 0, 0, 1, 0, 0, 0, 0],
        [0] * 7,
        [1, 1, 0, 0, 0, 0],
        [2, 0, 0, 0, 0],
        [0] * 4,
        [0] * 3,
        [0, 0],
        [0],
    ]


R3 = [
    *((1, f"2020-{day}T10:00:00") for day in ("06-10", "06-11", "06-17", "06-24", "07-04", "07-11")),
    *((2, f"2020-{day}T10:00:00") for day in ("06-10", "06-11", "06-17", "07-04", "07-11", "07-25")),
]


@pytest.mark.parametrize(("week_start", "first"), [(7, "2020-06-07"), (1, "2020-06-08")])
def test_r3_weekly_ranges_widen_to_whole_weeks(shop, week_start, first):
    fill(shop, R3)
    found = retention(shop, "2020-06-10", "2020-07-24", 6, interval="week", week_start=week_start)
    assert found.cohorts[0].start.startswith(first)
    rows = [[2, 2, 1, 2, 2, 0, 1], [2, 1, 2, 2, 0, 1], [1, 1, 1, 0, 0], [2, 2, 0, 1], [2, 0, 1], [0, 0], [1]]
    assert table(found) == rows


@pytest.mark.parametrize(
    ("start", "rows"),
    [
        ("2020-06-10", [[2, 2, 1, 1, 1, 0], [2, 1, 1, 0, 0], [1, 1, 0, 0], [3, 2, 0], [3, 0], [0]]),
        ("2020-06-11", [[2, 1, 1, 0, 0], [1, 1, 0, 0], [3, 2, 0], [3, 0], [0]]),
    ],
)
def test_r4_on_or_after(shop, start, rows):
    fill(shop, days((0, 3, 4), (0, 1), (1, 2, 3), (3, 4), (4,)))
    periods = len(rows) - 1
    assert table(retention(shop, start, "2020-06-15", periods, mode="on_or_after")) == rows


def test_l1_lifecycle_by_day(shop):
    fill(shop, [(1, f"2020-01-{day:02}T10:00:00") for day in (9, 11, 12, 13, 15, 17, 18, 19)])
    found = shop.ask("2020-02-01T00:00:00", kind="lifecycle", range={"from": "2020-01-09", "to": "2020-01-19"})
    by_status = {
        status: [9 + number for number, bucket in enumerate(found.buckets) if getattr(bucket, status)]
        for status in ("new", "returning", "resurrecting", "dormant")
    }
    assert by_status == {"new": [9], "returning": [12, 13, 18, 19], "resurrecting": [11, 15, 17], "dormant": [10, 14, 16]}
    assert {bucket.dormant for bucket in found.buckets} == {0, -1}


F1 = {1: "S", 2: "SP", 3: "PSbP", 4: "bPbPSP", 5: "SPbPPP", 6: "PbPPP"}
F7 = {1: "S", 2: "PS", 3: "SPbI", 4: "IPS", 5: "PSbPbI", 6: "bI", 7: "Pb", 8: "IP"}


def sequences(shop: Shop, people: dict[int, str]) -> None:
    for person, events in people.items():
        shop.add(*((person, f"2020-06-{10 + number:02}T10:00:00", event) for number, event in enumerate(events)))
        if person == 3:
            shop.seal()


def counts(shop: Shop, steps: str, **options) -> list[int]:
    query = {"kind": "funnel", "steps": [{"event": step} for step in steps], "range": {"from": "2020-06-01", "to": "2020-06-30"}}
    return [step.count for step in shop.ask("2020-09-01T00:00:00", **query, **options).steps]


def test_f1_repeated_steps_out_of_order(shop):
    sequences(shop, F1)
    assert counts(shop, "SPPPP") == [5, 4, 1, 1, 1]


def test_f7_any_order(shop):
    sequences(shop, F7)
    assert counts(shop, "SPI", order="any") == [8, 5, 3]


F2 = {
    1: [(1, "S"), (2, "P"), (3, "x"), (4, "I"), (4.5, "x"), (5, "T"), (5.5, "x"), (6, "Q")],
    2: [(1, "S"), (2, "P"), (4, "I"), (4.5, "x"), (5, "T"), (5.5, "x"), (6, "Q")],
    3: [(1, "S"), (1.5, "x"), (2, "P"), (4, "I"), (5, "T"), (5.5, "x"), (6, "Q")],
}


@pytest.mark.parametrize(("low", "high", "expected"), [(0, 1, 2), (1, 2, 2), (2, 3, 1), (3, 4, 0), (1, 3, 1)])
def test_f2_exclusions_between_each_pair(shop, low, high, expected):
    for person, events in F2.items():
        shop.add(*((person, f"2020-06-10T10:{int(minute):02}:{30 if minute % 1 else 0:02}", event) for minute, event in events))
    found = counts(shop, "SPITQ", exclusions=[{"event": "x", "from_step": low, "to_step": high}])
    assert [found[0], found[4]] == [expected, expected]


def test_f6_two_definitions_at_one_instant(shop):
    shop.add((1, "2020-06-10T10:00:00", "S"), (1, "2020-06-10T10:00:00", "P"), (2, "2020-06-10T10:00:00", "S"))
    assert counts(shop, "SP") == [2, 1]


def test_f10_all_steps_attribution(shop):
    shop.add(
        (1, "2020-06-01T12:00:00", "S", {"browser": "Chrome"}),
        (1, "2020-06-02T12:30:00", "M", {"browser": "Safari"}),
        (1, "2020-06-02T13:00:00", "S", {"browser": "Safari"}),
        (1, "2020-06-02T14:00:00", "M", {"browser": "Safari"}),
    )
    query = {"kind": "funnel", "steps": [{"event": "S"}, {"event": "M"}], "range": {"from": "2020-06-01", "to": "2020-06-30"}}
    breakdown = {"by": {"property": "browser"}, "attribution": "all_steps"}
    groups = {group.group: group for group in shop.ask("2020-09-01T00:00:00", **query, breakdown=breakdown).groups}
    assert {name: [step.count for step in group.steps] for name, group in groups.items()} == {"Chrome": [1, 0], "Safari": [1, 1]}
    assert (groups["Safari"].overall.mean_s, groups["Safari"].overall.median_s) == (3600, 3600)


def test_sessions_end_after_a_pause_longer_than_the_gap(shop):
    times = ["10:00:00", "10:30:00", "11:00:00.000001", "11:10:00"]
    shop.add(
        *((1, f"2020-06-10T{time}", "page_viewed", {"type": "page", "path": f"/{number}"}) for number, time in enumerate(times))
    )
    found = shop.ask("2020-09-01T00:00:00", kind="sessions", range={"from": "2020-06-10", "to": "2020-06-10"})
    assert (found.totals.sessions, found.totals.pages_per_session) == (2, 2)
    assert found.totals.mean_duration_s == pytest.approx((1800 + 599.999999) / 2)
    assert [(entry.path, entry.sessions) for entry in found.entries] == [("/0", 1), ("/2", 1)]


def test_stickiness_counts_active_days(shop):
    fill(shop, days((0, 1, 2), (0,), (4,)))
    found = shop.ask("2020-09-01T00:00:00", kind="stickiness", range={"from": "2020-06-10", "to": "2020-06-14"})
    assert [active.subjects for active in found.histogram] == [2, 0, 1, 0, 0]
    assert [active.at_least for active in found.histogram] == [3, 1, 1, 0, 0]
    assert found.days[0].daily == 2
    assert found.days[4].weekly == 3
    assert found.mean_buckets == pytest.approx(5 / 3)


def test_p1_paths(shop):
    walks = {1: [("/", 0), ("/about", 420)], 2: [("/", 0), ("/pricing", 420), ("/about", 480)], 3: [("/pricing", 0), ("/", 420)]}
    for person, pages in {**walks, 4: [("/", 0), ("/pricing", 420)]}.items():
        shop.add(*((person, f"2020-06-10T10:{at // 60:02}:{at % 60:02}", "page_viewed", {"path": path}) for path, at in pages))
    found = shop.ask("2020-09-01T00:00:00", kind="paths", range={"from": "2020-06-10", "to": "2020-06-10"})
    assert [(edge.from_, edge.to, edge.sessions) for edge in found.edges] == [
        ("1_/", "2_/pricing", 2),
        ("1_/", "2_/about", 1),
        ("1_/pricing", "2_/", 1),
        ("2_/pricing", "3_/about", 1),
    ]
    assert found.paths[0].items == ["/", "/about"]
    assert found.nodes[0].model_dump() == {"step": 1, "item": "/", "arrivals": 3, "continued": 3, "dropped": 0}


def test_markov_and_shapley_credit_of_the_vectors(shop):
    paths = {1: "ABC", 2: "B", 3: "BC"}
    for person, channels in paths.items():
        shop.add(*((person, f"2020-06-{9 + n}T10:00:00", "visited", {"utm_source": c}) for n, c in enumerate(channels, start=1)))
    shop.add((1, "2020-06-20T10:00:00", "bought"))
    question = {"kind": "attribution", "conversion": {"event": "bought"}, "range": {"from": "2020-06-01", "to": "2020-06-30"}}
    found = {row.channel: row.conversions for row in shop.ask("2020-09-01T00:00:00", **question).channels}
    assert [found[name]["markov"] for name in "ABC"] == pytest.approx([1 / 7, 3 / 7, 3 / 7])
    assert [found[name]["shapley"] for name in "ABC"] == pytest.approx([1 / 3] * 3)
    assert [found[name]["position"] for name in "ABC"] == pytest.approx([0.4, 0.2, 0.4])
    assert [found[name]["last"] for name in "ABC"] == [0, 0, 1]


def test_an_experiment_counts_only_what_follows_the_first_exposure(shop):
    for person in range(1, 41):
        variant = "new" if person % 2 else "old"
        shop.add((person, "2020-06-10T10:00:00", "exposed", {"variant": variant}))
        if person % 4 == 1:
            shop.add((person, "2020-06-11T10:00:00", "bought", {}))
        if person % 4 == 0:
            shop.add((person, "2020-06-09T10:00:00", "bought", {}))
    shop.add(
        (41, "2020-06-10T10:00:00", "exposed", {"variant": "new"}), (41, "2020-06-11T10:00:00", "exposed", {"variant": "old"})
    )
    found = shop.ask(
        "2020-09-01T00:00:00",
        kind="experiment",
        exposure={"event": "exposed"},
        variants=["old", "new"],
        metrics=[{"name": "buys", "event": {"event": "bought"}}],
        method="frequentist",
        planned={"subjects": 40, "at": "2020-06-01"},
        range={"from": "2020-06-10", "to": "2020-06-30"},
    )
    assert (found.exposed, found.mixed, found.split.level) == ({"old": 20, "new": 20}, 1, "ok")
    assert (found.controls[0].total, found.arms[0].total, found.arms[0].effect) == (0, 10, 0.5)
    assert found.arms[0].test == "fisher"
    assert found.arms[0].p_value < 0.001


def test_recurring_revenue_moves_add_up(shop):
    def charge(person, day, amount, **more):
        shop.add((person, f"{day}T10:00:00", "charged", {"revenue": f"{amount}.0000", "currency": "EUR", **more}))

    charge(1, "2020-01-10", 100)
    charge(1, "2020-02-10", 120)
    charge(2, "2020-01-10", 1200, period="year")
    charge(3, "2020-02-20", 50)
    question = {"kind": "revenue", "recurring": {"event": "charged"}, "range": {"from": "2020-01-01", "to": "2020-04-30"}}
    found = shop.ask("2020-09-01T00:00:00", **question)
    assert [str(bucket.revenue) for bucket in found.buckets] == ["1300.0000", "170.0000", "0.0000", "0.0000"]
    assert [bucket.paying for bucket in found.buckets] == [2, 2, 0, 0]
    assert [float(month.mrr) for month in found.recurring] == [200, 270, 150, 100]
    assert [float(month.churn) for month in found.recurring] == [0, 0, -120, -50]
    for before, month in zip(found.recurring, found.recurring[1:], strict=False):
        moved = month.new + month.reactivation + month.expansion + month.contraction + month.churn
        assert month.mrr == before.mrr + moved
