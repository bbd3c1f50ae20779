"""What subjects did, as subqueries that give each of them once (section 1.4)."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from consentryd.analytics import literal
from consentryd.analytics.calendar import floor, instant_of, local_of, step
from consentryd.analytics.condition import (
    Compared,
    Did,
    DidMuch,
    DidRegularly,
    DidThen,
    FirstDid,
    Matcher,
    Number,
    Restarted,
    Stopped,
    Window,
)
from consentryd.analytics.exchange import MONEY, without_rate_sql
from consentryd.analytics.field import field_of
from consentryd.analytics.period import Range, resolve
from consentryd.analytics.source import Setting, Source
from consentryd.analytics.view import HISTORY
from consentryd.model.clock import DAY, HOUR
from consentryd.model.error import Unprocessable

Deed = Did | FirstDid | DidThen | DidRegularly | Stopped | Restarted | DidMuch

_SIGNS: Final[dict[Compared, str]] = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_SPANS: Final[dict[str, int]] = {"hour": HOUR, "day": DAY, "week": 7 * DAY, "month": 30 * DAY}
_ADDING: Final = frozenset({"sum", "avg"})
_TIME: Final = "epoch_us(e.time)"
#: UTC microseconds: a number, or SQL for the row's subject.
Bound = int | str


def subjects_sql(deed: object, outer: Source) -> str:
    """A subquery of one column, the subjects of whom a deed is true; none is null. Raises `Unprocessable`."""
    match deed:
        case Did():
            return _did(deed, outer)
        case FirstDid():
            return _first_did(deed, outer)
        case DidThen():
            return _did_then(deed, outer)
        case DidRegularly():
            return _did_regularly(deed, outer)
        case Restarted():
            return _restarted(deed, outer)
        case Stopped():
            return _stopped(deed, outer)
        case DidMuch():
            return _did_much(deed, outer)
        case _:
            raise Unprocessable("invalid", "A cohort is made of what subjects are and did, not of single events.", field="where")


def _did(deed: Did, outer: Source) -> str:
    """Subjects who did it not at all have no row, so where none at all is enough it is everybody but those for whom it is false."""
    truth = _compared("count(*)", deed.op, deed.times, deed.upto)
    by_subject = _by_subject(deed, deed.window, outer)
    if not _allows_zero(deed):
        return f"{by_subject} HAVING {truth}"
    everybody = f"SELECT subject FROM {HISTORY} WHERE subject IS NOT NULL"
    if deed.window.anchor is not None:
        everybody = _by_subject(deed.window.anchor, Window(), outer)
    return f"{everybody} EXCEPT ({by_subject} HAVING NOT ({truth}))"


def _allows_zero(deed: Did) -> bool:
    match deed.op:
        case "eq" | "gte" | "between":
            return deed.times == 0
        case "lte":
            return True
        case "lt":
            return deed.times > 0
        case _:
            return False


def _first_did(deed: FirstDid, outer: Source) -> str:
    source = outer.nested()
    since, until = _bounds(deed.window, source)
    truth = source.matches(deed)
    first = f"min({_TIME}) >= min({since}) AND min({_TIME}) < min({until})"
    return f"SELECT e.subject FROM {source.sql} WHERE e.subject IS NOT NULL AND {truth} GROUP BY e.subject HAVING {first}"


def _did_then(deed: DidThen, outer: Source) -> str:
    """The last `first` before each `then`, with no `without` strictly between; or another event of its instant that is a `first`."""
    source = outer.nested()
    first, then = source.matches(deed.first), source.matches(deed.then)
    without = "false" if deed.without is None else source.matches(deed.without)
    since, until = _bounds(deed.window, source)
    rows = (
        f"SELECT e.subject, {_TIME} AS t, {first} AS a, {then} AS b, {without} AS c FROM {source.sql}"
        f" WHERE e.subject IS NOT NULL AND {_within(since, until)} AND ({first} OR {then} OR {without})"
    )
    order = "OVER (PARTITION BY subject ORDER BY t RANGE BETWEEN"
    before, beside = f"{order} UNBOUNDED PRECEDING AND 1 PRECEDING)", f"{order} CURRENT ROW AND CURRENT ROW)"
    marked = (
        f"SELECT *, max(t) FILTER (a) {before} AS started, max(t) FILTER (c) {before} AS broken,"
        f" count(*) FILTER (a) {beside} AS beside FROM ({rows})"
    )
    span = round(deed.within_days * DAY)
    return (
        f"SELECT DISTINCT subject FROM ({marked}) WHERE b AND (beside > CASE WHEN a THEN 1 ELSE 0 END"
        f" OR (t - started <= {span} AND (broken IS NULL OR broken <= started)))"
    )


def _did_regularly(deed: DidRegularly, outer: Source) -> str:
    setting = outer.setting
    start = step(floor(local_of(setting.now, setting.zone), deed.period, setting.week_start), deed.period, -deed.periods)
    bounds = [instant_of(step(start, deed.period, count), setting.zone) for count in range(deed.periods + 1)]
    source = outer.nested()
    truth = source.matches(deed)
    number = f"list_position({bounds}, list_max(list_filter({bounds}, lambda edge: edge <= {_TIME})))"
    counted = (
        f"SELECT e.subject, {number} AS period FROM {source.sql} WHERE e.subject IS NOT NULL"
        f" AND {_within(bounds[0], bounds[-1])} AND {truth} GROUP BY ALL HAVING count(*) >= {deed.times}"
    )
    return f"SELECT subject FROM ({counted}) GROUP BY subject HAVING count(*) >= {deed.least}"


def _stopped(deed: Stopped, outer: Source) -> str:
    now = outer.setting.now
    recent = now - deed.recent_days * DAY
    return f"{_since(deed, now - deed.history_days * DAY, outer)} HAVING max({_TIME}) < {recent}"


def _restarted(deed: Restarted, outer: Source) -> str:
    now = outer.setting.now
    recent = now - deed.recent_days * DAY
    gap = recent - deed.gap_days * DAY
    return (
        f"{_since(deed, now - deed.history_days * DAY, outer)} HAVING max({_TIME}) >= {recent} AND min({_TIME}) < {gap}"
        f" AND count(*) FILTER ({_TIME} >= {gap} AND {_TIME} < {recent}) = 0"
    )


def _did_much(deed: DidMuch, outer: Source) -> str:
    """Numbers are added so that their order makes no difference; of money, which is decimal, it makes none."""
    money = deed.property == MONEY
    number = outer.setting.rates.amount_sql() if money else field_of(deed.property).number
    value = f"{'f' if not money and deed.aggregate in _ADDING else ''}{deed.aggregate}({number})"
    return f"{_by_subject(deed, deed.window, outer)} HAVING {_compared(value, deed.op, deed.value, deed.upto)}"


def unconverted_sql(deed: DidMuch, outer: Source) -> str:
    """How many amounts a deed leaves out for want of a rate, by currency."""
    source = outer.nested()
    truth = source.matches(deed)
    since, until = _bounds(deed.window, source)
    return without_rate_sql(source, ["e.subject IS NOT NULL", _within(since, until), truth])


def _by_subject(matcher: Matcher, window: Window, outer: Source) -> str:
    source = outer.nested()
    truth = source.matches(matcher)
    since, until = _bounds(window, source)
    return f"SELECT e.subject FROM {source.sql} WHERE e.subject IS NOT NULL AND {_within(since, until)} AND {truth} GROUP BY e.subject"


def _since(matcher: Matcher, since: int, outer: Source) -> str:
    source = outer.nested()
    truth = source.matches(matcher)
    within = _within(since, outer.setting.now + 1)
    return f"SELECT e.subject FROM {source.sql} WHERE e.subject IS NOT NULL AND {within} AND {truth} GROUP BY e.subject"


def _within(since: Bound, until: Bound) -> str:
    return f"e.time >= make_timestamptz({since}) AND e.time < make_timestamptz({until})"


def _bounds(window: Window, source: Source) -> tuple[Bound, Bound]:
    """[since, until). The last n days are n times 24 hours, their first instant included; calendar ones end with today."""
    setting = source.setting
    if window.anchor is not None:
        return _relative(window, source)
    if window.last is not None and not window.calendar:
        return setting.now - window.last * _SPANS[window.unit], setting.now
    if window.last is not None:
        today = step(floor(local_of(setting.now, setting.zone), "day", 1), "day", 0 if window.today else -1)
        start = step(step(today, "day"), window.unit, -window.last)
        return instant_of(start, setting.zone), instant_of(step(today, "day"), setting.zone)
    if window.from_ is None and window.to is None:
        return 0, setting.now + DAY
    return _between(window, setting)


def _relative(window: Window, source: Source) -> tuple[Bound, Bound]:
    """After an event its instant and the one at the end are in; before it neither its instant nor what is longer ago."""
    assert window.anchor is not None
    first = source.first(window.anchor)
    length = None if window.within is None else window.within * _SPANS[window.unit]
    if window.after is not None:
        return first, source.setting.now + DAY if length is None else f"({first} + {length + 1})"
    return 0 if length is None else f"({first} - {length})", first


def _between(window: Window, setting: Setting) -> tuple[Bound, Bound]:
    try:
        wanted = Range.model_validate({"from": window.from_ or "1971-01-01", "to": window.to or "today"})
    except ValidationError:
        raise Unprocessable("invalid", "`window` names a day that is none.", field="window") from None
    period = resolve(wanted.model_copy(update={"explicit": True}), "year", setting.zone.key, 1, setting.now)
    return period.since, period.until


def _compared(value: str, op: Compared, bound: Number, upto: Number | None) -> str:
    if op == "between":
        if upto is None:
            raise Unprocessable("invalid", "`between` needs `upto`.", field="upto")
        return f"{value} BETWEEN {literal.number(bound)} AND {literal.number(upto)}"
    return f"{value} {_SIGNS[op]} {literal.number(bound)}"
