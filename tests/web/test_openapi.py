from __future__ import annotations

import json
import re
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from gateway.core.roles import PERMISSIONS
from gateway.web.app import ENDPOINTS, create_app
from gateway.web.openapi import document
from tests.peers.duty_desk import ANSWERED, TALK, Desk

DOCUMENT = document(ENDPOINTS, "0.0.test")


async def test_served_routes_and_described_routes_are_the_same(desk: Desk) -> None:
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in create_app(desk.parts).router.routes()
        if route.resource is not None and route.resource.canonical.startswith("/api/") and route.method != "HEAD"
    }
    described = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert described == served
    assert len(served) >= 20


async def test_it_is_served_to_everybody(client: TestClient) -> None:
    answer = await client.get("/api/v1/openapi.json")
    assert await answer.json() == json.loads(json.dumps(DOCUMENT))


def test_every_reference_leads_somewhere() -> None:
    for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT)):
        assert name in DOCUMENT["components"]["schemas"]


def test_operations_are_complete() -> None:
    operations = [operation for methods in DOCUMENT["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        assert operation.get("x-permission") in (None, *PERMISSIONS)
        assert ("401" in operation["responses"]) or operation["security"] == []


@pytest.mark.parametrize(
    "endpoint",
    [endpoint for endpoint in ENDPOINTS if not endpoint.public],
    ids=lambda each: f"{each.method} {each.path}",
)
async def test_everything_but_the_public_needs_a_login(client: TestClient, endpoint: Any) -> None:
    place = re.sub(r"{\w+}", "x", f"/api/v1{endpoint.path}")
    answer = await client.request(endpoint.method, place)
    assert (answer.status, answer.content_type) == (401, "application/problem+json")


KINDS = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a JSON value has the type, members and words of a schema, as far as ours go."""
    if "$ref" in schema:
        return fits(value, DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    wanted = schema.get("type", list(KINDS))
    names = [wanted] if isinstance(wanted, str) else wanted
    right = any(isinstance(value, KINDS[name]) for name in names) and value in schema.get("enum", [value])
    right = right and all(fits(value, part) for part in schema.get("allOf", []))
    if isinstance(value, list):
        return right and all(fits(item, schema.get("items", {})) for item in value)
    if isinstance(value, dict):
        members = schema.get("properties", {})
        right = right and all(fits(value[name], part) for name, part in members.items() if name in value)
        return right and all(name in value for name in schema.get("required", []))
    return right


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/calls", ""),
        ("/calls/{id}", ANSWERED),
        ("/recordings", ""),
        ("/recordings/{id}", TALK),
        ("/recordings/{id}/peaks", TALK),
        ("/forward-attempts", ""),
        ("/alarms", ""),
        ("/audits", ""),
        ("/users", ""),
        ("/me", ""),
        ("/health/live", ""),
        ("/health/ready", ""),
    ],
)
async def test_answers_are_as_described(client: TestClient, desk: Desk, path: str, name: str) -> None:
    place = "/api/v1" + path.replace("{id}", name)
    answer = await client.get(place, headers=await desk.token("administrator"))
    described = DOCUMENT["paths"]["/api/v1" + path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert fits(await answer.json(), described)


def test_a_wrong_answer_would_be_seen() -> None:
    assert not fits({"items": [{"id": 1}], "cursor": None}, {"$ref": "#/components/schemas/Call"})
    assert not fits(1, {"type": ["string", "null"]})
