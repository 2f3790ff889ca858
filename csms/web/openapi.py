"""The OpenAPI 3.1 document, made of the route table: what is not in a row is not in the document."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from csms import __version__
from csms.web import problems
from csms.web.access import SAFE
from csms.web.json_text import dumps
from csms.web.problems import Kind, Problem
from csms.web.routes import JSON, Gives, Param, Route, enum_words

REFERENCE = "#/components/schemas/{model}"
DESCRIPTION = (
    "Every request but /healthz and /readyz carries `Authorization: Bearer TOKEN`. Every error is an RFC 9457 problem document; "
    "its `type` is what programs should compare. A path that does not exist answers 404 (`urn:csms:problem:no-such-path`), a wrong "
    "method 405 with `Allow`. HEAD is answered wherever GET is. Energy is in Wh; Decimals are texts; times are RFC 3339 in UTC. "
    "Plugins may serve more below `/plugins/`: reading needs the role viewer, the rest operator. "
    "`x-role` is the least role that may call an operation; a caller of single sites sees the stations of those alone."
)
TAGS = {
    "stations": "Charging stations",
    "commands": "Orders to stations, and what became of them",
    "transactions": "Charging, with its evidence and its bill",
    "bills": "What charging costs: bills, credit notes, receipts",
    "tokens": "The CSMS's own list of drivers' tokens",
    "driving": "What a driver may do",
    "security": "What should not have happened, and certificates",
    "people": "Who may call, and what they did",
    "notifications": "Telling people",
    "house": "The CSMS itself",
}
PATHS = {
    "id": "the identity or number",
    "name": "the person's name",
    "type": "the token's type, such as ISO14443",
}
HEADERS = {"Location": "where it can be seen"}


class _Complete(GenerateJsonSchema):
    """Answers always carry every field, also those that have defaults."""

    def field_is_required(self, field: Any, *arguments: Any, **named: Any) -> bool:
        """In answers, always."""
        return self.mode == "serialization" or super().field_is_required(field, *arguments, **named)


def document(routes: tuple[Route, ...]) -> bytes:
    """The whole document as JSON."""
    schemas, definitions = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return dumps(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "csms",
                "version": __version__,
                "summary": "HTTP API v1 of the Charging Station Management System",
                "description": DESCRIPTION,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "security": [{"token": []}],
            "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
            "paths": paths,
            "components": {
                "schemas": definitions,
                "securitySchemes": {
                    "token": {
                        "type": "http",
                        "scheme": "bearer",
                        "description": "the site file's `[api] token`, a key, or a session",
                    }
                },
            },
        }
    )


Key = tuple[str, str, int]
Schemas = dict[Key, dict[str, Any]]


def _schemas(routes: Iterable[Route]) -> tuple[Schemas, dict[str, Any]]:
    """The schema of every body by operation, direction and status, and the definitions they share."""
    inputs: list[tuple[Key, JsonSchemaMode, TypeAdapter[Any]]] = [
        (("", "problem", 0), "serialization", TypeAdapter(Problem))
    ]
    for route in routes:
        if route.body is not None:
            inputs.append(((route.name, "takes", 0), "validation", route.body))
        for status, gives in route.gives.items():
            if gives.shape is not None:
                inputs.append(((route.name, "gives", status), "serialization", TypeAdapter(gives.shape)))
    found, shared = TypeAdapter.json_schemas(inputs, ref_template=REFERENCE, schema_generator=_Complete)
    definitions = shared.get("$defs", {})
    # Problem documents leave out what they have nothing to say about.
    definitions["Problem"]["required"] = ["type", "title", "status", "detail", "instance"]
    return {key: schema for (key, _), schema in found.items()}, definitions


def _operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
        "responses": _responses(route, schemas),
    }
    if route.doc:
        operation["description"] = route.doc
    if not route.open:
        operation["x-role"] = route.needs.value
    parameters = [_path_parameter(name) for name in route.parameters]
    parameters += [_query_parameter(param) for param in route.query]
    if route.waits:
        parameters.append(_prefer())
    if route.method not in SAFE:
        parameters.append(_idempotency_key())
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        body = schemas[route.name, "takes", 0]
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": body}}}
    if route.open:
        operation["security"] = []
    return operation


def _responses(route: Route, schemas: Schemas) -> dict[str, Any]:
    responses = {str(status): _good(route, status, gives, schemas) for status, gives in route.gives.items()}
    by_status: dict[int, list[Kind]] = {}
    for kind in problems_of(route):
        by_status.setdefault(kind.status, []).append(kind)
    return responses | {str(status): _bad(kinds) for status, kinds in sorted(by_status.items())}


def problems_of(route: Route) -> tuple[Kind, ...]:
    """Every problem that a route may answer with, once its path and method are right."""
    kinds = [Kind.BAD_REQUEST, Kind.BAD_QUERY]
    if not route.open:
        kinds += [Kind.UNAUTHORIZED, Kind.FORBIDDEN]
    if route.method not in SAFE:
        kinds += [Kind.CROSS_SITE, Kind.KEY_UNDER_WAY, Kind.KEY_REUSED]
        if route.shows_secret:
            kinds.append(Kind.KEY_SPENT)
    kinds += [Kind.TOO_LARGE, Kind.INTERNAL_ERROR, Kind.STORE_UNAVAILABLE]
    if route.body is not None:
        kinds += [Kind.NOT_JSON, Kind.UNSUPPORTED_MEDIA_TYPE, Kind.INVALID]
    return (*kinds, *route.problems)


def _good(route: Route, status: int, gives: Gives, schemas: Schemas) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": gives.text}
    if gives.shape is not None:
        answer["content"] = {gives.content_type: {"schema": schemas[route.name, "gives", status]}}
    if gives.headers:
        answer["headers"] = {
            name: {"description": HEADERS[name], "schema": {"type": "string"}} for name in gives.headers
        }
    return answer


def _bad(kinds: list[Kind]) -> dict[str, Any]:
    types = {"type": {"enum": [kind.type for kind in kinds]}}
    schema = {"allOf": [{"$ref": REFERENCE.format(model="Problem")}, {"properties": types}]}
    answer: dict[str, Any] = {
        "description": "; ".join(kind.title for kind in kinds),
        "content": {problems.CONTENT_TYPE: {"schema": schema}},
    }
    if Kind.UNAUTHORIZED in kinds:
        answer["headers"] = {"WWW-Authenticate": {"description": "the challenge", "schema": {"type": "string"}}}
    return answer


def _path_parameter(name: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "description": PATHS[name], "schema": schema}


def _query_parameter(param: Param) -> dict[str, Any]:
    schema: dict[str, Any]
    if words := enum_words(param.kind):
        schema = {"type": "string", "enum": words}
    elif param.kind is bool:
        schema = {"type": "boolean"}
    elif param.kind is int:
        schema = {"type": "integer", "minimum": param.low, "maximum": param.high}
    elif param.kind is datetime:
        schema = {"type": "string", "format": "date-time"}
    else:
        schema = {"type": "string", "maxLength": 300}
    if param.many > 1:
        schema = {"type": "array", "items": schema, "maxItems": param.many}
    if param.default not in (None, ""):
        schema["default"] = param.default
    return {"name": param.name, "in": "query", "description": param.doc, "schema": schema}


def _idempotency_key() -> dict[str, Any]:
    text = "a text of your own; the same request with the same key, within a day, happens once and gets the first answer again"
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "description": text,
        "schema": {"type": "string", "maxLength": 255},
    }


def _prefer() -> dict[str, Any]:
    text = "`wait=N`: answer when the command has ended, at most N seconds later; N is at most 60"
    return {
        "name": "Prefer",
        "in": "header",
        "description": text,
        "schema": {"type": "string", "examples": ["wait=30"]},
    }
