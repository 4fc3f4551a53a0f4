"""Is it alive, and can it be relied on? Public, because a load balancer and a lamp on the wall have no password."""

from __future__ import annotations

from aiohttp import web

from gateway.web.endpoint import Endpoint
from gateway.web.parts import parts_of
from gateway.web.problem import Problem
from gateway.web.readiness import READINESS

_READY_SCHEMA = {
    "type": "object",
    "properties": {
        "ready": {"type": "boolean"},
        "parts": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "part → ok, or the fault",
        },
    },
    "required": ["ready", "parts"],
}
_LIVE_SCHEMA = {
    "type": "object",
    "properties": {"alive": {"const": True}, "version": {"type": "string"}, "at": {"type": "string"}},
    "required": ["alive", "version", "at"],
}


async def live(request: web.Request) -> web.Response:
    """The process answers."""
    parts = parts_of(request)
    return web.json_response({"alive": True, "version": parts.version, "at": parts.now().isoformat()})


async def ready(request: web.Request) -> web.Response:
    """Every part does its work; otherwise 503 that names those that do not."""
    faults = await request.app[READINESS].faults()
    document = {part: fault or "ok" for part, fault in faults.items()}
    dead = {part: fault for part, fault in faults.items() if fault}
    if dead:
        sentence = "; ".join(f"{part}: {fault}" for part, fault in dead.items())
        raise Problem(
            503, f"not ready: {sentence}", code="not-ready", more={"ready": False, "parts": document, "faults": dead}
        )
    return web.json_response({"ready": True, "parts": document})


ENDPOINTS = (
    Endpoint("GET", "/health/live", live, "The process answers", public=True, schema=_LIVE_SCHEMA),
    Endpoint(
        "GET",
        "/health/ready",
        ready,
        "Every part does its work",
        public=True,
        schema=_READY_SCHEMA,
        problems={503: "something is dead; `parts` and `faults` say what"},
    ),
)
