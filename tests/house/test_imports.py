"""Imports point one way, one library has one door, and there are no cycles.

    core ← ports ← services ← doors (asterisk, audio, radio, store, web, …) ← app

Read from the syntax trees: an import inside a function or under TYPE_CHECKING counts like any other.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Mapping

import pytest

from tests.house.source import Source, assert_none, python_files

FOUNDATION = {"errors", "clock", "ids"}  # imported by everybody but, for clock and ids, the core
DOORS = {"asterisk", "audio", "radio", "store", "web", "scheduler", "spreadsheet"}
# The composition root and the verbs.
TOP = {"app", "node", "duties", "preflight", "external", "machine", "cli", "__main__", "demo", "docs", "docs_zh"}
MAY_IMPORT_APP = {"__main__", "cli", "demo"}

ROOMS: Mapping[str, set[str]] = {
    "__init__": set(),
    "errors": set(),
    "clock": set(),
    "ids": set(),
    "core": {"errors"},
    "ports": {"core", "errors"},
    "services": {"core", "ports"} | FOUNDATION,
    "config": {"errors"},
    "share": {"errors"},
    "control": {"errors"},
    "remark": set(),
    "log_stream": set(),
    "free_ports": {"errors"},
    **{door: {"core", "ports", "services", "config", "share", "free_ports"} | FOUNDATION for door in DOORS},
}

EVERYWHERE = "gateway/"
LIBRARIES: Mapping[str, tuple[str, ...]] = {  # library → the doors behind which it may be imported
    "aiohttp": ("gateway/asterisk/", "gateway/web/"),  # ARI client; the web server
    "alembic": ("gateway/store/",),
    "apscheduler": ("gateway/scheduler.py",),
    "argon2": ("gateway/web/auth.py",),
    "asterisk": ("gateway/asterisk/",),  # pyst2
    "asyncinotify": ("gateway/asterisk/",),
    "asyncpg": ("gateway/store/",),
    "aiosqlite": ("gateway/store/",),
    "click": ("gateway/cli.py", "gateway/__main__.py"),
    "imageio_ffmpeg": ("gateway/audio/",),
    "jinja2": ("gateway/asterisk/", "gateway/web/"),  # engine configuration; the console
    "openpyxl": ("gateway/spreadsheet.py",),
    "phonenumbers": ("gateway/core/number.py",),  # pure tables of numbering plans: the core's one exception
    "prometheus_client": ("gateway/web/",),
    "pydantic": ("gateway/config.py", "gateway/docs.py"),  # docs.py prints the configuration's fields
    "pydantic_core": ("gateway/config.py",),
    "pydub": ("gateway/audio/",),
    "sqlalchemy": ("gateway/store/",),
    "structlog": (EVERYWHERE,),
}


def imports(file: Source, modules: Iterable[str]) -> list[str]:
    """Dotted names of what a file imports; `from a import b` is a.b where that is a module, else a."""
    known = set(modules)
    found = []
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = file.module.split(".") if file.path.endswith("__init__.py") else file.module.split(".")[:-1]
            base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])] if node.level else [])
            base = base or node.module or ""
            names = [f"{base}.{alias.name}" for alias in node.names]
            found += [name if name in known else base for name in names]
    return found


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def wrong_directions(files: list[Source]) -> list[str]:
    """Imports against the direction, and rooms nobody has placed yet."""
    faults = []
    for file in files:
        if file.room not in ROOMS and file.room not in TOP:
            faults.append(f"{file.path}: no direction is agreed for this room; place it in {__name__}")
            continue
        for name in imports(file, (other.module for other in files)):
            room = _room(name)
            if name.split(".")[0] != "gateway" or room in (file.room, "__init__"):
                continue
            allowed = room in ROOMS.get(file.room, set()) or (file.room in TOP and room not in ("app",))
            if not allowed and not (room == "app" and file.room in MAY_IMPORT_APP):
                faults.append(f"{file.path}: {file.room} must not import {name}")
    return faults


def wrong_libraries(files: list[Source], libraries: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Foreign libraries imported outside their door, or without one; in core and services hardly any may be."""
    faults = []
    for file in files:
        for library in sorted({name.split(".")[0] for name in imports(file, ())}):
            if library in sys.stdlib_module_names or library == "gateway":
                continue
            doors = libraries.get(library, ())
            if not file.path.startswith(tuple(doors)) or (doors == (EVERYWHERE,) and file.room == "core"):
                faults.append(f"{file.path}: {library} belongs behind {', '.join(doors) or 'a door yet to be named'}")
    return faults


