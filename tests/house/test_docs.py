"""What is written for people is true: generated parts are current, commands exist, nothing private leaks."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from typing import NoReturn

import click
import pytest

from gateway import docs
from gateway.config import load
from gateway.core.inventory import Inventory
from gateway.core.registry import register
from gateway.services.inventory_files import read_rows
from tests.house.source import ROOT, Source, assert_none, python_files, text_files

READMES = ("README.md", "README.zh-CN.md")
PEOPLE = (*READMES, "CONTRIBUTING.md", "docker/README.md", "recordings/README.md")

# Put together here, so that this file does not contain what it forbids.
_HOSTS = (("deb", "debian", "org"), ("pypi", "org"), ("pythonhosted", "org"), ("registry", "npmjs", "org"))
_TOOLS = ("clau" + "de", "anthro" + "pic", "open" + "ai", "chat" + "gpt", "copi" + "lot", "l" + "lm", "a" + "i")
_FOLDERS = ("wo" + "rk", "ro" + "ot", "home/[a-z]+/" + "repo")
FORBIDDEN = (
    *(re.compile(re.escape(".".join(host)), re.I) for host in _HOSTS),
    re.compile(r"\b(" + "|".join(_TOOLS[:-1]) + r")s?\b", re.I),
    re.compile(r"\b" + _TOOLS[-1].upper() + r"\b"),
    re.compile(r"(?<![\w.*-])/(" + "|".join(_FOLDERS) + r")(?=[/\s\"'`]|$)", re.M),
)


def undocumented(files: list[Source]) -> list[str]:
    """Modules without a docstring."""
    return [file.path for file in files if not ast.get_docstring(file.tree)]


def forbidden_words(files: list[Source]) -> list[str]:
    """Machine paths, registry hosts, words about how the text was made."""
    return [
        f"{file.path}:{file.text.count(chr(10), 0, found.start()) + 1}: {found.group()}"
        for file in files
        for pattern in FORBIDDEN
        for found in pattern.finditer(file.text)
    ]


def shell_commands(markdown: str) -> list[str]:
    """The commands of the fenced sh blocks, without comments, and whatever starts with make or dutyline inline."""
    blocks = re.findall(r"^```sh\n(.*?)^```", markdown, re.S | re.M)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    inline = re.findall(r"`((?:make|dutyline|\.venv/bin/dutyline) [a-z][^`]*)`", markdown)
    return [line for line in lines if line and not line.startswith("#")] + inline


def make_verbs(makefile: str) -> set[str]:
    """The goals of a Makefile that are listed for people."""
    return set(re.findall(r"^([a-z]+):.*## ", makefile, re.M))


def _verb_exists(words: list[str], command: click.Command) -> bool:
    """Whether `words` (after `dutyline`) name a command, with only options it has."""
    while words and isinstance(command, click.Group):
        if words[0] not in command.commands:
            return False
        command, words = command.commands[words[0]], words[1:]
    given = {word.split("=")[0] for word in words if word.startswith("--")}
    known = {name for parameter in command.params for name in parameter.opts}
    needed = {
        parameter.opts[0] for parameter in command.params if parameter.required and parameter.opts[0].startswith("-")
    }
    return given <= known and (not given or needed <= given)  # a bare name only speaks of the command


def unknown_commands(markdown: str, verbs: set[str], command: click.Command) -> list[str]:
    """Documented commands of ours that do not exist."""
    faults = []
    for line in shell_commands(markdown):
        words = [word for word in line.removeprefix("sudo ").split() if word not in (".", "[…]", "…")]
        if words[0] == "make":
            faults += [line for word in words[1:] if "=" not in word and word not in verbs]
        elif words[0] in ("dutyline", ".venv/bin/dutyline") and not _verb_exists(words[1:], command):
            faults.append(line)
    return faults


def headings(markdown: str) -> list[int]:
    """The levels of the headings, in order; comments in code blocks are none."""
    text = re.sub(r"^```.*?^```", "", markdown, flags=re.S | re.M)
    return [len(marks) for marks in re.findall(r"^(#+) ", text, re.M)]


def real_numbers(markdown: str) -> list[str]:
    """Telephone numbers that could be somebody's: every one shown is a placeholder of exchange 0228300 or 0222300."""
    return [number for number in re.findall(r"\b0\d{9,11}\b", markdown) if number[:7] not in ("0228300", "0222300")]


