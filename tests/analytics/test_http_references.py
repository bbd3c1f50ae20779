"""Random people post to a gateway over HTTP, and its answers are what the definitions give.

There are ties, repeats, late events and merged people, half sealed. The references share no code with the kernels; questions are read by
the query models only to tell the references what was asked.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter, defaultdict
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import pairwise
from statistics import mean

import pytest

from consentryd.analytics.kernel.retention import Retention
from consentryd.analytics.kernel.sessions import Cut
from consentryd.analytics.query import read
from consentryd.model.clock import DAY, HOUR, MINUTE
from consentryd.storage.compaction import compact
from consentryd.storage.delta import DeltaLake
from consentryd.storage.lease import Busy
from consentryd.storage.seal import Sealer
from tests.analytics import reference, reference_activity
from tests.house import open_house

FIRST = round(datetime(2026, 11, 9, tzinfo=UTC).timestamp()) * 1_000_000  # a Monday
DAYS = 10
RANGE = {"from": "2026-11-09", "to": "2026-11-18"}
LETTERS = "abcxyz"
CONSENT = {"consent": {"purposes": {"analytics": True}}}
PEOPLE = 140


def draw_people(draw):
    """{person: [(time, event)]}: many at one instant, many the same, few days apart."""
    people = {}
    for person in range(PEOPLE):
        grid = draw.choice([5 * MINUTE, HOUR, 12 * HOUR])
        start, span = draw.randrange(DAYS - 1) * DAY, draw.choice([HOUR, DAY, DAYS * DAY])
        times = [start + draw.randrange(0, span, grid) if grid < span else start for _ in range(draw.randint(1, 8))]
        people[person] = sorted((FIRST + time, draw.choice(LETTERS)) for time in times if time < DAYS * DAY)
    return {person: events for person, events in people.items() if events}


def sent(draw, people):
    """The calls, in no order of time; every fifth person is two at first: a user and a device that turn out to be one."""
    calls, joining = [], []
    for person, events in people.items():
        for number, (time, letter) in enumerate(events):
            two = person % 5 == 0 and number < len(events) - 1
            who = {"anonymousId": f"d{person}"} if two and number % 2 else {"userId": f"u{person}"}
            if person % 5 == 0 and number == len(events) - 1:
                who = {"userId": f"u{person}", "anonymousId": f"d{person}"}
            call = {
                "type": "track",
                "event": letter,
                "timestamp": text_of(time),
                "context": CONSENT,
                "messageId": f"m{person}-{number}",
                **who,
            }
            (joining if len(who) > 1 else calls).append(call)
    draw.shuffle(calls)
    return calls + joining


def text_of(time):
    return datetime.fromtimestamp(time / 1_000_000, UTC).isoformat()


@asynccontextmanager
async def filled(root, seed):
    """A gateway, and the people whose events it has: half of them sealed, a part of these compacted, the rest in the log."""
    draw = random.Random(seed)
    people = draw_people(draw)
    calls = sent(draw, people)
    async with open_house(root / "data", rights=True) as house:
        for number, part in enumerate(calls[start : start + 100] for start in range(0, len(calls), 100)):
            status, answer = await house.post("/v1/batch", {"batch": part}, key="server")
            assert (status, answer["accepted"]) == (200, len(part)), answer
            if number % 3 == 0 and 100 * number < len(calls) // 2:
                await asyncio.to_thread(seal, root)
        yield house, people, draw


def seal(root, *, compacting=False):
    lake = DeltaLake(root / "data" / "eu")
    Sealer(root / "data" / "eu", lake).run()
    if compacting:
        compact(root / "data" / "eu", lake, everything=True)


async def ask(house, question):
    status, answer = await house.post("/v1/query", {**question, "range": RANGE}, key="read")
    assert status == 200, answer
    return answer


def histories(people, letters):
    """By person (time, definitions): a letter's definitions are its places in `letters`."""
    for events in people.values():
        yield [(time, {place for place, letter in enumerate(letters) if letter == event}) for time, event in events]


def draw_funnel(draw, order):
    steps = draw.choice(["ab", "aa", "abc", "aba", "abca"])
    asked = {
        "kind": "funnel",
        "steps": [{"event": letter} for letter in steps],
        "order": order,
        "window": {"n": draw.choice([1, 6, 48]), "unit": "hour"},
        "entry": draw.choice(["any", "first", "first_ever"]),
    }
    if order == "ordered" and draw.random() < 0.5:
        asked["exclusions"] = [{"event": "x", "from_step": 0, "to_step": len(steps) - 1}]
        asked["on_exclude"] = draw.choice(["remove", "drop_from_step"])
    if order == "ordered" and draw.random() < 0.3:
        asked["steps"][1]["optional"] = len(steps) > 2 and "exclusions" not in asked
    if order != "any":
        asked["strict_ties"] = draw.random() < 0.3
    else:
        asked["anchor_first"] = draw.random() < 0.4
    return asked


