"""The commands as people type them: what they take, what they print where, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import structlog
from click.testing import CliRunner, Result

from gateway import clock
from gateway.cli import main
from gateway.config import load
from gateway.ports import UnitOfWork
from gateway.services import people
from gateway.store.engine import open_store

DESIGN = Path(__file__).parent / "data/inventory/design.toml"
PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Each command sets up its log on the standard error of its own."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """A configuration file with a data folder of its own."""
    path = tmp_path / "dutyline.toml"
    path.write_text(f'data_dir = "{tmp_path / "var"}"\n', encoding="utf-8")
    return path


def run(office: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--config", str(office)])


def commands(group: click.Group, *above: str) -> Iterator[tuple[str, click.Command]]:
    """(words, command) of every command that does something."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)
        else:
            yield " ".join((*above, name)), command


@pytest.mark.parametrize(
    ("words", "command"), [*commands(main)], ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_takes_a_configuration(words: str, command: click.Command) -> None:
    assert "--config" in {option for parameter in command.params for option in parameter.opts}, words


def test_a_token_stands_alone_on_standard_output(office: Path) -> None:
    made = run(office, "token", "create", "--user", "robot", "--role", "auditor")
    assert (made.exit_code, len(made.stdout.split()), made.stdout[-1]) == (0, 1, "\n")


@pytest.mark.parametrize(("user", "role"), [("robot", "king"), ("a b", "clerk"), ("", "clerk")])
def test_a_token_of_nobody_is_refused(office: Path, user: str, role: str) -> None:
    refused = run(office, "token", "create", "--user", user, "--role", role)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("error: ")


def test_the_example_of_the_design_is_imported_whole(office: Path) -> None:
    done = run(office, "import", str(DESIGN))
    assert done.exit_code == 0, done.stderr
    for table in ("unit 2 added", "trunk 1 added", "line 2 added", "radio 1 added", "station 1 added"):
        assert table in done.stderr
    assert "no gateway is running" in done.stderr
    assert "nothing new" in run(office, "import", str(DESIGN)).stderr


def test_faults_are_counted_and_nothing_is_imported(office: Path, tmp_path: Path) -> None:
    faulty = tmp_path / "city.toml"
    faulty.write_text(DESIGN.read_text(encoding="utf-8").replace("[[radio]]", "[[radio]]\ncolour = 1", 1))
    refused = run(office, "import", str(faulty))
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.splitlines()[-1] == "1 fault; nothing was imported"
    assert "unit 2 added" in run(office, "import", str(DESIGN)).stderr


def test_a_file_that_is_not_there_is_a_wrong_command_line(office: Path) -> None:
    assert run(office, "import", "nowhere.toml").exit_code == 2


def test_a_new_password_ends_the_logins_with_the_old_one(office: Path) -> None:
    create = ("user", "create", "--name", "li.si", "--role", "clerk", "--password", PASSWORD)
    assert run(office, *create).exit_code == 0
    secret, _ = in_store(office, lambda uow: people.open_session(uow, "li.si", clock.now()))
    assert in_store(office, lambda uow: people.person_of_session(uow, secret, clock.now())) is not None
    assert run(office, *create).exit_code == 0
    assert in_store(office, lambda uow: people.person_of_session(uow, secret, clock.now())) is None
    rows = in_store(office, lambda uow: uow.audits.search(None, 10))
    assert {(row["action"], row["object_id"]) for row in rows} == {("save_user", "li.si")}


def test_who_is_disabled_is_out_and_comes_back_by_a_new_password(office: Path) -> None:
    create = ("user", "create", "--name", "li.si", "--role", "clerk", "--password", PASSWORD)
    run(office, *create)
    secret, _ = in_store(office, lambda uow: people.open_session(uow, "li.si", clock.now()))
    token = run(office, "token", "create", "--user", "li.si", "--role", "clerk").stdout.strip()
    assert run(office, "user", "disable", "--name", "li.si").exit_code == 0
    assert in_store(office, lambda uow: people.person_of_session(uow, secret, clock.now())) is None
    assert in_store(office, lambda uow: people.person_of_token(uow, token)) is None
    again = run(office, "user", "disable", "--name", "li.si")
    assert (again.exit_code, again.stderr) == (1, "error: there is no user 'li.si' who may log in\n")
    run(office, *create)
    assert in_store(office, lambda uow: people.person_of_token(uow, token)) is not None
    assert in_store(office, lambda uow: people.person_of_session(uow, secret, clock.now())) is None


def test_revoked_tokens_are_void(office: Path) -> None:
    tokens = [run(office, "token", "create", "--user", who, "--role", "clerk").stdout.strip() for who in ("a", "b")]
    assert run(office, "token", "revoke", "--user", "a").stderr.endswith("void: 1 of a\n")
    known = [in_store(office, lambda uow, token=token: people.person_of_token(uow, token)) for token in tokens]
    assert [person and person.name for person in known] == [None, "b"]
    assert run(office, "token", "revoke", "--user", "a").exit_code == 1


def in_store(office: Path, work: Callable[[UnitOfWork], Awaitable[Any]]) -> Any:
    async def do() -> Any:
        store = await open_store(load(office, {}).database_url)
        try:
            async with store.begin() as uow:
                return await work(uow)
        finally:
            await store.close()

    return asyncio.run(do())
