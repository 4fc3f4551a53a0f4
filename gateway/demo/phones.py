"""SIP phones played by SIPp: real signalling and real RTP, one process a phone, one scenario a behaviour.

A scenario is a text in `sipp/` with `@name@` where a value belongs. SIPp's exit code is the phone's own verdict: 0 only
when everything went as the scenario says. What it sent and received stands in its message log, the truth of the other
side.

    async with desk.rings(speech, ring_ms=1500) as phone:     a phone waits for a call in the background
        call = await caller.dials("02283000000", …)           another calls and talks
        await phone.done()
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gateway.asterisk.install import Engine
from gateway.errors import PeerError
from gateway.free_ports import free_port, speech_ports

SCENARIOS = Path(__file__).parent / "sipp"
CALL_LIMIT_S = 90.0
STARTED_WITHIN_S = 5.0
LOOK_S = 0.02
MEDIA_PORTS = 8  # a few streams; SIPp goes on from there when they are taken


class PhoneError(PeerError):
    """A phone of the city did not see what its scenario says."""


@dataclass(slots=True)
class Playing:
    """A SIPp process and its scenario."""

    name: str
    process: asyncio.subprocess.Process
    folder: Path

    async def done(self, within_s: float = CALL_LIMIT_S) -> None:
        """Waits for its end. Raises PhoneError with its last words unless everything went as written."""
        try:
            code = await asyncio.wait_for(self.process.wait(), within_s)
        except TimeoutError:
            await self.end()
            raise PhoneError(f"{self.name} was not done within {within_s:.0f} s\n{self.errors()}") from None
        if code != 0:
            raise PhoneError(f"{self.name} ended with {code}\n{self.errors()}")

    async def hang_up(self, within_s: float = CALL_LIMIT_S) -> None:
        """Takes no more calls, lets those under way end, and then is like `done`."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGUSR1)
        await self.done(within_s)

    async def end(self) -> None:
        """Ends it now, whatever it is doing."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself in this very moment
                self.process.kill()
            await self.process.wait()

    def errors(self) -> str:
        """What SIPp found unexpected."""
        path = self.folder / "errors.log"
        return path.read_text(encoding="utf-8", errors="replace")[-2000:] if path.exists() else "(it said nothing)"

    def messages(self) -> str:
        """Every SIP message it sent and received, with times."""
        path = self.folder / "messages.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


@dataclass(frozen=True, slots=True)
class Sipp:
    """Starts SIPp from the engine's tree; `folder` takes logs and filled-in scenarios."""

    engine: Engine
    folder: Path
    _count: list[int] = field(default_factory=lambda: [0])

    async def play(
        self,
        scenario: str,
        values: Mapping[str, object],
        *,
        host: str,
        port: int,
        target: str = "",
        calls: int = 1,
        options: tuple[str, ...] = (),
    ) -> Playing:
        """Plays `scenario` at host:port; `target` (host:port) for one that begins. Waits until it listens."""
        self._count[0] += 1
        folder = self.folder / f"{self._count[0]:04d}-{scenario}-{port}"
        folder.mkdir(parents=True)
        script = folder / "scenario.xml"
        script.write_text(
            _filled((SCENARIOS / f"{scenario}.xml").read_text(encoding="utf-8"), values), encoding="utf-8"
        )
        command = [
            *_leashed(), *self.engine.command("sipp"), *([target] if target else []), "-sf", str(script),
            "-i", host, "-p", str(port), "-mi", host, "-min_rtp_port", str(speech_ports(MEDIA_PORTS).start),
            "-m", str(calls), "-aa", "-nostdin", "-trace_err", "-error_file", str(folder / "errors.log"),
            "-trace_msg", "-message_file", str(folder / "messages.log"), *options,
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        playing = Playing(f"{scenario} at {host}:{port}", process, folder)
        if not target:
            await _until_bound(host, port, playing)
        return playing


@dataclass(frozen=True, slots=True)
class DeskPhone:
    """A registered phone of a duty room. It takes calls at `port`; it registers and dials from ports beside it."""

    sipp: Sipp
    registrar: str
    user: str
    secret: str
    host: str
    port: int

    async def registers(
        self, contact_port: int | None = None, expected: int = 200, expires_s: int = 3600,
        contact_host: str = "", contact_parameters: str = "",
    ) -> None:  # fmt: skip
        """Registers with digest; `expected` is the answer that ends it."""
        contact = f"{contact_host or self.host}:{contact_port or self.port}{contact_parameters}"
        playing = await self.sipp.play(
            "register",
            {"contact": contact, "expires": expires_s, "expected": expected},
            host=self.host, port=free_port(self.host), target=self.registrar, options=self._account,
        )  # fmt: skip
        await playing.done(20.0)

    async def unregisters(self) -> None:
        """Takes back every registration of its account, whoever made it (Contact: *, RFC 3261 section 10.2.2)."""
        playing = await self.sipp.play(
            "unregister", {}, host=self.host, port=free_port(self.host), target=self.registrar, options=self._account
        )
        await playing.done(20.0)

    @asynccontextmanager
    async def takes(self, scenario: str = "desk", **values: object) -> AsyncIterator[Playing]:
        """Waits for one call and plays `scenario` with it."""
        playing = await self.sipp.play(scenario, values, host=self.host, port=self.port)
        try:
            yield playing
        finally:
            await playing.end()

    async def dials(self, number: str, answer: int, *, scenario: str = "dial", **values: object) -> Playing:
        """Dials `number` (as it stands in the request URI); passes when the final answer is `answer`."""
        return await self.sipp.play(
            scenario, {"number": number, "answer": answer, "headers": "", **values},
            host=self.host, port=free_port(self.host), target=self.registrar, options=self._account,
        )  # fmt: skip

    @property
    def _account(self) -> tuple[str, ...]:
        return ("-s", self.user, "-au", self.user, "-ap", self.secret)


@dataclass(frozen=True, slots=True)
class Carrier:
    """The carrier's side of a trunk: calls come from and go to host:port."""

    sipp: Sipp
    gateway: str
    host: str
    port: int

    async def calls(self, number: str, caller: str, scenario: str = "caller", **values: object) -> Playing:
        """A call from `caller` to `number`."""
        return await self.sipp.play(
            scenario, {"caller": caller, "headers": "", **values},
            host=self.host, port=self.port, target=self.gateway, options=("-s", number),
        )  # fmt: skip

    @asynccontextmanager
    async def takes(self, scenario: str = "desk", **values: object) -> AsyncIterator[Playing]:
        """Waits for one call out to the public network."""
        playing = await self.sipp.play(scenario, values, host=self.host, port=self.port)
        try:
            yield playing
        finally:
            await playing.end()


def _leashed() -> list[str]:
    """What makes the kernel end a phone with the process that plays it, should that be killed (util-linux)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def _filled(text: str, values: Mapping[str, object]) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    missing = re.findall(r"@([a-z_]+)@", text)
    if missing:
        raise ValueError(f"the scenario needs {', '.join(sorted(set(missing)))}")
    return text


async def _until_bound(host: str, port: int, playing: Playing) -> None:
    """SIPp says nothing when it listens, so its socket is looked for in the kernel's table."""
    deadline = asyncio.get_running_loop().time() + STARTED_WITHIN_S
    while not _is_bound(host, port):
        if playing.process.returncode is not None or asyncio.get_running_loop().time() > deadline:
            raise PhoneError(f"{playing.name} did not start\n{playing.errors()}")
        await asyncio.sleep(LOOK_S)


def _is_bound(host: str, port: int) -> bool:
    socket_name = f"{int.from_bytes(socket.inet_aton(host), 'little'):08X}:{port:04X}"
    return socket_name in Path("/proc/net/udp").read_text(encoding="ascii")