def expected_funnel(question, people):
    plan = read({**question, "range": RANGE}).plan(FIRST, FIRST + DAYS * DAY)
    letters = [step["event"] for step in question["steps"]] + [bar["event"] for bar in question.get("exclusions", [])]
    answers = [answer for history in histories(people, letters) if (answer := reference.funnel(history, plan))]
    counts = [sum(answer.reached[step] for answer in answers) for step in range(len(plan.steps))]
    return counts, sum(answer.excluded for answer in answers)


def told_funnel(answer):
    return [step["count"] for step in answer["steps"]], answer["excluded"]


def draw_retention(draw):
    kind = draw.choice(["recurring", "first_match", "first_ever"])
    return {
        "kind": "retention",
        "start": {"event": "a"},
        "return": {"event": draw.choice(["a", "b"])},
        "cohort": kind,
        "periods": 4,
        "mode": draw.choice(["on", "on_or_after"]),
        "min_occurrences": draw.choice([1, 2]),
        "window": draw.choice(["calendar", "rolling"]),
    }


def expected_retention(question, people):
    plan = Retention(
        0, 1, tuple(FIRST + day * DAY for day in range(DAYS + 5)), DAYS, (1, 1, 1, 1), kind=question["cohort"],
        event=2 if question["cohort"] == "first_ever" else None, or_after=question["mode"] == "on_or_after",
        unit=DAY if question["window"] == "rolling" else None, min_occurrences=question["min_occurrences"],
    )  # fmt: skip
    letters = ["a", question["return"]["event"], "a"]
    values = [[0] * 5 for _ in range(DAYS)]
    for history in histories(people, letters):
        for cohort, entered in reference_activity.members(history, plan).items():
            returned, _ = reference_activity.retained(history, plan, cohort, entered)
            values[cohort] = [count + good for count, good in zip(values[cohort], returned, strict=True)]
    return values


def told_retention(answer):
    return [cohort["values"] for cohort in answer["cohorts"]]


def draw_lifecycle(draw):
    return {"kind": "lifecycle", "activity": {"event": draw.choice("ab")}}


def expected_lifecycle(question, people):
    edges = tuple(FIRST + day * DAY for day in range(-1, DAYS + 1))
    found = Counter(
        phase
        for history in histories(people, [question["activity"]["event"]])
        for phase in reference_activity.phases(history, 0, edges)
    )
    names = ("new", "returning", "resurrecting", "dormant")
    return [tuple(found[bucket, name] * (-1 if name == "dormant" else 1) for name in names) for bucket in range(DAYS)]


def told_lifecycle(answer):
    return [(each["new"], each["returning"], each["resurrecting"], each["dormant"]) for each in answer["buckets"]]


def draw_stickiness(draw):
    return {"kind": "stickiness", "activity": {"event": draw.choice("ab")}, "times": draw.choice([1, 2])}


def expected_stickiness(question, people):
    edges = tuple(FIRST + day * DAY for day in range(DAYS + 1))
    habits = Counter(
        reference_activity.habit(history, 0, edges, question["times"])
        for history in histories(people, [question["activity"]["event"]])
    )
    return [habits[number] for number in range(1, DAYS + 1)]


def told_stickiness(answer):
    return [active["subjects"] for active in answer["histogram"]]


def draw_sessions(draw):
    return {
        "kind": "sessions",
        "gap_minutes": draw.choice([5, 60, 720]),
        "max_hours": draw.choice([1, 24]),
        "gap_closed": draw.random() < 0.5,
    }


def cut_sessions(people, cut):
    """(person, [(time, event)]) of each session."""
    for person, events in people.items():
        rows = [{"time": time, "event": event} for time, event in sorted(events)]
        for session in reference_activity.sessions(rows, cut):
            yield person, [(row["time"], row["event"]) for row in session]


