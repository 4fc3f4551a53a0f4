from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from gateway.core.inventory import Line
from gateway.errors import StoreError
from gateway.services import people
from gateway.web import exports
from gateway.web.auth import hash_password
from tests.peers.duty_desk import AFTERNOON, ANSWERED, HOSTILE, MISSED, TALK, Desk, a_call

PAGES = ("/", f"/calls/{ANSWERED}", f"/calls/{MISSED}", "/forward-attempts", "/alarms", "/audits")


async def log_in(client: TestClient, desk: Desk, role: str = "administrator", following: str = "/") -> Any:
    async with desk.store.begin() as uow:
        await people.save_user(uow, "li.si", "correct horse", role, desk.clock.now(), hash_password)
    form = {"name": "li.si", "password": "correct horse", "next": following}
    return await client.post("/login", data=form, allow_redirects=False)


async def page(client: TestClient, path: str, status: int = 200) -> str:
    answer = await client.get(path)
    assert (answer.status, answer.content_type) == (status, "text/html"), await answer.text()
    return str(await answer.text())


@pytest.mark.parametrize("path", PAGES)
async def test_stranger_is_sent_to_the_login_and_back(client: TestClient, path: str) -> None:
    answer = await client.get(path, allow_redirects=False)
    assert answer.status == 303
    login = await client.get(answer.headers["Location"])
    assert f'name="next" value="{path}"' in await login.text()


async def test_login_leads_to_the_page_that_was_wanted(client: TestClient, desk: Desk) -> None:
    answer = await log_in(client, desk, following="/alarms")
    assert (answer.status, answer.headers["Location"]) == (303, "/alarms")


@pytest.mark.parametrize("place", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nX: y"])
async def test_login_never_leads_elsewhere(client: TestClient, desk: Desk, place: str) -> None:
    assert (await log_in(client, desk, following=place)).headers["Location"] == "/"


async def test_wrong_password_is_said(client: TestClient) -> None:
    answer = await client.post("/login", data={"name": '"><b>', "password": "wrong"})
    text = await answer.text()
    assert answer.status == 401
    assert "用户名或密码不正确" in text
    assert '"><b>' not in text


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["zh", "en"])
async def test_pages(client: TestClient, desk: Desk, path: str, language: str) -> None:
    await log_in(client, desk)
    await client.post("/language", data={"language": language, "next": path})
    text = await page(client, path)
    assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in text
    assert ("通话记录" in text or "值班电话台" in text) == (language == "zh")
    assert "<script>alert" not in text


async def test_what_callers_write_is_escaped(client: TestClient, desk: Desk) -> None:
    await log_in(client, desk)
    escaped = "&lt;script&gt;alert(1)&lt;/script&gt;"
    assert escaped in await page(client, "/")
    assert escaped in await page(client, f"/calls/{MISSED}")
    assert "sip:13800000000@x&lt;b&gt;" in await page(client, "/forward-attempts")
    assert "值班电话未接 &lt;i&gt;" in await page(client, "/alarms")
    assert HOSTILE not in await page(client, "/")


async def test_list_shows_what_a_clerk_needs(client: TestClient, desk: Desk) -> None:
    await log_in(client, desk, "clerk")
    text = await page(client, "/")
    assert text.index(MISSED) < text.index(ANSWERED)
    for words in (
        "2026-11-23 13:05:01",
        "未接",
        "已接",
        "有留言",
        "经转移来电",
        "和平区人民政府",
        "市人民政府",
        "00:04",
    ):
        assert words in text
    assert "/audits" not in text
    assert "/export/" not in text


async def test_filter(client: TestClient, desk: Desk) -> None:
    await log_in(client, desk)
    text = await page(client, "/?unit=HP&number=&since=2026-11-23+13%3A00&until=&q=")
    assert ANSWERED in text
    assert MISSED not in text
    assert 'value="2026-11-23 13:00"' in text
    assert 'data-fragment="/fragments/calls?unit=HP&amp;since=2026-11-23+13%3A00"' in text
    wrong = await page(client, "/?since=soon")
    assert "筛选条件有误" in wrong
    assert 'value="soon"' in wrong


async def test_wrong_filter_is_said_in_the_readers_language_and_keeps_the_rest(client: TestClient, desk: Desk) -> None:
    await log_in(client, desk)
    wrong = await page(client, "/?since=%E6%98%A8%E5%A4%A9&unit=HP")
    assert "起: 昨天 – 应为时间" in wrong
    assert "allowed" not in wrong
    assert '<option value="HP" selected>' in wrong
    await client.post("/language", data={"language": "en", "next": "/"})
    assert "From: soon – write a time" in await page(client, "/?since=soon")


async def test_whom_we_called_is_named_and_found(client: TestClient, desk: Desk) -> None:
    async with desk.store.begin() as uow:
        known = await uow.inventory.current()
        lines = (*known.lines, Line("02223000001", "HP", "remote", aliases=("02223000009",)))
        await uow.inventory.replace(replace(known, lines=lines), by="t", source="t", sha256="0", at=AFTERNOON)
    called = {"direction": "outbound", "caller_number": "02283000000", "caller_name": ""}
    await desk.save_call(a_call("node1-3.1", "answered", 300, dialled_number="23000009", **called))
    async with desk.store.begin() as uow:
        await uow.calls.save([a_call("node1-3.2", "answered", 301, dialled_number="02223000008", **called)], {})
    await log_in(client, desk)
    rows = await page(client, "/fragments/calls?number=23000009")
    assert "和平区人民政府" in rows
    found = re.findall(r'<tr data-id="([^"]+)"', await page(client, "/fragments/calls?unit=HP"))
    assert found == ["node1-3.1", ANSWERED]


