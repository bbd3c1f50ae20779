"""One operator as SQL (section 1.0): a missing value satisfies `is_not`, `not_contains` and `is_not_set`, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import MAXYEAR, MINYEAR, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from consentryd.analytics import literal
from consentryd.analytics.calendar import instant_of
from consentryd.analytics.condition import Comparison, Operator, Scalar
from consentryd.analytics.field import Field
from consentryd.model.error import Unprocessable
from consentryd.storage.duck import duck

_NEGATED: Final[dict[Operator, Operator]] = {"is_not": "is", "not_contains": "contains", "is_not_set": "is_set"}
_SIGNS: Final[dict[str, str]] = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
#: What is in a whole number's one spelling and not in the other, and what such numbers look like.
_SPELT: Final = re.compile(r"[.0-]")
_WHOLE: Final = re.compile(r"-?\d+(\.0+)?")
#: Integers of so many digits are HUGEINTs.
_HUGE_DIGITS: Final = 38
_SEMVER: Final = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(-[0-9A-Za-z.-]+)?(\+.*)?")
_SEMVER_SQL: Final = "^v?(\\d{1,9})(?:\\.(\\d{1,9}))?(?:\\.(\\d{1,9}))?(-[0-9A-Za-z.-]+)?(?:\\+.*)?$"


def comparison_sql(field: Field, comparison: Comparison, zone: ZoneInfo) -> str:
    """A boolean that is never null. Raises `Unprocessable` for a pattern, day or version that cannot be read."""
    positive = _NEGATED.get(comparison.op)
    if positive is not None:
        return f"(NOT {_positive(field, positive, comparison, zone)})"
    return _positive(field, comparison.op, comparison, zone)


def _positive(field: Field, op: Operator, comparison: Comparison, zone: ZoneInfo) -> str:
    test = _test_of(op, comparison, zone)
    spelt = _looks_at_spelling(op, comparison.values)
    plain = f"coalesce({test(field.text if spelt else field.sent)}, false)"
    if field.is_list is None or op == "is_set":
        return plain
    elements = field.elements if spelt else field.sent_elements
    any_element = f"len(list_filter({elements}, lambda element: {test('element')})) > 0"
    return f"(CASE WHEN {field.is_list} THEN {any_element} ELSE {plain} END)"


def _looks_at_spelling(op: Operator, values: Sequence[Scalar]) -> bool:
    """Whether the answer may be another one for `5.0` than for `5`, or for `-0.0` than for `0`."""
    texts = [value for value in values if isinstance(value, str)]
    match op:
        case "regex":
            return True
        case "contains":
            return any(_SPELT.search(_text(value)) for value in values)
        case "is":
            return any(_WHOLE.fullmatch(value) for value in texts)
        case _:
            return False


def _test_of(op: Operator, comparison: Comparison, zone: ZoneInfo) -> Callable[[str], str]:
    values = comparison.values
    if op == "is_set":
        return lambda text: f"{text} <> ''"
    if op in {"is", "contains"}:
        one = _is if op == "is" else _contains
        return lambda text: "(" + " OR ".join(one(text, value) for value in values) + ")"
    if op == "regex":
        return _regex(str(values[0]))
    if op in {"before", "after"}:
        return _dated(op, str(values[0]), zone)
    if op.startswith("semver_"):
        return _semver(op.removeprefix("semver_"), str(values[0]))
    return _numeric(op, [value for value in values if isinstance(value, int | float)])


def _text(value: Scalar) -> str:
    """As JSON would be read back: true, not True; a whole number has one text, however it was written."""
    if isinstance(value, bool):
        return str(value).lower()
    whole = isinstance(value, float) and value.is_integer() and abs(value) <= literal.MAX_EXACT
    return str(int(value) if whole else value)


def _is(text: str, value: Scalar) -> str:
    same = f"{text} = {literal.text(_text(value))}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return same
    return f"({same} OR {_number_is(text, '=', value)})"


def _number_is(text: str, sign: str, value: float) -> str:
    """A finite number compared as DOUBLE; integers too large for that, such as ids, digit by digit with one that is as large."""
    number = f"TRY_CAST({text} AS DOUBLE)"
    compared = f"{number} {sign} {literal.number(value)}"
    if sign != "=":
        compared = f"isfinite({number}) AND {compared}"
    if isinstance(value, float) or abs(value) <= literal.MAX_EXACT:
        return f"({compared})"
    return f"CASE WHEN {_digits(text)} THEN TRY_CAST({text} AS HUGEINT) {sign} {value} ELSE {compared} END"


def _digits(text: str) -> str:
    return f"regexp_full_match({text}, '-?[0-9]{{1,{_HUGE_DIGITS}}}')"


def _contains(text: str, value: Scalar) -> str:
    return f"contains(lower({text}), lower({literal.text(_text(value))}))"


def check_pattern(pattern: str, field: str, alias: str = "") -> None:
    """Raises `Unprocessable` if DuckDB would not take the regular expression, or the `alias` put in its place."""
    try:
        with duck().connect() as connection:
            connection.execute("SELECT regexp_replace('', ?, ?)", [pattern, alias])
    except duck().Error:
        raise Unprocessable("invalid", "A pattern is no regular expression (RE2).", field=field) from None


def _regex(pattern: str) -> Callable[[str], str]:
    check_pattern(pattern, "value")
    return lambda text: f"regexp_matches({text}, {literal.text(pattern)})"


def _dated(op: str, value: str, zone: ZoneInfo) -> Callable[[str], str]:
    """A local day or time of the query's zone, or a time with an offset. `after` a day means after its end; texts are read as UTC."""
    try:
        whole_day = len(value) == len("2026-11-21")
        moment = datetime.combine(date.fromisoformat(value), datetime.min.time()) if whole_day else datetime.fromisoformat(value)
    except ValueError:
        raise Unprocessable("invalid", "A date is not written as ISO 8601.", field="value") from None
    if not MINYEAR < moment.year < MAXYEAR:
        raise Unprocessable("invalid", "A date lies in the years 2 to 9998.", field="value")
    bound = instant_of(moment, zone) if moment.tzinfo is None else round(moment.timestamp() * 1_000_000)
    if op == "before":
        return lambda text: f"epoch_us(TRY_CAST({text} AS TIMESTAMPTZ)) < {bound}"
    if whole_day:
        next_day = instant_of(datetime.combine(date.fromordinal(moment.toordinal() + 1), datetime.min.time()), zone)
        return lambda text: f"epoch_us(TRY_CAST({text} AS TIMESTAMPTZ)) >= {next_day}"
    return lambda text: f"epoch_us(TRY_CAST({text} AS TIMESTAMPTZ)) > {bound}"


