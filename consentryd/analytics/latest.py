"""What subjects are, by the last value that a property had: one group for each of them."""

from __future__ import annotations

from consentryd.analytics import literal
from consentryd.analytics.breakdown import By
from consentryd.analytics.field import Field, field_of
from consentryd.analytics.group import bins_of
from consentryd.analytics.source import Source


def latest_sql(by: By, source: Source, times: str = "true") -> str:
    """An aggregate over a subject's rows `e`: the last value of those of which `times` holds; of a trait the last known. Null: none."""
    if by.of == "subject":
        return f"any_value({_label(source.trait(by.property, 'latest'), by)})"
    value = field_of(by.property)
    return f"arg_max_null({_label(value, by)}, (e.time, e.event_id)) FILTER ({value.text} IS NOT NULL AND {times})"


def check_latest(groups: list[By]) -> None:
    """Raises `ValueError` for what is no property of a subject's last event or of the subject."""
    if any(by.bins is not None or by.of == "session" for by in groups):
        raise ValueError("`by` takes `edges`, not `bins`, and properties of events or subjects")


def _label(value: Field, by: By) -> str:
    """The value as text, or the name of the band that its number is in."""
    if by.edges is None:
        return value.text
    number = value.number
    bands = bins_of(by.edges)
    cases = [
        f"WHEN {number} >= {literal.number(low)} AND {number} < {literal.number(high)} THEN {literal.text(label)}"
        for low, high, label in bands
    ]
    return f"CASE {' '.join(cases)} WHEN {number} = {literal.number(by.edges[-1])} THEN {literal.text(bands[-1][2])} END"
