"""Whoever may see groups of five adds up what an answer shows, takes away and multiplies, and learns of no group of fewer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from consentryd.analytics.query import ANSWERS
from tests.analytics.site import Shop, instant
from tests.analytics.test_kinds import page

LEAST = 5
RANGE = {"from": "2026-03-02", "to": "2026-03-15"}
DAY = 86_400_000_000


@dataclass
class Facts:
    """What an answer says, by name, null where it is hidden; and which of it adds up to 0, by name and sign."""

    cells: dict[Any, float | None]
    sums: list[dict[Any, float]]
    #: Whether what is not listed is in no sum either.
    apart: bool = False

    def whole(self, whole: Any, parts: Mapping[Any, float] | list[Any]) -> None:
        self.sums.append({whole: -1.0, **dict.fromkeys(parts, 1.0)})


def added(*values: float | None) -> float | None:
    return None if None in values else sum(value for value in values if value is not None)


def times(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one * other


def number(value: Any) -> float | None:
    return None if value is None else float(value)


def trends(answer: Any) -> Facts:
    facts = Facts({}, [], "total_excludes_suppressed" in {warning.code for warning in answer.warnings})
    groups = [str(line.group) for line in answer.series]
    for line in answer.series:
        facts.cells[str(line.group), "total"] = line.total
        facts.cells |= {(str(line.group), bucket): point.value for bucket, point in enumerate(line.values)}
        facts.whole((str(line.group), "total"), [(str(line.group), bucket) for bucket in range(len(line.values))])
    for bucket in ("total", *range(len(answer.series[0].values))):
        facts.whole(("None", bucket), [(group, bucket) for group in groups if group != "None"])
    return facts


def cumulative(answer: Any) -> Facts:
    """A running number that stands still tells of nobody new, or of a bucket that is hidden."""
    line = answer.series[0]
    facts = Facts({"total": line.total}, [])
    for bucket, (before, after) in enumerate(pairwise([0, *(point.value for point in line.values)])):
        facts.cells[bucket] = None if None in (before, after) else (after - before) or None
    facts.whole("total", range(len(line.values)))
    return facts


def funnel(answer: Any) -> Facts:
    facts = Facts({(None, step): each.count for step, each in enumerate(answer.steps)}, [])
    for group in answer.groups:
        facts.cells |= {(group.group, step): each.count for step, each in enumerate(group.steps)}
    for step in range(len(answer.steps)):
        facts.whole((None, step), [(group.group, step) for group in answer.groups])
    facts.cells |= {("bin", place): count for place, count in enumerate(answer.histogram.counts if answer.histogram else [])}
    facts.whole((None, len(answer.steps) - 1), [cell for cell in facts.cells if cell[0] == "bin"])
    return facts


def retention(answer: Any) -> Facts:
    facts = Facts({}, [])
    names = [group.group for group in answer.groups]
    for name, cohorts in [(None, answer.cohorts), *((group.group, group.cohorts) for group in answer.groups)]:
        for row, cohort in enumerate(cohorts):
            facts.cells |= {(name, row, place): value for place, value in enumerate([cohort.size, *cohort.values])}
    for row, cohort in enumerate(answer.cohorts):
        for place in range(1 + len(cohort.values)):
            facts.whole((None, row, place), [(name, row, place) for name in names])
    return facts


def lifecycle(answer: Any) -> Facts:
    facts = Facts({}, [])
    for place, bucket in enumerate(answer.buckets):
        here = {name: getattr(bucket, name) for name in ("new", "returning", "resurrecting")}
        facts.cells |= {(name, place): value for name, value in here.items()}
        facts.cells |= {("dormant", place): times(bucket.dormant, -1), ("here", place): added(*here.values())}
        facts.whole(("here", place), [(name, place) for name in here])
        if place:
            facts.whole(("here", place - 1), [("returning", place), ("dormant", place)])
    return facts


def stickiness(answer: Any) -> Facts:
    rows = answer.histogram
    facts = Facts({("at least", len(rows) + 1): 0, "days": times(answer.mean_buckets, rows[0].at_least)}, [])
    for row in rows:
        facts.cells |= {row.buckets: row.subjects, ("at least", row.buckets): row.at_least}
        facts.whole(("at least", row.buckets), [row.buckets, ("at least", row.buckets + 1)])
    facts.sums.append({"days": -1.0, **{row.buckets: float(row.buckets) for row in rows}})
    return facts


def sessions(answer: Any) -> Facts:
    totals = answer.totals
    facts = Facts({"seconds": times(totals.mean_duration_s, totals.sessions), "sessions": totals.sessions}, [])
    facts.cells["bounced"] = bounced = times(totals.bounce_rate, totals.sessions)
    facts.cells["stayed"] = added(totals.sessions, times(bounced, -1))
    if totals.mean_duration_of_several_events_s:
        facts.cells["several"] = facts.cells["seconds"] / totals.mean_duration_of_several_events_s
        facts.cells["single"] = added(totals.sessions, -facts.cells["several"])
    for place, bucket in enumerate(answer.buckets):
        facts.cells |= {("sessions", place): bucket.sessions, ("bounced", place): times(bucket.bounce_rate, bucket.sessions)}
        if bucket.sessions == 0:
            facts.cells["bounced", place] = 0
    for name in ("sessions", "bounced"):
        facts.whole(name, [(name, place) for place in range(len(answer.buckets))])
    return _pages(facts, answer)


def _pages(facts: Facts, answer: Any) -> Facts:
    for name, pages in (("entries", answer.entries), ("exits", answer.exits)):
        facts.cells |= {(name, each.path): each.sessions for each in pages}
        facts.whole("sessions", [(name, each.path) for each in pages])
    return facts


def web(answer: Any) -> Facts:
    facts = Facts({"sessions": answer.visits.sessions, "views": answer.page_views, "visitors": answer.visitors}, [])
    for name, values in answer.top.items():
        facts.cells |= {(name, each.value): each.page_views for each in values}
        facts.whole("views", [(name, each.value) for each in values])
    return _pages(facts, answer)


def paths(answer: Any) -> Facts:
    facts = Facts({}, [])
    for node in answer.nodes:
        name = f"{node.step}_{node.item}"
        facts.cells |= {name: node.arrivals, ("on", name): node.continued, ("off", name): node.dropped}
        facts.whole(name, [("on", name), ("off", name)])
    for edge in answer.edges:
        facts.cells[edge.from_, edge.to] = edge.sessions
    for node in answer.nodes:
        name = f"{node.step}_{node.item}"
        facts.whole(("on", name), [(edge.from_, edge.to) for edge in answer.edges if edge.from_ == name])
        if node.step > 1:
            facts.whole(name, [(edge.from_, edge.to) for edge in answer.edges if edge.to == name])
    for each in answer.transitions:
        facts.cells["then", each.from_, each.to] = each.sessions
        facts.cells["after", each.from_] = each.sessions / each.probability
    for item in {each.from_ for each in answer.transitions}:
        facts.whole(("after", item), [("then", each.from_, each.to) for each in answer.transitions if each.from_ == item])
        if item != "(start)":
            facts.whole(("after", item), [("then", each.from_, each.to) for each in answer.transitions if each.to == item])
    facts.cells |= {("path", *each.items): each.sessions for each in answer.paths}
    facts.whole(("after", "(start)"), [("path", *each.items) for each in answer.paths])
    return facts


def rfm(answer: Any) -> Facts:
    facts = Facts({"all": answer.subjects, **answer.segments}, [])
    cells = {(each.recency, each.frequency, each.monetary, each.segment): each.subjects for each in answer.cells}
    grid = {(5 - row, column + 1): count for row, line in enumerate(answer.grid) for column, count in enumerate(line)}
    flows = {(each.was, each.became): each.subjects for each in answer.flows}
    for part in (cells, grid, flows):
        facts.cells.update(part)
    facts.whole("all", list(grid))
    facts.whole("all", list(answer.segments))
    for place in grid:
        facts.whole(place, [cell for cell in cells if cell[:2] == place])
    for name in answer.segments:
        facts.whole(name, [cell for cell in cells if cell[3] == name])
        if flows:
            facts.whole(name, [flow for flow in flows if flow[1] == name])
    return facts


def adoption(answer: Any) -> Facts:
    facts = Facts({"eligible": answer.eligible, "adopters": answer.adopters}, [])
    facts.cells["others"] = added(answer.eligible, times(answer.adopters, -1))
    for place, bucket in enumerate(answer.buckets):
        facts.cells |= {("new", place): bucket.subjects, ("so far", place): times(bucket.cumulative_share, answer.eligible)}
        facts.whole(("so far", place), [("new", place), *([("so far", place - 1)] if place else [])])
    for point in answer.curve:
        facts.cells["by", point.day] = times(point.share, point.subjects)
        facts.cells["not by", point.day] = added(point.subjects, times(facts.cells["by", point.day], -1))
    _neighbours(facts, "by")
    groups = answer.segments[0].groups
    for group in groups:
        facts.cells |= {("adopters", group.value): group.adopters}
        facts.cells["others", group.value] = added(group.eligible, times(group.adopters, -1))
        facts.cells["eligible", group.value] = group.eligible
        facts.whole(("eligible", group.value), [("adopters", group.value), ("others", group.value)])
    for name in ("adopters", "others"):
        facts.whole(name, [(name, group.value) for group in groups])
    return facts


def _neighbours(facts: Facts, name: str) -> None:
    known = [
        (key, value) for key, value in facts.cells.items() if isinstance(key, tuple) and key[0] == name and value is not None
    ]
    for (one, before), (other, after) in pairwise(known):
        facts.cells["from", one, other] = after - before


def revenue(answer: Any) -> Facts:
    facts = Facts({}, [])
    for place, bucket in enumerate(answer.recurring):
        moves = {(name, place): number(value) for name, value in bucket.accounts_by.items()}
        signs = dict(zip(moves, (1.0, 1.0, 0.0, 0.0, -1.0), strict=True))
        facts.cells |= {("accounts", place): bucket.accounts, **moves}
        if place:
            facts.sums.append({("accounts", place): -1.0, ("accounts", place - 1): 1.0, **signs})
    for place, bucket in enumerate(answer.buckets):
        facts.cells |= {("orders", place): bucket.orders}
    facts.cells["orders"] = answer.total.orders
    facts.whole("orders", [("orders", place) for place in range(len(answer.buckets))])
    return facts


def cohort_history(answer: Any) -> Facts:
    facts = Facts({}, [])
    for place, bucket in enumerate(answer.buckets):
        facts.cells |= {(name, place): getattr(bucket, name) for name in ("members", "entered", "left")}
        if place and answer.buckets[place - 1].members is not None:
            signs = {("members", place): -1.0, ("members", place - 1): 1.0, ("entered", place): 1.0, ("left", place): -1.0}
            facts.sums.append(signs)
    return facts


def attribution(answer: Any) -> Facts:
    """Everybody converts once."""
    facts = Facts({"all": answer.conversions}, [])
    for model in ("first", "last"):
        facts.cells |= {(model, each.channel): each.conversions[model] for each in answer.channels}
        facts.whole("all", [(model, each.channel) for each in answer.channels])
    return facts


def segmentation(answer: Any) -> Facts:
    facts = Facts({"all": answer.subjects}, [])
    for each in answer.breakdowns:
        facts.cells |= {(each.property, group.value): group.subjects for group in each.groups}
        facts.whole("all", [(each.property, group.value) for group in each.groups])
    return facts


def cohorts(answer: Any) -> Facts:
    one, other = (each.subjects for each in answer.cohorts)
    both = answer.overlaps[0].subjects
    apart = {"one alone": added(one, times(both, -1)), "other alone": added(other, times(both, -1))}
    return Facts({"one": one, "other": other, "both": both, **apart}, [])


def churn(answer: Any) -> Facts:
    facts = Facts({}, [])
    for place, bucket in enumerate(answer.buckets):
        for whole, part in (("active_before", "churned"), ("pool", "returned")):
            facts.cells |= {(name, place): getattr(bucket, name) for name in (whole, part)}
            facts.cells["not", part, place] = added(facts.cells[whole, place], times(facts.cells[part, place], -1))
    return facts


def experiment(answer: Any) -> Facts:
    """Of a metric that everybody has or has not: those who have it, and who have not."""
    facts = Facts(dict(answer.exposed), [])
    for row in answer.arms:
        facts.cells |= {(row.arm, "did"): row.total, (row.arm, "did not"): added(row.n, times(row.total, -1))}
    return facts


VIEW = {"event": "viewed"}
ORDER = {"event": "bought"}
BY_COUNTRY = {"by": [{"property": "country"}], "limit": 20}
#: By kind: what is asked, and what may be worked out of the answer. A kind whose numbers belong to no sum says why.
KINDS: dict[str, list[tuple[dict[str, Any], Callable[[Any], Facts]]] | str] = {
    "trends": [
        ({"series": [{"event": "signed_up", "math": "unique"}], "breakdown": BY_COUNTRY}, trends),
        ({"series": [{"event": "viewed", "math": "unique"}], "display": "cumulative"}, cumulative),
    ],
    "funnel": [
        ({"steps": [{"event": "signed_up"}, {"event": "bought"}], "breakdown": {"by": [{"property": "country"}]}}, funnel)
    ],
    "retention": [
        ({"start": {"event": "signed_up"}, "back": VIEW, "interval": "week", "breakdown": {"property": "country"}}, retention)
    ],
    "lifecycle": [({"activity": VIEW}, lifecycle), ({"activity": VIEW, "interval": "week"}, lifecycle)],
    "stickiness": [({"activity": VIEW}, stickiness)],
    "sessions": [({"where": {"property": "visit", "value": True}}, sessions)],
    "web": [({"where": {"property": "visit", "value": True}, "limit": 100}, web)],
    "paths": [({"events": {"event": "page_viewed"}, "steps": 3, "limit": 1_000}, paths)],
    "rfm": [({"event": VIEW, "before": {"from": "2026-02-16", "to": "2026-03-01"}}, rfm)],
    "adoption": [({"feature": ORDER, "by": [{"property": "country"}], "curve_days": 14}, adoption)],
    "revenue": [({"payment": ORDER, "recurring": ORDER, "interval": "day", "retention_buckets": 2, "grace_days": 1}, revenue)],
    "cohort_history": [({"cohort": "viewers"}, cohort_history)],
    "attribution": [({"conversion": {"event": "converted"}, "look_back_days": 30}, attribution)],
    "segmentation": [({"did": VIEW, "by": [{"property": "country"}, {"property": "device"}]}, segmentation)],
    "cohorts": [
        ({"cohorts": [{"type": "did", "event": "viewed", "times": 3}, {"type": "did", "event": "bought"}]}, cohorts),
    ],
    "churn": [({"activity": VIEW, "days": 3, "interval": "week"}, churn)],
    "experiment": [
        (
            {
                "exposure": {"event": "signed_up"},
                "variant": "country",
                "variants": ["DE", "FR"],
                "metrics": [{"name": "buys", "type": "conversion", "event": ORDER}],
                "method": "sequential",
            },
            experiment,
        )
    ],
    "prediction": "bins and tenths are hidden in tests/analytics/test_prediction.py; nothing else is a sum",
    "kpi": "single numbers of different things",
    "dashboard": "single numbers of different things",
    "person": "refused where groups of one are not shown",
}


def test_every_kind_says_what_may_be_worked_out_of_it():
    assert set(KINDS) == {model.model_fields["kind"].annotation.__args__[0] for model in ANSWERS}


@pytest.fixture(scope="module", params=range(8))
def town(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Ninety people of whom few live in some countries, visit once, and do a thing less and less often."""
    made = Shop(tmp_path_factory.mktemp("town"))
    rng = random.Random(request.param)
    for person in range(1, 91):
        _lives(made, person, rng)
    _members(made, rng)
    yield made
    made.close()


