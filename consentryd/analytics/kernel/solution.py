"""A funnel's answer for one stream, whichever its order and whatever it counts."""

from __future__ import annotations

from consentryd.analytics.kernel import any_order, entries, ordered, strict
from consentryd.analytics.kernel.chain import Chains
from consentryd.analytics.kernel.funnel import Funnel
from consentryd.analytics.stream import Stream


def chains_of(stream: Stream, funnel: Funnel) -> Chains:
    """One line for each subject that entered, or for each attempt if these are counted."""
    if funnel.count_entries:
        return entries.chains(stream, funnel)
    if funnel.order == "strict":
        return strict.chains(stream, funnel)
    if funnel.order == "any":
        return any_order.chains(stream, funnel)
    return ordered.chains(stream, funnel)
