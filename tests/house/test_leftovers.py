"""Nothing is left lying about: no debugging, no promises, no swallowed error, no blocking sleep."""

from __future__ import annotations

import ast
import re

import pytest

from tests.house.source import Source, assert_none, python_files, text_files

MAY_PRINT = ("gateway/cli.py",)
PROMISE = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3]) + r")\b")
DEBUGGERS = {"breakpoint", "pdb.set_trace", "pdb.post_mortem"}


def _called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def leftover_calls(files: list[Source]) -> list[str]:
    """Calls of print outside the command line, of debuggers, of a sleep that stops the event loop."""
    faults = []
    for file in files:
        slept = {
            alias.asname or alias.name
            for node in ast.walk(file.tree)
            if isinstance(node, ast.ImportFrom) and node.module == "time"
            for alias in node.names
            if alias.name == "sleep"
        }
        for node in ast.walk(file.tree):
            if not isinstance(node, ast.Call):
                continue
            name = _called(node)
            if (
                (name == "print" and file.path not in MAY_PRINT)
                or name in DEBUGGERS
                or name == "time.sleep"
                or name in slept
            ):
                faults.append(f"{file.path}:{node.lineno}: {name}")
    return faults


def _does_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def swallowed_errors(files: list[Source]) -> list[str]:
    """`except` blocks that do nothing. Where an error is expected, contextlib.suppress names it."""
    return [
        f"{file.path}:{node.lineno}: an error is swallowed"
        for file in files
        for node in ast.walk(file.tree)
        if isinstance(node, ast.ExceptHandler) and all(_does_nothing(statement) for statement in node.body)
    ]


def blanket_suppressions(files: list[Source]) -> list[str]:
    """`contextlib.suppress(Exception)`: the same thing with another name."""
    return [
        f"{file.path}:{node.lineno}: {ast.unparse(node)}"
        for file in files
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Call)
        and _called(node).split(".")[-1] == "suppress"
        and any(ast.unparse(argument) in ("Exception", "BaseException") for argument in node.args)
    ]


def promises(files: list[Source]) -> list[str]:
    """Notes to do something later."""
    return [
        f"{file.path}:{number}: {line.strip()}"
        for file in files
        for number, line in enumerate(file.text.splitlines(), 1)
        if PROMISE.search(line)
    ]


def test_no_leftover_calls() -> None:
    assert_none(leftover_calls(python_files("gateway", "db")))


def test_nothing_swallowed() -> None:
    files = python_files("gateway", "tests", "db")
    assert_none(swallowed_errors(files) + blanket_suppressions(files))


def test_no_promises() -> None:
    assert_none(promises(text_files()))


@pytest.mark.parametrize(
    "text",
    [
        "print(1)",
        "def f():\n    breakpoint()",
        "import pdb\npdb.set_trace()",
        "import time\ntime.sleep(1)",
        "from time import sleep as rest\nrest(1)",
    ],
)
def test_leftover_call_is_found(text: str) -> None:
    assert len(leftover_calls([Source("gateway/a.py", text)])) == 1


def test_command_line_may_print() -> None:
    assert leftover_calls([Source("gateway/cli.py", "print(1)")]) == []
    assert leftover_calls([Source("gateway/a.py", "import asyncio\nasync def f():\n    await asyncio.sleep(1)")]) == []


def test_swallowed_error_is_found() -> None:
    bad = "try:\n    x()\nexcept OSError:\n    pass\ntry:\n    x()\nexcept:\n    ...\n"
    good = "try:\n    x()\nexcept OSError:\n    y()\n"
    assert len(swallowed_errors([Source("gateway/a.py", bad), Source("gateway/b.py", good)])) == 2


def test_blanket_suppression_is_found() -> None:
    text = "with contextlib.suppress(Exception):\n    x()\nwith suppress(OSError):\n    x()\n"
    assert len(blanket_suppressions([Source("gateway/a.py", text)])) == 1


def test_promise_is_found() -> None:
    later = "# " + "TO" + "DO: later\n"
    assert len(promises([Source("a.py", f"x = 1\n{later}"), Source("b.conf", "exten => _0228300XXXX,1,NoOp()")])) == 1
