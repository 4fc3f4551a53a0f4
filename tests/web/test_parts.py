from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway.web.app import create_app
from gateway.web.parts import address_of, is_https
from tests.peers.duty_desk import Desk

PROXY = "127.0.0.9"


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "6.6.6.6", "10.0.0.1"),  # anybody can write the header
        (PROXY, "10.0.0.1", "10.0.0.1"),
        (PROXY, "6.6.6.6, 10.0.0.1", "10.0.0.1"),  # only what our proxy saw counts
        (PROXY, f"10.0.0.1, {PROXY}", "10.0.0.1"),
        (PROXY, "", PROXY),
    ],
)
async def test_where_a_request_came_from(desk: Desk, peer: str, forwarded: str, address: str) -> None:
    headers = {"X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https"}
    request = make_mocked_request("GET", "/", headers=headers, app=create_app(desk.parts))
    assert address_of(request.clone(remote=peer)) == address
    assert is_https(request.clone(remote=peer)) == (peer == PROXY)
