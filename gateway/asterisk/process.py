"""Starting, finding again, and stopping the keeper and through it Asterisk.

The keeper is started in a session of its own, so neither a signal to the gateway's terminal nor the gateway's death
reaches it. A keeper found alive is adopted, unless it was given other orders than we would give now.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from gateway.asterisk.keeper import Orders, lives
from gateway.clock import monotonic_s
from gateway.errors import EngineError

START_PATIENCE_S = 10.0
STOP_PATIENCE_S = 15.0
_LOOK_S = 0.02
_children: dict[int, subprocess.Popen[bytes]] = {}  # the keepers we started ourselves, until they have ended


def state(run_dir: Path) -> dict[str, object] | None:
    """What the keeper last said, if it is alive."""
    told = last_told(run_dir)
    pid = told.get("keeper_pid")
    return told if isinstance(pid, int) and _alive(pid) else None


def last_told(run_dir: Path) -> dict[str, object]:
    """What the keeper last said, alive or killed; empty when it ended in order."""
    return _read(run_dir / "keeper.state")


def _write(path: Path, text: str) -> None:
    """All of it or, on a full disk, nothing: the former orders say which program an orphan is."""
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def _read(path: Path) -> dict[str, object]:
    """An object in a file; an empty one when there is none that can be read."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def engine_pid(run_dir: Path) -> int:
    """Asterisk's process id; 0 when it is not running."""
    told = state(run_dir)
    return int(str(told["engine_pid"])) if told else 0


def _alive(pid: int) -> bool:
    """Whether this is a living keeper, and not another process that got its number."""
    try:
        return b"gateway.asterisk.keeper" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


async def start(orders: Orders) -> bool:
    """Starts the keeper or adopts the one at work; True when it was adopted. Raises EngineError."""
    run_dir = Path(orders.run_dir)
    path = run_dir / "keeper.json"
    wanted = json.dumps(asdict(orders))
    if state(run_dir) is not None:
        if path.exists() and _same_but_leash(path.read_text(encoding="utf-8"), wanted):
            return True
        await stop(run_dir)
    await end_orphan(run_dir)
    _write(path, wanted)
    with (run_dir / "keeper.log").open("ab") as log:
        keeper = subprocess.Popen(  # noqa: ASYNC220  it must outlive this loop, and forking is quick
            [sys.executable, "-m", "gateway.asterisk.keeper", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
    _children[keeper.pid] = keeper
    deadline_s = monotonic_s() + START_PATIENCE_S
    while (told := state(run_dir)) is None or told["keeper_pid"] != keeper.pid:
        if keeper.poll() is not None or monotonic_s() > deadline_s:
            _bury_children()
            last = (run_dir / "keeper.log").read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
            raise EngineError("the engine's keeper did not start: " + " / ".join(last))
        await asyncio.sleep(_LOOK_S)  # another process's start has no event to wait for
    return False


def _bury_children() -> None:
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            del _children[pid]


def orphan(run_dir: Path) -> int:
    """The Asterisk that still runs although its keeper was killed; 0 when there is none."""
    if state(run_dir) is not None:
        return 0
    pid = last_told(run_dir).get("engine_pid")
    command = _read(run_dir / "keeper.json").get("command")
    return pid if isinstance(pid, int) and isinstance(command, list) and _runs(pid, command) else 0


async def end_orphan(run_dir: Path) -> None:
    """Ends the Asterisk of a keeper that was killed: a second one beside it would find its ports taken."""
    _bury_children()
    pid = orphan(run_dir)
    if not pid:
        return
    deadline_s = monotonic_s() + STOP_PATIENCE_S
    with suppress(ProcessLookupError):  # it ended by itself in the meantime
        os.kill(pid, signal.SIGTERM)
        while lives(pid):
            if monotonic_s() > deadline_s:
                os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(_LOOK_S)


def _runs(pid: int, command: list[str]) -> bool:
    """Whether the process is that program, and not another one that got its number."""
    try:
        return bool(command) and Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1] == [
            os.fsencode(word) for word in command
        ]
    except OSError:
        return False


def _same_but_leash(told: str, wanted: str) -> bool:
    return {**json.loads(told), "leash": 0} == {**json.loads(wanted), "leash": 0}


async def stop(run_dir: Path) -> None:
    """Stops Asterisk in order, then the keeper; returns when both are gone."""
    told = state(run_dir)
    if told is None:
        return
    pid = int(str(told["keeper_pid"]))
    os.kill(pid, signal.SIGTERM)
    deadline_s = monotonic_s() + STOP_PATIENCE_S
    while lives(pid):  # to the end: a process that is ending still holds its ports
        if monotonic_s() > deadline_s:
            raise EngineError(f"the engine's keeper (process {pid}) does not stop")
        await asyncio.sleep(_LOOK_S)
    _bury_children()


def kill_engine(run_dir: Path) -> None:
    """Asterisk hangs: the keeper kills it and starts it again. Without a keeper it is only killed."""
    told = state(run_dir)
    with suppress(ProcessLookupError):  # it ended by itself in the meantime
        if told is not None:
            os.kill(int(str(told["keeper_pid"])), signal.SIGUSR1)
        elif pid := orphan(run_dir):
            os.kill(pid, signal.SIGKILL)
