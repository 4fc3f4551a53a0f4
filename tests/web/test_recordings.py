from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from tests.peers.duty_desk import ANSWERED, TALK, Desk, a_recording

PLACE = f"/api/v1/recordings/{TALK}"
SOUND = f"{PLACE}/audio"


async def add(desk: Desk, recording_id: str, state: str, **more: Any) -> str:
    async with desk.store.begin() as uow:
        await uow.recordings.save(a_recording(recording_id, ANSWERED, state, **more))
    return f"/api/v1/recordings/{recording_id}/audio"


async def test_list_and_facts(client: TestClient, desk: Desk) -> None:
    headers = await desk.token("auditor")
    listed = await client.get("/api/v1/recordings", headers=headers)
    fact = await client.get(PLACE, headers=headers)
    assert (await listed.json())["items"] == [await fact.json()]
    assert (await fact.json())["length_s"] == 3.0
    assert (await client.get("/api/v1/recordings/none", headers=headers)).status == 404


@pytest.mark.parametrize(
    ("form", "kind", "magic"),
    [
        ("wav", "audio/wav", b"RIFF"),
        ("opus", "audio/ogg; codecs=opus", b"OggS"),
        ("mp3", "audio/mpeg", b"ID3"),
    ],
)
async def test_forms(client: TestClient, desk: Desk, form: str, kind: str, magic: bytes) -> None:
    answer = await client.get(SOUND, params={"format": form}, headers=await desk.token("clerk"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
    assert (await answer.read()).startswith(magic)
    assert answer.headers["ETag"]
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "Content-Disposition" not in answer.headers


async def test_one_side_is_the_sealed_file_itself(client: TestClient, desk: Desk) -> None:
    answer = await client.get(SOUND, params={"side": "theirs"}, headers=await desk.token("clerk"))
    assert await answer.read() == (desk.parts.recordings_dir / f"2026/11/23/{TALK}-theirs.wav").read_bytes()


async def test_one_side_in_another_form(client: TestClient, desk: Desk) -> None:
    answer = await client.get(SOUND, params={"side": "ours", "format": "mp3"}, headers=await desk.token("clerk"))
    assert (answer.status, answer.content_type) == (200, "audio/mpeg")


async def test_ranges(client: TestClient, desk: Desk) -> None:
    headers = await desk.token("clerk")
    whole = await (await client.get(SOUND, headers=headers)).read()
    middle = await client.get(SOUND, headers={**headers, "Range": "bytes=100-199"})
    assert (middle.status, middle.headers["Content-Range"]) == (206, f"bytes 100-199/{len(whole)}")
    assert await middle.read() == whole[100:200]
    last = await client.get(SOUND, headers={**headers, "Range": "bytes=-10"})
    assert (last.status, await last.read()) == (206, whole[-10:])
    same = await client.get(SOUND, headers={**headers, "If-None-Match": middle.headers["ETag"]})
    assert same.status == 304


@pytest.mark.parametrize("wanted", ["bytes=99999999-", "bytes=5-1", "bytes=-0", "bytes=-", "bytes=all", "bytes"])
async def test_range_that_cannot_be(client: TestClient, desk: Desk, wanted: str) -> None:
    answer = await client.get(SOUND, headers={**await desk.token("clerk"), "Range": wanted})
    assert (answer.status, answer.content_type) == (416, "application/problem+json")
    assert answer.headers["Content-Range"].startswith("bytes */")
    assert await desk.audits("play") == []


@pytest.mark.parametrize("wanted", ["lines=1-2", "bytes=0-1,5-6", "bytes=0-1, -5", "\xe9=0-1"])
async def test_range_that_does_not_count(client: TestClient, desk: Desk, wanted: str) -> None:
    headers = await desk.token("clerk")
    whole = await (await client.get(SOUND, headers=headers)).read()
    answer = await client.get(SOUND, headers={**headers, "Range": wanted})
    assert (answer.status, answer.headers.get("Content-Range")) == (200, None)
    assert await answer.read() == whole
    assert len(await desk.audits("play")) == 2


async def test_range_of_another_file(client: TestClient, desk: Desk) -> None:
    whole = await client.get(SOUND, headers=await desk.token("clerk"))
    etag, changed = whole.headers["ETag"], whole.headers["Last-Modified"]
    headers = {**await desk.token("clerk"), "Range": "bytes=0-9"}
    for condition, status in {
        etag: 206,
        changed: 206,
        f"W/{etag}": 200,
        '"another"': 200,
        "Mon, 01 Jan 2001 00:00:00 GMT": 200,
        "soon": 200,
    }.items():
        answer = await client.get(SOUND, headers={**headers, "If-Range": condition})
        assert answer.status == status, condition
    beyond = await client.get(SOUND, headers={**headers, "Range": "bytes=99999999-", "If-Range": '"another"'})
    assert (beyond.status, len(await beyond.read())) == (200, len(await whole.read()))


async def test_every_listening_is_a_row(client: TestClient, desk: Desk) -> None:
    headers = await desk.token("clerk", "zhang.san")
    for wanted in ("bytes=0-", "bytes=40000-", "bytes=60000-70000"):
        await client.get(SOUND, headers={**headers, "Range": wanted})
    (row,) = await desk.audits("play")
    assert (row["actor"], row["object_type"], row["object_id"]) == ("zhang.san", "recording", TALK)
    assert row["detail"]["call"] == ANSWERED
    await client.get(SOUND, headers=headers)
    assert len(await desk.audits("play")) == 2


async def test_listening_cannot_be_hidden(client: TestClient, desk: Desk) -> None:
    headers = await desk.token("clerk")
    await client.get(SOUND, headers={**headers, "Range": "bytes=1-"})
    assert len(await desk.audits("play")) == 1
    await client.get(SOUND, headers={**headers, "Range": "bytes=1-"})
    assert len(await desk.audits("play")) == 2
    desk.clock.turn(600)
    await client.get(SOUND, headers={**headers, "Range": "bytes=50000-"})
    assert len(await desk.audits("play")) == 3
    await client.get(SOUND, headers={**await desk.token("clerk", "other"), "Range": "bytes=50000-"})
    assert [row["actor"] for row in await desk.audits("play")][-1] == "other"


async def test_asking_for_headers_only_is_no_listening(client: TestClient, desk: Desk) -> None:
    answer = await client.head(SOUND, headers=await desk.token("clerk"))
    assert answer.status == 200
    assert await desk.audits("play") == []


async def test_download_is_a_right_and_a_row_of_its_own(client: TestClient, desk: Desk) -> None:
    query = {"download": "1", "format": "mp3"}
    refused = await client.get(SOUND, params=query, headers=await desk.token("clerk"))
    assert refused.status == 403
    answer = await client.get(SOUND, params=query, headers=await desk.token("general_office"))
    assert answer.headers["Content-Disposition"] == (
        f'attachment; filename="20261123-130505_02283000000_talk_mixed_{TALK}.mp3"'
    )
    assert [row["action"] for row in await desk.audits() if row["object_type"] == "recording"] == ["download"]


async def test_auditor_may_not_listen(client: TestClient, desk: Desk) -> None:
    headers = await desk.token("auditor")
    assert (await client.get(SOUND, headers=headers)).status == 403
    assert (await client.get(f"{PLACE}/peaks", headers=headers)).status == 403


async def test_no_sound_yet_or_at_all(client: TestClient, desk: Desk) -> None:
    headers = await desk.token("clerk")
    running = await client.get(await add(desk, "a-talk", "capturing", ended_at=None), headers=headers)
    assert (running.status, "still being captured" in (await running.json())["detail"]) == (409, True)
    missing = await client.get(await add(desk, "b-talk", "missing", note="could not start"), headers=headers)
    assert (missing.status, "could not start" in (await missing.json())["detail"]) == (404, True)
    lost = await client.get(await add(desk, "c-talk", "sealed"), headers=headers)
    assert (lost.status, "not where it was put" in (await lost.json())["detail"]) == (404, True)
    one_sided = await add(desk, "d-talk", "sealed", ours_path=f"2026/11/23/{TALK}-ours.wav", theirs_path=None)
    assert (await client.get(one_sided, headers=headers)).status == 200
    assert (await client.get(one_sided, params={"side": "theirs"}, headers=headers)).status == 404
    assert len(await desk.audits("play")) == 1


async def test_path_that_leaves_the_folder(client: TestClient, desk: Desk) -> None:
    place = await add(desk, "e-talk", "sealed", ours_path="../dutyline.db", theirs_path=None)
    assert (await client.get(place, params={"side": "ours"}, headers=await desk.token("clerk"))).status == 404


async def test_peaks(client: TestClient, desk: Desk) -> None:
    headers = await desk.token("clerk")
    answer = await client.get(f"{PLACE}/peaks", params={"buckets": "40"}, headers=headers)
    body = await answer.json()
    assert (len(body["ours"]), len(body["theirs"]), body["length_s"]) == (40, 40, 3.0)
    assert 0.3 < max(body["ours"]) <= 1.0
    assert (await client.get(f"{PLACE}/peaks", params={"buckets": "0"}, headers=headers)).status == 400
    assert await desk.audits("play") == []


async def test_unknown_form(client: TestClient, desk: Desk) -> None:
    answer = await client.get(SOUND, params={"format": "flac"}, headers=await desk.token("clerk"))
    problem = await answer.json()
    assert (answer.status, problem["parameter"], problem["value"], problem["allowed"]) == (
        400,
        "format",
        "flac",
        "wav, opus, mp3",
    )