def _command() -> click.Command:
    """The `dutyline` command itself: the one group in gateway/cli.py that is part of no other."""
    groups = [
        value for value in vars(importlib.import_module("gateway.cli")).values() if isinstance(value, click.Group)
    ]
    inner = {id(command) for group in groups for command in group.commands.values()}
    (outermost,) = {id(group): group for group in groups if id(group) not in inner}.values()
    return outermost


def test_every_module_says_what_it_is() -> None:
    assert_none(undocumented(python_files("gateway", "db")))


def test_generated_parts_are_current() -> None:
    assert_none(docs.stale(ROOT))


def test_nothing_private() -> None:
    assert_none(forbidden_words(text_files()))


@pytest.mark.parametrize("name", PEOPLE)
def test_documented_commands_exist(name: str) -> None:
    verbs = make_verbs((ROOT / "Makefile").read_text(encoding="utf-8"))
    assert_none(unknown_commands((ROOT / name).read_text(encoding="utf-8"), verbs, _command()))


def test_both_readmes_have_the_same_shape() -> None:
    english, chinese = (headings((ROOT / name).read_text(encoding="utf-8")) for name in READMES)
    assert english == chinese


@pytest.mark.parametrize("name", PEOPLE)
def test_no_real_numbers(name: str) -> None:
    assert_none(real_numbers((ROOT / name).read_text(encoding="utf-8")))


def test_links_lead_somewhere() -> None:
    for name in PEOPLE:
        text = (ROOT / name).read_text(encoding="utf-8")
        targets = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
        assert_none([f"{name}: {link}" for link in targets if not ((ROOT / name).parent / link).exists()])


class NoSpreadsheets:
    """The examples are TOML."""

    def read_sheets(self, path: Path) -> NoReturn:
        raise AssertionError(path)


@pytest.mark.parametrize("name", READMES)
def test_examples_are_accepted(name: str, tmp_path: Path) -> None:
    """What a reader copies from the README works: the configuration loads, the inventory is registered."""
    settings, city = re.findall(r"^```toml\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.S | re.M)
    (tmp_path / "dutyline.toml").write_text(settings, encoding="utf-8")
    (tmp_path / "city.toml").write_text(city, encoding="utf-8")
    config = load(tmp_path / "dutyline.toml", {})
    found = read_rows(tmp_path / "city.toml", NoSpreadsheets())
    inventory = register(Inventory(), found.rows, config.sip.realm, found.faults)
    assert [(line.number, line.owner) for line in inventory.lines] == [
        ("02283000000", "ours"),
        ("02223000001", "remote"),
    ]


def test_module_without_docstring_is_found() -> None:
    assert undocumented([Source("gateway/a.py", "x = 1"), Source("gateway/b.py", '"""B."""')]) == ["gateway/a.py"]


@pytest.mark.parametrize(
    "text",
    [
        "see /" + "work/main",
        'open("/' + 'root/x")',
        "URIs: http://deb." + "debian.org/debian",
        "from " + "PyPI" + ".org",
        "written with Copi" + "lot",
        "an A" + "I wrote it",
    ],
)
def test_private_word_is_found(text: str) -> None:
    assert len(forbidden_words([Source("a.md", f"line\n{text}\n")])) == 1


def test_harmless_words_are_left_alone() -> None:
    harmless = "chain, AIX, /rooted, var/" + "work/x, ./" + "root/x, root-<digest>/, email@example.org, /workshop"
    assert forbidden_words([Source("a.md", harmless)]) == []


def test_unknown_command_is_found() -> None:
    city = click.Group("city", commands=[click.Command("up", params=[click.Option(["--config"])])])
    text = (
        "```sh\nmake run      # fine\nmake fly\ndutyline up --config \\\n  a.toml\ndutyline up --quietly\n"
        "sudo apt-get install x\n```\nthen `dutyline down` and `make test` or `makeup`"
    )
    found = unknown_commands(text, {"run", "test"}, click.Group("dutyline", commands=city.commands))
    assert found == ["make fly", "dutyline up --quietly", "dutyline down"]


def test_heading_levels() -> None:
    assert headings("# A\ntext\n```sh\n# comment\n```\n### B\n#tag\n") == [1, 3]


def test_real_number_is_found() -> None:
    assert real_numbers("02283000001, 022" + "12345678, 2026-11-23, 0x1234567890") == ["022" + "12345678"]
