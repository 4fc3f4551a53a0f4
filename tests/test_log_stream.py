"""A log that cannot be written ends nothing."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO, cast

import pytest
import structlog

from gateway import duties
from gateway.duties import Duties
from gateway.log_stream import LogStream


def test_what_can_be_written_is_written() -> None:
    inner = io.StringIO()
    stream = LogStream(inner)
    assert stream.write("a line\n") == 7
    stream.flush()
    assert inner.getvalue() == "a line\n"


@pytest.fixture
def full_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The log of duties on the kernel's own full device, which stands for a full disk."""
    with suppress(OSError), Path("/dev/full").open("w", buffering=1) as full:  # what was never written fails at the end
        logger = structlog.WriteLogger(cast(TextIO, LogStream(full)))
        monkeypatch.setattr(duties, "log", structlog.wrap_logger(logger))
        yield


@pytest.mark.usefixtures("full_log")
async def test_a_full_disk_under_the_log_ends_no_duty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duties, "AGAIN_S", 0.0)
    runs, again = 0, asyncio.Event()

    async def duty() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise OSError("something else")
        again.set()
        await asyncio.Future()

    plan = Duties()
    plan.plan("one", duty)
    plan.begin()
    try:
        async with asyncio.timeout(20):
            await again.wait()
    finally:
        await plan.end()
