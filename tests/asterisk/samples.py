"""A small city's inventory and its rendered configuration, for the tests of this room."""

from __future__ import annotations

from pathlib import Path

from gateway.asterisk import conf
from gateway.config import Config, load
from gateway.core.inventory import Inventory, Line, Phone, Trunk, Unit

HA1 = "0" * 32
CITY = Inventory(
    units=(Unit("CITY", "市政府值班室", "city_duty_office"), Unit("HP", "和平区", "district", "CITY")),
    trunks=(Trunk("carrier", "127.0.0.5:5060", ("127.0.0.5",)), Trunk("mobile", "127.0.0.6:5060", ("127.0.0.6",))),
    lines=(
        Line("02283000000", "CITY", "ours", (Phone("desk1", HA1, ("127.0.0.0/8",)),), aliases=("02283000009",)),
        Line("02283000001", "CITY", "ours", (Phone("desk2", HA1), Phone("desk3", HA1)), ring_timeout_s=25),
        Line("02223000001", "HP", "remote", trunk="mobile", aliases=("02223000000",)),
    ),
)


def config(data_dir: Path, **environment: str) -> Config:
    """The defaults, writing below `data_dir`."""
    return load(None, {"DUTYLINE_DATA_DIR": str(data_dir), **environment})


def places(root: Path) -> conf.Places:
    """Folders below `root`, addresses on loopback."""
    return conf.Places(
        etc_dir=root / "etc",
        modules_dir=root / "modules",
        engine_data_dir=root / "share",
        var_dir=root / "var",
        spool_dir=root / "spool",
        socket_dir=root / "socket",
        log_dir=root / "log",
        agi_address="127.0.0.1:4573",
        hep_address="127.0.0.1:9060",
        ari_address="127.0.0.1:8088",
        ari_secret="made-up",
    )


def rendered(data_dir: Path, inventory: Inventory = CITY) -> Path:
    """The folder with the whole configuration of `inventory`."""
    folder = data_dir / "run" / "etc"
    conf.write(folder, conf.render(config(data_dir), inventory, places(data_dir / "run")))
    return folder
