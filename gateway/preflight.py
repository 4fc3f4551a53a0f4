"""`dutyline check`: everything that could keep a duty line from working, one line each, before anybody depends on it.

Nothing is changed and nothing started. What belongs to a gateway or an Asterisk of ours that is at work already, such
as its ports, is no fault.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from gateway import control, external, machine
from gateway.asterisk import conf, install, pulse
from gateway.audio import prompts
from gateway.config import Config, split_address
from gateway.core.inventory import Inventory
from gateway.core.registry import register
from gateway.errors import ConfigError, EngineError, InventoryError, StoreError
from gateway.external import render_external
from gateway.remark import Remark, fault, ok, warning
from gateway.store.engine import driver_url, open_store
from gateway.store.migrate import newest_revision, revision

__all__ = ["preflight", "render_external"]

_LOOPBACK = ("127.", "::1", "localhost")


async def preflight(config: Config) -> list[Remark]:
    """Every remark, in the order in which `up` would meet the fault."""
    gateway_runs = await _gateway_runs(config)
    inventory, about_database = await _database(config)
    found = [*_configuration(config), *machine.folders(config), *machine.user_and_clock()]
    found += await asyncio.to_thread(lambda: list(machine.ports(config, gateway_runs=gateway_runs)))
    found += about_database
    found += await asyncio.to_thread(lambda: [*_engine(config, inventory or Inventory()), *_prompts(config)])
    if config.asterisk.mode == "external":
        found += await _sip_answers(config)
        found += await external.remarks(config, inventory)
    return found


async def _gateway_runs(config: Config) -> bool:
    try:
        return await control.tell(config.run_dir / "control.sock", "status") is not None
    except EngineError:
        return True  # it is there, and refuses


# --- configuration -------------------------------------------------------------------------------------------------


def _configuration(config: Config) -> Iterator[Remark]:
    found = []
    if config.prompts.command:
        found += list(_refused(lambda: prompts.other_synthesizer(config.prompts.command)))
    found += list(_refused(lambda: driver_url(config.database_url)))
    for name, address in (("agi_listen", config.asterisk.agi_listen), ("hep_listen", config.asterisk.hep_listen)):
        if not split_address(address)[0].startswith(_LOOPBACK):
            text = f"{address} can be reached from other machines, which nobody needs"
            found.append(fault(f"asterisk.{name}", text, "write 127.0.0.1"))
    if not split_address(config.http.listen)[0].startswith(_LOOPBACK):
        text = f"{config.http.listen} serves the console without encryption"
        found.append(warning("http.listen", text, "put a reverse proxy with TLS before it, or write 127.0.0.1"))
    if config.asterisk.mode == "external":
        found += _secret_file(config)
    yield from found or [ok("configuration", "every value can be used")]


def _refused(attempt: Callable[[], object]) -> Iterator[Remark]:
    try:
        attempt()
    except ConfigError as error:
        yield fault("configuration", str(error))


def _secret_file(config: Config) -> Iterator[Remark]:
    path = Path(config.asterisk.ari_secret_file)
    if not config.asterisk.ari_secret_file:
        yield fault("asterisk.ari_secret_file", "external mode needs the file that holds ARI's password", "name it")
    elif path.exists() and path.stat().st_mode & 0o007:
        yield fault("asterisk.ari_secret_file", f"everybody on this machine may read {path}", f"chmod o= {path}")


# --- engine and prompts --------------------------------------------------------------------------------------------


async def _sip_answers(config: Config) -> list[Remark]:
    try:
        await pulse.sip_answers(*split_address(config.sip.listen), external.ANSWER_WITHIN_S)
    except EngineError as error:
        return [fault("sip.listen", str(error), "start Asterisk, and give it a transport on this address")]
    return [ok("sip.listen", f"Asterisk answers on {config.sip.listen}")]


def _cache(config: Config) -> Path:
    return Path(config.asterisk.cache_dir).expanduser()


def _program(config: Config) -> tuple[install.Engine | None, str]:
    """The engine that `up` would use, and where it comes from. Raises EngineError."""
    engine, reason = install.found(_cache(config))
    return engine, reason if engine else f"{reason}, and the embedded engine is not fetched yet"


def _engine(config: Config, inventory: Inventory) -> Iterator[Remark]:
    """The embedded engine: is it there, and is its configuration shut on every side."""
    if config.asterisk.mode == "external":
        return
    try:
        engine, text = _program(config)
    except EngineError as error:
        yield fault("engine", str(error), "mend or remove the installed Asterisk")
        return
    if engine is None:
        yield fault("engine", text, "run dutyline engine fetch")
    else:
        yield ok("engine", text)
    with tempfile.TemporaryDirectory(prefix="dutyline-check-") as folder:
        conf.write(Path(folder), conf.render(config, inventory, _nowhere(Path(folder))))
        yield from external.audited(Path(folder), "rendered configuration", config.asterisk.ari_user, None)
    if (config.run_dir / "etc").is_dir():
        etc, journal = config.run_dir / "etc", config.journal_dir / "cel.json"
        yield from external.audited(etc, str(etc), config.asterisk.ari_user, journal)


def _nowhere(root: Path) -> conf.Places:
    """Places for a configuration that is only read back."""
    return conf.Places(
        etc_dir=root,
        modules_dir=root,
        engine_data_dir=root,
        var_dir=root,
        spool_dir=root,
        socket_dir=root,
        log_dir=root,
        agi_address="127.0.0.1:1",
        hep_address="127.0.0.1:1",
        ari_address="127.0.0.1:1",
        ari_secret="made-up",  # noqa: S106  no password of anything
    )


def _prompts(config: Config) -> Iterator[Remark]:
    rendered = config.prompts_dir / "rendered"
    lacking = [
        prompt.key
        for prompt in prompts.PROMPTS
        if not all((rendered / f"{prompt.key}.{end}").is_file() for end in prompts.RATES_HZ.values())
    ]
    if not lacking:
        yield ok("prompts", f"all {len(prompts.PROMPTS)} sentences are spoken, in {rendered}")
        return
    if config.prompts.command:
        command = prompts.other_synthesizer(config.prompts.command).arguments[0]
        speaker = shutil.which(command)
    else:
        speaker = _espeak(config)
    text = f"{len(lacking)} sentences are not spoken yet"
    if speaker:
        yield ok("prompts", f"{text}; {speaker} will speak them at the start")
    else:
        remedy = "install espeak-ng, set prompts.command, or put recorded WAV files into the prompts folder"
        yield fault("prompts", f"{text}, and there is no synthesizer", remedy)


def _espeak(config: Config) -> str | None:
    try:
        engine = None if config.asterisk.mode == "external" else _program(config)[0]
        return (engine or install.own_tools(_cache(config))).command("espeak-ng")[-1]
    except EngineError:
        return None


# --- database and inventory ----------------------------------------------------------------------------------------


async def _database(config: Config) -> tuple[Inventory | None, list[Remark]]:
    """The inventory when the database is fit to tell it, and what there is to say about both."""
    url = config.database_url
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"  # without user and password
    if _is_no_file_yet(url):
        return None, [ok("database", f"{shown} is not there yet; the first start makes it"), _no_inventory()]
    try:
        found = await revision(url)
        if found is None:
            return None, [ok("database", f"{shown} is empty; the first start makes its tables"), _no_inventory()]
        if found != newest_revision():
            text = f"{shown} is at revision {found}, this program works with {newest_revision()}"
            return None, [fault("database", text, "run dutyline migrate")]
        inventory = await _read_inventory(url)
    except (StoreError, ConfigError) as error:
        return None, [fault("database", str(error), "see database.url")]
    return inventory, [ok("database", f"{shown} answers, at revision {found}"), *_inventory(config, inventory)]


def _is_no_file_yet(url: str) -> bool:
    """SQLite would make the file just by being asked."""
    return url.startswith("sqlite") and not Path(url.partition(":///")[2]).exists()


async def _read_inventory(url: str) -> Inventory:
    store = await open_store(url)
    try:
        await store.ping()
        async with store.begin() as uow:
            return await uow.inventory.current()
    finally:
        await store.close()


def _no_inventory() -> Remark:
    return warning("inventory", "no duty line of ours is registered", "run dutyline import FILE")


def _inventory(config: Config, inventory: Inventory) -> Iterator[Remark]:
    if not inventory.own_lines:
        yield _no_inventory()
        return
    try:
        register(inventory, (), config.sip.realm)
    except InventoryError as error:
        yield from (fault("inventory", text, "correct it and run dutyline import FILE") for text in error.faults)
        return
    counts = f"{len(inventory.own_lines)} duty lines of ours, {len(inventory.trunks)} trunks"
    yield ok("inventory", f"version {inventory.version}: {counts}")
    if not inventory.trunks:
        yield warning("inventory", "there is no trunk, so nobody outside can call", "register one")
