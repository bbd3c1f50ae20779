"""The eligible subjects of a feature, one row each, and active subjects by bucket, as statements."""

from __future__ import annotations

from datetime import datetime

from consentryd.analytics.adoption.model import AdoptionQuery
from consentryd.analytics.asked import Asked
from consentryd.analytics.calendar import index_sql, instant_of
from consentryd.analytics.condition import All, Condition, Either, Not, SubjectIs
from consentryd.analytics.latest import latest_sql
from consentryd.analytics.period import Period
from consentryd.analytics.region_view import Span
from consentryd.analytics.source import Source
from consentryd.analytics.view import HISTORY
from consentryd.model.error import Unprocessable


def people_sql(question: AdoptionQuery, period: Period, asked: Asked) -> str:
    """A row for each eligible subject: `uses` in the range, `b` the bucket of the first use ever, and its values `v0`, `v1` ...

    In microseconds: `wait`, `gap`, `late` (first use since sign-up or release, 0 if before), `seen` (how long observed since).
    """
    source = Source(asked.setting, HISTORY)
    where = "true" if question.where is None else source.holds(question.where)
    feature = f"({source.matches(question.feature)} AND {where})"
    signup = "true" if question.signup is None else source.matches(question.signup)
    within = f"(t >= {period.since} AND t < {period.until})"
    eligible = f"count(*) FILTER (active AND {within}) > 0"
    active = f"({source.matches(question.activity)} AND {where})"
    if question.eligible != "active":
        active, eligible = source.holds(_of_now(question.eligible)), "bool_or(active)"
    rows = (
        f"SELECT e.subject, epoch_us(e.time) AS t, {feature} AS used, {signup} AS joined, {active} AS active"
        f" FROM {source.sql} WHERE e.subject IS NOT NULL"
    )
    since = f"CASE WHEN bool_or(joined) THEN greatest(min(t) FILTER (joined), {_released(question, asked)}) END"
    first = "min(t) FILTER (used)"
    list_of_uses = f"list_sort(list(t) FILTER (used AND {within}))"
    gaps = "list_transform(range(2, len(l) + 1), lambda i: l[i] - l[i - 1])"
    ended = min(period.until, asked.now)
    found = (
        f"SELECT subject, count(*) FILTER (used AND {within}) AS uses, {index_sql(first, period.edges)} AS b,"
        f" {first} >= {period.since} AND {first} < {period.until} AS is_new,"
        f" CASE WHEN {first} >= {since} THEN {first} - {since} END AS wait,"
        f" CASE WHEN {first} < {ended} THEN greatest(0, {first} - {since}) END AS late, {ended} - {since} AS seen, {list_of_uses} AS l"
        f" FROM ({rows}) GROUP BY subject HAVING {eligible}"
    )
    people = f"SELECT * EXCLUDE (l), CASE WHEN uses > 1 THEN list_aggregate({gaps}, 'median') END AS gap FROM ({found})"
    if not question.by:
        return people
    inside = f"e.time >= make_timestamptz({period.since}) AND e.time < make_timestamptz({period.until})"
    latest = Source(asked.setting, HISTORY)
    columns = "".join(f", {latest_sql(by, latest, inside)} AS v{number}" for number, by in enumerate(question.by))
    known = f"SELECT e.subject{columns} FROM {latest.sql} WHERE e.subject IS NOT NULL GROUP BY e.subject"
    return f"SELECT * FROM ({people}) JOIN ({known}) USING (subject)"


def daily_counts(question: AdoptionQuery, period: Period, asked: Asked) -> list[tuple[int, int]]:
    """By bucket: active subjects, and those of them that used it."""
    source = Source(asked.setting)
    where = "true" if question.where is None else source.holds(question.where)
    rows = (
        f"SELECT e.subject AS s, {index_sql('epoch_us(e.time)', period.edges)} AS b, bool_or({source.matches(question.activity)}) AS active,"
        f" bool_or({source.matches(question.feature)}) AS used FROM {source.sql} WHERE e.subject IS NOT NULL AND {where} GROUP BY ALL"
    )
    statement = f"SELECT b, count(*) AS active, count(*) FILTER (used) AS users FROM ({rows}) WHERE active GROUP BY b"
    found = [(0, 0)] * period.buckets
    for row in asked.execution.gather(statement, Span(period.since, period.until)).to_pylist():
        active, users = found[row["b"]]
        found[row["b"]] = active + row["active"], users + row["users"]
    return found


def _of_now(condition: Condition) -> Condition:
    """With traits as they are by now, as in a cohort: not as they were at any event of the subject's."""
    match condition:
        case SubjectIs():
            return condition.model_copy(update={"as_of": "latest"})
        case All() | Either():
            return condition.model_copy(update={"conditions": [_of_now(each) for each in condition.conditions]})
        case Not():
            return condition.model_copy(update={"condition": _of_now(condition.condition)})
        case _:
            return condition


def _released(question: AdoptionQuery, asked: Asked) -> int:
    if question.released is None:
        return 0
    try:
        return instant_of(datetime.fromisoformat(question.released), asked.zone)
    except (ValueError, OverflowError):
        raise Unprocessable("invalid", "`released` is no day of the calendar.", field="released") from None
