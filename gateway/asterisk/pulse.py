"""Is Asterisk alive, seen from outside: does its SIP port answer OPTIONS, does ARI answer a ping.

Any SIP answer will do: a 401 to a stranger is as alive as a 200.
"""

from __future__ import annotations

import asyncio
import secrets

from gateway.errors import EngineError


class _OneAnswer(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        if not self.answered.done():
            self.answered.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(exc)


def options(host: str, port: int, local_port: int) -> bytes:
    """An OPTIONS request as RFC 3261 section 11 has it."""
    mark = secrets.token_hex(8)
    return (
        f"OPTIONS sip:{host}:{port} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 127.0.0.1:{local_port};rport;branch=z9hG4bK{mark}\r\n"
        f"Max-Forwards: 1\r\nFrom: <sip:pulse@127.0.0.1>;tag={mark}\r\nTo: <sip:{host}:{port}>\r\n"
        f"Call-ID: {mark}@pulse\r\nCSeq: 1 OPTIONS\r\nContact: <sip:pulse@127.0.0.1:{local_port}>\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


async def sip_answers(host: str, port: int, within_s: float) -> None:
    """Raises EngineError unless SIP is answered in time. An address of all zeros is asked on loopback."""
    asked = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared, not bound
    loop = asyncio.get_running_loop()
    try:
        transport, protocol = await loop.create_datagram_endpoint(_OneAnswer, remote_addr=(asked, port))
    except OSError as error:
        raise EngineError(f"SIP on {asked}:{port} cannot be asked: {error}") from error
    try:
        transport.sendto(options(asked, port, transport.get_extra_info("sockname")[1]))
        await asyncio.wait_for(protocol.answered, within_s)
    except (TimeoutError, OSError) as error:
        raise EngineError(f"SIP on {asked}:{port} does not answer: {str(error) or 'silence'}") from error
    finally:
        transport.close()
