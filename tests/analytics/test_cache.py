"""What is remembered takes as much of `analytics.cache_mb` as it holds."""

from __future__ import annotations

from consentryd.analytics.cache import PartialCache, PartialKey
from tests.analytics.site import Shop

RANGE = {"from": "2026-03-01", "to": "2026-03-19"}


def ask_all(shop, questions):
    """How many partial results had to be made."""
    before = shop.engine.cache.misses
    for question in questions:
        shop.ask(range=RANGE, **question)
    return shop.engine.cache.misses - before


def test_many_small_questions_are_remembered_at_a_time(tmp_path):
    shop = Shop(tmp_path, cache_mb=8)
    for person in range(1, 40):
        shop.add((person, "2026-03-02", "viewed", {"plan": f"plan {person % 5}"}), (person, "2026-03-03", "bought"))
    funnel = {"kind": "funnel", "steps": [{"event": "viewed"}, {"event": "bought"}], "breakdown": {"by": {"property": "plan"}}}
    questions = [{**funnel, "window": {"n": days, "unit": "day"}} for days in range(1, 21)]
    assert ask_all(shop, questions) > 0
    assert ask_all(shop, questions) == 0
    shop.close()


def test_texts_that_became_many_are_weighed_as_many(tmp_path):
    shop = Shop(tmp_path, cache_mb=1)
    paths = {"kind": "paths", "item": "path"}
    shop.add(*((1, "2026-03-02", "viewed", {"path": f"/{number}"}) for number in range(100)))
    assert (ask_all(shop, [paths]) > 0, ask_all(shop, [paths])) == (True, 0)
    shop.add(*((2, "2026-03-03", "viewed", {"path": f"/more/{number}"}) for number in range(4000)))
    assert ask_all(shop, [paths]) > 0
    assert shop.engine.cache._bytes < 1 << 20
    assert ask_all(shop, [paths]) > 0
    shop.close()


def test_what_is_kept_anew_takes_the_place_of_what_was_kept():
    cache, key = PartialCache(1 << 20), PartialKey("eu", "files", "work")
    cache.put(key, "one")
    size = cache._bytes
    cache.put(key, "two")
    assert (cache.get(key), len(cache), cache._bytes) == ("two", 1, size)
    cache.put(key, "x" * (1 << 19))
    assert (cache.get(key), len(cache), cache._bytes) == (None, 0, 0)
