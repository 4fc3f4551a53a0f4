from __future__ import annotations

import pytest
from aiohttp.test_utils import TestClient

from tests.peers.duty_desk import ANSWERED, Desk


@pytest.mark.parametrize(
    ("role", "status"), [("administrator", 200), ("auditor", 200), ("general_office", 403), ("clerk", 403)]
)
async def test_who_may_read_it(client: TestClient, desk: Desk, role: str, status: int) -> None:
    assert (await client.get("/api/v1/audits", headers=await desk.token(role))).status == status


async def test_rows(client: TestClient, desk: Desk) -> None:
    await client.get(f"/api/v1/calls/{ANSWERED}", headers=await desk.token("clerk"))
    headers = await desk.token("auditor")
    answer = await client.get("/api/v1/audits", headers=headers)
    (item,) = (await answer.json())["items"]
    assert (item["actor"], item["action"], item["object_id"]) == ("clerk1", "read", ANSWERED)
    later = await client.get("/api/v1/audits", params={"since": "2027-01-01"}, headers=headers)
    assert (await later.json())["items"] == []
