"""Configuration is read as Asterisk reads it; each table was compared with what a real Asterisk 22.10 shows."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.asterisk.conf_reader import Conf, Setting, read
from gateway.errors import ConfigError


def conf_of(folder: Path, text: str, **others: str) -> Conf:
    (folder / "x.conf").write_text(text, encoding="utf-8")
    for name, other in others.items():
        (folder / f"{name}.conf").write_text(other, encoding="utf-8")
    return read(folder, "x.conf")


def shown(conf: Conf) -> dict[str, list[str]]:
    return {section.name: [str(setting) for setting in section.settings] for section in conf.sections}


@pytest.mark.parametrize(
    ("line", "settings"),
    [
        ("a = 1", ["a = 1"]),
        ("a => 1", ["a = 1"]),
        ("a=>1", ["a = 1"]),
        ("  a=  1 2  ", ["a = 1 2"]),
        ("a = b = c", ["a = b = c"]),
        ("a =", ["a = "]),
        ("a = 1 ; why", ["a = 1"]),
        (r"a = 1\;2 ; why", ["a = 1;2"]),
        ("; a = 1", []),
        ("a = 1 ;-- b = 2 --; 3", ["a = 1  3"]),
        ("a = 1 ;--- to the end", ["a = 1"]),
        (";-- a = 1 ;-- b = 2 --; c = 3 --; d = 4", ["d = 4"]),
        (";--\na = 1\n[t]\n--; b = 2", ["b = 2"]),
        (";--\na = 1", []),
        ("a = 1\na = 2", ["a = 1", "a = 2"]),
        ("a = 1\nb = 3\na += 2", ["a = 1 2", "b = 3"]),
        ("a += 2", ["a = 2"]),
        (r"\[a] = 1", ["[a] = 1"]),
        ("[s", None),
    ],
)
def test_lines(tmp_path: Path, line: str, settings: list[str] | None) -> None:
    if settings is None:
        with pytest.raises(ConfigError):
            conf_of(tmp_path, f"[s]\n{line}")
    else:
        assert shown(conf_of(tmp_path, f"[s]\n{line}")) == {"s": settings}


def test_settings_know_their_place(tmp_path: Path) -> None:
    conf = conf_of(tmp_path, "\ufeff[s]\n\na = 1\r\n#include y.conf\nc = 3\n", y="b = 2\n[t]\n")
    assert conf.named("s").settings == [
        Setting(tmp_path / "x.conf", 3, "a", "1"),
        Setting(tmp_path / "y.conf", 1, "b", "2"),
        Setting(tmp_path / "x.conf", 5, "c", "3"),
    ], "an included file goes on in the section, and the section goes on after it"
    assert (conf.sections[1].name, conf.sections[1].line) == ("t", 2)


def test_templates(tmp_path: Path) -> None:
    conf = conf_of(tmp_path, "[a](!)\nx = 1\n[b](!,a)\ny = 2\n[c](b,a)\nx = 3\n[a](+)\nz = 4\n[d](a)\n")
    assert [section.name for section in conf.objects()] == ["c", "d"]
    assert shown(conf) == {
        "a": ["x = 1", "z = 4"],
        "b": ["x = 1", "y = 2"],
        "c": ["x = 1", "y = 2", "x = 1", "x = 3"],
        "d": ["x = 1", "z = 4"],
    }
    assert conf.named("c").value("x") == "3"


def test_sections_of_one_name_stay_apart(tmp_path: Path) -> None:
    conf = conf_of(tmp_path, "[p]\ntype = endpoint\n[p]\ntype = aor\n[p](+type=aor)\nmax_contacts = 1\n")
    assert [[str(setting) for setting in section.settings] for section in conf.sections] == [
        ["type = endpoint"],
        ["type = aor", "max_contacts = 1"],
    ]
    assert [setting.value for setting in conf.named("P").all("type")] == ["endpoint", "aor"]


def test_values_that_asterisk_takes_for_yes_or_no() -> None:
    path = Path("x")
    assert all(Setting(path, 1, "a", value).is_true for value in ("yes", "True", "1", "ON", "y", "t"))
    assert all(Setting(path, 1, "a", value).is_false for value in ("no", "False", "0", "OFF", "n", "f"))
    assert not any(Setting(path, 1, "a", value).is_true or Setting(path, 1, "a", value).is_false for value in ("", "2"))


def test_includes(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "2.conf").write_text("[two]\n#include y.conf\n")
    (tmp_path / "d" / "1.conf").write_text("[one]\n")
    text = f'#include "d/*.conf"\n#include <{tmp_path}/y.conf>\n#tryinclude nothing.conf\n#tryinclude no/*.conf\n'
    conf = conf_of(tmp_path, text, y="[why]\n")
    assert [section.name for section in conf.sections] == ["one", "two", "why", "why"], "relative to the folder itself"


def test_programs_and_nonsense_are_kept_for_the_audit(tmp_path: Path) -> None:
    conf = conf_of(tmp_path, '#exec "/bin/generate"\n[s]\nredirect_method uri_core\n#pragma once\n#include\n')
    assert conf.programs == [Setting(tmp_path / "x.conf", 1, "#exec", "/bin/generate")]
    assert [setting.line for setting in conf.passed_over] == [3, 4, 5]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[s]\n\n[t\n", 3),
        ("[s](!\n", 1),
        ("a = 1\n", 1),
        ("[s]\n[t](nobody)\n", 2),
        ("[s](+)\n", 1),
        ("[s]\n[s](+type=aor)\n", 2),
        ("[s]\n#include nothing.conf\n", 2),
        ("[s]\n#include no/*.conf\n", 2),
        ("[s]\na = 1 --; b\n", 2),
    ],
)
def test_faults_say_file_and_line(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(ConfigError, match=rf"x\.conf:{line}: "):
        conf_of(tmp_path, text)


def test_files_that_include_one_another_end(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"conf:1: more than 10 files"):
        conf_of(tmp_path, "#include y.conf\n", y="#include x.conf\n")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.conf: cannot be read"):
        read(tmp_path, "none.conf")


@given(text=st.text(alphabet='[](!+,)=>;-#\\ "\nab', max_size=80))
def test_whatever_is_written_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    with suppress(ConfigError):
        conf = conf_of(folder, text)
        assert all(setting.line <= text.count("\n") + 1 for section in conf.sections for setting in section.settings)
