"""A desk and a browser-less client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer

from gateway.web.app import create_app
from tests.peers.duty_desk import Desk, duty_desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with duty_desk(tmp_path) as ready:
        yield ready


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[TestClient]:
    async with TestClient(TestServer(create_app(desk.parts)), cookie_jar=CookieJar(unsafe=True)) as ready:
        yield ready
