"""The keeper as a real process, keeping a harmless program instead of Asterisk.

Nothing is slept through: files in the run folder are watched, and the end of a process is an event of its pidfd.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from asyncinotify import Inotify, Mask

from gateway.asterisk import keeper, process
from gateway.asterisk.keeper import Keeper, Orders
from gateway.errors import EngineError
from gateway.free_ports import free_port
from tests.asterisk.test_hep import changed

ENGINE = """
import os, signal, sys
folder = sys.argv[1]
def note(name, text):
    with open(f"{folder}/{name}", "a") as file:
        file.write(f"{text}\\n")
def end(*_):
    note("ended", os.getpid())
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if os.path.exists(f"{folder}/deaf") else end)
note("started", f"{os.getpid()} {os.environ.get('ESPEAK_DATA_PATH', '')}")
if os.path.exists(f"{folder}/crash"):
    sys.exit(3)
while True:
    signal.pause()
"""
WITHIN_S = 20


@pytest.fixture
async def run_dir(tmp_path: Path) -> AsyncIterator[Path]:
    folder = tmp_path / "run"
    folder.mkdir()
    yield folder
    pids = [int(line.split()[0]) for line in lines(folder / "started")]
    await process.stop(folder)
    for pid in pids:
        assert not exists(pid), "an engine outlived its keeper"


@pytest.fixture
def orders(run_dir: Path) -> Orders:
    return Orders(
        command=[sys.executable, "-c", ENGINE, str(run_dir)],
        environment={"ESPEAK_DATA_PATH": "somewhere"},
        run_dir=str(run_dir),
        sip_journal=str(run_dir / "sip.json"),
        hep_listen=f"127.0.0.1:{free_port('127.0.0.1')}",
    )


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def exists(pid: int) -> bool:
    """Whether a process lives; one that only waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def until(run_dir: Path, condition: Callable[[], bool]) -> None:
    """Returns when a change in the run folder has made the condition true."""
    with Inotify() as watch:
        watch.add_watch(run_dir, Mask.MODIFY | Mask.CREATE | Mask.MOVED_TO | Mask.DELETE)
        if condition():
            return
        async with asyncio.timeout(WITHIN_S):
            async for _ in watch:
                if condition():
                    return


async def until_gone(pid: int) -> None:
    """Returns when a process has ended."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop.add_reader(handle, ended.set)
    try:
        await asyncio.wait_for(ended.wait(), WITHIN_S)
    finally:
        loop.remove_reader(handle)
        os.close(handle)


async def engine_started(run_dir: Path, times: int) -> int:
    """The engine's process id once it has been started that often."""
    await until(run_dir, lambda: len(lines(run_dir / "started")) >= times and told(run_dir)["starts"] == times)
    return int(lines(run_dir / "started")[-1].split()[0])


def told(run_dir: Path) -> dict[str, object]:
    return process.state(run_dir) or {"starts": 0}


def keeper_pid(run_dir: Path) -> int:
    return int(str(told(run_dir)["keeper_pid"]))


async def test_start_and_stop(run_dir: Path, orders: Orders) -> None:
    assert process.state(run_dir) is None
    assert await process.start(orders) is False
    pid = await engine_started(run_dir, 1)
    keeping = keeper_pid(run_dir)
    assert told(run_dir) == {"keeper_pid": keeping, "engine_pid": pid, "starts": 1, "last_end": ""}
    assert process.engine_pid(run_dir) == pid
    assert lines(run_dir / "started") == [f"{pid} somewhere"]
    assert os.getsid(keeping) == keeping, "no signal to our terminal reaches it"
    assert (run_dir / "keeper.json").stat().st_mode & 0o777 == 0o600
    await process.stop(run_dir)
    assert lines(run_dir / "ended") == [str(pid)], "in order"
    assert not exists(pid)
    assert not exists(keeping)
    assert (process.state(run_dir), process.engine_pid(run_dir)) == (None, 0)
    await process.stop(run_dir)


async def test_a_crash_is_mended(run_dir: Path, orders: Orders) -> None:
    await process.start(orders)
    first, keeping = await engine_started(run_dir, 1), keeper_pid(run_dir)
    os.kill(first, signal.SIGKILL)
    second = await engine_started(run_dir, 2)
    assert second != first
    assert told(run_dir) == {"keeper_pid": keeping, "engine_pid": second, "starts": 2, "last_end": "signal 9"}


async def test_an_engine_that_ends_at_once_is_started_ever_more_slowly(run_dir: Path, orders: Orders) -> None:
    (run_dir / "crash").touch()
    await process.start(orders)
    await engine_started(run_dir, 3)
    (run_dir / "crash").unlink()
    await engine_started(run_dir, 4)
    pauses = [line.rpartition(" in ")[2] for line in lines(run_dir / "keeper.log") if "starting it again" in line]
    assert pauses == ["0.4 s", "0.8 s", "1.6 s"]
    assert told(run_dir)["last_end"] == "exit 3"


