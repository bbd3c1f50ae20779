"""The endpoints that answer questions about what is stored."""

from __future__ import annotations

from typing import Any, Final

from consentryd.analytics import query
from consentryd.analytics.format import MEDIA_TYPES
from consentryd.gateway.auth import READING
from consentryd.gateway.endpoint import Endpoint
from consentryd.gateway.model_schema import components, reference
from consentryd.gateway.queries import NDJSON, post_query

QUERY_SCHEMAS: Final[dict[str, Any]] = components({"Query": query.ADAPTER}, query.RESULTS)

QUERY_ENDPOINTS: Final = (
    Endpoint(
        method="POST",
        path="/v1/query",
        tag="Analytics",
        summary="Answers a question about the key's site. `Accept` chooses JSON, CSV, Arrow, Parquet, or lines of progress and the result "
        f"({', '.join((*MEDIA_TYPES, NDJSON))}). Closing the request cancels it.",
        handler=post_query,
        keys=READING,
        request=reference("Query"),
        response={"oneOf": [reference(result.__name__) for result in query.RESULTS]},
        statuses=(400, 401, 403, 413, 415, 422, 429, 503),
    ),
)
