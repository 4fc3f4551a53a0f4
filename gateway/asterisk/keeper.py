"""The keeper: a small process of its own that outlives the gateway.

It is Asterisk's parent, so it learns of a crash at once and starts it again; and it writes Asterisk's raw SIP copies
(HEP) into a journal on disk. Killed or frozen, the gateway takes nothing of this with it; started again, it finds the
keeper running and goes on. Only the standard library, so that it starts quickly and has little to die of.

    python -m gateway.asterisk.keeper RUN_DIR/keeper.json

    SIGTERM   stop Asterisk in order, then end          (the gateway stops)
    SIGUSR1   Asterisk hangs: kill it and start it again
    leash     process id; when that process is gone, stop (the demo city and tests never leave anything behind)

The state file `keeper.state` says: keeper's pid, Asterisk's pid, how often it was started, and why it last ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from gateway import clock
from gateway.asterisk import hep
from gateway.errors import EngineError

RESTART_FIRST_S = 0.2
RESTART_LAST_S = 15.0
STEADY_S = 30.0  # an engine that ran this long earns a quick restart again
STOP_PATIENCE_S = 8.0
LEASH_CHECK_S = 0.5
TELL_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Orders:
    """What the keeper keeps. `command` empty: only the SIP journal (external mode)."""

    command: list[str]
    environment: dict[str, str]
    run_dir: str
    sip_journal: str
    hep_listen: str
    leash: int = 0


@dataclass(slots=True)
class State:
    """What the keeper says of itself."""

    keeper_pid: int
    engine_pid: int = 0
    starts: int = 0
    last_end: str = ""


class SipJournal(asyncio.DatagramProtocol):
    """Appends each SIP message as one JSON line; opens per line, so that rotation by rename loses nothing."""

    def __init__(self, path: Path, note: Callable[[str], None]) -> None:
        self._path = path
        self._note = note

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        """One HEP datagram."""
        try:
            message = hep.parse(data)
        except EngineError as error:
            self._note(f"SIP copy from {addr} refused: {error}")
            return
        if message is None:
            return
        told = {
            "at": message.at.isoformat(),
            "source": message.source,
            "target": message.target,
            "call_id": message.call_id,
            "text": message.text,
        }
        line = json.dumps(told, ensure_ascii=False)
        try:
            with self._path.open("ab") as journal:
                journal.write(line.encode("utf-8") + b"\n")
        except OSError as error:
            self._note(f"SIP journal {self._path} cannot be written: {error}")


class Keeper:
    """Keeps one Asterisk running until told to stop."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._run_dir = Path(orders.run_dir)
        self._state = State(keeper_pid=os.getpid())
        self._stop = asyncio.Event()
        self._engine: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Until SIGTERM or the leash is gone."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        loop.add_signal_handler(signal.SIGINT, self._stop.set)
        loop.add_signal_handler(signal.SIGUSR1, self._kill_engine)
        host, _, port = self._orders.hep_listen.rpartition(":")
        journal = SipJournal(Path(self._orders.sip_journal), note)
        transport, _ = await loop.create_datagram_endpoint(lambda: journal, local_addr=(host, int(port)))
        self._tell()
        duties = [asyncio.create_task(self._watch_leash())] if self._orders.leash else []
        try:
            if self._orders.command:
                await self._keep_engine()
            else:
                await self._stop.wait()
        finally:
            for duty in duties:
                duty.cancel()
            transport.close()
            (self._run_dir / "keeper.state").unlink(missing_ok=True)

    async def _keep_engine(self) -> None:
        pause_s = RESTART_FIRST_S
        while not self._stop.is_set():
            started_s = clock.monotonic_s()
            try:
                await self._start_engine()
            except OSError as error:  # a program that is not there may be there again a moment later
                self._state.last_end = f"cannot be started: {error}"
            else:
                await self._until_engine_ends_or_stop()
            if self._stop.is_set():
                break
            ran_s = clock.monotonic_s() - started_s
            pause_s = RESTART_FIRST_S if ran_s >= STEADY_S else min(pause_s * 2, RESTART_LAST_S)
            note(f"Asterisk ended ({self._state.last_end}) after {ran_s:.1f} s; starting it again in {pause_s:.1f} s")
            await self._pause(pause_s)
        await self._end_engine()

    async def _start_engine(self) -> None:
        with (self._run_dir / "asterisk.out").open("ab") as out:
            self._engine = await asyncio.create_subprocess_exec(
                *self._orders.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **self._orders.environment},
            )
        self._state.engine_pid = self._engine.pid
        self._state.starts += 1
        self._tell()

    async def _until_engine_ends_or_stop(self) -> None:
        assert self._engine is not None  # noqa: S101  started just before
        ended = asyncio.create_task(self._engine.wait())
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if ended.done():
            code = ended.result()
            self._state.last_end = f"signal {-code}" if code < 0 else f"exit {code}"
            self._state.engine_pid = 0
            self._tell()

    async def _end_engine(self) -> None:
        if self._engine is None or self._engine.returncode is not None:
            return
        self._engine.terminate()
        try:
            await asyncio.wait_for(self._engine.wait(), STOP_PATIENCE_S)
        except TimeoutError:
            note(f"Asterisk did not stop within {STOP_PATIENCE_S:.0f} s; killed")
            self._engine.kill()
            await self._engine.wait()

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return

    async def _watch_leash(self) -> None:
        while not self._stop.is_set():
            if not lives(self._orders.leash):
                note(f"process {self._orders.leash} is gone; stopping")
                self._stop.set()
                return
            await self._pause(LEASH_CHECK_S)

    def _kill_engine(self) -> None:
        if self._engine is not None and self._engine.returncode is None:
            self._engine.kill()

    def _tell(self) -> None:
        """A disk that takes nothing must not end the keeping: what could not be told is told later."""
        fresh = self._run_dir / "keeper.state.new"
        try:
            fresh.write_text(json.dumps(asdict(self._state)), encoding="utf-8")
            fresh.replace(self._run_dir / "keeper.state")
        except OSError as error:
            note(f"{fresh} cannot be written: {error}")
            asyncio.get_running_loop().call_later(TELL_AGAIN_S, self._tell)


def lives(pid: int) -> bool:
    """Whether a process is there and not just waiting for its parent to take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def note(text: str) -> None:
    """One line for the operator, into keeper.log."""
    with contextlib.suppress(OSError):  # the disk is full
        sys.stderr.write(f"{clock.now().isoformat()} {text}\n")
        sys.stderr.flush()


def main() -> int:
    """Reads the orders and keeps them. Exit 3: another keeper holds this run folder."""
    orders = Orders(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    with (Path(orders.run_dir) / "keeper.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note("another keeper is at work here")
            return 3
        asyncio.run(Keeper(orders).run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
