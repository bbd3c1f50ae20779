"""Every kind of query, once: its model, and what answers it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from consentryd.analytics.adoption.answer import answer as answer_adoption
from consentryd.analytics.adoption.model import AdoptionQuery, AdoptionResult
from consentryd.analytics.asked import Asked
from consentryd.analytics.experiment.answer import answer as answer_experiment
from consentryd.analytics.experiment.model import ExperimentQuery, ExperimentResult
from consentryd.analytics.funnels.answer import answer as answer_funnel
from consentryd.analytics.funnels.model import FunnelQuery, FunnelResult
from consentryd.analytics.kinds import (
    attribution,
    churn,
    cohort,
    cohorts,
    dashboard,
    kpi,
    lifecycle,
    paths,
    person,
    rfm,
    segmentation,
    stickiness,
    web,
)
from consentryd.analytics.kinds.attribution import AttributionQuery
from consentryd.analytics.kinds.churn import ChurnQuery
from consentryd.analytics.kinds.cohort import CohortHistoryQuery
from consentryd.analytics.kinds.cohorts import CohortsQuery
from consentryd.analytics.kinds.dashboard import DashboardQuery
from consentryd.analytics.kinds.kpi import KpiQuery
from consentryd.analytics.kinds.lifecycle import LifecycleQuery
from consentryd.analytics.kinds.paths import PathsQuery
from consentryd.analytics.kinds.person import PersonQuery
from consentryd.analytics.kinds.rfm import RfmQuery
from consentryd.analytics.kinds.segmentation import SegmentationQuery
from consentryd.analytics.kinds.stickiness import StickinessQuery
from consentryd.analytics.kinds.web import WebQuery
from consentryd.analytics.prediction.answer import answer as answer_prediction
from consentryd.analytics.prediction.model import PredictionQuery, PredictionResult
from consentryd.analytics.question import Envelope, Question
from consentryd.analytics.retention.answer import answer as answer_retention
from consentryd.analytics.retention.model import RetentionQuery, RetentionResult
from consentryd.analytics.revenue.answer import answer as answer_revenue
from consentryd.analytics.revenue.model import RevenueQuery, RevenueResult
from consentryd.analytics.sessions.answer import answer as answer_sessions
from consentryd.analytics.sessions.model import SessionsQuery, SessionsResult
from consentryd.analytics.trends.answer import answer as answer_trends
from consentryd.analytics.trends.model import Trends, TrendsResult
from consentryd.model.error import Unprocessable

Query = Annotated[
    Trends
    | FunnelQuery
    | RetentionQuery
    | LifecycleQuery
    | StickinessQuery
    | SessionsQuery
    | KpiQuery
    | AdoptionQuery
    | CohortsQuery
    | CohortHistoryQuery
    | RfmQuery
    | ChurnQuery
    | PathsQuery
    | ExperimentQuery
    | AttributionQuery
    | RevenueQuery
    | WebQuery
    | DashboardQuery
    | PersonQuery
    | PredictionQuery
    | SegmentationQuery,
    Field(discriminator="kind"),
]

ANSWERS: Final[Mapping[type[Question], Callable[[Any, Asked], Envelope]]] = {
    Trends: answer_trends,
    FunnelQuery: answer_funnel,
    RetentionQuery: answer_retention,
    LifecycleQuery: lifecycle.answer,
    StickinessQuery: stickiness.answer,
    SessionsQuery: answer_sessions,
    KpiQuery: kpi.answer,
    AdoptionQuery: answer_adoption,
    CohortsQuery: cohorts.answer_cohorts,
    CohortHistoryQuery: cohort.answer,
    RfmQuery: rfm.answer,
    ChurnQuery: churn.answer,
    PathsQuery: paths.answer,
    ExperimentQuery: answer_experiment,
    AttributionQuery: attribution.answer,
    RevenueQuery: answer_revenue,
    WebQuery: web.answer,
    DashboardQuery: dashboard.answer,
    PersonQuery: person.answer,
    PredictionQuery: answer_prediction,
    SegmentationQuery: segmentation.answer,
}
RESULTS: Final[tuple[type[Envelope], ...]] = (
    TrendsResult,
    FunnelResult,
    RetentionResult,
    lifecycle.LifecycleResult,
    stickiness.StickinessResult,
    SessionsResult,
    kpi.KpiResult,
    AdoptionResult,
    cohorts.CohortsResult,
    cohort.CohortHistoryResult,
    rfm.RfmResult,
    churn.ChurnResult,
    paths.PathsResult,
    ExperimentResult,
    attribution.AttributionResult,
    RevenueResult,
    web.WebResult,
    dashboard.DashboardResult,
    person.PersonResult,
    PredictionResult,
    segmentation.SegmentationResult,
)

#: What pydantic calls a value that is no JSON object; it names classes then, which nobody who asks has heard of.
_NO_OBJECT: Final = frozenset({"dict_type", "model_type", "model_attributes_type"})

ADAPTER: Final[TypeAdapter[Question]] = TypeAdapter(Query, config=ConfigDict(defer_build=True))


def read(value: Any) -> Question:
    """A query from JSON values. Raises `Unprocessable` that names the first field at fault and lists all."""
    found: Question = checked(ADAPTER, value)
    return found


def checked(adapter: TypeAdapter[Any], value: Any) -> Any:
    """A model from JSON values. Raises `Unprocessable` that names the first field at fault and lists all."""
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        problems = [_problem(each, value) for each in error.errors(include_url=False, include_input=False)]
        first = problems[0]
        raise Unprocessable(
            "invalid", f"`{first['field']}`: {first['problem']}.", field=first["field"], problems=problems[:20]
        ) from None


def _problem(error: Any, value: Any) -> dict[str, str]:
    parts, problem = list(error["loc"]), error["msg"].removeprefix("Value error, ").rstrip(".")
    tag = error["type"] in {"union_tag_invalid", "union_tag_not_found"}
    if tag:
        parts.append("kind" if "kind" in error["ctx"]["discriminator"] else "type")
        tags = error["ctx"].get("expected_tags")
        problem = "Field required" if tags is None else f"is none of {tags}"
    if error["type"] in _NO_OBJECT:
        problem = "Input should be an object"
    path = ".".join(map(str, _path(parts, value, named=tag or error["type"] == "missing")))
    return {"field": path or "query", "problem": problem}


def _path(parts: Sequence[str | int], value: Any, *, named: bool) -> Iterator[str | int]:
    """Those parts that lead through the JSON values; the others name models. If it is `named`, the last is a member that may be missing."""
    tagged = False
    for place, part in enumerate(parts):
        last = named and place == len(parts) - 1
        if not last and not tagged and isinstance(value, dict) and part in (value.get("kind"), value.get("type")):
            tagged = True
            continue
        inside = part in value if isinstance(value, dict) else isinstance(value, list) and isinstance(part, int)
        if inside or last:
            yield part
        if inside:
            value, tagged = value[part], False
