"""The endpoint table as OpenAPI 3.0, the newest that the Swagger UI at `/docs` can show."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from consentryd import __version__
from consentryd.gateway import schemas
from consentryd.gateway.endpoint import Endpoint, Parameter
from consentryd.gateway.query_endpoints import query_schemas

_SECURITY_SCHEMES: Final = {
    "basic": {"type": "http", "scheme": "basic", "description": "The key as user name, no password."},
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-Write-Key"},
}


def describe(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The document. Endpoints that share a path keep their order."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Consentry",
            "version": __version__,
            "description": "Event collection that asks for consent first.",
            "license": {"name": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": {"Error": schemas.ERROR, **query_schemas()}, "securitySchemes": _SECURITY_SCHEMES},
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "tags": [endpoint.tag],
        "summary": endpoint.summary.replace("`", ""),  # plain text, by the specification
        "operationId": f"{endpoint.method.lower()}{endpoint.path.replace('/', '_').replace('{', '').replace('}', '')}",
        "parameters": [_parameter(parameter) for parameter in endpoint.parameters],
        "responses": _responses(endpoint),
    }
    if endpoint.keys:
        operation["security"] = [{name: []} for name in _SECURITY_SCHEMES]
        operation["x-keys"] = sorted(kind.value for kind in endpoint.keys)
    if endpoint.request is not None:
        content = {media_type: {"schema": endpoint.request} for media_type in ("application/json", "text/plain")}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.location,
        "required": parameter.required,
        "description": parameter.description,
        "schema": parameter.schema,
    }


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    success = {"schema": endpoint.response} if endpoint.response is not None else {}
    responses: dict[str, Any] = {"200": {"description": "OK", "content": {endpoint.media_type: success}}}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for status in (*endpoint.statuses, 404, 405):
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": error}
    return responses
