"""Measures what consent costs an event: `python bench/consent.py`. Best of seven runs, in nanoseconds unless it says microseconds.

"Same batch" is what a busy gateway does nearly always: the events of a batch carry equal consent objects, parsed anew for each event.
"New" is the first event with a signal or a case that was not seen before.
"""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson

from consentryd.config.settings import Consent
from consentryd.consent.policy import Policy
from consentryd.consent.signals.gpp import decode_gpp
from consentryd.consent.signals.tcf import decode_tcf

NOW = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()) * 1_000_000
EVENTS = ("page_viewed", "product_viewed", "cart_viewed", "checkout_started", "order_completed")
TCF = (
    "CQuCLYAQuCLYAAcALAENAHE8APcAAADAABAgIxQDAAMgDKAJiAV8A8oB9wFAgKVAZMA_ACHgEYgQ8gCgBHAK-AfcB-AEPAAA"
    ".IIxQDwAMgBHAGUAREAmIBXwDygH3AUCApUBZoDJgH4AQ8AjE.YhQAAIAAAAAA"
)
GPP = "DBACLRg~CAAQAAAAAABA.QA~BAgAAAQA.QA"
OWN = {"purposes": {"analytics": True, "marketing": False}, "notice": "2026-11"}
LISTED = ("page_viewed", "screen_viewed")
BATCH = 1000


def batch(consent: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The contexts of a batch as the parser makes them: equal, never the same objects."""
    context = {"page": {"path": "/"}} if consent is None else {"consent": consent, "page": {"path": "/"}}
    return orjson.loads(orjson.dumps([context] * BATCH))


def best(run: Callable[[], object], items: int, number: int = 1) -> float:
    """Nanoseconds an item, of this process's own time: what other processes take does not count."""
    return min(timeit.repeat(run, number=number, repeat=7, timer=time.process_time)) / items / number * 1e9


def pass_batch(policy: Policy, contexts: list[dict[str, Any]], carried: dict[str, str], country: str) -> None:
    for number, context in enumerate(contexts):
        policy.decide(
            policy.read(context, carried, NOW),
            country=country,
            subdivision=None,
            event=EVENTS[number % 5],
            lane="auto",
            anonymous_events=LISTED,
            now=NOW,
        )


def main() -> None:
    policy = Policy(Consent())
    gpc = {"sec-gpc": "1"}
    print("an event of the same batch, read and decided      ns")
    for name, consent, carried in (
        ("no signal", None, {}),
        ("own purposes", OWN, {}),
        ("own purposes, Sec-GPC", OWN, gpc),
        ("TCF string in the body", {"tcf": TCF}, {}),
        ("TCF cookie, GPP cookie, Sec-GPC", None, {"euconsent-v2": TCF, "__gpp": GPP, **gpc}),
    ):
        contexts = batch(consent)
        print(f"  {name:<45}{best(lambda c=contexts, s=carried: pass_batch(policy, c, s, 'DE'), BATCH, 5):>6.0f}")

    print("a new signal or case                              us")
    print(f"  {'decode a TCF string':<45}{best(lambda: decode_tcf(TCF), 1, 200) / 1e3:>6.1f}")
    print(f"  {'decode a GPP string':<45}{best(lambda: decode_gpp(GPP), 1, 200) / 1e3:>6.1f}")
    fresh = iter([{"consent": {**OWN, "notice": str(number)}} for number in range(7 * 500)])
    print(f"  {'read a new consent object':<45}{best(lambda: policy.read(next(fresh), {}, NOW), 1, 500) / 1e3:>6.1f}")
    signals = policy.read({"consent": OWN}, gpc, NOW)
    traced = best(lambda: policy.trace(signals, "DE", None, "page_viewed", "auto", LISTED, NOW), 1, 500)
    print(f"  {'decide a new case':<45}{traced / 1e3:>6.1f}")


if __name__ == "__main__":
    main()
