"""Churn over the engine, against plain readings of the same days."""

from __future__ import annotations

import random
from itertools import pairwise
from math import ceil

import numpy as np
import pytest

from consentryd.model.clock import DAY
from consentryd.model.error import Unprocessable
from tests.analytics.site import instant

RANGE = {"from": "2026-02-02", "to": "2026-03-01"}
WEEKS = [instant("2026-02-02T00:00:00") + week * 7 * DAY for week in range(5)]


def visits(seed: int, people: int = 25):
    """Some come daily, some every few weeks."""
    rng = random.Random(seed)
    start = instant("2026-01-01T00:00:00")
    return [
        (person, start + day * DAY + rng.randrange(DAY))
        for person in range(1, people)
        for day in range(75)
        if rng.random() < 1 / (1 + person)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_every_number_is_that_of_a_plain_reading(shop, seed):
    rows = visits(seed)
    shop.add(*rows[::2])
    shop.seal()
    shop.add(*rows[1::2])
    days = (3, 7, 14, 30)[seed]
    found = shop.ask(kind="churn", interval="week", days=days, range=RANGE)
    own = {person: sorted(at for who, at in rows if who == person) for person, _ in rows}
    for (start, end), bucket in zip(pairwise(WEEKS), found.buckets, strict=True):

        def active(since, until, own=own):
            return {person for person, times in own.items() if any(since <= at < until for at in times)}

        before, ever, now = active(start - days * DAY, start), active(0, start), active(start, end)
        pool = ever - before
        back = {
            person
            for person, times in own.items()
            if any(start <= later < end and later - sooner >= days * DAY for sooner, later in pairwise(times))
        }
        assert (bucket.active_before, bucket.churned) == (len(before), len(before - active(start, start + days * DAY)))
        assert (bucket.pool, bucket.returned, bucket.resurrected) == (len(pool), len(pool & now), len(back))
    assert found.days == days


@pytest.mark.parametrize("seed", range(3))
def test_the_usual_pause_is_what_nine_of_ten_are_no_longer_than(shop, seed):
    rows = visits(seed)
    shop.add(*rows, (99, "2026-01-05T10:00:00"), (99, "2026-01-05T11:00:00"))
    until = instant("2026-03-02T00:00:00")
    days = {person: sorted({at // DAY for who, at in rows if who == person and at < until}) for person, _ in rows}
    pauses = [later - sooner for own in days.values() for sooner, later in pairwise(own)]
    usual = shop.ask(kind="churn", days="usual", range=RANGE)
    assert usual.days == ceil(np.quantile(pauses, 0.9))
    assert usual.buckets == shop.ask(kind="churn", days=usual.days, range=RANGE).buckets


def test_without_anybody_who_came_again_there_is_no_usual_pause(shop):
    shop.add((1, "2026-02-03"), (2, "2026-02-04"))
    with pytest.raises(Unprocessable, match="no usual pause"):
        shop.ask(kind="churn", days="usual", range=RANGE)


def test_too_few_and_all_but_too_few_are_not_shown(shop):
    shop.add(*((person, "2026-01-30") for person in range(1, 9)), *((person, "2026-02-03") for person in range(1, 8)))
    question = {"kind": "churn", "days": 7, "range": {"from": "2026-02-02", "to": "2026-02-08"}}
    plain, careful = (shop.ask(least=least, **question).buckets[0] for least in (0, 3))
    assert (plain.active_before, plain.churned, plain.churn_rate) == (8, 1, 0.125)
    assert (careful.active_before, careful.churned, careful.churn_rate) == (8, None, None)
