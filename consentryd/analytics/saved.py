"""Saved definitions as they are written: a query, a named funnel, or a cohort."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Annotated, Any, Final, Self

from pydantic import Field, TypeAdapter, model_validator

from consentryd.analytics.behind.point import Point
from consentryd.analytics.condition import (
    MAX_DEPTH,
    All,
    Condition,
    Either,
    InCohort,
    Not,
    PropertyIs,
    SessionIs,
    depth_of,
    seen_lately,
)
from consentryd.analytics.kinds.cohort import CohortHistoryQuery
from consentryd.analytics.query import Query, checked
from consentryd.analytics.shape import Shape, Text
from consentryd.model.error import Conflict, Unprocessable
from consentryd.storage.saved import Saved, SavedType

Name = Annotated[Text, Field(min_length=1, max_length=200)]


class SavedQuery(Shape):
    name: Name
    definition: Query


class Behind(Shape):
    """The subjects behind a number of a query: who dropped at a step, came back in a period, fell dormant in a bucket."""

    query: Query
    point: Point


class SavedCohort(Shape):
    """Subjects of whom a rule is true, or those behind a number of a query.

    A static cohort keeps the members that it has when it is saved. A dynamic one follows its rule; behind a number it follows as often as
    it is reckoned anew (`analytics.cohort_hours`). Who was a member when is kept of both.
    """

    name: Name
    definition: Condition | None = None
    behind: Behind | None = None
    static: bool = False
    seen_days: int | None = Field(
        None,
        ge=1,
        le=3_650,
        description="Of subjects with an event of any kind in so many days before now; default: all ever seen.",
    )

    @model_validator(mode="after")
    def _about_subjects(self) -> Self:
        if (self.definition is None) == (self.behind is None):
            raise ValueError("takes either a `definition` or what it is `behind`")
        if self.definition is not None and depth_of(self.definition) > MAX_DEPTH:
            raise ValueError(f"is nested more than {MAX_DEPTH} levels deep")
        if self.definition is None and self.seen_days is not None:
            raise ValueError("`seen_days` is about a `definition`")
        if _about_events(self.definition):
            raise ValueError("a cohort is made of what subjects are and did: name event properties within a `did`")
        return self

    @property
    def rule(self) -> Condition | None:
        """The definition, of those whom it is about."""
        return None if self.definition is None else seen_lately(self.definition, self.seen_days)


_MODELS: Final[dict[SavedType, TypeAdapter[Any]]] = {
    "query": TypeAdapter(SavedQuery),
    "funnel": TypeAdapter(SavedQuery),
    "cohort": TypeAdapter(SavedCohort),
}


def read_saved(kind: SavedType, value: Any) -> SavedQuery | SavedCohort:
    """A definition to save. Raises `Unprocessable` that names the field at fault."""
    found: SavedQuery | SavedCohort = checked(_MODELS[kind], value)
    if isinstance(found, SavedQuery) and found.definition.kind == "person":
        raise Unprocessable(
            "invalid", "A report on one subject is not saved: it would outlast the subject.", field="definition.kind"
        )
    if kind == "funnel" and isinstance(found, SavedQuery) and found.definition.kind != "funnel":
        raise Unprocessable("invalid", "A funnel's definition is a query of the kind `funnel`.", field="definition.kind")
    return found


def check_circle(cohort: SavedCohort, own: Collection[str], others: Callable[[str], SavedCohort | None]) -> None:
    """Raises `Unprocessable` if a cohort, known by the id and names `own`, would be a member's condition of itself.

    `others` gives a saved cohort by id or name.
    """
    due, seen = [cohort], set[str]()
    while due:
        current = due.pop()
        for name in names_cohorts(current.definition) | names_cohorts(current.behind and current.behind.query):
            if name in own:
                raise Unprocessable("invalid", "A cohort cannot be made of itself.", field="definition")
            found = None if name in seen else others(name)
            seen.add(name)
            due += [] if found is None else [found]


def names_cohorts(part: Any) -> set[str]:
    """The cohorts that a condition, or a query, names anywhere within."""
    if isinstance(part, InCohort):
        return {part.cohort}
    if isinstance(part, CohortHistoryQuery):
        return {part.cohort} | names_cohorts(part.where)
    if isinstance(part, list | tuple):
        return set().union(*(names_cohorts(each) for each in part))
    if isinstance(part, Shape):
        listed = {each for each in getattr(part, "cohorts", None) or () if isinstance(each, str)}
        return listed.union(*(names_cohorts(getattr(part, name)) for name in type(part).model_fields))
    return set()


def check_unused(cohort: Saved, everything: Iterable[Saved], named: Collection[str]) -> None:
    """Raises `Conflict` if something saved, a static cohort aside, names a cohort by one of these: it would fail without it."""
    users = []
    for saved in everything:
        found = _MODELS[saved.type].validate_json(saved.body)
        keeps = isinstance(found, SavedCohort) and found.static
        if saved.id != cohort.id and not keeps and not names_cohorts(found).isdisjoint(named):
            users.append(f"{saved.type} `{saved.name}`")
    if users:
        raise Conflict("conflict", f"The cohort is named by {', '.join(users)}.", field="name")


def _about_events(condition: Any) -> bool:
    if isinstance(condition, All | Either):
        return any(_about_events(each) for each in condition.conditions)
    if isinstance(condition, Not):
        return _about_events(condition.condition)
    return isinstance(condition, PropertyIs | SessionIs)
