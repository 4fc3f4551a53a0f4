from __future__ import annotations

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.web.app import create_app
from gateway.web.metrics import FIGURES, Figures
from tests.peers.duty_desk import Desk


async def figures(client: TestClient) -> dict[str, float]:
    answer = await client.get("/metrics")
    assert answer.content_type == "text/plain"
    lines = [line.rpartition(" ") for line in (await answer.text()).splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


async def test_gauges(client: TestClient, desk: Desk) -> None:
    desk.lamps.wrong = {"engine": "gone"}
    found = await figures(client)
    assert found['dutyline_alarms_standing{severity="critical"}'] == 1
    assert found['dutyline_ready{part="engine"}'] == 0
    assert found['dutyline_ready{part="database"}'] == 1
    assert found["dutyline_journal_lag_seconds"] == 0.25
    assert found['dutyline_calls_total{disposition="missed"}'] == 0


async def test_calls_are_counted_from_the_live_feed(client: TestClient, desk: Desk) -> None:
    for disposition in ("ringing", "talking", "answered", "answered"):
        desk.live.publish("call", {"id": "1", "disposition": disposition})
    desk.live.publish("call", {"id": "2", "disposition": "missed"})
    desk.live.publish("alarm", {"id": "3", "disposition": "missed"})
    await client.get("/api/v1/health/live")  # lets the counting task run
    found = await figures(client)
    assert found['dutyline_calls_total{disposition="answered"}'] == 1
    assert found['dutyline_calls_total{disposition="missed"}'] == 1


async def test_api_has_them_too(client: TestClient) -> None:
    answer = await client.get("/api/v1/metrics")
    assert "dutyline_ready" in await answer.text()


@pytest.mark.parametrize(("kind", "gaps"), [("gap", 1), ("call", 0)])
def test_gap_is_counted(kind: str, gaps: int) -> None:
    counting = Figures()
    counting.count(kind, {})
    assert counting.registry.get_sample_value("dutyline_live_gaps_total") == gaps


async def test_counting_ends_with_the_application(desk: Desk) -> None:
    app = create_app(desk.parts)
    async with TestClient(TestServer(app)):
        assert desk.live.watchers == 1
        assert FIGURES in app
    assert desk.live.watchers == 0