def _numeric(op: str, values: list[int | float]) -> Callable[[str], str]:
    if op == "between":
        return lambda text: f"({_number_is(text, '>=', values[0])} AND {_number_is(text, '<=', values[1])})"
    return lambda text: _number_is(text, _SIGNS[op], values[0])


def _semver(op: str, value: str) -> Callable[[str], str]:
    """Versions as lists of numbers. A pre-release comes before its release; pre-releases of one version are equal."""
    match = _SEMVER.fullmatch(value)
    if match is None:
        raise Unprocessable("invalid", "A version is not written as 1.2.3.", field="value")
    wanted = [int(match[1]), int(match[2] or 0), int(match[3] or 0), 0 if match[4] else 1]

    def test(text: str) -> str:
        parts = ", ".join(_semver_part(text, number) for number in (1, 2, 3))
        release = f"CASE WHEN regexp_extract({text}, '{_SEMVER_SQL}', 4) = '' THEN 1 ELSE 0 END"
        known = f"regexp_matches({text}, '{_SEMVER_SQL}')"
        return f"({known} AND [{parts}, {release}] {_SIGNS[op]} {wanted})"

    return test


def _semver_part(text: str, number: int) -> str:
    return f"coalesce(TRY_CAST(regexp_extract({text}, '{_SEMVER_SQL}', {number}) AS INTEGER), 0)"