def expected_sessions(question, people):
    cut = Cut(round(question["gap_minutes"] * MINUTE), round(question["max_hours"] * HOUR), closed=question["gap_closed"])
    found = [session for _, session in cut_sessions(people, cut)]
    lengths = [(session[-1][0] - session[0][0]) / 1e6 for session in found]
    by_day = Counter((session[0][0] - FIRST) // DAY for session in found)
    return len(found), mean(map(len, found)), mean(lengths), [by_day[day] for day in range(DAYS)]


def told_sessions(answer):
    totals = answer["totals"]
    days = [bucket["sessions"] for bucket in answer["buckets"]]
    return totals["sessions"], pytest.approx(totals["events_per_session"]), pytest.approx(totals["mean_duration_s"]), days


def draw_paths(draw):
    ends = {name: letter for name, letter in (("start", "a"), ("end", "b")) if draw.random() < 0.4}
    return {
        "kind": "paths", "item": "event", "limit": 1000, "steps": draw.choice([2, 4]),
        "gap_minutes": draw.choice([60, 720]), "collapse_repeats": draw.random() < 0.7, **ends,
    }  # fmt: skip


def expected_paths(question, people):
    asked = read({**question, "range": RANGE})
    walks = []
    for person, session in cut_sessions(people, Cut(round(question["gap_minutes"] * MINUTE), DAY)):
        walk = reference_activity.path(session, asked)
        if walk:
            walks.append((person, [(step, time, "..." if item == -2 else item) for step, time, item in walk]))
    edges, subjects = Counter(), defaultdict(set)
    for person, walk in walks:
        for one, other in pairwise(walk):
            edge = f"{one[0]}_{one[2]}", f"{other[0]}_{other[2]}"
            edges[edge] += 1
            subjects[edge].add(person)
    nodes = Counter((step, item) for _, walk in walks for step, _, item in walk)
    return {edge: (count, len(subjects[edge])) for edge, count in edges.items()}, dict(nodes)


def told_paths(answer):
    edges = {(edge["from"], edge["to"]): (edge["sessions"], edge["subjects"]) for edge in answer["edges"]}
    return edges, {(node["step"], node["item"]): node["arrivals"] for node in answer["nodes"]}


KINDS = {
    "ordered": (lambda draw: draw_funnel(draw, "ordered"), expected_funnel, told_funnel, 7),
    "strict": (lambda draw: draw_funnel(draw, "strict"), expected_funnel, told_funnel, 3),
    "any order": (lambda draw: draw_funnel(draw, "any"), expected_funnel, told_funnel, 3),
    "retention": (draw_retention, expected_retention, told_retention, 5),
    "lifecycle": (draw_lifecycle, expected_lifecycle, told_lifecycle, 2),
    "stickiness": (draw_stickiness, expected_stickiness, told_stickiness, 2),
    "sessions": (draw_sessions, expected_sessions, told_sessions, 3),
    "paths": (draw_paths, expected_paths, told_paths, 4),
}


async def compare(root, seed, times=1):
    async with filled(root, seed) as (house, people, draw):
        for make, expect, tell, count in KINDS.values():
            for _ in range(count * times):
                question = make(draw)
                expected = await asyncio.to_thread(expect, question, people)  # the gateway shares this loop
                assert tell(await ask(house, question)) == expected, question


async def test_what_people_posted_is_counted_as_the_definitions_say(tmp_path):
    await compare(tmp_path, "one")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(8))
async def test_what_many_people_posted_is_counted_as_the_definitions_say(tmp_path, seed):
    await compare(tmp_path, seed, times=5)


async def test_answers_while_events_are_sealed_compacted_and_erased_are_of_one_moment(tmp_path):
    """Each answer is of all people, or of all but the one who goes; and once without, never with."""
    async with filled(tmp_path, "two") as (house, people, draw):
        gone = max(people, key=lambda person: (sum(event == "a" for _, event in people[person]), person % 5 == 0))
        fewer = {person: events for person, events in people.items() if person != gone}
        questions = []
        for make, expect, tell, _ in KINDS.values():
            question = make(draw)
            whole = await asyncio.to_thread(expect, question, people)
            rest = await asyncio.to_thread(expect, question, fewer)
            questions.append((question, tell, whole, rest))
        assert sum(whole != rest for *_, whole, rest in questions) > 4
        stop = threading.Event()
        churning = asyncio.create_task(asyncio.to_thread(churn, tmp_path, stop))
        body = {"type": "erasure", "identities": [{"type": "user_id", "value": f"u{gone}"}]}
        without: set[int] = set()
        try:
            for round_ in range(4):
                for number, (question, tell, whole, rest) in enumerate(questions):
                    told = tell(await ask(house, question))
                    assert told in (whole, rest), question
                    assert number not in without or told == rest, question
                    without |= {number} if told != whole else set()
                if round_ == 1:
                    status, request = await house.post("/v1/privacy/requests", body, key="privacy")
                    assert status == 200, request
        finally:
            stop.set()
            await churning
        assert (await finished(house, request["id"]))["status"] == "completed"
        for question, tell, _, rest in questions:
            assert tell(await ask(house, question)) == rest, question


def churn(root, stop):
    while not stop.is_set():
        with suppress(Busy):
            seal(root, compacting=True)


async def finished(house, request):
    for _ in range(400):
        told = (await house.ask("GET", f"/v1/privacy/requests/{request}", key="privacy"))[1]
        if told["status"] == "completed":
            break
        await asyncio.sleep(0.05)
    return told
