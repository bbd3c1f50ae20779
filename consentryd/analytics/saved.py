"""Saved definitions as they are written: a query, a named funnel, or a cohort."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self

from pydantic import Field, TypeAdapter, model_validator

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
)
from consentryd.analytics.query import Query, checked
from consentryd.analytics.shape import Shape, Text
from consentryd.analytics.source import Audience
from consentryd.model.error import Unprocessable
from consentryd.storage.saved import SavedType

Name = Annotated[Text, Field(min_length=1, max_length=200)]


class SavedQuery(Shape):
    name: Name
    definition: Query


class SavedCohort(Shape):
    """A rule about subjects. A static cohort keeps the members that it has when it is saved; a dynamic one follows the rule."""

    name: Name
    definition: Condition
    static: bool = False

    @model_validator(mode="after")
    def _about_subjects(self) -> Self:
        if depth_of(self.definition) > MAX_DEPTH:
            raise ValueError(f"is nested more than {MAX_DEPTH} levels deep")
        if _about_events(self.definition):
            raise ValueError("a cohort is made of what subjects are and did: name event properties within a `did`")
        return self


_MODELS: Final[dict[SavedType, TypeAdapter[Any]]] = {
    "query": TypeAdapter(SavedQuery),
    "funnel": TypeAdapter(SavedQuery),
    "cohort": TypeAdapter(SavedCohort),
}


def read_saved(kind: SavedType, value: Any) -> SavedQuery | SavedCohort:
    """A definition to save. Raises `Unprocessable` that names the field at fault."""
    found: SavedQuery | SavedCohort = checked(_MODELS[kind], value)
    if kind == "funnel" and isinstance(found, SavedQuery) and found.definition.kind != "funnel":
        raise Unprocessable("invalid", "A funnel's definition is a query of the kind `funnel`.", field="definition.kind")
    return found


def names_cohorts(condition: Any) -> set[str]:
    """The cohorts that a condition names anywhere within."""
    if isinstance(condition, InCohort):
        return {condition.cohort}
    if isinstance(condition, All | Either):
        return set().union(*(names_cohorts(each) for each in condition.conditions))
    if isinstance(condition, Not):
        return names_cohorts(condition.condition)
    return names_cohorts(condition.where) if getattr(condition, "where", None) is not None else set()


def audience_of(cohort: SavedCohort, members: tuple[int, ...] = ()) -> Audience:
    """A saved cohort as statements need it."""
    return Audience(members=members) if cohort.static else Audience(definition=cohort.definition)


def _about_events(condition: Any) -> bool:
    if isinstance(condition, All | Either):
        return any(_about_events(each) for each in condition.conditions)
    if isinstance(condition, Not):
        return _about_events(condition.condition)
    return isinstance(condition, PropertyIs | SessionIs)
