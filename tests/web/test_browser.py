"""The console in a real browser, with real sound, on the real database."""

from __future__ import annotations

import struct
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.services import people
from gateway.web.app import create_app, serve
from gateway.web.auth import hash_password
from tests.peers import browser as peer
from tests.peers.browser import Browser, chromium
from tests.peers.duty_desk import AFTERNOON, ANSWERED, MISSED, RINGING, TALK, Desk, a_call

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not peer.is_there(), reason="needs chromium and chromedriver (apt-get install chromium-driver)"),
]


@pytest.fixture
async def place(desk: Desk) -> AsyncIterator[str]:
    async with desk.store.begin() as uow:
        await people.save_user(uow, "li.si", "correct horse", "administrator", desk.clock.now(), hash_password)
    async with serve(create_app(replace(desk.parts, heartbeat_s=15.0)), "127.0.0.1", 0) as (host, port):
        yield f"http://{host}:{port}"


@pytest.fixture
async def window(place: str, tmp_path: Path) -> AsyncIterator[Browser]:
    """A window of somebody who logged in."""
    async with chromium(tmp_path / "profile") as browser:
        await browser.open(place)
        await browser.type("[name=name]", "li.si")
        await browser.type("[name=password]", "correct horse" + peer.ENTER)
        await browser.until("document.querySelector('#rows') && location.pathname === '/'")
        yield browser
        assert await browser.complaints() == []


def colours(png: bytes) -> int:
    """How many different bytes a picture holds; a blank one holds a handful."""
    assert png.startswith(b"\x89PNG")
    at, data = 8, b""
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + size]
        at += 12 + size
    return len(set(zlib.decompress(data)))


async def test_list_is_live(window: Browser, desk: Desk) -> None:
    await window.until("document.querySelector('#live.on')")
    await window.run("window.sameRow = document.querySelector(`[data-id='${arguments[0]}']`)", ANSWERED)
    call = a_call(RINGING, "ringing", 300, caller_name="<b>新来电</b>")
    await desk.save_call(call)
    await window.until("document.querySelector(`tr.ringing[data-id='${args[0]}']`)", RINGING)
    assert await window.run("return document.querySelector('#rows tr').dataset.id") == RINGING
    assert "<b>新来电</b>" in await window.run("return document.querySelector('#rows tr').textContent")
    talking = replace(call, disposition="talking", answered_at=AFTERNOON + timedelta(seconds=305))
    await desk.save_call(talking)
    await window.until("document.querySelector(`tr.talking[data-id='${args[0]}'] [data-since]`).textContent", RINGING)
    kept = "return window.sameRow === document.querySelector(`[data-id='${arguments[0]}']`)"
    assert await window.run(kept, ANSWERED)
    assert colours(await window.picture()) > 100


async def test_filtered_list_stays_filtered(window: Browser, desk: Desk, place: str) -> None:
    await window.open(f"{place}/?number=0755")
    await window.until("document.querySelector('#live.on')")
    await desk.save_call(a_call("node1-3.1", "ringing", 300))
    await desk.save_call(a_call("node1-3.2", "ringing", 301, caller_number="075500000000"))
    await window.until("document.querySelector(`[data-id='node1-3.2']`)")
    assert await window.run("return document.querySelectorAll('#rows tr').length") == 1


async def test_keyboard_alone(window: Browser) -> None:
    await window.press("/")
    assert await window.run("return document.activeElement.name") == "number"
    await window.run("document.activeElement.blur()")
    await window.press("j")
    await window.press("j")
    await window.press(peer.ENTER)
    await window.until("location.pathname === args[0]", f"/calls/{ANSWERED}")
    await window.press("a")
    await window.until("location.pathname === '/alarms'")
    await window.press("?")
    assert await window.run("return document.getElementById('help').open")


async def test_recording_plays_and_every_listening_is_a_row(window: Browser, desk: Desk, place: str) -> None:
    await window.open(f"{place}/calls/{ANSWERED}")
    assert await window.run("return document.querySelector('audio').canPlayType('audio/ogg; codecs=opus')")
    drawn = """(() => { const canvas = document.querySelector('canvas');
        const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        return pixels.filter((value, at) => at % 4 === 3 && value).length > canvas.width * 8; })()"""
    await window.until(drawn)
    assert await desk.audits("play") == []
    await window.press(" ")
    await window.until("document.querySelector('audio').currentTime > 0.3")
    assert len(await desk.audits("play")) == 1
    await window.press("\ue014")  # right: five seconds on, so to the end of three seconds
    await window.until("document.querySelector('audio').ended")
    (row,) = await desk.audits("play")
    assert (row["actor"], row["object_id"], row["detail"]["format"]) == ("li.si", TALK, "opus")
    await window.press(" ")
    await window.until("!document.querySelector('audio').ended && document.querySelector('audio').currentTime > 0.1")
    assert len(await desk.audits("play")) == 2


async def test_seek_by_click_and_speed_by_key(window: Browser, place: str) -> None:
    await window.open(f"{place}/calls/{ANSWERED}")
    await window.press("]")
    assert await window.run("return document.querySelector('audio').playbackRate") == 1.25
    await window.click("canvas")  # in the middle, before anything was played
    await window.until("document.querySelector('audio').currentTime > 1.3")
    assert await window.run("return Number(document.querySelector('canvas').getAttribute('aria-valuenow'))") > 1.0


async def test_news_about_an_open_call(window: Browser, desk: Desk, place: str) -> None:
    await window.open(f"{place}/calls/{MISSED}")
    await window.run("return new Promise((good) => setTimeout(good, 300))")
    desk.live.publish("recording", {"id": "r", "call_id": MISSED})
    await window.until("!document.getElementById('changed').hidden")


@pytest.mark.parametrize("path", ["/", f"/calls/{ANSWERED}", "/forward-attempts", "/alarms", "/audits"])
async def test_nothing_is_wider_than_the_screen(window: Browser, place: str, path: str) -> None:
    await window.open(place + path)
    for width in (1366, 760, 500):
        await window.resize(width, 768)
        await window.until("innerWidth === args[0]", width)
        wide, screen = await window.run("return [document.documentElement.scrollWidth, innerWidth]")
        assert wide <= screen
    assert colours(await window.picture()) > 100
