"""The demo city's own files are what a duty office could write."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gateway import spreadsheet
from gateway.config import Asterisk, Config, load
from gateway.core.inventory import Inventory
from gateway.core.registry import register
from gateway.demo import city as places
from gateway.errors import ConfigError
from gateway.services.inventory_files import read_rows


def test_inventory_is_accepted(tmp_path: Path) -> None:
    city = places.build(tmp_path / "demo", 0, 0, Config())
    rows = read_rows(city.inventory, spreadsheet)
    inventory = register(Inventory(), rows.rows, city.config.sip.realm, rows.faults)
    assert [line.number for line in inventory.own_lines] == [places.LINE, places.SECOND_LINE]
    assert [unit.kind for unit in inventory.units].count("district") == 3
    assert inventory.trunks[0].host == f"{places.CARRIER}:{city.carrier_port}"
    assert len({*city.secrets.values()}) == 3


def test_environment_of_a_real_office_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUTYLINE_DATABASE_URL", "postgresql://office/real")
    monkeypatch.setenv("DUTYLINE_DATA_DIR", "/var/lib/dutyline")
    config = places.build(tmp_path, 0, 0, load()).config
    assert config.database_url == f"sqlite:///{tmp_path}/dutyline.db"
    assert config.data_dir == tmp_path


def test_of_a_given_configuration_only_the_means_of_playing_count(tmp_path: Path) -> None:
    (tmp_path / "office.toml").write_text(
        'data_dir = "/var/lib/dutyline"\n[http]\nlisten = "10.0.0.1:80"\n[sip]\nlisten = "10.0.0.1:5060"\n'
        'rtp_ports = "20000-20999"\n[database]\nurl = "postgresql://office/real"\n[asterisk]\nmode = "external"\n'
        'cache_dir = "/srv/\\"engine\\""\n[prompts]\nspeed_wpm = 120\n',
        encoding="utf-8",
    )
    given = load(tmp_path / "office.toml", {})
    config = places.build(tmp_path / "demo", 0, 0, given).config
    assert (config.sip.rtp_ports, config.prompts.speed_wpm) == ("20000-20999", 120)
    assert config.asterisk == Asterisk(cache_dir='/srv/"engine"')
    assert (config.database_url, config.data_dir) == (f"sqlite:///{tmp_path}/demo/dutyline.db", tmp_path / "demo")
    assert all(listen.startswith("127.0.0.1:") for listen in (config.http.listen, config.sip.listen))


def test_secrets_are_nobody_elses(tmp_path: Path) -> None:
    city = places.build(tmp_path, 0, 0, Config())
    assert city.inventory.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("option", "kind"), [("--http-port", socket.SOCK_STREAM), ("--sip-port", socket.SOCK_DGRAM)], ids=["http", "sip"]
)
def test_busy_port_is_named(tmp_path: Path, option: str, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind((places.GATEWAY, 0))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        ports = (port, 0) if option == "--http-port" else (0, port)
        with pytest.raises(ConfigError, match=f"{option} {port}: .* is in use"):
            places.build(tmp_path, *ports, Config())
    assert list(tmp_path.iterdir()) == []