async def test_stopping_does_not_wait_for_the_next_attempt(run_dir: Path, orders: Orders) -> None:
    (run_dir / "crash").touch()
    await process.start(orders)
    await until(run_dir, lambda: any("in 1.6 s" in line for line in lines(run_dir / "keeper.log")))
    starts = len(lines(run_dir / "started"))
    await process.stop(run_dir)
    assert len(lines(run_dir / "started")) == starts


async def test_an_engine_that_hangs_is_killed_and_started_again(run_dir: Path, orders: Orders) -> None:
    (run_dir / "deaf").touch()
    await process.start(orders)
    first = await engine_started(run_dir, 1)
    (run_dir / "deaf").unlink()
    process.kill_engine(run_dir)
    await until_gone(first)
    assert await engine_started(run_dir, 2) != first
    assert lines(run_dir / "ended") == []


async def test_a_program_that_is_not_there_is_tried_again(run_dir: Path, orders: Orders) -> None:
    program = run_dir / "engine"
    await process.start(replace(orders, command=[str(program), "-c", ENGINE, str(run_dir)]))
    await until(run_dir, lambda: any("cannot be started" in line for line in lines(run_dir / "keeper.log")))
    program.symlink_to(sys.executable)
    await until(run_dir, lambda: bool(lines(run_dir / "started")))
    assert exists(keeper_pid(run_dir))


async def test_a_second_start_adopts(run_dir: Path, orders: Orders) -> None:
    await process.start(orders)
    pid, keeping = await engine_started(run_dir, 1), keeper_pid(run_dir)
    assert await process.start(orders) is True
    assert await process.start(replace(orders, leash=1)) is True, "another leash is no other order"
    assert (process.engine_pid(run_dir), keeper_pid(run_dir)) == (pid, keeping)
    assert len(lines(run_dir / "started")) == 1


async def test_other_orders_replace(run_dir: Path, orders: Orders) -> None:
    await process.start(orders)
    first, keeping = await engine_started(run_dir, 1), keeper_pid(run_dir)
    assert await process.start(replace(orders, environment={"ESPEAK_DATA_PATH": "elsewhere"})) is False
    await until(run_dir, lambda: len(lines(run_dir / "started")) == 2)
    assert lines(run_dir / "started")[1].endswith(" elsewhere")
    assert lines(run_dir / "ended") == [str(first)]
    assert not exists(keeping)


def idle() -> int:
    """A process of ours that does nothing."""
    return os.posix_spawn(sys.executable, [sys.executable, "-c", "import signal; signal.pause()"], {})


def buried(pid: int) -> int:
    """Takes note of the end of a process of ours."""
    return os.waitpid(pid, 0)[0]


async def test_the_leash(run_dir: Path, orders: Orders) -> None:
    holder = idle()
    await process.start(replace(orders, leash=holder))
    pid, keeping = await engine_started(run_dir, 1), keeper_pid(run_dir)
    os.kill(holder, signal.SIGKILL)
    await until_gone(keeping)
    assert buried(holder) == holder, "only now"
    assert not exists(pid)
    assert process.state(run_dir) is None
    assert f"process {holder} is gone" in (run_dir / "keeper.log").read_text()


async def test_a_killed_keeper_s_engine_does_not_stay_beside_the_next_one(run_dir: Path, orders: Orders) -> None:
    await process.start(orders)
    first, keeping = await engine_started(run_dir, 1), keeper_pid(run_dir)
    os.kill(keeping, signal.SIGKILL)
    await until_gone(keeping)
    assert process.state(run_dir) is None
    assert await process.start(orders) is False
    await until(run_dir, lambda: len(lines(run_dir / "started")) == 2 and process.engine_pid(run_dir) != 0)
    assert not exists(first)
    assert exists(process.engine_pid(run_dir))


