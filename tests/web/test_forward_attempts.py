from __future__ import annotations

from aiohttp.test_utils import TestClient

from tests.peers.duty_desk import ANSWERED, Desk

PLACE = "/api/v1/forward-attempts"


async def test_json(client: TestClient, desk: Desk) -> None:
    answer = await client.get(PLACE, headers=await desk.token("clerk"))
    (item,) = (await answer.json())["items"]
    assert (item["method"], item["call_id"], item["outcome"]) == ("redirect", ANSWERED, "blocked")
    assert item["evidence"][0]["source"] == "sip"


async def test_time(client: TestClient, desk: Desk) -> None:
    answer = await client.get(PLACE, params={"until": "2026-01-01"}, headers=await desk.token("clerk"))
    assert (await answer.json())["items"] == []


async def test_since_after_until(client: TestClient, desk: Desk) -> None:
    query = {"since": "2026-02-01", "until": "2026-01-01"}
    answer = await client.get(PLACE, params=query, headers=await desk.token("clerk"))
    assert (answer.status, (await answer.json())["parameter"]) == (400, "since")


async def test_csv(client: TestClient, desk: Desk) -> None:
    answer = await client.get(PLACE, headers={**await desk.token("general_office"), "Accept": "text/csv"})
    assert (await answer.text(encoding="utf-8-sig")).startswith("key,at,method,")
