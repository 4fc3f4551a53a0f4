"""The OpenAPI 3.1 document, made from the endpoints themselves: what is served and what is described are one table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from gateway.web.endpoint import API, Endpoint
from gateway.web.problem import PROBLEM_JSON
from gateway.web.shapes import ALARM, AUDIT, CALL, EVENT, FORWARD_ATTEMPT, LEG, RECORDING, USER, Field, Shape

SHAPES = (CALL, LEG, EVENT, RECORDING, FORWARD_ATTEMPT, ALARM, AUDIT, USER)

_PROBLEM = {
    "type": "object",
    "description": "RFC 9457",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail"],
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _member(field: Field) -> dict[str, Any]:
    kind = "string" if field.kind == "instant" else field.kind
    schema: dict[str, Any] = {"type": [kind, "null"] if field.nullable else kind, "description": field.says}
    if field.kind == "instant":
        schema["format"] = "date-time"
    if field.kind == "array":
        schema["items"] = {}
    if field.allowed:
        schema["enum"] = list(field.allowed)
    return schema


def _schema(shape: Shape) -> dict[str, Any]:
    properties = {name: _member(field) for name, field in shape.fields.items()}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(shape: Shape) -> dict[str, Any]:
    cursor = {"type": ["string", "null"], "description": "of the next page; null at the end"}
    properties = {"items": {"type": "array", "items": _ref(shape.name)}, "cursor": cursor}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _content(endpoint: Endpoint) -> dict[str, Any]:
    content: dict[str, Any] = {media: {"schema": {"type": "string"}} for media in endpoint.media}
    if endpoint.gives is not None:
        schema = _list(endpoint.gives) if endpoint.many else _ref(endpoint.gives.name)
        content["application/json"] = {"schema": schema}
    if endpoint.many:
        content["text/csv"] = {"schema": {"type": "string"}}
    if endpoint.schema is not None:
        content["application/json"] = {"schema": endpoint.schema}
    return content


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    answered: dict[str, Any] = {"description": endpoint.says}
    if content := _content(endpoint):
        answered["content"] = content
    problems = {503: "a peer of ours, such as the database, does not answer", **endpoint.problems}
    if endpoint.params or endpoint.takes:
        problems = {400: "the request is wrong; `detail` says what is allowed", **problems}
    if not endpoint.public:
        problems = {401: "not logged in, or the token is not valid", **problems}
        if endpoint.permission is not None:
            problems = {403: f"the role does not have the right '{endpoint.permission}'", **problems}
    failed = {
        str(status): {"description": says, "content": {PROBLEM_JSON: {"schema": _ref("Problem")}}}
        for status, says in sorted(problems.items())
    }
    success = {str(endpoint.status): answered}
    if 416 in endpoint.problems:
        success["206"] = {**answered, "description": "the range asked for"}
    return {**success, **failed}


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", endpoint.path)
    ]
    in_query = [
        {"name": param.name, "in": "query", "required": False, "description": param.says, "schema": dict(param.schema)}
        for param in endpoint.params
    ]
    return in_path + in_query


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    words = re.findall(r"\w+", endpoint.path)
    operation: dict[str, Any] = {
        "operationId": "_".join((endpoint.method.lower(), *words)),
        "summary": endpoint.says,
        "tags": [words[0]],
        "responses": _responses(endpoint),
        "security": [] if endpoint.public else [{"bearer": []}, {"session": []}],
    }
    if parameters := _parameters(endpoint):
        operation["parameters"] = parameters
    if endpoint.takes is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": endpoint.takes}}}
    if endpoint.permission is not None and not endpoint.public:
        operation["x-permission"] = endpoint.permission
    return operation


def document(endpoints: Iterable[Endpoint], version: str) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(API + endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Dutyline",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Telephony and radio gateway for duty offices. Times are UTC with microseconds.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {shape.name: _schema(shape) for shape in SHAPES} | {"Problem": _PROBLEM},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "dutyline_session"},
            },
        },
    }
