"""The engine's configuration: templates in `dialplans/`, filled with the inventory, written into a private folder.

Rendering is a pure function of (configuration, inventory, places); writing happens only when something changed, each
file by write-and-rename, so Asterisk never reads half a file. `audit.py` reads the result back and looks for open ways.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.config import Config, split_address
from gateway.core.directory import Directory
from gateway.core.inventory import Inventory, Line
from gateway.share import share

_TEMPLATES = (
    "asterisk", "modules", "logger", "cel", "cel_custom", "pjsip", "pjsip_duty", "features", "rtp", "http", "ari",
    "manager", "hep", "indications", "cdr", "extensions", "extensions_duty",
)  # fmt: skip
# Asterisk calls the absence of these an error, though their defaults are what is wanted.
_DEFAULTS = ("acl", "ccss", "pjproject", "udptl", "websocket_client")
EXTERNAL_TEMPLATES = ("pjsip_duty", "extensions_duty", "cel", "cel_custom", "features", "hep", "ari")


@dataclass(frozen=True, slots=True)
class Places:
    """Where the rendered configuration says things are; addresses are host:port."""

    etc_dir: Path
    modules_dir: Path
    engine_data_dir: Path
    var_dir: Path
    spool_dir: Path
    socket_dir: Path
    log_dir: Path
    agi_address: str
    hep_address: str
    ari_address: str
    ari_secret: str


def _line_facts(line: Line, directory: Directory, config: Config) -> dict[str, Any]:
    announce = config.inbound.announce_recording if line.announce_recording is None else line.announce_recording
    return {
        "number": line.number,
        "phones": line.phones,
        "trunk": line.trunk,
        "forms": directory.dial_forms(line),
        "ring_timeout_s": line.ring_timeout_s or config.inbound.ring_timeout_s,
        "announce_recording": int(announce),
    }


def _trunk_addresses(inventory: Inventory) -> list[str]:
    """Where trunks are, as Asterisk's access lists take it: no names."""
    hosts = [split_address(trunk.host)[0] for trunk in inventory.trunks]
    found = [match for trunk in inventory.trunks for match in trunk.match]
    return list(dict.fromkeys([*found, *(host for host in hosts if _is_address(host))]))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _values(config: Config, inventory: Inventory, places: Places) -> dict[str, Any]:
    ari_host, _, ari_port = places.ari_address.rpartition(":")
    directory = Directory.of(inventory)
    rtp_first, _, rtp_last = config.sip.rtp_ports.partition("-")
    return {
        **{name: getattr(places, name) for name in Places.__slots__},
        "node": config.asterisk.node,
        "cel_journal": "cel.json" if config.asterisk.mode == "embedded" else config.journal_dir / "cel.json",
        "live_dir": config.live_dir,
        "rendered_prompts_dir": config.prompts_dir / "rendered",
        "recording_policy": config.recording.failure_policy,
        "message_max_s": config.inbound.message_max_s,
        "realm": config.sip.realm,
        "sip_listen": config.sip.listen,
        "rtp_first": rtp_first,
        "rtp_last": rtp_last,
        "ari_host": ari_host,
        "ari_port": ari_port,
        "ari_user": config.asterisk.ari_user,
        "lines": [_line_facts(line, directory, config) for line in inventory.own_lines],
        "remote_lines": [_line_facts(line, directory, config) for line in inventory.lines if line.owner == "remote"],
        "trunks": inventory.trunks,
        "trunk_addresses": _trunk_addresses(inventory),
        "default_trunk": inventory.trunks[0].name if inventory.trunks else "",
    }


def render(config: Config, inventory: Inventory, places: Places, names: tuple[str, ...] = _TEMPLATES) -> dict[str, str]:
    """File name → text."""
    environment = Environment(
        loader=FileSystemLoader(share("dialplans")),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  no HTML; the inventory admits no character that could leave its field
    )
    values = _values(config, inventory, places)
    files = {f"{name}.conf": environment.get_template(f"{name}.conf.j2").render(values) for name in names}
    if names is _TEMPLATES:
        files |= {f"{name}.conf": "; defaults\n" for name in _DEFAULTS}
    return files


def write(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Writes what differs, mode 0600; gives the names of the files that changed."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    changed = []
    for name, text in files.items():
        path = folder / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        fresh = folder / f".{name}.new"
        fresh.touch(mode=0o600)
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
        changed.append(name)
    return changed
