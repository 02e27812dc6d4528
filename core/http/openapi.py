"""Writes the OpenAPI 3.1 document of a list of routes: what is declared is what is served, word for word.

Does not serve it. Invariant: every operation names its success, its problems and who may call it; operation ids are
unique and stable (they come from the method and the path).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from core.http.guard import CSRF_HEADER, SESSION_COOKIE
from core.http.problem import Problem
from core.http.routes import FileAnswer, Nothing, Route

Json = dict[str, Any]
_NO_NUL = "^[^\\x00]*$"
_NO_CONTROLS = "^[^\\x00-\\x1f]*$"
_REF = "#/components/schemas/{model}"


def document(routes: Iterable[Route], *, title: str, version: str) -> Json:
    """The document as JSON-ready values."""
    routes = [route for route in routes]
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Problem, "serialization")]
    for route in routes:
        wanted.append((route.query, "validation"))
        wanted.append((route.body, "validation"))
        if issubclass(route.answer, BaseModel):
            wanted.append((route.answer, "serialization"))
    unique = list(dict.fromkeys(wanted))
    by_model, definitions = models_json_schema(unique, ref_template=_REF)
    schemas = definitions.get("$defs", {})
    _limit_texts(schemas, _NO_NUL)
    paths: dict[str, Json] = {}
    for route in routes:
        operation = _operation(route, by_model, schemas)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _security()},
        "tags": [{"name": tag} for tag in sorted({route.tag for route in routes if route.tag})],
    }


def _limit_texts(part: Any, pattern: str) -> None:
    """Says in the document what holds for every text: no NUL in bodies, no control characters in addresses."""
    if isinstance(part, dict):
        free = not part.keys() & {"format", "enum", "const"} and part.get("pattern", _NO_NUL) == _NO_NUL
        if part.get("type") == "string" and free:
            part["pattern"] = pattern
        for inner in part.values():
            _limit_texts(inner, pattern)
    elif isinstance(part, list):
        for inner in part:
            _limit_texts(inner, pattern)


def _security() -> Json:
    return {
        "token": {"type": "http", "scheme": "bearer", "description": "An API token."},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": SESSION_COOKIE,
            "description": f"The console's session; writes need the header {CSRF_HEADER} and come from our own origin.",
        },
    }


def _operation(route: Route, by_model: Any, schemas: Json) -> Json:
    operation: Json = {
        "operationId": operation_id(route),
        "summary": route.summary,
        "parameters": [*_path_parameters(route.path), *_query_parameters(route, by_model, schemas)],
        "responses": _responses(route, by_model),
    }
    if route.tag:
        operation["tags"] = [route.tag]
    if route.body is not Nothing:
        content = {"application/json": {"schema": by_model[(route.body, "validation")]}}
        operation["requestBody"] = {"required": True, "content": content}
    operation["security"] = [] if route.public else [{"token": []}, {"session": []}]
    if route.roles:
        operation["description"] = "Roles: " + ", ".join(sorted(route.roles)) + " (an admin always)."
    return operation


def operation_id(route: Route) -> str:
    """GET /api/calls/{id} → get_calls_id."""
    words = re.findall(r"[A-Za-z0-9]+", route.path.removeprefix("/api"))
    return "_".join([route.method.lower(), *words])


def _path_parameters(path: str) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[^\\x00-\\x1f/]+$"},
        }
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(route: Route, by_model: Any, schemas: Json) -> list[Json]:
    name_of = by_model[(route.query, "validation")]["$ref"].rsplit("/", 1)[-1]
    schema = copy.deepcopy(schemas.get(name_of, {}))
    _limit_texts(schema, _NO_CONTROLS)
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": part}
        for name, part in schema.get("properties", {}).items()
    ]


def _responses(route: Route, by_model: Any) -> Json:
    good: Json = {"description": "Done."}
    if issubclass(route.answer, FileAnswer):
        good = {"description": "The file, whole or the ranges asked for.", "content": {"*/*": {"schema": {}}}}
    elif route.status != 204:
        good["content"] = {"application/json": {"schema": by_model[(route.answer, "serialization")]}}
    responses = {str(route.status): good}
    if issubclass(route.answer, FileAnswer):
        responses["206"] = {**good, "description": "The range asked for."}
    for status in sorted({*_possible(route), *route.errors}):
        content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        responses[str(status)] = {"description": _MEANINGS.get(status, "Refused."), "content": content}
    return responses


_MEANINGS = {
    400: "The request cannot be understood.",
    401: "Log in first.",
    403: "The caller may not do this.",
    404: "There is no such thing, or not for the caller.",
    408: "The body did not arrive in time.",
    409: "The thing has changed meanwhile, or is in another state.",
    413: "The body is too large.",
    415: "The body is not plain JSON.",
    422: "The request does not fit what the operation takes.",
    429: "Too many tries.",
    500: "It went wrong on our side.",
    503: "Something needed does not answer now.",
}


def _possible(route: Route) -> set[int]:
    """What the layer itself may answer for such a route, whatever its handler does."""
    statuses = {400, 422, 500, 503}
    if not route.public:
        statuses |= {401, 403}
    if "{" in route.path:
        statuses.add(404)
    if route.body is not Nothing or route.method.upper() not in ("GET", "HEAD", "DELETE"):
        statuses |= {403, 408, 413, 415}
    return statuses
