"""A seeded event log of a small coffee shop whose visitors behave like people.

    for line in shop_events.lines(Scenario(events=100_000, seed=7, start=date(2026, 8, 1), days=90)): ...

yields native events as JSON lines in the order of time, exactly as many as asked for, the same ones for the same scenario. What a visitor
does follows from what the visitor did before: sessions with long-tailed gaps, a funnel from landing page to order, sign-up, a second device,
subscriptions that renew and end, refunds, search, an experiment, consent choices by country and a weekly rhythm.
"""

from examples.shop_events.generator import Scenario, lines

__all__ = ["Scenario", "lines"]
