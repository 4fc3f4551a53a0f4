"""The generated documentation: what is derived, where it is put, and that staleness is noticed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from gateway import docs
from gateway.config import Config, load
from gateway.errors import ConfigError

SKELETON = "# Duty\n<!-- map:begin -->\nold\n<!-- map:end -->\ntext\n<!-- config:begin -->\n<!-- config:end -->\nend\n"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A small repository of its own: two rooms, both READMEs with markers."""
    package = tmp_path / "gateway"
    (package / "core").mkdir(parents=True)
    (package / "__init__.py").write_text('"""The whole. More."""\n')
    (package / "core" / "__init__.py").write_text('"""The core: pure. Really."""\n')
    (package / "core" / "line.py").write_text('"""A duty line (art. 9): a | b\nand more. Second sentence."""\n')
    (tmp_path / "docker/gateway").mkdir(parents=True)
    (tmp_path / "docker/gateway/dutyline.toml").write_text('[asterisk]\nari_url = "http://127.0.0.1:8088"\n')
    for name in docs.READMES:
        (tmp_path / name).write_text(SKELETON, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("One. Two.", "One."),
        ("No stop\n\nNext paragraph.", "No stop"),
        ("Spread over\ntwo lines. Then more.", "Spread over two lines."),
        ("Bound by art. Nine of the rules. More.", "Bound by art. Nine of the rules."),
        ("Since 22.9 it works. Good.", "Since 22.9 it works."),
    ],
)
def test_first_sentence(docstring: str, sentence: str) -> None:
    assert docs.first_sentence(docstring) == sentence


def test_map_has_a_row_for_every_module(house: Path) -> None:
    assert docs.module_map(house / "gateway", "en").splitlines()[2:] == [
        "| **`gateway/`** | **The whole.** |",
        "| **`gateway/core/`** | **The core: pure.** |",
        "| `gateway/core/line.py` | A duty line (art. 9): a \\| b and more. |",
    ]


def test_chinese_map_names_rooms_in_chinese(house: Path) -> None:
    assert "业务内核" in docs.module_map(house / "gateway", "zh")


def test_new_room_without_chinese_is_a_fault(house: Path) -> None:
    (house / "gateway" / "weather").mkdir()
    (house / "gateway" / "weather" / "__init__.py").write_text('"""Weather."""\n')
    assert "`gateway/weather/`" in docs.module_map(house / "gateway", "en")
    with pytest.raises(ConfigError, match="weather"):
        docs.module_map(house / "gateway", "zh")


def test_key_without_chinese_is_a_fault() -> None:
    key = docs.Key("http", "colour", '"red"', "colour of the page", "")
    with pytest.raises(ConfigError, match=r"http\.colour"):
        _ = key.chinese


def test_example_file_is_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / docs.EXAMPLE
    path.write_text(docs.example_toml(), encoding="utf-8")
    assert load(path, {}) == load(None, {})


def test_example_file_and_table_hold_every_key() -> None:
    tree = tomllib.loads(docs.example_toml())
    written = {name for name, value in tree.items() if not isinstance(value, dict)}
    written |= {f"{section}.{name}" for section, keys in tree.items() if isinstance(keys, dict) for name in keys}
    assert written == {key.path for key in docs.config_keys()}
    assert len(written) > len(Config.model_fields)
    for language in ("en", "zh"):
        table = docs.config_table("zh" if language == "zh" else "en")
        assert [path for path in written if f"| `{path}` |" not in table] == []


def test_bounds_and_choices_are_told() -> None:
    accepts = {key.path: key.accepts for key in docs.config_keys()}
    assert accepts["asterisk.mode"] == "embedded, external"
    assert accepts["inbound.ring_timeout_s"] == "5-300"
    assert accepts["recording.min_free_mb"] == ">= 0"


def test_between_replaces_only_the_marked_part() -> None:
    assert docs.between(SKELETON, "map", "new") == SKELETON.replace("old", "new")


@pytest.mark.parametrize("text", ["", "<!-- map:end --><!-- map:begin -->", SKELETON + SKELETON])
def test_between_needs_its_markers(text: str) -> None:
    with pytest.raises(ConfigError, match="markers"):
        docs.between(text, "map", "new")


def test_check_notices_staleness_and_writing_ends_it(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert docs.main(["check"], house) == 1
    named = {line.split()[0] for line in capsys.readouterr().err.splitlines()}
    assert named > {*docs.READMES, docs.EXAMPLE, "docker/asterisk/etc/modules.conf"}
    for part in docs.PARTS:
        assert docs.main([part], house) == 0
    assert docs.main(["check"], house) == 0
    (house / "gateway" / "core" / "call.py").write_text('"""A call."""\n')
    assert docs.main(["check"], house) == 1


def test_container_etc_is_the_engine_s_own_configuration(house: Path) -> None:
    files = docs.container_etc(load(house / "docker/gateway/dutyline.toml", {}))
    assert "autoload = no" in files["modules.conf"]
    assert "bindport = 8088" in files["http.conf"]
    assert "rtpstart = 10000" in files["rtp.conf"]
    assert "#include dutyline/extensions_duty.conf" in files["extensions_duty.conf"]
    assert not [name for name, text in files.items() if "password" in text]


def test_unknown_verb_is_refused(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert docs.main(["everything"], house) == 2
    assert "usage" in capsys.readouterr().err
