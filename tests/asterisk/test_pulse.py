"""Is SIP answered: any answer will do, silence and a closed port will not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest

from gateway.asterisk.pulse import options, sip_answers
from gateway.clock import now
from gateway.core.sip import parse
from gateway.errors import EngineError

Answer = Callable[[bytes], list[bytes]]


class Peer(asyncio.DatagramProtocol):
    """Answers what it is asked in its own way."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.asked: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        self.asked.append(data)
        for answer in self._answer(data):
            self._transport.sendto(answer, addr)


@asynccontextmanager
async def peer(answer: Answer, host: str = "127.0.0.1") -> AsyncIterator[tuple[Peer, int]]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Peer(answer), local_addr=(host, 0)
    )
    try:
        yield protocol, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


@pytest.mark.parametrize(
    "answers",
    [[b"SIP/2.0 200 OK\r\n\r\n"], [b"SIP/2.0 401 Unauthorized\r\n\r\n"], [b"SIP/2.0 503 x\r\n\r\n"] * 3],
)
async def test_any_answer_is_life(answers: list[bytes]) -> None:
    async with peer(lambda _: answers) as (asked, port):
        await sip_answers("127.0.0.1", port, 5)
    assert len(asked.asked) == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])  # noqa: S104  for as long as the test
async def test_an_address_of_all_zeros_is_asked_on_loopback(host: str) -> None:
    async with peer(lambda _: [b"SIP/2.0 200 OK\r\n\r\n"], host) as (_, port):
        await sip_answers(host, port, 5)


async def test_silence() -> None:
    async with peer(lambda _: []) as (asked, port):
        with pytest.raises(EngineError, match=rf"127\.0\.0\.1:{port} does not answer: silence"):
            await sip_answers("127.0.0.1", port, 0.05)
    assert asked.asked


async def test_nobody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EngineError, match=r"does not answer: .*refused"):
        await sip_answers("127.0.0.1", port, 5)


async def test_an_address_that_cannot_be_asked() -> None:
    with pytest.raises(EngineError, match="cannot be asked"):
        await sip_answers("no.such.host.invalid", 5060, 5)


async def test_each_request_is_one_of_its_own() -> None:
    first, second = (parse(now(), "", "", options("127.0.0.1", 5060, 40000).decode()) for _ in range(2))
    assert (first.method, first.header("cseq"), first.header("max-forwards")) == ("OPTIONS", "1 OPTIONS", "1")
    assert first.start == "OPTIONS sip:127.0.0.1:5060 SIP/2.0"
    for name in ("call-id", "from", "via"):
        assert first.header(name) != second.header(name)
    assert "rport" in first.header("via")
    assert "branch=z9hG4bK" in first.header("via")
