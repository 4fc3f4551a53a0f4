"""The project's own files, read for the house tests: nothing is imported, nothing generated is looked at."""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = {"__pycache__", "build", "dist", "var", "node_modules"}
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".conf", ".j2", ".html", ".css", ".js", ".mjs", ".sql", ".sh", ".xml"}
NAMED_TEXT = {"Makefile", "run", "Dockerfile", "LICENSE", ".gitignore", ".dockerignore"}


@dataclass(frozen=True, slots=True)
class Source:
    """One file: its path below the root with forward slashes, and its text."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        """Its syntax tree; for Python files."""
        return ast.parse(self.text, self.path)

    @property
    def module(self) -> str:
        """Its dotted name: `gateway/core/call.py` → `gateway.core.call`, a package by its folder."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def room(self) -> str:
        """Where it lives in the package: `core` for gateway/core/call.py, `config` for gateway/config.py."""
        parts = self.module.split(".")
        return parts[1] if len(parts) > 1 else "__init__"


def _is_ours(name: str) -> bool:
    return name not in NOT_OURS and (not name.startswith(".") or name == ".ci") and not name.endswith(".egg-info")


def text_files(root: Path = ROOT, folder: str = "") -> list[Source]:
    """Every text file of ours below `folder`, in order of path."""
    found = []
    for place, folders, names in os.walk(root / folder):
        folders[:] = sorted(name for name in folders if _is_ours(name))
        for name in sorted(names):
            path = Path(place, name)
            if path.suffix in TEXT or name in NAMED_TEXT or path.suffixes[:1] == [".Dockerfile"]:
                found.append(Source(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")))
    return found


def python_files(*folders: str, root: Path = ROOT) -> list[Source]:
    """Every Python file of ours below the given folders."""
    return [file for folder in folders for file in text_files(root, folder) if file.path.endswith(".py")]


def folders(root: Path = ROOT) -> list[str]:
    """Every folder of ours, as a path below the root."""
    found = []
    for place, names, _ in os.walk(root):
        names[:] = sorted(name for name in names if _is_ours(name))
        found += [Path(place, name).relative_to(root).as_posix() for name in names]
    return found


def assert_none(faults: list[str]) -> None:
    """Fails with every fault on its own line."""
    assert not faults, "\n" + "\n".join(faults)
