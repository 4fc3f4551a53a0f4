from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from gateway.errors import (
    DutylineError,
    EngineError,
    ForbiddenError,
    InventoryError,
    NotFoundError,
    StoreError,
    StoreRefusedError,
)
from gateway.web.problem import problem_of
from tests.peers.duty_desk import Desk


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFoundError("a"), 404),
        (ForbiddenError("a"), 403),
        (InventoryError(["a"]), 400),
        (StoreRefusedError("a"), 400),
        (StoreError("a"), 503),
        (EngineError("a"), 503),
        (web.HTTPMethodNotAllowed("PUT", ["GET"]), 405),
    ],
)
def test_blame_decides(error: DutylineError, status: int) -> None:
    assert problem_of(error).status == status


def test_unforeseen_error_tells_a_number_and_nothing_else() -> None:
    problem = problem_of(ZeroDivisionError("SELECT secret"))
    assert problem.status == 500
    assert "secret" not in str(problem.document("/x"))
    assert problem.more["incident"].startswith("incident-")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/api/v1/nothing", 404), ("PUT", "/api/v1/calls", 405)])
async def test_unknown_paths_and_methods(client: TestClient, method: str, path: str, status: int) -> None:
    answer = await client.request(method, path)
    assert (answer.status, answer.content_type) == (status, "application/problem+json")
    assert (await answer.json())["instance"] == path


async def test_dead_database(client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = await desk.token("clerk")

    def dead() -> None:
        raise StoreError("The database cannot be reached: refused")

    monkeypatch.setattr(desk.store, "begin", dead)
    answer = await client.get("/api/v1/calls", headers=headers)
    assert (answer.status, (await answer.json())["detail"]) == (503, "The database cannot be reached: refused")
    assert answer.headers["Retry-After"] == "5"
