"""What is asked of the shop. `docs/analytics/worked-example.md` shows each question with its answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from examples.worked_example.shop import SCENARIO

RANGE: Final = {"from": str(SCENARIO.start), "to": str(SCENARIO.start + timedelta(days=SCENARIO.days - 1))}
#: The first three weeks: their people have four more weeks to come back in before the log ends.
FIRST_WEEKS: Final = {"from": RANGE["from"], "to": str(SCENARIO.start + timedelta(days=20))}

_STEPS: Final = [{"event": event} for event in ("product_viewed", "product_added", "checkout_started", "order_completed")]
_WEEK: Final = {"n": 7, "unit": "day"}
_ORDER: Final = {"event": "order_completed"}
_VIEW: Final = {"event": "product_viewed"}
_CLEANING: Final = [{"pattern": "^/p/.*", "alias": "/p/*"}, {"pattern": "^/c/.*", "alias": "/c/*"}]
_RETENTION: Final = {
    "kind": "retention",
    "start": _VIEW,
    "return": _VIEW,
    "cohort": "first_match",
    "interval": "week",
    "periods": 4,
    "range": FIRST_WEEKS,
}
_EXPERIMENT: Final = {
    "kind": "experiment",
    "exposure": {"event": "experiment_viewed"},
    "variant": "variant",
    "variants": ["A", "B"],
    "method": "frequentist",
    "planned": {"subjects": 300, "at": "2026-07-31"},
    "range": RANGE,
}

QUESTIONS: Final[dict[str, dict[str, Any]]] = {
    "weeks": {
        "kind": "trends",
        "series": [{"event": "page_viewed", "math": "unique"}, {"event": "order_completed", "math": "unique"}],
        "formulas": [{"expression": "B / A", "name": "buyers per visitor"}],
        "interval": "week",
        "range": RANGE,
    },
    "funnel": {"kind": "funnel", "steps": _STEPS, "window": _WEEK, "range": RANGE},
    "devices": {
        "kind": "funnel",
        "steps": [_STEPS[0], _STEPS[-1]],
        "window": _WEEK,
        "range": RANGE,
        "breakdown": {"by": {"property": "device"}, "attribution": "first_touch"},
    },
    "retention": _RETENTION,
    "returned": {**_RETENTION, "period_zero": "returned"},
    "lifecycle": {"kind": "lifecycle", "activity": {"event": "page_viewed"}, "interval": "week", "range": RANGE},
    "stickiness": {"kind": "stickiness", "interval": "week", "range": RANGE},
    "sessions": {"kind": "sessions", "interval": "week", "range": RANGE},
    "journeys": {
        "kind": "paths",
        "events": {"event": "page_viewed"},
        "start": "/",
        "steps": 4,
        "cleaning": _CLEANING,
        "goal": "/thank-you",
        "range": RANGE,
    },
    "adoption": {"kind": "adoption", "feature": {"event": "products_searched"}, "range": RANGE},
    "experiment": {**_EXPERIMENT, "metrics": [{"name": "orders", "event": _ORDER}]},
    "added": {**_EXPERIMENT, "metrics": [{"name": "adds", "event": {"event": "product_added"}}]},
    "channels": {"kind": "attribution", "conversion": _ORDER, "channel": "utm_source", "range": RANGE},
    "cohorts": {
        "kind": "cohorts",
        "cohorts": [{"type": "did", **_ORDER}, {"type": "did", "event": "products_searched"}],
        "range": RANGE,
    },
}

#: Mistakes that articles teach, as SQL: what they count is real, what they call it is not.
STATEMENTS: Final[dict[str, str]] = {
    "sets": (
        "SELECT count(*) FILTER (a), count(*) FILTER (a AND b), count(*) FILTER (a AND b AND c), count(*) FILTER (a AND b AND c AND d) "
        "FROM (SELECT subject, bool_or(event = 'product_viewed') AS a, bool_or(event = 'product_added') AS b, "
        "bool_or(event = 'checkout_started') AS c, bool_or(event = 'order_completed') AS d FROM events "
        "WHERE subject IS NOT NULL GROUP BY subject)"
    ),
    "any_time": (
        "SELECT json_extract_string(e.properties, '$.variant') AS variant, count(DISTINCT e.subject), count(DISTINCT a.subject) "
        "FROM events e LEFT JOIN (SELECT subject FROM events WHERE event = 'product_added') a ON a.subject = e.subject "
        "WHERE e.event = 'experiment_viewed' AND e.subject IS NOT NULL GROUP BY 1 ORDER BY 1"
    ),
}