def _lives(shop: Shop, person: int, rng: random.Random) -> None:
    country = rng.choices(["DE", "FR", "US", "IT", "CA", "NL"], [40, 30, 12, 8, 3, 1])[0]
    traits = {"country": country, "device": rng.choices(["mobile", "desktop", "tablet"], [60, 30, 2])[0]}
    start = rng.choices(range(14), [9] * 4 + [1] * 10)[0]
    at = instant("2026-03-02T09:00:00") + start * DAY
    shop.add((person, at, "signed_up", traits))
    eager = rng.choice([0.1, 0.2, 0.5, 0.9])
    for day in range(start - 14 * (rng.random() < 0.4), 14):
        if rng.random() < eager:
            shop.add((person, at + (day - start) * DAY + 1_000_000, "viewed", traits))
    if rng.random() < rng.choice([0.2, 0.8]):
        shop.add((person, at + rng.randrange(14 - start) * DAY, "bought", {"revenue": "10.0000", "period": "day", **traits}))
    for channel in rng.choices(["news", "search", "rare"], [30, 10, 1], k=rng.randrange(3)):
        shop.add((person, at + rng.randrange(1_000), "touched", {"utm_source": channel, **traits}))
    shop.add((person, at + 2_000, "converted", traits))
    visit = at + 40 * 60_000_000
    seen = list(dict.fromkeys(rng.choices(["/", "/a", "/b", "/c"], [8, 4, 1, 0.3], k=rng.randrange(1, 6))))
    for minute, path in enumerate(seen):
        shop.add((person, visit + minute * 60_000_000, "page_viewed", page(path, visit=True, **traits)))


