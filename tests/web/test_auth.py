from __future__ import annotations

from aiohttp.test_utils import TestClient

from gateway.web.auth import ensure_first_administrator, hash_password, is_password
from tests.peers.duty_desk import Desk


def test_passwords() -> None:
    kept = hash_password("correct horse")
    assert kept.startswith("$argon2id$")
    assert is_password("correct horse", kept)
    assert not is_password("Correct horse", kept)
    assert not is_password("correct horse", "no hash at all")


async def test_first_administrator_can_log_in(client: TestClient, desk: Desk) -> None:
    async with desk.store.begin() as uow:
        password = await ensure_first_administrator(uow, desk.clock.now())
    answer = await client.post("/api/v1/login", json={"name": "admin", "password": password})
    assert (await answer.json())["role"] == "administrator"
