"""The FROM of a statement over one bucket's events, with all that its filters and values need joined to it.

Statements read two views that the engine makes for each bucket: `EVENTS`, the rows of the query's range, and `HISTORY`, all up to now.
All events of a subject are in one bucket, so what a subject did, was or belongs to is settled within it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from zoneinfo import ZoneInfo

from consentryd.analytics import literal
from consentryd.analytics.comparison import comparison_sql
from consentryd.analytics.condition import (
    All,
    Condition,
    Either,
    InCohort,
    Matcher,
    Not,
    PropertyIs,
    SessionIs,
    SubjectIs,
)
from consentryd.analytics.currency import Rates
from consentryd.analytics.field import Field, field_of, property_of
from consentryd.analytics.membership import Audience, no_cohort
from consentryd.analytics.period import named_instant
from consentryd.analytics.view import EVENTS, HISTORY
from consentryd.model.error import Unprocessable
from consentryd.storage.promoted import pointer_of

AsOf = Literal["event", "latest"]
_MAX_NESTING: Final = 12

#: A property of a session as an aggregate over its events.
_SESSION: Final[dict[str, str]] = {
    "duration": "CAST((epoch_us(max(h.time)) - epoch_us(min(h.time))) / 1e6 AS VARCHAR)",
    "events": "CAST(count(*) AS VARCHAR)",
    "page_views": "CAST(count(*) FILTER (h.type = 'page') AS VARCHAR)",
    "entry_path": "first(h.path ORDER BY h.time, h.path) FILTER (h.path IS NOT NULL)",
    "exit_path": "last(h.path ORDER BY h.time, h.path) FILTER (h.path IS NOT NULL)",
    "entry_host": "first(h.host ORDER BY h.time, h.host) FILTER (h.host IS NOT NULL)",
}

_SUBJECTS: Final = f"(SELECT subject, max(time) AS time FROM {HISTORY} WHERE subject IS NOT NULL GROUP BY subject) e"


@dataclass(frozen=True, slots=True)
class Setting:
    """What statements of a query share: its zone, its now (UTC microseconds), its week, the saved cohorts by id, and what money is worth."""

    zone: ZoneInfo
    now: int
    week_start: int = 1
    audiences: Mapping[str, Audience] = field(default_factory=dict)
    rates: Rates = field(default_factory=lambda: Rates("EUR", {}))


class Source:
    """Builds one FROM. Ask for conditions and values first, then for `sql`, which joins what they need."""

    def __init__(self, setting: Setting, view: str = EVENTS, nesting: int = 0, *, subjects: bool = False) -> None:
        if nesting > _MAX_NESTING:
            raise Unprocessable("invalid", "Cohorts are nested too deep, or in a circle.", field="where")
        self.setting = setting
        self._view = view
        self._nesting = nesting
        self._subjects = subjects
        self._joins: dict[str, str] = {}  # join, by the text that names it

    @property
    def sql(self) -> str:
        """`events e` and the joins, to stand behind FROM."""
        return " ".join([_SUBJECTS if self._subjects else f"{self._view} e", *self._joins.values()])

    def nested(self, *, subjects: bool = False) -> Source:
        """A source over all of history, for a subquery; of one row per subject where only subjects count."""
        return Source(self.setting, HISTORY, self._nesting + 1, subjects=subjects)

    def matches(self, matcher: Matcher) -> str:
        """A boolean: the row is one of these events. It is null instead of false where an event that has no name would need one."""
        names = matcher.names
        parts = [f"e.event IN {literal.texts(names)}"] if names else []
        if matcher.where is not None:
            parts.append(self.holds(matcher.where))
        return "(" + " AND ".join(parts) + ")" if parts else "true"

    def holds(self, condition: Condition) -> str:
        """A boolean, never null: the condition holds for the row."""
        if self._subjects and isinstance(condition, PropertyIs | SessionIs):
            raise Unprocessable("invalid", "A cohort is made of what subjects are and did, not of single events.", field="where")
        match condition:
            case All():
                return "(" + " AND ".join(self.holds(each) for each in condition.conditions) + ")"
            case Either():
                return "(" + " OR ".join(self.holds(each) for each in condition.conditions) + ")"
            case Not():
                return f"(NOT {self.holds(condition.condition)})"
            case PropertyIs():
                return comparison_sql(field_of(condition.property), condition, self.setting.zone)
            case SubjectIs():
                return comparison_sql(self.trait(condition.property, condition.as_of), condition, self.setting.zone)
            case SessionIs():
                return comparison_sql(self.session(condition.property), condition, self.setting.zone)
            case InCohort():
                member = self.member(condition.cohort, condition.as_of)
                return member if condition.member else f"(NOT {member})"
            case _:
                from consentryd.analytics.deed import subjects_sql  # noqa: PLC0415 -- deeds are made of sources

                return self._among(subjects_sql(condition, self))

    def trait(self, name: str, as_of: AsOf) -> Field:
        """What identify calls said of the subject: up to the event, or up to now. What they said null of is missing from then on."""
        row = self._join(f"trait {as_of} {name}")
        value = f"json_extract(h.properties, {literal.text(pointer_of(name))})"
        said = f"FROM {HISTORY} h WHERE h.type = 'identify' AND h.subject IS NOT NULL AND {value} IS NOT NULL GROUP BY h.subject"
        traits = f"json_object('value', last({value} ORDER BY h.time, h.event_id))"
        if as_of == "latest":
            join = f"LEFT JOIN (SELECT h.subject, {traits} AS properties {said}) {row} ON e.subject = {row}.subject"
        else:
            join = (
                f"ASOF LEFT JOIN (SELECT h.subject, h.time, {traits} AS properties {said}, h.time) {row}"
                f" ON e.subject = {row}.subject AND e.time >= {row}.time"
            )
        self._joins[f"trait {as_of} {name}"] = join
        return property_of("value", row)

    def session(self, name: str) -> Field:
        """A property of the client's session that the event is in; missing outside of one."""
        key = f"session {name}"
        row = self._join(key)
        value = _SESSION.get(name, f"first(h.{name} ORDER BY h.time, h.{name}) FILTER (h.{name} IS NOT NULL)")
        self._joins[key] = (
            f"LEFT JOIN (SELECT h.subject, h.session, {value} AS value FROM {HISTORY} h"
            f" WHERE h.subject IS NOT NULL AND h.session IS NOT NULL GROUP BY h.subject, h.session) {row}"
            f" ON e.subject = {row}.subject AND e.session = {row}.session"
        )
        return Field(f"{row}.value")

    def account(self) -> str:
        """The group that the event belongs to, as text: the one it names, else the one of the subject's last group call up to then."""
        own = property_of("group_id", "h").text
        row = self._join("account")
        said = (
            f"SELECT h.subject, h.time, max({own}) AS account FROM {HISTORY} h WHERE h.type = 'group' AND h.subject IS NOT NULL"
            f" AND nullif({own}, '') IS NOT NULL GROUP BY h.subject, h.time"
        )
        self._joins["account"] = f"ASOF LEFT JOIN ({said}) {row} ON e.subject = {row}.subject AND e.time >= {row}.time"
        return f"coalesce(nullif({property_of('group_id').text}, ''), {row}.account)"

    def first(self, matcher: Matcher) -> str:
        """When the row's subject did this for the first time, UTC microseconds; null if it never did."""
        source = self.nested()
        truth = source.matches(matcher)
        firsts = f"SELECT e.subject, min(epoch_us(e.time)) AS t FROM {source.sql} WHERE e.subject IS NOT NULL AND {truth} GROUP BY e.subject"
        row = self._join(f"first {firsts}")
        self._joins[f"first {firsts}"] = f"LEFT JOIN ({firsts}) {row} ON e.subject = {row}.subject"
        return f"{row}.t"

    def member(self, cohort: str, as_of: str | None = None) -> str:
        """A boolean, never null: the subject is a member, or was by what is on record as of a day or a local time."""
        audience = self.setting.audiences.get(cohort)
        if audience is None:
            raise no_cohort(cohort)
        if as_of is not None:
            setting = self.setting
            return self._listed(audience.roll().at(named_instant(as_of, setting.zone, setting.now, setting.week_start)))
        if audience.definition is None:
            return self._listed(audience.roll().now)
        return self._among(members_sql(audience.definition, self))

    def _listed(self, subjects: Sequence[int]) -> str:
        return self._among(f"SELECT unnest([{', '.join(map(str, subjects))}]::BIGINT[])")

    def _among(self, subjects: str) -> str:
        """Whether the row's subject is one of a subquery's."""
        found = self._joins.get(f"among {subjects}")
        row = self._join(f"among {subjects}")
        if found is None:
            self._joins[f"among {subjects}"] = f"LEFT JOIN ({subjects}) {row}(subject) ON e.subject = {row}.subject"
        return f"({row}.subject IS NOT NULL)"

    def _join(self, key: str) -> str:
        """The name of a join's rows: its number among this source's."""
        if key not in self._joins:
            self._joins[key] = ""
        return f"j{self._nesting}_{list(self._joins).index(key)}"


def members_sql(definition: Condition, outer: Source) -> str:
    """Subjects, each once, for whom a cohort's definition holds: those of all subjects ever seen."""
    source = outer.nested(subjects=True)
    condition = source.holds(definition)
    return f"SELECT e.subject FROM {source.sql} WHERE {condition}"
