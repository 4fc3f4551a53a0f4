"""HEP datagrams: what Asterisk sends is read; whatever else arrives is refused in one way."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.asterisk.hep import CapturedMessage, parse
from gateway.errors import EngineError

TEXT = "INVITE sip:02283000000@10.0.0.1 SIP/2.0\r\nCall-ID: a@b\r\n\r\n"


def chunk(kind: int, value: bytes) -> bytes:
    return struct.pack("!HHH", 0, kind, 6 + len(value)) + value


def datagram(*chunks: bytes) -> bytes:
    body = b"".join(chunks)
    return b"HEP3" + struct.pack("!H", 6 + len(body)) + body


GOOD: dict[int, bytes] = {
    1: b"\x02",
    2: b"\x11",
    3: ip_address("127.0.0.5").packed,
    4: ip_address("127.0.0.1").packed,
    7: (5060).to_bytes(2, "big"),
    8: (5070).to_bytes(2, "big"),
    9: (1795439101).to_bytes(4, "big"),
    10: (123456).to_bytes(4, "big"),
    11: b"\x01",
    12: (1).to_bytes(4, "big"),
    15: TEXT.encode(),
    17: b"a@b",
}


def changed(**values: bytes | None) -> bytes:
    """The good datagram with chunks `c<number>` changed or left out."""
    chunks: dict[int, bytes | None] = {**GOOD, **{int(name[1:]): value for name, value in values.items()}}
    return datagram(*(chunk(kind, value) for kind, value in chunks.items() if value is not None))


def test_message() -> None:
    assert parse(changed()) == CapturedMessage(
        at=datetime(2026, 11, 23, 13, 5, 1, 123456, UTC),
        source="127.0.0.5:5060",
        target="127.0.0.1:5070",
        call_id="a@b",
        text=TEXT,
    )


def test_ipv6() -> None:
    found = parse(changed(c3=None, c4=None, c5=ip_address("fd00::5").packed, c6=ip_address("::1").packed))
    assert found is not None
    assert (found.source, found.target) == ("[fd00::5]:5060", "[::1]:5070")


def test_what_is_no_sip_is_passed_over() -> None:
    assert parse(changed(c11=b"\x05", c15=None)) is None


def test_missing_optional_parts() -> None:
    found = parse(changed(c11=None, c17=None))
    assert found is not None
    assert found.call_id == ""


def test_text_that_is_no_utf8_is_kept_readable() -> None:
    found = parse(changed(c15=b"INVITE \xff\xe5\x80\xbc", c17=b"\xfe"))
    assert found is not None
    assert (found.text, found.call_id) == ("INVITE \\xff值", "\\xfe")


def test_chunks_of_others_and_unknown_ones_do_not_matter() -> None:
    assert parse(changed(c4711=b"x" * 9)) == parse(changed())


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"HEP",
        b"HEP3",
        b"HEP2" + changed()[4:],
        b"\x02\x10" + bytes(30),
        changed()[:40],
        changed()[:-1],
        b"HEP3" + struct.pack("!H", 12) + struct.pack("!HHH", 0, 15, 5),
        b"HEP3" + struct.pack("!H", 12) + struct.pack("!HHH", 0, 15, 0),
        datagram(),
        *(changed(**{f"c{kind}": None}) for kind in (3, 4, 7, 8, 9, 10, 15)),
        changed(c3=b"\x01\x02"),
        changed(c9=b"\xff" * 8),
        changed(c9=b"\xff" * 200),
        changed(c10=b"\xff" * 4),
        changed(c3=None, c5=b"\x01" * 4 + b"\x02"),
    ],
)
def test_wrong_datagrams(wrong: bytes) -> None:
    with pytest.raises(EngineError):
        parse(wrong)


def refused_or_read(data: bytes) -> None:
    try:
        found = parse(data)
    except EngineError as error:
        reason = str(error)
    else:
        reason = "read" if found is None else found.text
    assert isinstance(reason, str)


@given(st.binary(max_size=400))
def test_noise(data: bytes) -> None:
    refused_or_read(data)
    refused_or_read(b"HEP3" + data)


@given(st.dictionaries(st.sampled_from([*GOOD, 5, 6, 18]), st.one_of(st.none(), st.binary(max_size=24))))
def test_chunks_of_any_content(values: dict[int, bytes | None]) -> None:
    refused_or_read(changed(**{f"c{kind}": value for kind, value in values.items()}))


@given(st.integers(0, len(changed()) - 1), st.integers(0, 255))
def test_one_wrong_byte(position: int, byte: int) -> None:
    data = bytearray(changed())
    data[position] = byte
    refused_or_read(bytes(data))