async def test_a_deaf_engine_of_a_killed_keeper_is_killed(
    run_dir: Path, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STOP_PATIENCE_S", 0.1)
    (run_dir / "deaf").touch()
    await process.start(orders)
    first, keeping = await engine_started(run_dir, 1), keeper_pid(run_dir)
    (run_dir / "deaf").unlink()
    os.kill(keeping, signal.SIGKILL)
    await until_gone(keeping)
    await process.start(orders)
    assert not exists(first)
    monkeypatch.undo()
    await until(run_dir, lambda: len(lines(run_dir / "started")) == 2)


async def test_a_hanging_engine_of_a_killed_keeper_can_be_killed(run_dir: Path, orders: Orders) -> None:
    (run_dir / "deaf").touch()
    await process.start(orders)
    first, keeping = await engine_started(run_dir, 1), keeper_pid(run_dir)
    assert process.orphan(run_dir) == 0, "it has its keeper"
    os.kill(keeping, signal.SIGKILL)
    await until_gone(keeping)
    assert process.orphan(run_dir) == first
    process.kill_engine(run_dir)
    await until_gone(first)
    assert process.orphan(run_dir) == 0
    process.kill_engine(run_dir)


async def test_a_disk_that_takes_nothing_does_not_end_the_keeping(run_dir: Path, orders: Orders) -> None:
    await process.start(orders)
    first, keeping = await engine_started(run_dir, 1), keeper_pid(run_dir)
    (run_dir / "keeper.state.new").mkdir()
    os.kill(first, signal.SIGKILL)
    await until(run_dir, lambda: len(lines(run_dir / "started")) == 2)
    (run_dir / "keeper.state.new").rmdir()
    await engine_started(run_dir, 2)
    assert keeper_pid(run_dir) == keeping
    assert len(lines(run_dir / "started")) == 2, "one beside the other would find its ports taken"


async def test_a_stale_state_harms_nobody(run_dir: Path, orders: Orders) -> None:
    stranger = {"keeper_pid": os.getpid(), "engine_pid": os.getpid(), "starts": 7, "last_end": ""}
    (run_dir / "keeper.state").write_text(json.dumps(stranger))
    (run_dir / "keeper.json").write_text(json.dumps({"command": orders.command}))
    assert process.state(run_dir) is None
    await process.start(orders)
    await engine_started(run_dir, 1)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"keeper_pid": "x"}'])
def test_a_state_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "keeper.state").write_text(text)
    assert process.state(tmp_path) is None


async def test_two_keepers_never_share_a_folder(run_dir: Path, orders: Orders) -> None:
    await process.start(orders)
    await engine_started(run_dir, 1)
    state = (run_dir / "keeper.state").read_bytes()
    second = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.asterisk.keeper", str(run_dir / "keeper.json"), stderr=subprocess.PIPE
    )
    _, said = await asyncio.wait_for(second.communicate(), WITHIN_S)
    assert second.returncode == 3
    assert b"another keeper is at work here" in said
    assert (run_dir / "keeper.state").read_bytes() == state


async def test_a_keeper_that_cannot_start_says_why(run_dir: Path, orders: Orders) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(EngineError, match=r"did not start: .*in use"):
            await process.start(replace(orders, hep_listen=f"127.0.0.1:{taken.getsockname()[1]}"))
    assert process.state(run_dir) is None


def send(orders: Orders, *datagrams: bytes) -> None:
    host, _, port = orders.hep_listen.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, (host, int(port)))


async def test_raw_sip_becomes_lines_even_without_an_engine(run_dir: Path, orders: Orders) -> None:
    await process.start(replace(orders, command=[]))
    assert process.engine_pid(run_dir) == 0
    send(orders, changed(), b"nonsense", changed(c11=b"\x05"), changed(c9=b"\xff" * 9), changed(c17=b"second"))
    await until(run_dir, lambda: len(lines(run_dir / "sip.json")) == 2)
    first, second = map(json.loads, lines(run_dir / "sip.json"))
    assert (first["source"], first["target"], first["call_id"]) == ("127.0.0.5:5060", "127.0.0.1:5070", "a@b")
    assert first["at"] == "2026-11-23T13:05:01.123456+00:00"
    assert first["text"].startswith("INVITE sip:02283000000@")
    assert second["call_id"] == "second"
    refused = [line for line in lines(run_dir / "keeper.log") if "refused" in line]
    assert len(refused) == 2
    await process.stop(run_dir)


async def test_a_journal_renamed_away_is_begun_anew(run_dir: Path, orders: Orders) -> None:
    await process.start(replace(orders, command=[]))
    send(orders, changed())
    await until(run_dir, lambda: len(lines(run_dir / "sip.json")) == 1)
    (run_dir / "sip.json").rename(run_dir / "sip-1.json")
    send(orders, changed())
    await until(run_dir, lambda: len(lines(run_dir / "sip.json")) == 1)
    assert len(lines(run_dir / "sip-1.json")) == 1


async def test_a_journal_that_cannot_be_written_is_said_and_survived(run_dir: Path, orders: Orders) -> None:
    (run_dir / "sip.json").mkdir()
    await process.start(replace(orders, command=[]))
    send(orders, changed())
    await until(run_dir, lambda: any("cannot be written" in line for line in lines(run_dir / "keeper.log")))
    (run_dir / "sip.json").rmdir()
    send(orders, changed())
    await until(run_dir, lambda: len(lines(run_dir / "sip.json")) == 1)


async def test_an_engine_that_does_not_stop_is_killed(
    run_dir: Path, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "STOP_PATIENCE_S", 0.1)
    (run_dir / "deaf").touch()
    keeping = asyncio.create_task(Keeper(orders).run())
    await until(run_dir, lambda: bool(lines(run_dir / "started")))
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(keeping, WITHIN_S)
    assert not exists(int(lines(run_dir / "started")[0].split()[0]))
    assert not (run_dir / "keeper.state").exists()