def cycles(files: list[Source]) -> list[str]:
    """Each group of modules that import one another, by Tarjan's walk."""
    names = {file.module for file in files}
    graph = {file.module: sorted(names.intersection(imports(file, names)) - {file.module}) for file in files}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in graph[module]:
            if other not in index:
                visit(other)
            if other in stack:
                low[module] = min(low[module], low[other])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(" → ".join([*group, module]))

    for module in graph:
        if module not in index:
            visit(module)
    return found


def test_direction() -> None:
    assert_none(wrong_directions(python_files("gateway")))


def test_one_library_one_door() -> None:
    assert_none(wrong_libraries(python_files("gateway"), LIBRARIES))


def test_no_cycles() -> None:
    assert_none(cycles(python_files("gateway")))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("gateway/core/call.py", "from gateway.ports import Store"),
        ("gateway/core/call.py", "from gateway import clock"),
        ("gateway/ports.py", "import gateway.services.inbound"),
        ("gateway/services/inbound.py", "from gateway.store import engine"),
        ("gateway/services/inbound.py", "from gateway.config import Config"),
        ("gateway/web/calls.py", "from ..asterisk import ari"),
        ("gateway/store/engine.py", "def late():\n    from gateway.app import App"),
        ("gateway/docs.py", "import gateway.app"),
        ("gateway/errors.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from gateway.core import call"),
        ("gateway/misc/thing.py", ""),
    ],
)
def test_wrong_direction_is_found(path: str, text: str) -> None:
    there = ["clock", "ports", "app", "config", "core.call", "services.inbound", "store.engine", "asterisk.ari"]
    others = [Source(f"gateway/{name.replace('.', '/')}.py", "") for name in there]
    assert len(wrong_directions([*others, Source(path, text)])) == 1


def test_right_direction_is_left_alone() -> None:
    files = [
        Source("gateway/core/call.py", "from gateway.core import number\nfrom gateway.errors import ConfigError"),
        Source("gateway/web/calls.py", "from gateway.services import inbound\nfrom .auth import login"),
        Source("gateway/cli.py", "from gateway.app import App\nfrom gateway.store import engine"),
    ]
    assert wrong_directions(files) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("gateway/services/journal.py", "import sqlalchemy.ext.asyncio"),
        ("gateway/core/call.py", "import structlog"),
        ("gateway/core/line.py", "import phonenumbers"),
        ("gateway/store/engine.py", "def read():\n    from pydub import AudioSegment"),
        ("gateway/web/calls.py", "import requests"),
    ],
)
def test_library_outside_its_door_is_found(path: str, text: str) -> None:
    assert len(wrong_libraries([Source(path, text)], LIBRARIES)) == 1


def test_library_behind_its_door_is_left_alone() -> None:
    files = [
        Source("gateway/store/engine.py", "import json\nfrom sqlalchemy import text"),
        Source("gateway/services/journal.py", "import structlog"),
    ]
    assert wrong_libraries(files, LIBRARIES) == []


def test_cycle_is_found() -> None:
    files = [
        Source("gateway/core/a.py", "from gateway.core import b"),
        Source("gateway/core/b.py", "def late():\n    from gateway.core.c import thing"),
        Source("gateway/core/c.py", "from . import a"),
        Source("gateway/core/d.py", "from gateway.core import a"),
    ]
    assert len(cycles(files)) == 1
    assert cycles(files[1:]) == []
