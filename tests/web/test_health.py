from __future__ import annotations

import pytest
from aiohttp.test_utils import TestClient

from gateway.errors import StoreError
from tests.peers.duty_desk import Desk


async def test_alive(client: TestClient) -> None:
    answer = await client.get("/api/v1/health/live")
    assert answer.status == 200
    assert (await answer.json())["version"] == "0.0.test"


async def test_ready(client: TestClient) -> None:
    answer = await client.get("/api/v1/health/ready")
    body = await answer.json()
    assert (answer.status, body["ready"]) == (200, True)
    assert body["parts"] == dict.fromkeys(("engine", "ari", "journal", "database", "recordings"), "ok")


async def test_not_ready_names_what_is_dead(client: TestClient, desk: Desk) -> None:
    desk.lamps.wrong = {"ari": "no event for 12 s", "radio": "not registered"}
    answer = await client.get("/api/v1/health/ready")
    body = await answer.json()
    assert (answer.status, answer.content_type, body["ready"]) == (503, "application/problem+json", False)
    assert "ari: no event for 12 s" in body["detail"]
    assert body["parts"]["ari"] == "no event for 12 s"
    assert body["parts"]["radio"] == "not registered"
    assert body["parts"]["engine"] == "ok"


async def test_dead_database_is_seen_without_being_told(
    client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dead() -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(desk.store, "ping", dead)
    answer = await client.get("/api/v1/health/ready")
    assert (answer.status, (await answer.json())["faults"]) == (503, {"database": "the disk is full"})
