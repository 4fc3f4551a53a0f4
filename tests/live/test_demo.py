"""`dutyline demo` as anybody runs it: the story ends well, says what it saw, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

STORY_LIMIT_S = 60.0
GONE_WITHIN_S = 15.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, as the machine's own temporary folder has: a socket's path may not be long."""
    with tempfile.TemporaryDirectory(prefix="city") as short:
        yield Path(short)


@asynccontextmanager
async def demo(folder: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command on free ports, its temporary files below `folder`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "demo", "--http-port", "0", "--sip-port", "0", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, "TMPDIR": str(folder)},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def alive(folder: Path) -> list[str]:
    """Command lines of processes that belong to a demo below `folder`: each names a file there."""
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(folder) in line]


async def heard(process: asyncio.subprocess.Process, sentence: str) -> str:
    """What it says until a sentence."""
    assert process.stderr is not None
    said = ""
    async for line in process.stderr:
        said += line.decode()
        if sentence in said:
            return said
    raise AssertionError(said)


async def gone(folder: Path) -> None:
    """Waits until no process of it is left."""
    deadline = asyncio.get_running_loop().time() + GONE_WITHIN_S
    while left := alive(folder):
        assert asyncio.get_running_loop().time() < deadline, left
        await asyncio.sleep(0.1)


async def test_story_ends_well_and_leaves_nothing(folder: Path) -> None:
    async with demo(folder, "--once") as process:
        out, err = await process.communicate()
    told: dict[str, Any] = json.loads(out)
    assert process.returncode == 0, err.decode()
    assert out.count(b"\n") == 1
    assert told["ok"] is True
    assert told["story_s"] <= STORY_LIMIT_S
    assert told["calls"] == {"answered": 4, "missed": 2, "rejected": 2}
    assert told["recordings"] == {"message sealed": 2, "talk sealed": 4}
    assert told["forward_attempts"] == {"redirect": 1, "refer": 1, "star_code": 1}
    assert (told["missed"], told["messages"]) == (2, 1)
    assert {check["name"] for check in told["checks"]} >= {
        *(f"{scene}: recording" for scene in ("report", "diverted", "transfer", "outbound", "message", "redirect")),
        *(f"{scene}: forward attempt" for scene in ("transfer", "redirect", "star_code")),
        "diverted: diversion",
        "wrong_number: call",
        "nothing rang at the forward target",
        "alarms",
    }
    assert all(check["ok"] and check["detail"] for check in told["checks"])
    assert alive(folder) == []
    assert list(folder.iterdir()) == []


async def test_killed_demo_leaves_no_process(folder: Path) -> None:
    async with demo(folder, "--data", str(folder / "city")) as process:
        said = await heard(process, "the story begins")
        assert "http://127.0.0.1:" in said
        assert "口令 / password" in said
        assert "sip:02283000000@127.0.0.1:" in said
        assert alive(folder)
        process.kill()
        await process.wait()
    await gone(folder)


async def test_terminated_demo_ends_in_order(folder: Path) -> None:
    async with demo(folder, "--data", str(folder / "city")) as process:
        await heard(process, "the story begins")
        process.send_signal(signal.SIGTERM)
        _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, err.decode()
    assert "Traceback" not in err.decode()
    assert alive(folder) == []