async def test_alarm_says_what_to_do_in_the_readers_language(client: TestClient, desk: Desk) -> None:
    await log_in(client, desk)
    assert "请听留言并回拨" in await page(client, "/alarms")
    await client.post("/language", data={"language": "en", "next": "/"})
    assert "Hear the message, call back" in await page(client, "/alarms")


async def test_older_calls_are_a_page_away(client: TestClient, desk: Desk) -> None:
    await log_in(client, desk)
    first = await page(client, "/?limit=1")
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following is not None
    older = await page(client, following[1].replace("&amp;", "&"))
    assert ANSWERED in older
    assert "data-fragment" not in older


async def test_rows_again(client: TestClient, desk: Desk) -> None:
    await log_in(client, desk)
    text = await page(client, "/fragments/calls?unit=HP")
    assert re.findall(r'<tr data-id="([^"]+)"', text) == [ANSWERED]


async def test_rows_without_a_session(client: TestClient) -> None:
    assert (await client.get("/fragments/calls", allow_redirects=False)).status == 401


async def test_lamps_and_alarms(client: TestClient, desk: Desk) -> None:
    await log_in(client, desk)
    desk.lamps.wrong = {"ari": "no event for 12 s <b>"}
    text = await page(client, "/fragments/status")
    assert text.count('class="lamp ok"') == 4
    assert 'title="no event for 12 s &lt;b&gt;"' in text
    assert 'data-standing="1"' in text
    assert "周一" in text


async def test_call_detail(client: TestClient, desk: Desk) -> None:
    await log_in(client, desk)
    text = await page(client, f"/calls/{ANSWERED}")
    assert text.count("<rect") == 5  # two legs that waited and talked, one recording
    assert f"/api/v1/recordings/{TALK}/audio?format=opus" in text
    assert f"/api/v1/recordings/{TALK}/audio?side=ours&amp;download=1" in text
    assert "身份未核实" in text
    assert "SIP/2.0 302 Moved" in text
    assert "02223000009" in await page(client, f"/calls/{MISSED}")
    assert [row["object_id"] for row in await desk.audits("read")] == [ANSWERED, MISSED]


async def test_who_may_not_hear_sees_no_player(client: TestClient, desk: Desk) -> None:
    await log_in(client, desk, "auditor")
    text = await page(client, f"/calls/{ANSWERED}")
    assert "<audio" not in text
    assert "无权播放" in text


async def test_clerk_sees_no_download(client: TestClient, desk: Desk) -> None:
    await log_in(client, desk, "clerk")
    text = await page(client, f"/calls/{ANSWERED}")
    assert "<audio" in text
    assert "download=1" not in text


async def test_unknown_call_and_forbidden_page(client: TestClient, desk: Desk) -> None:
    await log_in(client, desk, "clerk")
    assert "没有找到" in await page(client, "/calls/none", 404)
    assert "没有找到" in await page(client, "/nothing/here", 404)
    answer = await client.get("/audits")
    assert (answer.status, "无此权限" in await answer.text()) == (403, True)


async def test_alarm_is_cleared_by_button(client: TestClient, desk: Desk) -> None:
    await log_in(client, desk, "clerk")
    place = re.search(r'action="(/alarms/[^"]+/clear)"', await page(client, "/alarms"))
    assert place is not None
    answer = await client.post(place[1])
    text = await answer.text()
    assert (answer.status, "li.si" in text, place[1] in text) == (200, True, False)


async def test_export_is_for_people(client: TestClient, desk: Desk) -> None:
    await log_in(client, desk)
    answer = await client.get("/export/calls.csv?unit=CITY")
    lines = (await answer.text(encoding="utf-8-sig")).splitlines()
    assert lines[0].startswith("时间,状态,方向,主叫")
    assert lines[2].startswith("2026-11-23 13:05:01,已接,来电,02223000001,和平区人民政府")
    attempts = await client.get("/export/forward-attempts.csv")
    assert "呼叫转移应答" in await attempts.text()
    assert [row["object_type"] for row in await desk.audits("export")] == ["calls", "forward-attempts"]


async def test_export_that_is_cut_says_so(client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "CSV_LIMIT", 1)
    await log_in(client, desk)
    lines = (await (await client.get("/export/calls.csv")).text(encoding="utf-8-sig")).splitlines()
    assert (len(lines), lines[2]) == (3, "本表只列出最近一万条，更早的请按时间分段导出。")


async def test_logout(client: TestClient, desk: Desk) -> None:
    await log_in(client, desk)
    answer = await client.post("/logout", allow_redirects=False)
    assert answer.headers["Location"] == "/login"
    assert (await client.get("/", allow_redirects=False)).status == 303


async def test_dead_database_is_a_page_too(client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await log_in(client, desk)
    await desk.store.close()
    monkeypatch.setattr(desk.store, "begin", _dead)
    answer = await client.get("/")
    assert (answer.status, "系统部件没有响应" in await answer.text()) == (503, True)


def _dead() -> None:
    raise StoreError("The database cannot be reached")
