"""The commands of `dutyline`. Each says in one line what it does; each error is a sentence and an exit code.

Exit codes: 0 done, 1 the command found or met a fault, 2 the command line was wrong, 3 the engine or the database
did not do its part.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TextIO, cast

import click
import structlog

from gateway import app, clock, control, preflight, spreadsheet
from gateway.asterisk import install, process
from gateway.config import Config, load
from gateway.errors import DutylineError, InventoryError, PeerError
from gateway.log_stream import LogStream
from gateway.ports import Store, UnitOfWork
from gateway.services import people
from gateway.services.inventory import import_inventory
from gateway.store.engine import open_store
from gateway.store.migrate import migrate as migrate_database
from gateway.web import auth

P = ParamSpec("P")


def _say(text: str) -> None:
    click.echo(text, err=True)


def _set_up_logging() -> None:
    """One line per fact on standard error; standard output belongs to results."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, LogStream(sys.stderr))),
    )


def told_plainly(command: Callable[P, None]) -> Callable[P, None]:
    """Turns our own errors into sentences; anything else is a fault of ours and shows its trace."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        _set_up_logging()
        try:
            command(*args, **kwargs)
        except InventoryError as error:
            for fault in error.faults:
                _say(fault)
            count = len(error.faults)
            _say(f"{count} {'fault' if count == 1 else 'faults'}; nothing was imported")
            raise SystemExit(1) from error
        except PeerError as error:
            _say(f"error: {error}")
            raise SystemExit(3) from error
        except DutylineError as error:
            _say(f"error: {error}")
            raise SystemExit(1) from error

    return run


def _config_option(command: Callable[P, None]) -> Callable[P, None]:
    return click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="configuration file (TOML); without it the defaults and DUTYLINE_* count",
    )(command)


@click.group()
@click.version_option(package_name="dutyline")
def main() -> None:
    """Dutyline: duty lines that answer, record, and never forward."""


@main.command()
@_config_option
@click.option("--leash", type=int, default=0, hidden=True, help="process id: end everything when that process ends")
@told_plainly
def up(config_file: Path | None, leash: int) -> None:
    """Start Asterisk and the gateway and stay in the foreground; SIGTERM or Ctrl-C stops both in order."""
    asyncio.run(_up(load(config_file), leash))


async def _up(config: Config, leash: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with app.running(config, _say, leash) as gateway:
        if gateway.first_password is not None:
            _say(f"first administrator: {people.FIRST_ADMINISTRATOR}  password (shown once): {gateway.first_password}")
        await stop.wait()
        _say("stopping")


@main.command()
@_config_option
@told_plainly
def down(config_file: Path | None) -> None:
    """Stop an Asterisk that a killed gateway left running."""
    config = load(config_file)
    if process.state(config.run_dir) is None:
        _say("nothing is running")
        return
    asyncio.run(process.stop(config.run_dir))
    _say("stopped")


@main.command()
@_config_option
@told_plainly
def status(config_file: Path | None) -> None:
    """Say what is running on this data folder, as one line of JSON."""
    config = load(config_file)
    told = process.state(config.run_dir)
    answer = asyncio.run(control.tell(config.run_dir / "control.sock", "status"))
    click.echo(json.dumps({"gateway": json.loads(answer) if answer else None, "engine": told}, ensure_ascii=False))
    if answer is None:
        raise SystemExit(1)


@main.command()
@_config_option
@told_plainly
def check(config_file: Path | None) -> None:
    """Look at everything that could keep a duty line from working; exit 1 on a fault."""
    findings = asyncio.run(preflight.preflight(load(config_file)))
    for finding in findings:
        click.echo(str(finding))
    if any(finding.severity == "fault" for finding in findings):
        raise SystemExit(1)


@main.command()
@_config_option
@told_plainly
def migrate(config_file: Path | None) -> None:
    """Bring the database to the newest schema."""
    config = load(config_file)
    config.make_data_dir()
    asyncio.run(migrate_database(config.database_url))
    _say("the database is at the newest schema")


@main.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_config_option
@told_plainly
def import_(file: Path, config_file: Path | None) -> None:
    """Register units, trunks, lines, phones and radios from a TOML, XLSX or CSV file: all of it, or nothing."""
    _say(asyncio.run(_import(load(config_file), file)))


async def _import(config: Config, file: Path) -> str:
    async with _store(config) as store:
        imported = await import_inventory(store, file, _operator(), clock.now(), config.sip.realm, spreadsheet)
    answer = await control.tell(config.run_dir / "control.sock", "inventory_changed")
    return f"{imported}; {answer or 'no gateway is running; it will be in force at the next start'}"


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--template", is_flag=True, help="an empty workbook with explanations and example rows")
@_config_option
@told_plainly
def export(file: Path, template: bool, config_file: Path | None) -> None:
    """Write the inventory as XLSX, in the form that `import` reads; secrets stay out."""
    if template:
        spreadsheet.export_template(file)
    else:
        asyncio.run(_export(load(config_file), file))
    _say(f"written: {file}")


async def _export(config: Config, file: Path) -> None:
    async with _store(config) as store, store.begin() as uow:
        spreadsheet.export_inventory(await uow.inventory.current(), file)


@main.group()
def token() -> None:
    """API tokens."""


@token.command("create")
@click.option("--user", required=True, help="whom the token acts for")
@click.option("--role", required=True, help="administrator, general_office, clerk or auditor")
@_config_option
@told_plainly
def token_create(user: str, role: str, config_file: Path | None) -> None:
    """Make an API token; it is printed alone and never shown again."""
    click.echo(asyncio.run(_token_create(load(config_file), user, role)))


async def _token_create(config: Config, user: str, role: str) -> str:
    async with _store(config) as store, store.begin() as uow:
        made = await people.create_token(uow, user, role, clock.now())
        await _audit(uow, "token_create", user, {"role": role})
    return made


async def _audit(uow: UnitOfWork, action: str, name: str, detail: Mapping[str, Any]) -> None:
    await uow.audits.add(
        at=clock.now(), actor=_operator(), action=action, object_type="user", object_id=name, address="", detail=detail
    )


@token.command("revoke")
@click.option("--user", required=True, help="whose tokens become void: all of them")
@_config_option
@told_plainly
def token_revoke(user: str, config_file: Path | None) -> None:
    """Make every API token of a user void, at once."""
    _say(asyncio.run(_token_revoke(load(config_file), user)))


async def _token_revoke(config: Config, user: str) -> str:
    async with _store(config) as store, store.begin() as uow:
        count = await people.revoke_tokens(uow, user, clock.now())
        await _audit(uow, "token_revoke", user, {"tokens": count})
    return f"void: {count} of {user}"


@main.group()
def user() -> None:
    """People who may log in."""


@user.command("create")
@click.option("--name", required=True)
@click.option("--role", required=True, help="administrator, general_office, clerk or auditor")
@click.password_option(help="at least 12 characters; asked for when not given")
@_config_option
@told_plainly
def user_create(name: str, role: str, password: str, config_file: Path | None) -> None:
    """Create a user, or give an existing one a new password and role."""
    asyncio.run(_user_create(load(config_file), name, role, password))
    _say(f"{name} may log in as {role}")


async def _user_create(config: Config, name: str, role: str, password: str) -> None:
    async with _store(config) as store, store.begin() as uow:
        await people.save_user(uow, name, password, role, clock.now(), auth.hash_password)
        await uow.people.close_sessions_of(name, "")  # whoever knew the old password is no longer logged in
        await _audit(uow, "save_user", name, {"role": role})


@user.command("disable")
@click.option("--name", required=True)
@_config_option
@told_plainly
def user_disable(name: str, config_file: Path | None) -> None:
    """Let somebody log in no more, end their logins, and make their tokens void; `user create` lets them in again."""
    asyncio.run(_user_disable(load(config_file), name))
    _say(f"{name} may not log in any more")


async def _user_disable(config: Config, name: str) -> None:
    async with _store(config) as store, store.begin() as uow:
        await people.disable_user(uow, name, clock.now())
        await _audit(uow, "disable_user", name, {})


@main.group()
def engine() -> None:
    """The embedded Asterisk."""


@engine.command("fetch")
@_config_option
@told_plainly
def engine_fetch(config_file: Path | None) -> None:
    """Fetch the embedded Asterisk and its tools now; interrupted, the same command goes on where it stopped."""
    made = install.fetch(Path(load(config_file).asterisk.cache_dir).expanduser(), _say)
    _say(f"Asterisk {made.version}: {made.root}")


@main.group()
def asterisk() -> None:
    """An Asterisk of your own."""


@asterisk.command("render")
@click.option("--to", "target", required=True, type=click.Path(path_type=Path, file_okay=False))
@_config_option
@told_plainly
def asterisk_render(target: Path, config_file: Path | None) -> None:
    """Write the files that your Asterisk includes, and say which lines go where."""
    for line in asyncio.run(_asterisk_render(load(config_file), target)):
        click.echo(line)


async def _asterisk_render(config: Config, target: Path) -> list[str]:
    async with _store(config) as store, store.begin() as uow:
        inventory = await uow.inventory.current()
    return await preflight.render_external(config, inventory, target)


@main.command()
@click.option("--once", is_flag=True, help="end after the story, with a one-line JSON summary of what was observed")
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="data folder; without it a temporary one"
)
@click.option("--http-port", type=int, default=8080, show_default=True)
@click.option("--sip-port", type=int, default=5060, show_default=True)
@_config_option
@told_plainly
def demo(once: bool, data: Path | None, http_port: int, sip_port: int, config_file: Path | None) -> None:
    """A city of simulated but real SIP phones on loopback, and a story that plays at once."""
    from gateway.demo import run  # noqa: PLC0415  the demo's parts are of no use to a duty office

    given = load(config_file)
    raise SystemExit(asyncio.run(run.play(once=once, data=data, http_port=http_port, sip_port=sip_port, given=given)))


def _operator() -> str:
    """Who runs the command, for the audit: the account on this machine."""
    return f"cli:{os.environ.get('SUDO_USER') or os.environ.get('USER') or os.getuid()}"[:64]


@asynccontextmanager
async def _store(config: Config) -> AsyncIterator[Store]:
    """The migrated database for the length of a command."""
    config.make_data_dir()
    await migrate_database(config.database_url)
    store = await open_store(config.database_url)
    try:
        yield store
    finally:
        await store.close()
