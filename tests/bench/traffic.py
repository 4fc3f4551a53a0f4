"""Load from SIPp: one process plays all phones of a subject, one all callers of a block.

The phones echo the callers' speech, so RTP flows both ways and both sides of a recording have sound. Every caller of
a block has a number of its own: by it an INVITE that left here is found again where it arrived.
"""

from __future__ import annotations

import asyncio
import csv
import random
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.asterisk.install import Engine
from gateway.demo.phones import Playing
from gateway.errors import PeerError
from gateway.free_ports import free_port
from tests.bench.city import CARRIER_HOST, LINES, PHONE_HOST, Subject, line_number, phone_secret, phone_user

SCENARIOS = Path(__file__).parent / "sipp"
BENCH_LIMIT_S = 1200  # no SIPp of ours outlives this, whatever becomes of us
CALLER_MEDIA = ("10000", "12999")
ECHO_PORTS = {"product": "13000", "bare": "13400"}
STARTED_S = 5.0
LOOK_S = 0.05
WARM_UP_CALLS = 20
_MESSAGE = re.compile(
    r"^-{20,} (\S+)\nUDP message (sent|received) \[\d+\] bytes:\n\nINVITE .*?^From:[^\n]*?<sip:(\d+)@", re.M | re.S
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the callers of a block saw."""

    answered: int
    failed: int
    retransmissions: int
    folder: Path


@dataclass(slots=True)
class Side:
    """A subject with its phones, which stay up as long as it does: Asterisk asks them every 30 s whether they live."""

    subject: Subject
    engine: Engine
    folder: Path
    phones: Playing
    callers: int = 0  # so far; each has a number of its own

    async def call(self, *, calls: int, rate_hz: float, talk_ms: int, logged: bool = False) -> Outcome:
        """`calls` calls, begun at `rate_hz`, going round over the lines; returns when the last has ended."""
        calling = await self.begin(calls=calls, rate_hz=rate_hz, talk_ms=talk_ms, logged=logged)
        return await self.finish(calling, calls / rate_hz + talk_ms / 1000 + 60.0)

    async def begin(self, *, calls: int, rate_hz: float, talk_ms: int, logged: bool = False) -> Playing:
        """The same, without waiting for the end."""
        folder = _fresh(self.folder, "callers")
        rows = [f"{line_number(i % LINES)};0222300{(self.callers + i) % 10000:04d}" for i in range(calls)]
        self.callers += calls
        _inject(folder / "calls.csv", rows)
        (folder / "speech.al").write_bytes(random.Random(1).randbytes(16_000))  # two seconds of A-law
        options = ["-inf", str(folder / "calls.csv"), "-m", str(calls), "-r", f"{rate_hz:g}", "-d", str(talk_ms),
                   "-l", "400", "-min_rtp_port", CALLER_MEDIA[0], "-max_rtp_port", CALLER_MEDIA[1],
                   "-trace_stat", "-stf", str(folder / "stat.csv"), "-fd", "1", *(_logged(folder) if logged else ()),
                   self.subject.sip]  # fmt: skip
        return await _start(self.engine, "caller", CARRIER_HOST, free_port(CARRIER_HOST), folder, options)

    async def finish(self, calling: Playing, within_s: float) -> Outcome:
        """Waits for callers that were begun."""
        try:
            code = await asyncio.wait_for(calling.process.wait(), within_s)
        except TimeoutError:
            await calling.end()
            raise PeerError(f"the callers were not done within {within_s:.0f} s\n{calling.errors()}") from None
        if code not in (0, 1):  # 1: calls failed, which is counted
            raise PeerError(f"the callers ended with {code}\n{calling.errors()}")
        last = _statistics(calling.folder)[-1]
        return Outcome(
            int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"]), int(last["Retransmissions(C)"]), calling.folder
        )


@asynccontextmanager
async def side(subject: Subject, engine: Engine, folder: Path) -> AsyncIterator[Side]:
    """A subject whose phones are registered and which has had a few calls. Raises PeerError when these fail."""
    phones_folder = _fresh(folder, "phones")
    options = ["-rtp_echo", "-aa", "-min_rtp_port", ECHO_PORTS[subject.name], *_logged(phones_folder)]
    playing = await _start(engine, "phone", PHONE_HOST, subject.phone_port, phones_folder, options)
    try:
        await _until_bound(PHONE_HOST, subject.phone_port, playing)
        await _register(subject, engine, folder)
        found = Side(subject, engine, folder, playing)
        outcome = await found.call(calls=WARM_UP_CALLS, rate_hz=10, talk_ms=500)
        if outcome.failed:
            raise PeerError(
                f"{subject.name}: {outcome.failed} of {WARM_UP_CALLS} calls failed before any load\n"
                + (outcome.folder / "errors.log").read_text(encoding="utf-8", errors="replace")[:500]
            )
        yield found
    finally:
        await playing.end()


async def _register(subject: Subject, engine: Engine, folder: Path) -> None:
    """Registers every phone of the city, with digest."""
    here = _fresh(folder, "register")
    rows = [
        f"{phone_user(i)};[authentication username={phone_user(i)} password={phone_secret(i)}]" for i in range(LINES)
    ]
    _inject(here / "phones.csv", rows)
    options = ["-inf", str(here / "phones.csv"), "-m", str(LINES), "-r", "30", "-key", "contact_port",
               str(subject.phone_port), subject.sip]  # fmt: skip
    registering = await _start(engine, "register", PHONE_HOST, free_port(PHONE_HOST), here, options)
    await registering.done(30.0)


async def _start(engine: Engine, scenario: str, host: str, port: int, folder: Path, options: list[str]) -> Playing:
    command = [
        *engine.command("sipp"), "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", host, "-p", str(port),
        "-mi", host, "-nostdin", "-timeout", f"{BENCH_LIMIT_S}s", "-trace_err", "-error_file",
        str(folder / "errors.log"), *options,
    ]  # fmt: skip
    with (folder / "out.txt").open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out
        )
    return Playing(f"{scenario} at {host}:{port}", process, folder)


def _fresh(folder: Path, name: str) -> Path:
    fresh = folder / f"{len(list(folder.iterdir())):03d}-{name}"
    fresh.mkdir()
    return fresh


def calls_begun(calling: Playing) -> int:
    """How many calls the callers have begun so far."""
    rows = _statistics(calling.folder)
    return int(rows[-1]["TotalCallCreated"]) if rows else 0


def invites(folder: Path, direction: str) -> dict[str, datetime]:
    """Caller's number → when its first INVITE was sent or received, by SIPp's message log."""
    found: dict[str, datetime] = {}
    for at, way, number in _MESSAGE.findall((folder / "messages.log").read_text(encoding="utf-8", errors="replace")):
        if way == direction:
            found.setdefault(number, datetime.fromisoformat(at))
    return found


def _statistics(folder: Path) -> list[dict[str, str]]:
    path = folder / "stat.csv"
    if not path.exists():
        return []
    whole = path.read_text(encoding="utf-8", errors="replace").rpartition("\n")[0]
    return list(csv.DictReader(whole.splitlines(), delimiter=";"))


def _inject(path: Path, rows: list[str]) -> None:
    path.write_text("SEQUENTIAL\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")


def _logged(folder: Path) -> list[str]:
    return ["-trace_msg", "-message_file", str(folder / "messages.log")]


async def _until_bound(host: str, port: int, playing: Playing) -> None:
    deadline_s = asyncio.get_running_loop().time() + STARTED_S
    while not _is_bound(host, port):
        if playing.process.returncode is not None or asyncio.get_running_loop().time() > deadline_s:
            raise PeerError(f"{playing.name} did not start\n{playing.errors()}")
        await asyncio.sleep(LOOK_S)


def _is_bound(host: str, port: int) -> bool:
    """SIPp says nothing when it listens, so its socket is looked for in the kernel's table."""
    wanted = f"{int.from_bytes(socket.inet_aton(host), 'little'):08X}:{port:04X}"
    return wanted in Path("/proc/net/udp").read_text(encoding="ascii")
