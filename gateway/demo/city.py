"""The demo city: its files as a duty office would write them, its addresses, its phones.

    127.0.0.1   Dutyline, and any softphone of a visitor: trunk `softphone` takes calls from there without an account
    127.0.0.2   the phones of the duty room
    127.0.0.5   the carrier, behind which the districts and the rest of the world are

Of a configuration that is given, only what says how this machine plays it counts (`KEPT`): the demo must never reach
anybody's real data, database or Asterisk.

Below the data folder stand `dutyline.toml` and `city.toml`; `dutyline … --config` works with them while the demo runs.
Every address is loopback, every number a placeholder, every password made anew.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway import clock, spreadsheet
from gateway.asterisk.install import Engine
from gateway.config import Config, load
from gateway.demo.phones import Carrier, DeskPhone, Sipp
from gateway.errors import ConfigError
from gateway.free_ports import free_port, refusal
from gateway.ids import new_secret
from gateway.services.inventory import import_inventory
from gateway.store.engine import open_store
from gateway.store.migrate import migrate

GATEWAY, ROOM, CARRIER = "127.0.0.1", "127.0.0.2", "127.0.0.5"
LINE, SECOND_LINE = "02283000000", "02283000001"
HEPING, HEXI, NANKAI = "02223000001", "02223000002", "02223000003"
NOBODY = "02283000099"
FLOOD_OFFICE, FLOOD_OFFICE_DUTY = "02283000011", "02283000012"
MOBILE = "13800000000"
DESKS = ("desk1", "desk2", "desk3")
RING_S = 6
KEPT = {"sip": ("rtp_ports",), "asterisk": ("cache_dir",), "prompts": ("command", "voice", "speed_wpm")}

_INVENTORY = """\
[[unit]]
code = "CITY"
name = "天津市人民政府办公厅总值班室"
kind = "city_duty_office"
[[unit]]
code = "HP"
name = "和平区人民政府"
kind = "district"
parent = "CITY"
[[unit]]
code = "HX"
name = "河西区人民政府"
kind = "district"
parent = "CITY"
[[unit]]
code = "NK"
name = "南开区人民政府"
kind = "district"
parent = "CITY"

[[trunk]]
name = "carrier"
host = "{carrier}"
match = ["127.0.0.5"]
[[trunk]]  # a visitor's softphone on this machine
name = "softphone"
host = "{softphone}"
match = ["127.0.0.1"]

[[line]]
number = "02283000000"
unit = "CITY"
owner = "ours"
phones = [
  {{ user = "desk1", secret = "{desk1}", net = ["127.0.0.2"] }},
  {{ user = "desk2", secret = "{desk2}", net = ["127.0.0.2"] }},
]
[[line]]
number = "02283000001"
unit = "CITY"
owner = "ours"
ring_timeout_s = {ring_s}
phone = {{ user = "desk3", secret = "{desk3}", net = ["127.0.0.2"] }}
[[line]]
number = "02223000001"
unit = "HP"
owner = "remote"
trunk = "carrier"
[[line]]
number = "02223000002"
unit = "HX"
owner = "remote"
trunk = "carrier"
[[line]]
number = "02223000003"
unit = "NK"
owner = "remote"
trunk = "carrier"

[[number]]
number = "02283000008"
unit = "CITY"
purpose = "fax"

[[radio]]
name = "net1"
uri = "sip:net1@127.0.0.6:5070"
[[station]]
unit = "HP"
radio = "net1"
call_sign = "和平"
"""


@dataclass(frozen=True, slots=True)
class City:
    """The city around one gateway."""

    config: Config
    inventory: Path
    secrets: Mapping[str, str]
    carrier_port: int

    def sipp(self, engine: Engine) -> Sipp:
        """What plays the phones; their logs stay below the data folder."""
        return Sipp(engine, self.config.data_dir / "phones" / clock.now().strftime("%Y%m%dT%H%M%S%f"))

    def desk(self, sipp: Sipp, user: str) -> DeskPhone:
        """A phone of the duty room."""
        return DeskPhone(sipp, self.config.sip.listen, user, self.secrets[user], ROOM, free_port(ROOM))

    def carrier(self, sipp: Sipp) -> Carrier:
        """Where calls to the districts and to the rest of the world arrive."""
        return Carrier(sipp, self.config.sip.listen, CARRIER, self.carrier_port)

    def outside(self, sipp: Sipp) -> Carrier:
        """Somebody out there with a port of his own, so that several can call at once."""
        return Carrier(sipp, self.config.sip.listen, CARRIER, free_port(CARRIER))


def build(data: Path, http_port: int, sip_port: int, given: Config) -> City:
    """Writes the city's files below `data`. Raises ConfigError naming the option when a port or address is taken."""
    for host in (ROOM, CARRIER):
        _check_address(host)
    http_port = _free("--http-port", http_port, socket.SOCK_STREAM)
    sip_port = _free("--sip-port", sip_port, socket.SOCK_DGRAM, socket.SOCK_STREAM)
    data.mkdir(parents=True, exist_ok=True)
    data = data.absolute()
    secrets = {user: new_secret() for user in DESKS}
    carrier_port = free_port(CARRIER)
    settings = _settings(data, f"{GATEWAY}:{http_port}", f"{GATEWAY}:{sip_port}", given)
    inventory = _INVENTORY.format(
        carrier=f"{CARRIER}:{carrier_port}", softphone=f"{GATEWAY}:{free_port(GATEWAY)}", ring_s=RING_S, **secrets
    )
    for name, text in (("dutyline.toml", settings), ("city.toml", inventory)):
        (data / name).touch(mode=0o600)
        (data / name).write_text(text, encoding="utf-8")
    return City(load(data / "dutyline.toml", {}), data / "city.toml", secrets, carrier_port)


def _settings(data: Path, http: str, sip: str, given: Config) -> str:
    """The city's configuration file: its own places and addresses, and what is kept of the one given."""
    sections: dict[str, dict[str, object]] = {"http": {"listen": http}, "sip": {"listen": sip}}
    for section, keys in KEPT.items():
        before, default = getattr(given, section), getattr(Config(), section)
        kept = {key: getattr(before, key) for key in keys if getattr(before, key) != getattr(default, key)}
        if kept:
            sections.setdefault(section, {}).update(kept)
    lines = [f"data_dir = {json.dumps(str(data), ensure_ascii=False)}"]
    for section, values in sections.items():
        lines += [
            f"[{section}]",
            *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()),
        ]
    return "\n".join(lines) + "\n"


async def settle(city: City) -> str:
    """Imports the inventory as `dutyline import` does; gives its sentence. Raises InventoryError, StoreError."""
    await migrate(city.config.database_url)
    store = await open_store(city.config.database_url)
    try:
        return str(
            await import_inventory(store, city.inventory, "demo", clock.now(), city.config.sip.realm, spreadsheet)
        )
    finally:
        await store.close()


def _check_address(host: str) -> None:
    try:
        free_port(host)
    except OSError as error:
        raise ConfigError(
            f"{host} cannot be used on this machine ({error.strerror}); the demo needs 127.0.0.1, {ROOM} and {CARRIER}"
        ) from error


def _free(option: str, port: int, *kinds: socket.SocketKind) -> int:
    """The port if nobody has it, or for 0 a free one of every kind."""
    refusals = [text for kind in kinds if port and (text := refusal(GATEWAY, port, kind))]
    if refusals:
        text = f"{option} {port}: {GATEWAY}:{port} {refusals[0]}; choose another, or 0 for a free one"
        raise ConfigError(text)
    return port or free_port(GATEWAY, *kinds)
