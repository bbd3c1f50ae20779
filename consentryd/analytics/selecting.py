"""The selections that most kinds need: events by matcher, all within the question's own filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.source import Source
from consentryd.analytics.streaming import Column, Selection


def select(
    asked: Asked,
    matchers: Sequence[Matcher],
    columns: Callable[[Source], Sequence[Column]] = lambda _: (),
    *,
    every: bool = False,
    accounts: bool = False,
    cohort: str | None = None,
) -> Selection:
    """Events that match one of `matchers`, which become definitions 0, 1 ...; `every`: also those that match none.

    `accounts`: of those that belong to an account, by account. `cohort`: of the members of a saved one.
    """
    source = Source(asked.setting)
    definitions = [source.matches(matcher) for matcher in matchers]
    conditions = [] if asked.question.where is None else [source.holds(asked.question.where)]
    if cohort is not None:
        conditions.append(source.member(cohort))
    account = source.account() if accounts else None
    return Selection(source, definitions, tuple(columns(source)), conditions, every=every, account=account)
