"""HEP version 3: how Asterisk hands out raw copies of its SIP messages (res_hep, res_hep_pjsip).

    "HEP3" | total length u16 | chunk*          chunk: vendor u16 | type u16 | length u16 (with this head) | value

UDP may lose a datagram: what is built on it is evidence, never control.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.errors import EngineError

_SIP = 1
_HEAD = struct.Struct("!4sH")
_CHUNK = struct.Struct("!HHH")


@dataclass(frozen=True, slots=True)
class CapturedMessage:
    """One SIP message on the wire: `source` and `target` as host:port."""

    at: datetime
    source: str
    target: str
    call_id: str
    text: str


def parse(datagram: bytes) -> CapturedMessage | None:
    """The SIP message in a HEP datagram; None when it carries another protocol. Raises EngineError."""
    chunks = _chunks(datagram)
    if chunks.get(11, b"\x01") != bytes([_SIP]):
        return None
    try:
        at = datetime.fromtimestamp(int.from_bytes(chunks[9], "big"), UTC).replace(
            microsecond=int.from_bytes(chunks[10], "big")
        )
        return CapturedMessage(
            at=at,
            source=_address(chunks, 3, 5, 7),
            target=_address(chunks, 4, 6, 8),
            call_id=chunks.get(17, b"").decode("utf-8", "backslashreplace"),
            text=chunks[15].decode("utf-8", "backslashreplace"),
        )
    except (KeyError, ValueError, OverflowError, OSError) as error:  # the last two: a time beyond the clock
        raise EngineError(f"a HEP datagram of {len(datagram)} bytes is incomplete: {error!r}") from error


def _chunks(datagram: bytes) -> dict[int, bytes]:
    if len(datagram) < _HEAD.size or not datagram.startswith(b"HEP3"):
        raise EngineError(f"not HEP version 3: {datagram[:8]!r}")
    end = min(_HEAD.unpack_from(datagram)[1], len(datagram))
    position, chunks = _HEAD.size, {}
    while position + _CHUNK.size <= end:
        _, kind, length = _CHUNK.unpack_from(datagram, position)
        if length < _CHUNK.size or position + length > end:
            raise EngineError(f"a HEP chunk of type {kind} says {length} bytes, which do not fit")
        chunks[kind] = datagram[position + _CHUNK.size : position + length]
        position += length
    return chunks


def _address(chunks: dict[int, bytes], v4: int, v6: int, port: int) -> str:
    host = ipaddress.ip_address(chunks[v4] if v4 in chunks else chunks[v6])
    shown = f"[{host}]" if host.version == 6 else str(host)
    return f"{shown}:{int.from_bytes(chunks[port], 'big')}"
