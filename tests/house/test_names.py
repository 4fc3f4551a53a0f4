"""Names are the field's nouns and the operator's verbs; a word that fits everything names nothing."""

from __future__ import annotations

import ast
import re

import pytest

from tests.house.source import Source, assert_none, folders, python_files

EMPTY_CLASS = re.compile(r"(Manager|Helper|Util|Utils|Utility|Processor|Handler)s?$")
EMPTY_FUNCTION = re.compile(r"_*(process|do|handle)_")
EMPTY_PLACE = re.compile(r"(utils?|helpers?|common|misc|managers?|adapters?)$")
FOREIGN = {  # names that a library's base class demands
    "process_bind_param",  # sqlalchemy.types.TypeDecorator
    "process_result_value",
    "process_literal_param",
    "do_GET",  # http.server.BaseHTTPRequestHandler
    "do_POST",
    "handle_starttag",  # html.parser.HTMLParser
    "handle_endtag",
    "handle_data",
}
ROOMS_WITH_TWINS = ("core",)  # each module has a test file of the same name, each test file a module


def empty_names(files: list[Source]) -> list[str]:
    """Classes and functions whose names say nothing."""
    faults = []
    for file in files:
        for node in ast.walk(file.tree):
            if isinstance(node, ast.ClassDef):
                wrong = EMPTY_CLASS.search(node.name)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                wrong = EMPTY_FUNCTION.match(node.name) if node.name not in FOREIGN else None
            else:
                continue
            if wrong:
                faults.append(f"{file.path}:{node.lineno}: what does {node.name} do? Say that")
    return faults


def empty_places(paths: list[str]) -> list[str]:
    """Folders and modules whose names say nothing."""
    return [path for path in paths if EMPTY_PLACE.match(path.rsplit("/", 1)[-1].removesuffix(".py"))]


def missing_twins(modules: list[str], tests: list[str], room: str) -> list[str]:
    """Modules of a room without `tests/<room>/test_<module>.py`, and such files without a module."""
    nouns = {path.split("/")[-1].removesuffix(".py") for path in modules if not path.endswith("__init__.py")}
    tested = {path.split("/")[-1].removesuffix(".py").removeprefix("test_") for path in tests if "/test_" in path}
    return [f"tests/{room}/test_{noun}.py is missing" for noun in sorted(nouns - tested)] + [
        f"tests/{room}/test_{noun}.py tests no module" for noun in sorted(tested - nouns)
    ]


def test_names() -> None:
    assert_none(empty_names(python_files("gateway", "tests", "db")))


def test_places() -> None:
    assert_none(empty_places([*folders(), *(file.path for file in python_files("gateway", "tests", "db"))]))


@pytest.mark.parametrize("room", ROOMS_WITH_TWINS)
def test_module_and_test_have_the_same_name(room: str) -> None:
    modules = [file.path for file in python_files(f"gateway/{room}")]
    assert_none(missing_twins(modules, [file.path for file in python_files(f"tests/{room}")], room))


@pytest.mark.parametrize(
    "text",
    [
        "class CallManager: ...",
        "class Helper: ...",
        "def process_call(): ...",
        "class A:\n  async def _do_it(self): ...",
    ],
)
def test_empty_name_is_found(text: str) -> None:
    assert len(empty_names([Source("gateway/a.py", text)])) == 1


def test_telling_name_is_left_alone() -> None:
    text = "class Manageress: ...\ndef done(): ...\ndef process_bind_param(): ...\ndef handset(): ..."
    assert empty_names([Source("gateway/a.py", text)]) == []


def test_empty_place_is_found() -> None:
    assert empty_places(
        ["gateway/utils", "gateway/core/common.py", "gateway/core/line.py", "tests/utilities_bill"]
    ) == [
        "gateway/utils",
        "gateway/core/common.py",
    ]


def test_missing_twin_is_found() -> None:
    modules = ["gateway/core/__init__.py", "gateway/core/call.py", "gateway/core/line.py"]
    faults = missing_twins(modules, ["tests/core/test_call.py", "tests/core/test_old.py"], "core")
    assert faults == ["tests/core/test_line.py is missing", "tests/core/test_old.py tests no module"]
