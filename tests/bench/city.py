"""A city of duty lines for measuring, and the two subjects that carry its calls.

    product   `dutyline up` as an operator starts it: gateway, keeper, Asterisk, SQLite
    bare      the same Asterisk with the same modules, endpoints and CEL journal, and a dialplan of two lines

Both run the whole time, on ports of their own; load goes to one at a time, in short blocks by turns. A duty phone takes
one call at a time, so there is a line with a phone for each call that goes on at once. Every phone registers for real.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from gateway.asterisk import conf, install, process
from gateway.asterisk.engine import socket_dir
from gateway.asterisk.keeper import Orders
from gateway.config import Config, load
from gateway.errors import EngineError, PeerError
from gateway.free_ports import free_port
from gateway.store.engine import open_store

LINES = 60
SIP_HOST = "127.0.0.1"
CARRIER_HOST = "127.0.0.5"
PHONE_HOST = "127.0.0.6"
READY_S = 60.0
STOPPED_S = 40.0
LOOK_S = 0.1
DUTYLINE = Path(sys.executable).with_name("dutyline")

_BARE_DIALPLAN = """; The least dialplan that records a call and rings a phone.
[from-trunk]
exten => _0228301XXXX,1,MixMonitor(,r({live}/${{UNIQUEID}}-theirs.wav)t({live}/${{UNIQUEID}}-ours.wav))
 same => n,Dial(PJSIP/desk${{EXTEN:7}},60)
[from-desk]
[forward-denied]
"""


def line_number(index: int) -> str:
    """Number of a duty line; its last four digits name its phone."""
    return f"0228301{index:04d}"


def phone_user(index: int) -> str:
    """Account of the phone of that line."""
    return f"desk{index:04d}"


def phone_secret(index: int) -> str:
    """Its password."""
    return f"secret-of-{index:04d}"


def inventory_toml(lines: int = LINES) -> str:
    """The inventory of the city."""
    units = '[[unit]]\ncode = "CITY"\nname = "City office"\nkind = "city_duty_office"\n'
    trunk = f'[[trunk]]\nname = "carrier"\nhost = "{CARRIER_HOST}:5060"\nmatch = ["{CARRIER_HOST}"]\n'
    return units + trunk + "".join(
        f'[[line]]\nnumber = "{line_number(i)}"\nunit = "CITY"\nowner = "ours"\n'
        f'phone = {{ user = "{phone_user(i)}", secret = "{phone_secret(i)}" }}\n'
        for i in range(lines)
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that carries calls. `pids`: its processes by part; `live_dir`: where it captures recordings."""

    name: str
    sip: str
    phone_port: int
    folder: Path
    live_dir: Path
    pids: dict[str, int]
    http: str = ""
    token: str = ""

    def headers(self) -> dict[str, str]:
        """What the API wants to see."""
        return {"Authorization": f"Bearer {self.token}"}


@asynccontextmanager
async def product(folder: Path) -> AsyncIterator[Subject]:
    """The product with the city registered, ready for calls."""
    http, sip = f"{SIP_HOST}:{free_port(SIP_HOST, socket.SOCK_STREAM)}", f"{SIP_HOST}:{free_port(SIP_HOST)}"
    settings, inventory = folder / "dutyline.toml", folder / "city.toml"
    settings.write_text(
        f'data_dir = "{folder}/data"\n[http]\nlisten = "{http}"\n[sip]\nlisten = "{sip}"\nrtp_ports = "20000-23999"\n',
        encoding="utf-8",
    )
    inventory.write_text(inventory_toml(), encoding="utf-8")
    await _run("import", str(inventory), "--config", str(settings))
    token = await _run("token", "create", "--user", "bench", "--role", "administrator", "--config", str(settings))
    config = load(settings, {})
    with (folder / "up.log").open("wb") as log:
        gateway = await asyncio.create_subprocess_exec(
            DUTYLINE, "up", "--config", str(settings), "--leash", str(os.getpid()), stdout=log, stderr=log
        )
    try:
        await _until_ready(gateway, http, folder / "up.log")
        told = process.state(config.run_dir) or {}
        pids = {
            "asterisk": int(str(told["engine_pid"])),
            "gateway": gateway.pid,
            "keeper": int(str(told["keeper_pid"])),
        }
        yield Subject("product", sip, free_port(PHONE_HOST), folder, config.live_dir, pids, http, token.strip())
    finally:
        await _stop(gateway)


