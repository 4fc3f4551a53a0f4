from __future__ import annotations

from aiohttp.test_utils import TestClient

from tests.peers.duty_desk import Desk


async def alarm_id(client: TestClient, headers: dict[str, str]) -> str:
    answer = await client.get("/api/v1/alarms", params={"state": "standing"}, headers=headers)
    (item,) = (await answer.json())["items"]
    return str(item["id"])


async def test_clear(client: TestClient, desk: Desk) -> None:
    headers = await desk.token("clerk", "zhang.san")
    place = f"/api/v1/alarms/{await alarm_id(client, headers)}/clear"
    async with desk.live.watch() as news:
        assert (await client.post(place, headers=headers)).status == 204
        assert (await anext(news))[0] == "alarm"
    assert (await client.post(place, headers=headers)).status == 409
    standing = await client.get("/api/v1/alarms", params={"state": "standing"}, headers=headers)
    assert (await standing.json())["items"] == []
    everything = await client.get("/api/v1/alarms", headers=headers)
    assert (await everything.json())["items"][0]["cleared_by"] == "zhang.san"
    (row,) = await desk.audits("clear_alarm")
    assert row["detail"]["code"] == "missed_call"


async def test_alarms_that_wait_for_the_database_are_shown_first(client: TestClient, desk: Desk) -> None:
    told = {"code": "disk_low", "severity": "critical", "subject": "x", "detail": "0 MB"}
    stands = {"raised_at": desk.clock.now(), "cleared_at": None, "cleared_by": None}
    desk.waiting.append({"id": "waiting:disk_low:x", **told, **stands})
    headers = await desk.token("clerk")
    for state in ("standing", "all"):
        answer = await client.get("/api/v1/alarms", params={"state": state}, headers=headers)
        assert [item["code"] for item in (await answer.json())["items"]][:2] == ["disk_low", "missed_call"]
    desk.waiting.clear()


async def test_auditor_may_not_clear(client: TestClient, desk: Desk) -> None:
    headers = await desk.token("auditor")
    answer = await client.post(f"/api/v1/alarms/{await alarm_id(client, headers)}/clear", headers=headers)
    assert answer.status == 403


async def test_unknown_alarm(client: TestClient, desk: Desk) -> None:
    assert (await client.post("/api/v1/alarms/none/clear", headers=await desk.token("clerk"))).status == 404
