from __future__ import annotations

import base64
import csv
import io
import json

import pytest
from aiohttp.test_utils import TestClient

from tests.peers.duty_desk import ANSWERED, HOSTILE, MISSED, TALK, Desk, a_call

CALLS = "/api/v1/calls"


def cursor_of(*place: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


async def ids(client: TestClient, headers: dict[str, str], query: dict[str, str]) -> list[str]:
    answer = await client.get(CALLS, params=query, headers=headers)
    assert answer.status == 200, await answer.text()
    return [item["id"] for item in (await answer.json())["items"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [MISSED, ANSWERED]),
        ({"number": "0222300"}, [MISSED, ANSWERED]),
        ({"number": "999"}, []),
        ({"unit": "HP"}, [ANSWERED]),
        ({"unit": "NOWHERE"}, []),
        ({"since": "2026-11-23T13:06:00+08:00"}, [MISSED]),
        ({"since": "2026-11-23 13:06"}, [MISSED]),
        ({"until": "2026-11-23T05:06:00Z"}, [ANSWERED]),
        ({"number": "０２２－２３００"}, [MISSED, ANSWERED]),
        ({"since": "２０２６－１１－２３　１３：０６"}, [MISSED]),
        ({"q": "cmd"}, [MISSED]),
        ({"q": "noanswer 2300"}, [MISSED]),
        ({"q": "noanswer nobody"}, []),
        ({"q": "和平区人民政府"}, [ANSWERED]),
        ({"q": "市人民 %"}, []),
        ({"limit": "1"}, [MISSED]),
    ],
)
async def test_filters(client: TestClient, desk: Desk, query: dict[str, str], found: list[str]) -> None:
    assert await ids(client, await desk.token("clerk"), query) == found


async def test_time_with_an_unescaped_plus(client: TestClient, desk: Desk) -> None:
    answer = await client.get(f"{CALLS}?since=2026-11-23T13:06:00+08:00", headers=await desk.token("clerk"))
    assert [item["id"] for item in (await answer.json())["items"]] == [MISSED]


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("limit", "0", "1 to 10000"),
        ("limit", "ten", "whole number"),
        ("since", "yesterday", "ISO 8601"),
        ("since", "0001-01-01", "ISO 8601"),
        ("number", "1\x00", "control characters"),
        ("colour", "red", "number, unit, since"),
        ("cursor", "!!!", "cursor"),
        ("cursor", cursor_of("0001-01-01T00:00:00+14:00", "a"), "cursor"),
        ("cursor", cursor_of("2026-11-23T00:00:00+00:00", "\ud800"), "cursor"),
        ("cursor", cursor_of("2026-11-23T00:00:00+00:00", "\x00"), "cursor"),
    ],
)
async def test_wrong_parameter_names_itself(
    client: TestClient, desk: Desk, name: str, value: str, allowed: str
) -> None:
    answer = await client.get(CALLS, params={name: value}, headers=await desk.token("clerk"))
    problem = await answer.json()
    assert (answer.status, answer.content_type, problem["status"]) == (400, "application/problem+json", 400)
    assert allowed in problem["detail"]


async def test_pages_follow_each_other(client: TestClient, desk: Desk) -> None:
    headers = await desk.token("clerk")
    first = await client.get(CALLS, params={"limit": "1", "unit": "CITY"}, headers=headers)
    cursor = (await first.json())["cursor"]
    assert cursor in first.headers["Link"]
    second = await client.get(first.links["next"]["url"].relative(), headers=headers)
    body = await second.json()
    assert [item["id"] for item in body["items"]] == [ANSWERED]
    assert body["cursor"] is None


async def test_whole_call(client: TestClient, desk: Desk) -> None:
    answer = await client.get(f"{CALLS}/{ANSWERED}", headers=await desk.token("clerk"))
    call = await answer.json()
    assert call["started_at"] == "2026-11-23T05:05:01.123456Z"
    assert [leg["endpoint"] for leg in call["legs"]] == ["carrier", "desk1"]
    assert [event["raw"]["eventtype"] for event in call["events"]] == ["CHAN_START"]
    assert [recording["id"] for recording in call["recordings"]] == [TALK]
    assert call["recordings"][0]["sides"] == ["ours", "theirs"]
    assert "ours_path" not in call["recordings"][0]
    assert [attempt["method"] for attempt in call["forward_attempts"]] == ["redirect"]


async def test_reading_a_call_is_in_the_access_log(client: TestClient, desk: Desk) -> None:
    await client.get(f"{CALLS}/{ANSWERED}", headers=await desk.token("clerk", "li.si"))
    (row,) = await desk.audits("read")
    assert (row["actor"], row["object_id"], row["address"]) == ("li.si", ANSWERED, "127.0.0.1")


@pytest.mark.parametrize("call_id", ["nothing", "%00", "..%2f..%2fetc", "x" * 400])
async def test_unknown_call(client: TestClient, desk: Desk, call_id: str) -> None:
    answer = await client.get(f"{CALLS}/{call_id}", headers=await desk.token("clerk"))
    assert (answer.status, answer.content_type) == (404, "application/problem+json")
    assert await desk.audits("read") == []


async def test_csv_is_for_spreadsheets_and_never_a_formula(client: TestClient, desk: Desk) -> None:
    headers = {**await desk.token("general_office", "wang.wu"), "Accept": "text/csv"}
    answer = await client.get(CALLS, headers=headers)
    body = await answer.read()
    assert body.startswith(b"\xef\xbb\xbf")
    assert answer.content_type == "text/csv"
    rows = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))
    assert [row["id"] for row in rows] == [MISSED, ANSWERED]
    assert rows[0]["caller_name"] == "'" + HOSTILE
    (audit,) = await desk.audits("export")
    assert (audit["actor"], audit["detail"]["rows"]) == ("wang.wu", 2)


async def test_csv_gives_more_than_one_page_of_the_store(client: TestClient, desk: Desk) -> None:
    async with desk.store.begin() as uow:
        calls = [a_call(f"node1-2.{n}", "rejected", n) for n in range(1500)]
        await uow.calls.save(calls, {})
    answer = await client.get(CALLS, headers={**await desk.token("general_office"), "Accept": "text/csv"})
    assert len((await answer.text()).splitlines()) == 1 + 1502


async def test_csv_needs_the_right_to_export(client: TestClient, desk: Desk) -> None:
    answer = await client.get(CALLS, headers={**await desk.token("clerk"), "Accept": "text/csv"})
    assert answer.status == 403
    assert await desk.audits("export") == []


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("text/csv, */*", "text/csv"),
        ("application/json, text/csv;q=0.5", "application/json"),
        ("text/html,application/xml;q=0.9,*/*;q=0.8", "application/json"),
    ],
)
async def test_kind_of_answer(client: TestClient, desk: Desk, accept: str, kind: str) -> None:
    answer = await client.get(CALLS, headers={**await desk.token("general_office"), "Accept": accept})
    assert answer.content_type == kind