def _members(shop: Shop, rng: random.Random) -> None:
    shop.save_cohort("viewers", {"type": "did", "event": "viewed"})
    inside = set(rng.sample(range(1, 91), 20))
    for day in range(14):
        inside ^= set(rng.sample(range(1, 91), rng.choice([0, 1, 3, 8])))
        shop.reckon("viewers", inside, instant("2026-03-02") + day * DAY)


CASES = [(kind, number) for kind, cases in KINDS.items() if not isinstance(cases, str) for number in range(len(cases))]


@pytest.mark.parametrize(("kind", "number"), CASES)
def test_no_group_of_few_can_be_worked_out(town, kind, number):
    question, read = KINDS[kind][number]
    plain, careful = (read(town.ask(kind=kind, range=RANGE, least=least, **question)) for least in (0, LEAST))
    assert worked_out(plain, careful) == {}


def worked_out(plain: Facts, careful: Facts) -> dict[Any, float]:
    """What is shown or follows of 1 to 4: by name the true number."""
    few = {name: value for name, value in careful.cells.items() if value is not None and is_few(value)}
    others = {} if careful.apart else dict(_others(plain, careful))
    truth = {name: value or 0 for name, value in plain.cells.items()}
    truth |= {name: sum(truth[part] for part in parts) for name, parts in others.items()}
    sums = careful.sums if careful.apart else list(plain.sums)
    sums += [{name: -1.0, **dict.fromkeys(parts, 1.0)} for name, parts in others.items()]
    hidden = sorted({name for line in sums for name in line if careful.cells.get(name) is None}, key=str)
    rows = np.array([[line.get(name, 0.0) for name in hidden] for line in sums if any(name in line for name in hidden)])
    rank = np.linalg.matrix_rank(rows) if len(rows) else 0
    for place, name in enumerate(hidden):
        if is_few(truth.get(name, 0)) and len(rows):
            unit = np.eye(len(hidden))[place]
            if np.linalg.matrix_rank(np.vstack([rows, unit])) == rank:
                few[name] = truth[name]
    for line in sums:
        told = {
            part
            for name, parts in others.items()
            if careful.cells[name] is not None and set(parts) <= set(line)
            for part in parts
        }
        gone = {name: sign for name, sign in line.items() if careful.cells.get(name) is None and name not in told}
        if len(set(gone.values())) == 1 and is_few(together := sum(truth.get(name, 0) for name in gone)):
            few[tuple(gone)] = together
    return few


def _others(plain: Facts, careful: Facts) -> Iterator[tuple[Any, list[Any]]]:
    """`Other` is what the plain answer has and the careful one has not, of the same dimension."""
    for name in careful.cells:
        if isinstance(name, tuple) and "Other" in name:
            place = name.index("Other")
            parts = [
                each
                for each in plain.cells
                if isinstance(each, tuple)
                and len(each) == len(name)
                and each not in careful.cells
                and all(one == other for number, (one, other) in enumerate(zip(each, name, strict=True)) if number != place)
            ]
            yield name, parts


def is_few(value: float) -> bool:
    return 0.001 < abs(value) < LEAST - 0.001
