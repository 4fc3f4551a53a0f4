"""One endpoint of the API: what it is, who may use it, what it takes and gives. Routes and OpenAPI come from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from gateway.core.roles import Permission
from gateway.web.auth import guarded
from gateway.web.params import Param
from gateway.web.problem import Handler, Problem, bad_parameter
from gateway.web.shapes import Shape

API = "/api/v1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path below `/api/v1`.

    `gives` is the shape of the answer (`many`: a list with a cursor, also as CSV), `schema` a schema of its own,
    `media` other content types. `problems` says what besides 200, 400, 401, 403, 503 can be answered.
    """

    method: str
    path: str
    handler: Handler
    says: str
    permission: Permission | None = "read"
    public: bool = False
    params: tuple[Param, ...] = ()
    gives: Shape | None = None
    many: bool = False
    schema: Mapping[str, Any] | None = None
    media: tuple[str, ...] = ()
    takes: Mapping[str, Any] | None = None
    status: int = 200
    problems: Mapping[int, str] = field(default_factory=dict)


def add_endpoint(app: web.Application, endpoint: Endpoint) -> None:
    """Lets `app` answer it; GET answers HEAD too."""
    handler = endpoint.handler if endpoint.public else guarded(endpoint.handler, endpoint.permission)
    path = API + endpoint.path
    if endpoint.method == "GET":
        app.router.add_get(path, handler)
    else:
        app.router.add_route(endpoint.method, path, handler)


async def read_object(request: web.Request, members: Mapping[str, str]) -> dict[str, str]:
    """The JSON object of the body; `members` maps each name → what is allowed. All are needed, all are strings."""
    try:
        body = await request.json()
    except ValueError as error:  # JSON and UTF-8 faults alike
        raise Problem(400, f"the body is not JSON: {error}", code="bad-body") from error
    if not isinstance(body, dict):
        raise Problem(400, f"the body must be a JSON object with {', '.join(members)}", code="bad-body")
    for name, allowed in members.items():
        if not isinstance(body.get(name), str):
            raise bad_parameter(name, str(body.get(name)), allowed)
    for name in body:
        if name not in members:
            raise bad_parameter(str(name), str(body[name]), f"only these members: {', '.join(members)}")
    return {name: body[name] for name in members}


def object_schema(members: Mapping[str, str]) -> dict[str, Any]:
    """The same as a JSON schema."""
    properties = {name: {"type": "string", "description": allowed} for name, allowed in members.items()}
    return {"type": "object", "properties": properties, "required": list(members), "additionalProperties": False}
