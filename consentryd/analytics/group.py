"""The groups of a breakdown as SQL, and back to labels.

A row's group is one text: `=` and the value, `n` for none, or a JSON list where there are several properties; `o` is Other, `e` everyone,
`c0`, `c1` ... the cohorts, `*` all rows together.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import orjson

from consentryd.analytics import literal
from consentryd.analytics.breakdown import EVERYONE_LABEL, NONE_LABEL, OTHER_LABEL, By, ByCohorts, ByProperties, joined
from consentryd.analytics.field import Field, field_of
from consentryd.analytics.source import Source

ALL: Final = "*"
OTHER: Final = "o"
EVERYONE: Final = "e"
_OUTSIDE: Final = "outside"
#: Of an edge: so many digits at the least, and so many tell any two numbers apart.
_LEAST_DIGITS: Final = 6
_DIGITS: Final = 17


def group_sql(breakdown: ByProperties | ByCohorts | None, source: Source, edges: Sequence[Sequence[float] | None]) -> str:
    """The group of the row `e`; of a row in several cohorts an UNNEST, which repeats it. `edges` are of each property's bins."""
    match breakdown:
        case None:
            return literal.text(ALL)
        case ByCohorts():
            groups = [
                f"CASE WHEN {source.member(cohort)} THEN 'c{number}' END" for number, cohort in enumerate(breakdown.cohorts)
            ]
            return f"unnest(list_filter(['{EVERYONE}', {', '.join(groups)}], lambda each: each IS NOT NULL))"
        case ByProperties():
            keys = [_key(by, source, bins) for by, bins in zip(breakdown.by, edges, strict=True)]
            return named_sql(keys[0]) if len(keys) == 1 else f"CAST(to_json([{', '.join(keys)}]) AS VARCHAR)"


def named_sql(value: str) -> str:
    """The group of a single property's value."""
    return f"coalesce('=' || {value}, 'n')"


def value_of(by: By, source: Source) -> Field:
    """The value that a property of the breakdown has in the row `e`."""
    match by.of:
        case "event":
            return field_of(by.property)
        case "subject":
            return source.trait(by.property, by.as_of)
        case "session":
            return source.session(by.property)


def shown_sql(group: str, shown: Sequence[str] | None, *, other: bool) -> str:
    """`group` if it is one of those shown, else Other, else null. Without a list every group is."""
    if shown is None:
        return group
    rest = literal.text(OTHER) if other else "NULL"
    return f"CASE WHEN {group} IN {literal.texts(shown)} THEN {group} ELSE {rest} END" if shown else rest


def label_of(group: str, breakdown: ByProperties | ByCohorts | None) -> list[str] | None:
    """What people read, a label for each property; None for all rows together."""
    if group == ALL:
        return None
    if group in {OTHER, EVERYONE}:
        return [OTHER_LABEL if group == OTHER else EVERYONE_LABEL]
    if isinstance(breakdown, ByCohorts):
        return [breakdown.cohorts[int(group[1:])]]
    if group.startswith("["):
        return [NONE_LABEL if each is None else each for each in orjson.loads(group)]
    return [NONE_LABEL if group == "n" else group[1:]]


def values_sql(keys: Sequence[By], source: Source, edges: Sequence[Sequence[float] | None]) -> str:
    """What names the group of the row `e` where kernels tell groups apart: one text of all values, null where it has none of them."""
    values = [_key(by, source, bins) for by, bins in zip(keys, edges, strict=True)]
    if len(values) == 1:
        return values[0]
    return f"CASE WHEN coalesce({', '.join(values)}) IS NOT NULL THEN CAST(to_json([{', '.join(values)}]) AS VARCHAR) END"


def values_label(text: str | None, keys: Sequence[By]) -> str:
    """What people read of such a text."""
    if text is None or len(keys) == 1:
        return NONE_LABEL if text is None else text
    return joined([NONE_LABEL if each is None else each for each in orjson.loads(text)])


def _key(by: By, source: Source, bins: Sequence[float] | None) -> str:
    value = value_of(by, source)
    if bins is None:
        return value.text
    number = value.number
    cases = [f"WHEN {number} >= {literal.number(low)} AND {number} < {literal.number(high)} THEN {literal.text(label)}"
             for low, high, label in bins_of(bins)]  # fmt: skip
    last = f"WHEN {number} = {literal.number(bins[-1])} THEN {literal.text(bins_of(bins)[-1][2])}"
    return f"CASE {' '.join(cases)} {last} WHEN {number} IS NOT NULL THEN '{_OUTSIDE}' END"


def bins_of(edges: Sequence[float]) -> list[tuple[float, float, str]]:
    """Each bin's ends and its label, such as `[0, 10)`: no two labels are equal."""
    pairs = list(pairwise(edges))
    narrowest = min(high - low for low, high in pairs)
    ends = [_written(edge, narrowest) for edge in edges]
    closing = [")"] * (len(pairs) - 1) + ["]"]
    return [
        (low, high, f"[{begin}, {end}{close}")
        for (low, high), (begin, end), close in zip(pairs, pairwise(ends), closing, strict=True)
    ]


def _written(edge: float, width: float) -> str:
    """With all digits before the point, and as many after it as tell it from what is a hundred-thousandth of a bin away."""
    for digits in range(max(_LEAST_DIGITS, min(_DIGITS, len(f"{abs(edge):.0f}"))), _DIGITS):
        text = f"{edge:.{digits}g}"
        if abs(float(text) - edge) <= width / 100_000:
            return text
    return repr(edge)