@asynccontextmanager
async def bare(folder: Path, engine: install.Engine, like: Config) -> AsyncIterator[Subject]:
    """The bare Asterisk; `like` is the product's configuration, whose inventory it takes over."""
    sip = f"{SIP_HOST}:{free_port(SIP_HOST)}"
    config = like.model_copy(
        update={
            "data_dir": folder,
            "sip": like.sip.model_copy(update={"listen": sip, "rtp_ports": "24000-27999"}),
            "asterisk": like.asterisk.model_copy(update={"node": "bare"}),
        }
    )
    run = config.run_dir
    for place in (config.live_dir, config.journal_dir, *(run / name for name in ("etc", "var", "spool/tmp", "log"))):
        place.mkdir(parents=True)
    conf.write(run / "etc", await _bare_configuration(config, like, engine))
    orders = Orders(
        command=[*engine.command("asterisk"), "-f", "-C", str(run / "etc/asterisk.conf")],
        environment=engine.environment,
        run_dir=str(run),
        sip_journal=str(folder / "sip.json"),
        hep_listen=f"{SIP_HOST}:{free_port(SIP_HOST)}",
        leash=os.getpid(),
    )
    await process.start(orders)
    try:
        pids = {"asterisk": process.engine_pid(run)}
        yield Subject("bare", sip, free_port(PHONE_HOST), folder, config.live_dir, pids)
    finally:
        await process.stop(run)


async def _bare_configuration(config: Config, like: Config, engine: install.Engine) -> dict[str, str]:
    store = await open_store(like.database_url)
    try:
        async with store.begin() as uow:
            inventory = await uow.inventory.current()
    finally:
        await store.close()
    run = config.run_dir
    places = conf.Places(
        etc_dir=run / "etc", modules_dir=engine.modules_dir, engine_data_dir=engine.data_dir, var_dir=run / "var",
        spool_dir=run / "spool", socket_dir=socket_dir(run), log_dir=run / "log", agi_address=f"{SIP_HOST}:9",
        hep_address=f"{SIP_HOST}:9", ari_address=f"{SIP_HOST}:{free_port(SIP_HOST, socket.SOCK_STREAM)}",
        ari_secret="nobody asks the bare one",
    )  # fmt: skip
    files = conf.render(config, inventory, places)
    files["extensions.conf"] = _BARE_DIALPLAN.format(live=config.live_dir)
    files["hep.conf"] = "[general]\nenabled = no\n"
    return files


async def _run(*arguments: str) -> str:
    command = await asyncio.create_subprocess_exec(
        DUTYLINE, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, said = await command.communicate()
    if command.returncode != 0:
        raise PeerError(f"dutyline {' '.join(arguments[:2])} ended with {command.returncode}: {said.decode()}")
    return out.decode()


async def _until_ready(gateway: asyncio.subprocess.Process, http: str, log: Path) -> None:
    deadline_s = asyncio.get_running_loop().time() + READY_S
    async with aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):  # it does not listen yet
                async with session.get(f"http://{http}/api/v1/health/ready") as answer:
                    if answer.status == 200:
                        return
            if gateway.returncode is not None or asyncio.get_running_loop().time() > deadline_s:
                raise EngineError(f"the product did not become ready\n{_end_of(log)}")
            await asyncio.sleep(LOOK_S)


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:]


async def _stop(gateway: asyncio.subprocess.Process) -> None:
    if gateway.returncode is not None:
        return
    gateway.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(gateway.wait(), STOPPED_S)
    except TimeoutError:
        gateway.kill()
        await gateway.wait()
