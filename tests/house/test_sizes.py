"""Files and functions stay short: elegant and ugly code have the same median function, they part at the tail."""

from __future__ import annotations

import ast

from tests.house.source import Source, assert_none, python_files, text_files

FILE_MAX = 400
FUNCTION_MAX = 60
FUNCTION_P90 = 30
CODE = (".py", ".js", ".mjs", ".css", ".html", ".conf", ".j2")


def long_files(files: list[Source]) -> list[str]:
    """Files over the limit, with their length in lines."""
    lengths = [(file.path, len(file.text.splitlines())) for file in files if file.path.endswith(CODE)]
    return [f"{path}: {length} lines, more than {FILE_MAX}" for path, length in lengths if length > FILE_MAX]


def functions(files: list[Source]) -> list[tuple[str, int]]:
    """(place, length in lines) of every function, from `def` to its last line."""
    return [
        (f"{file.path}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1)
        for file in files
        for node in ast.walk(file.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def long_functions(files: list[Source]) -> list[str]:
    """Functions over the limit."""
    return [
        f"{place}: {length} lines, more than {FUNCTION_MAX}"
        for place, length in functions(files)
        if length > FUNCTION_MAX
    ]


def ninetieth_percentile(files: list[Source]) -> int:
    """The length that nine of ten functions do not exceed; 0 without functions."""
    lengths = sorted(length for _, length in functions(files))
    return lengths[max(0, -(-len(lengths) * 9 // 10) - 1)] if lengths else 0


def test_files() -> None:
    assert_none(long_files(text_files()))


def test_functions() -> None:
    assert_none(long_functions(python_files("gateway", "tests")))  # a migration is one long list by nature


def test_nine_of_ten_functions() -> None:
    assert ninetieth_percentile(python_files("gateway")) <= FUNCTION_P90


def test_long_file_is_found() -> None:
    assert len(long_files([Source("gateway/a.py", "\n" * 401), Source("gateway/b.js", "x\n" * 400)])) == 1


def test_long_function_is_found() -> None:
    body = "    x = 1\n"
    files = [Source("gateway/a.py", f"class A:\n  async def long(self):\n{body * 60}\ndef short():\n{body * 59}")]
    assert long_functions(files) == ["gateway/a.py:2 long: 61 lines, more than 60"]


def test_percentile() -> None:
    line = "    x = 1\n"
    text = "".join(f"def f{length}():\n{line * (length - 1)}" for length in range(2, 12))
    assert ninetieth_percentile([Source("gateway/a.py", text)]) == 10
    assert ninetieth_percentile([]) == 0
