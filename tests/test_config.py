"""The configuration: defaults work, the environment wins, and every fault says where it is and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway import config
from gateway.config import load, split_address
from gateway.errors import ConfigError


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "dutyline.toml"
    path.write_text(text, encoding=encoding)
    return path


def fault(path: Path | None, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, environment or {})
    return str(caught.value)


def test_nothing_need_be_configured() -> None:
    found = load(None, {})
    assert (found.http.listen, found.sip.listen, found.asterisk.mode) == (
        "127.0.0.1:8080",
        "127.0.0.1:5060",
        "embedded",
    )
    assert found.data_dir == Path("var").absolute()


def test_file_is_read(tmp_path: Path) -> None:
    found = load(written(tmp_path, '[sip]\nlisten = "10.1.2.3:5070"\n[inbound]\nring_timeout_s = 45\n'), {})
    assert (found.sip.listen, found.inbound.ring_timeout_s) == ("10.1.2.3:5070", 45)
    assert found.sip.rtp_ports == "10000-19999"


def test_environment_wins_over_file(tmp_path: Path) -> None:
    path = written(tmp_path, 'data_dir = "a"\n[inbound]\nring_timeout_s = 45\nmessage_max_s = 20\n')
    environment = {"DUTYLINE_DATA_DIR": "/srv/duty", "DUTYLINE_INBOUND_RING_TIMEOUT_S": "50", "HOME": "/home/duty"}
    found = load(path, environment)
    assert (found.data_dir, found.inbound.ring_timeout_s, found.inbound.message_max_s) == (Path("/srv/duty"), 50, 20)


def test_byte_order_mark_of_windows_editors_is_accepted(tmp_path: Path) -> None:
    assert load(written(tmp_path, '[asterisk]\nnode = "b1"\n', "utf-8-sig"), {}).asterisk.node == "b1"


def test_places_follow_the_data_folder(tmp_path: Path) -> None:
    found = load(None, {"DUTYLINE_DATA_DIR": str(tmp_path)})
    assert found.live_dir == tmp_path / "recordings" / "live"
    assert (found.journal_dir, found.run_dir, found.prompts_dir) == (
        tmp_path / "journal",
        tmp_path / "run",
        tmp_path / "prompts",
    )
    assert found.database_url == f"sqlite:///{tmp_path}/dutyline.db"


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load(None, {"DUTYLINE_DATA_DIR": "~/duty"}).data_dir == tmp_path / "duty"


def test_value_is_frozen() -> None:
    with pytest.raises(ValidationError):
        load(None, {}).http.listen = "0.0.0.0:80"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "key", "advice"),
    [
        ('[http]\nlistn = "127.0.0.1:1"\n', "http.listn", "Extra inputs"),
        ("[recordings]\nmin_free_mb = 1\n", "recordings", "Extra inputs"),
        ('[http]\nlisten = "8080"\n', "http.listen", "write host:port"),
        ('[http]\nlisten = "127.0.0.1:65536"\n', "http.listen", "write host:port"),
        ('[asterisk]\nagi_listen = "here"\n', "asterisk.agi_listen", "write host:port"),
        ('[sip]\nrtp_ports = "20000-10000"\n', "sip.rtp_ports", "write first-last"),
        ('[sip]\nrtp_ports = "¹000-2000"\n', "sip.rtp_ports", "write first-last"),
        ('[asterisk]\nmode = "remote"\n', "asterisk.mode", "'embedded' or 'external'"),
        ("[inbound]\nring_timeout_s = 4\n", "inbound.ring_timeout_s", "greater than or equal to 5"),
        ('[database]\nurl = "mysql://x"\n', "database.url", "postgresql://"),
        ("http = 3\n", "http", "valid dictionary"),
    ],
)
def test_fault_names_file_key_and_remedy(tmp_path: Path, text: str, key: str, advice: str) -> None:
    path = written(tmp_path, text)
    said = fault(path)
    assert said.startswith(f"{path}: {key}: ")
    assert advice in said
    assert "Value error" not in said


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    said = fault(written(tmp_path, '[http]\nlisten = "x"\n[sip]\nlisten = "y"\n'))
    assert [line.split(": ")[1] for line in said.splitlines()] == ["http.listen", "sip.listen"]


def test_fault_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    said = fault(written(tmp_path, ""), {"DUTYLINE_HTTP_LISTEN": "nowhere"})
    assert said.startswith("DUTYLINE_HTTP_LISTEN: 'nowhere' is not an address")


def test_environment_over_a_section_that_is_no_section_is_a_fault(tmp_path: Path) -> None:
    assert "http" in fault(written(tmp_path, "http = 3\n"), {"DUTYLINE_HTTP_LISTEN": "127.0.0.1:1"})


def test_misspelt_variable_is_a_fault() -> None:
    assert fault(None, {"DUTYLINE_HTTP_LISTN": "127.0.0.1:1"}) == "DUTYLINE_HTTP_LISTN: there is no such key in [http]"


def test_broken_or_missing_file_is_a_fault(tmp_path: Path) -> None:
    assert "is not valid TOML" in fault(written(tmp_path, "[http"))
    assert "is not valid TOML" in fault(written(tmp_path, "# 值班", "gb18030"))
    assert "is not valid TOML" in fault(written(tmp_path, f"a = {'[' * 3000}{']' * 3000}"))
    assert "is not valid TOML" in fault(written(tmp_path, f"a = {'1' * 5000}"))
    assert "cannot be read" in fault(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:5060", ("::1", 5060)), ("duty.example:80", ("duty.example", 80))],
)
def test_split_address(text: str, address: tuple[str, int]) -> None:
    assert split_address(text) == address


@pytest.mark.parametrize("text", ["", "127.0.0.1", ":5060", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:-1", "host:²"])
def test_split_address_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        split_address(text)


def test_variable_of_a_key() -> None:
    assert config.variable("asterisk", "ari_url") == "DUTYLINE_ASTERISK_ARI_URL"
