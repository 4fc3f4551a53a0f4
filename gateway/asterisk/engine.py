"""The engine as the gateway sees it: its places and ports, its configuration, its life.

    run/
      etc/…            rendered configuration          ports.json   chosen once, kept while they are free
      var/ spool/ log/ Asterisk's own                  ari.secret   made at first start, mode 0600
      socket/          asterisk.ctl                    keeper.*     the keeper's orders, state, lock and log

A port that was chosen is kept over restarts, because a running Asterisk was told of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from gateway.asterisk import conf, install, process
from gateway.asterisk.engine_log import EngineLog
from gateway.asterisk.keeper import Orders
from gateway.config import Config, split_address
from gateway.core.inventory import Inventory
from gateway.errors import ConfigError, EngineError
from gateway.free_ports import free_port, refusal
from gateway.ids import new_secret

log = structlog.get_logger(__name__)

LONGEST_SOCKET_PATH = 100  # the kernel takes 107 characters
# What changed → what Asterisk reads again. Everything else needs a new start of Asterisk.
RELOADS = {
    "pjsip_duty.conf": "res_pjsip",
    "pjsip.conf": "res_pjsip",
    "extensions_duty.conf": "pbx_config",
    "extensions.conf": "pbx_config",
}


@dataclass(frozen=True, slots=True)
class Addresses:
    """host:port of what listens between gateway and Asterisk, all on loopback by default."""

    agi: str
    hep: str
    ari: str


class Engine:
    """One Asterisk, embedded or external, and its configuration."""

    def __init__(self, config: Config, program: install.Engine | None) -> None:
        self._config = config
        self._program = program  # None: external
        self._run = config.run_dir
        self._leash = 0
        self._former_starts = 0
        self.addresses = self._settle_addresses()
        self.ari_secret = self._settle_secret()

    @property
    def ari_url(self) -> str:
        """Where ARI is asked."""
        return self._config.asterisk.ari_url or f"http://{self.addresses.ari}"

    @property
    def starts(self) -> int:
        """How often Asterisk was started, by the keeper at work and those before it; 0 when there is none."""
        told = process.state(self._run)
        return self._former_starts + int(str(told["starts"])) if told else 0

    def log(self) -> EngineLog:
        """Asterisk's own warnings, to be followed."""
        return EngineLog(self._run / "log", self._config.asterisk.node)

    @property
    def is_kept(self) -> bool:
        """Whether the keeper is at work."""
        return process.state(self._run) is not None

    @property
    def is_orphaned(self) -> bool:
        """Whether Asterisk runs on although its keeper was killed."""
        return process.orphan(self._run) != 0

    def prepare(self, inventory: Inventory) -> list[str]:
        """Lays out the folders and writes the configuration; gives the names of the files that changed."""
        for folder in (self._config.live_dir, self._config.journal_dir, self._config.sip_journal_dir):
            folder.mkdir(parents=True, exist_ok=True)
        if self._program is None:
            return []
        for name in ("etc", "var", "spool", "spool/tmp", "log"):
            (self._run / name).mkdir(parents=True, exist_ok=True)
        journal = self._run / "log/cel-custom"
        if not journal.is_symlink():
            journal.symlink_to(self._config.journal_dir)
        return conf.write(self._run / "etc", conf.render(self._config, inventory, self._places()))

    async def start(self, changed: list[str], leash: int = 0) -> bool:
        """Starts the keeper, or adopts the one at work; True when Asterisk must be told to read `changed` again."""
        needs_new_start = [name for name in changed if name not in RELOADS]
        if needs_new_start and process.state(self._run) is not None:
            log.warning("engine_restarts", changed=needs_new_start)
            await process.stop(self._run)
        self._leash = leash
        if process.state(self._run) is None:
            await process.end_orphan(self._run)
            self._check_sip_port()
        return await process.start(self._orders())

    async def keep_again(self) -> None:
        """The keeper was killed: another takes its place, with a new Asterisk.

        That counts as a restart when the former Asterisk had died and nobody was there to tell.
        """
        former = int(str(process.last_told(self._run).get("starts", 0))) - self.is_orphaned
        await process.start(self._orders())
        self._former_starts += former

    def _check_sip_port(self) -> None:
        listen = self._config.sip.listen
        if self._program is not None and (reason := refusal(*split_address(listen), socket.SOCK_DGRAM)):
            raise ConfigError(f"sip.listen: {listen} {reason}; stop what uses it or choose another address")

    def _orders(self) -> Orders:
        command: list[str] = []
        environment: Mapping[str, str] = {}
        if self._program is not None:
            command = [*self._program.command("asterisk"), "-f", "-C", str(self._run / "etc/asterisk.conf")]
            environment = self._program.environment
        return Orders(
            command=command,
            environment=dict(environment),
            run_dir=str(self._run),
            sip_journal=str(self._config.sip_journal_dir / "sip.json"),
            hep_listen=self.addresses.hep,
            leash=self._leash,
        )

    async def stop(self) -> None:
        """Stops Asterisk in order, and the keeper; leaves nothing outside the data folder."""
        await process.stop(self._run)
        folder = socket_dir(self._run)
        if not folder.is_relative_to(self._run):
            shutil.rmtree(folder, ignore_errors=True)  # a short-lived folder for one socket; what is left is harmless

    def kill_hanging(self) -> None:
        """Asterisk does nothing any more: the keeper starts a new one."""
        process.kill_engine(self._run)

    def _settle_addresses(self) -> Addresses:
        self._run.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._run / "ports.json"
        kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        engine_runs = process.state(self._run) is not None
        listens = self._config.asterisk
        chosen = Addresses(
            agi=_settle(listens.agi_listen, kept.get("agi"), socket.SOCK_STREAM, held_by_us=False),
            hep=_settle(listens.hep_listen, kept.get("hep"), socket.SOCK_DGRAM, held_by_us=engine_runs),
            ari=_settle("127.0.0.1:0", kept.get("ari"), socket.SOCK_STREAM, held_by_us=engine_runs),
        )
        path.write_text(json.dumps({"agi": chosen.agi, "hep": chosen.hep, "ari": chosen.ari}), encoding="utf-8")
        return chosen

    def _settle_secret(self) -> str:
        if self._config.asterisk.ari_secret_file:
            given = Path(self._config.asterisk.ari_secret_file)
            try:
                return given.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ConfigError(f"asterisk.ari_secret_file: {given} cannot be read: {error.strerror}") from error
        if self._program is None:
            raise ConfigError("asterisk.ari_secret_file: external mode needs the file that holds ARI's password")
        path = self._run / "ari.secret"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(new_secret(), encoding="utf-8")
        return path.read_text(encoding="utf-8")

    def _places(self) -> conf.Places:
        assert self._program is not None  # noqa: S101  only an embedded engine has places of ours
        return conf.Places(
            etc_dir=self._run / "etc",
            modules_dir=self._program.modules_dir,
            engine_data_dir=self._program.data_dir,
            var_dir=self._run / "var",
            spool_dir=self._run / "spool",
            socket_dir=socket_dir(self._run),
            log_dir=self._run / "log",
            agi_address=self.addresses.agi,
            hep_address=self.addresses.hep,
            ari_address=self.addresses.ari,
            ari_secret=self.ari_secret,
        )


def socket_dir(run_dir: Path) -> Path:
    """Where asterisk.ctl is: below the run folder, or in a private short folder when that path is too long."""
    folder = run_dir / "socket"
    if len(str(folder / "asterisk.ctl")) > LONGEST_SOCKET_PATH:
        digest = hashlib.sha256(str(run_dir).encode()).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"dutyline-{os.getuid()}-{digest}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid():
        raise EngineError(f"{folder} belongs to somebody else; remove it or choose a shorter data_dir")
    return folder


def _settle(configured: str, kept: str | None, kind: socket.SocketKind, *, held_by_us: bool) -> str:
    """The configured address; with port 0 the one kept from before if it can still be used, else a free one."""
    host, port = split_address(configured)
    if port:
        return configured
    if kept is not None and split_address(kept)[0] == host and (held_by_us or not refusal(*split_address(kept), kind)):
        return kept
    return f"{host}:{free_port(host, kind)}"
