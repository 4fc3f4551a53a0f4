"""The live stage: a real gateway as its own process, a real Asterisk, real SIP peers, all on free loopback ports.

`office` is a running `dutyline up` with two lines of ours, a remote one and a carrier; each test gets its own, in its
own folder, so that tests can kill what they like. `api` asks it over HTTP as any client would.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway import clock, spreadsheet
from gateway.asterisk import install, process
from gateway.audio import prompts
from gateway.config import Config, load
from gateway.demo.phones import Carrier, DeskPhone, Sipp
from gateway.free_ports import free_port, speech_ports
from gateway.services import people
from gateway.services.inventory import import_inventory
from gateway.store.engine import open_store
from gateway.store.migrate import migrate

START_LIMIT_S = 60.0
SEEN_WITHIN_S = 15.0
CARRIER = "127.0.0.5"
DESK = "127.0.0.1"


@pytest.fixture(scope="session")
def prompts_folder(engine: install.Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prompts, rendered once for all offices."""
    folder = tmp_path_factory.mktemp("prompts")
    prompts.render(folder, prompts.espeak(engine.command("espeak-ng"), environment=engine.environment))
    return folder


@dataclass(slots=True)
class Office:
    """A running gateway and the phones around it."""

    config_file: Path
    config: Config
    sipp: Sipp
    carrier: Carrier
    desk1: DeskPhone
    desk2: DeskPhone
    desk3: DeskPhone
    process: asyncio.subprocess.Process | None = None
    token: str = ""
    _session: aiohttp.ClientSession | None = field(default=None, repr=False)

    async def start(self) -> None:
        """Starts `dutyline up` and waits until it is ready."""
        log = (self.config.data_dir / "up.log").open("ab")
        with log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway", "up", "--config", str(self.config_file), "--leash", str(os.getpid()),
                stdout=log, stderr=log,
            )  # fmt: skip
        await self.until(self._is_ready, START_LIMIT_S)

    async def _is_ready(self) -> bool:
        assert self.process is not None
        if self.process.returncode is not None:
            raise AssertionError(f"dutyline up ended with {self.process.returncode}\n{self.log()}")
        try:
            async with self.session.get(f"{self.url}/api/v1/health/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def kill(self) -> None:
        """kill -9 of the gateway."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    def freeze(self) -> None:
        """SIGSTOP of the gateway."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT of the gateway."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    async def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        assert self.process is not None
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), 30)

    @property
    def url(self) -> str:
        return f"http://{self.config.http.listen}"

    @property
    def session(self) -> aiohttp.ClientSession:
        assert self._session is not None
        return self._session

    @property
    def engine_pid(self) -> int:
        return process.engine_pid(self.config.run_dir)

    def log(self) -> str:
        return (self.config.data_dir / "up.log").read_text(encoding="utf-8", errors="replace")[-4000:]

    async def api(self, path: str, **parameters: Any) -> Any:
        """A GET of the API with the token; the decoded answer."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.session.get(f"{self.url}/api/v1{path}", params=parameters, headers=headers) as answer:
            assert answer.status == 200, f"{path}: {answer.status} {await answer.text()}"
            return await answer.json()

    async def calls(self) -> list[dict[str, Any]]:
        return list((await self.api("/calls"))["items"])

    async def only_call(self, **expected: Any) -> dict[str, Any]:
        """The one call there is, whole, once the named fields are as expected."""
        found: dict[str, Any] = {}

        async def there() -> bool:
            rows = await self.calls()
            if len(rows) != 1 or any(rows[0][name] != value for name, value in expected.items()):
                found.update(rows=rows)
                return False
            found.update(call=await self.api(f"/calls/{rows[0]['id']}"))
            return True

        await self.until(there, SEEN_WITHIN_S, lambda: f"expected one call with {expected}, found {found}")
        return dict(found["call"])

    async def attempts(self, method: str) -> list[dict[str, Any]]:
        """Forward attempts of a method, as soon as there is one."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            found[:] = [row for row in (await self.api("/forward-attempts"))["items"] if row["method"] == method]
            return bool(found)

        await self.until(there, SEEN_WITHIN_S, lambda: f"no forward attempt {method}\n{self.log()}")
        return found

    async def sealed(self, call_id: str) -> dict[str, Any]:
        """The call's recording once it is sealed."""
        found: dict[str, Any] = {}

        async def there() -> bool:
            rows = (await self.api(f"/calls/{call_id}"))["recordings"]
            found.update(rows=rows)
            return bool(rows) and rows[0]["state"] == "sealed"

        await self.until(there, SEEN_WITHIN_S, lambda: f"no sealed recording: {found}\n{self.log()}")
        return dict(found["rows"][0])

    async def alarm(self, code: str) -> dict[str, Any]:
        """A standing alarm of that code, as soon as there is one."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            found[:] = (await self.api("/alarms"))["items"]
            return any(row["code"] == code for row in found)

        await self.until(there, SEEN_WITHIN_S, lambda: f"no alarm {code}, but {found}")
        return next(row for row in found if row["code"] == code)

    async def until(
        self,
        holds: Callable[[], Awaitable[bool]],
        within_s: float,
        story: Callable[[], str] = lambda: "",
    ) -> None:
        """Looks until it holds. The outside of another process can only be looked at."""
        deadline = asyncio.get_running_loop().time() + within_s
        while not await holds():
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"did not come about within {within_s:.0f} s: {story()}\n{self.log()}")
            await asyncio.sleep(0.05)


INVENTORY = """
[[unit]]
code = "CITY"
name = "市政府总值班室"
kind = "city_duty_office"
[[unit]]
code = "HP"
name = "和平区人民政府"
kind = "district"
parent = "CITY"
[[trunk]]
name = "carrier"
host = "{carrier}"
match = ["127.0.0.5"]
[[line]]
number = "02283000000"
unit = "CITY"
owner = "ours"
ring_timeout_s = {ring_s}
phone = {{ user = "desk1", secret = "secret-of-desk1", net = ["127.0.0.0/8"] }}
[[line]]
number = "02283000001"
unit = "CITY"
owner = "ours"
ring_timeout_s = {ring_s}
phones = [{{ user = "desk2", secret = "secret-of-desk2" }}, {{ user = "desk3", secret = "secret-of-desk3" }}]
[[line]]
number = "02223000001"
unit = "HP"
owner = "remote"
trunk = "carrier"
"""

OpenOffice = Callable[..., Any]


@pytest.fixture
def open_office(tmp_path: Path, engine: install.Engine, prompts_folder: Path) -> OpenOffice:
    """Opens an office: `async with open_office(ring_s=5, toml="[recording]…") as office`."""

    @asynccontextmanager
    async def opened(*, ring_s: int = 20, toml: str = "") -> AsyncIterator[Office]:
        sip, carrier = free_port(DESK), free_port(CARRIER)
        speech = speech_ports(100)
        config_file = tmp_path / "dutyline.toml"
        config_file.write_text(
            f'data_dir = "{tmp_path}/data"\n[http]\nlisten = "{DESK}:{free_port(DESK, socket.SOCK_STREAM)}"\n[sip]\n'
            f'listen = "{DESK}:{sip}"\nrtp_ports = "{speech.start}-{speech.stop - 1}"\n{toml}',
            encoding="utf-8",
        )
        inventory = tmp_path / "inventory.toml"
        inventory.write_text(INVENTORY.format(carrier=f"{CARRIER}:{carrier}", ring_s=ring_s), encoding="utf-8")
        config = load(config_file, {})
        token = await _prepared(config, inventory, prompts_folder)
        sipp = Sipp(engine, tmp_path / "phones")
        desks = [
            DeskPhone(sipp, f"{DESK}:{sip}", f"desk{n}", f"secret-of-desk{n}", DESK, free_port(DESK)) for n in (1, 2, 3)
        ]
        office = Office(
            config_file, config, sipp, Carrier(sipp, f"{DESK}:{sip}", CARRIER, carrier), *desks,
            token=token,
        )  # fmt: skip
        async with aiohttp.ClientSession() as session:
            office._session = session
            await office.start()
            try:
                yield office
            finally:
                if office.process is not None and office.process.returncode is None:
                    office.thaw()
                    assert await office.stop() == 0, office.log()
                await process.stop(office.config.run_dir)

    return opened


@pytest.fixture
async def office(open_office: OpenOffice) -> AsyncIterator[Office]:
    """An open office with desk1 registered."""
    async with open_office() as opened:
        await opened.desk1.registers()
        yield opened


async def _prepared(config: Config, inventory: Path, prompts_folder: Path) -> str:
    """The database with the inventory in it, the prompts, and a token."""
    shutil.copytree(prompts_folder, config.prompts_dir)
    await migrate(config.database_url)
    store = await open_store(config.database_url)
    try:
        await import_inventory(store, inventory, "tester", clock.now(), config.sip.realm, spreadsheet)
        async with store.begin() as uow:
            return await people.create_token(uow, "tester", "administrator", clock.now())
    finally:
        await store.close()


async def dutyline(*arguments: object) -> str:
    """Runs a command of ours; its standard output."""
    ran = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *map(str, arguments),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(ran.communicate(), 60)
    assert ran.returncode == 0, f"dutyline {arguments}: {ran.returncode}\n{err.decode()}"
    return out.decode()


def journal_lines(config: Config) -> list[dict[str, Any]]:
    """Asterisk's own record."""
    lines = (config.journal_dir / "cel.json").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
