"""An Asterisk of the owner's own: the files it includes, and whether it is fit for duty lines.

`dutyline asterisk render` writes what the inventory and our configuration decide; the rest of its configuration stays
its owner's, so it is read and judged (`audit`), and asked over ARI what it really has loaded.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pwd
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.asterisk import audit, conf, conf_reader, install
from gateway.asterisk.audit_engine import FORBIDDEN_MODULES
from gateway.asterisk.engine import Engine
from gateway.config import Config
from gateway.core.inventory import Inventory
from gateway.errors import ConfigError, EngineError
from gateway.remark import Remark, fault, ok, warning

ANSWER_WITHIN_S = 3.0
_READ_BY_ASTERISK = 0o640
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a password goes through nobody's proxy
_INCLUDED_BY = {"pjsip_duty": "pjsip", "extensions_duty": "extensions"}  # the others stand under their own name
_BY_HAND = (
    "pjsip.conf, [global] of type global: endpoint_identifier_order = header,ip,auth_username,username",
    "pjsip.conf, [global] of type global: default_realm = {realm}",
    "extensions.conf, [globals]: FORWARD_CONTEXT = forward-denied",
    "http.conf, [general]: enabled = yes, bindaddr = 127.0.0.1, bindport = {ari_port}",
)


async def render_external(config: Config, inventory: Inventory, target: Path) -> list[str]:
    """Writes the files to include into `target`; gives the lines that their reader has to put somewhere, and where.

    Files get the group of the folder, so that Asterisk's user can be let in by it: they hold password hashes.
    """
    return await asyncio.to_thread(_render, config, inventory, target)


def _render(config: Config, inventory: Inventory, target: Path) -> list[str]:
    files = _files(config, inventory)
    changed = conf.write(target, files)
    group = target.stat().st_gid
    for name in files:
        path = target / name
        if path.stat().st_gid != group:
            shutil.chown(path, group=group)
        path.chmod(_READ_BY_ASTERISK)
    config_dir = Path(config.asterisk.config_dir)
    shown = (
        target.resolve().relative_to(config_dir) if target.resolve().is_relative_to(config_dir) else target.resolve()
    )
    values = {"realm": config.sip.realm, "ari_port": _ari_address(config).rpartition(":")[2]}
    return [
        f"written to {target}: {', '.join(changed) or 'nothing new'}",
        *(
            f"{config_dir}/{_INCLUDED_BY.get(name, name)}.conf: #include {shown}/{name}.conf"
            for name in conf.EXTERNAL_TEMPLATES
        ),
        *(f"{config_dir}/{line.format(**values)}" for line in _BY_HAND),
        f"the group of {target} has to be that of Asterisk's user; then: asterisk -rx 'core reload'; dutyline check",
    ]


def _ari_address(config: Config) -> str:
    found = re.fullmatch(r"http://(\[[^]]+\]|[^:/]+):(\d+)/?", config.asterisk.ari_url)
    if found is None:
        raise ConfigError(
            f"asterisk.ari_url: '{config.asterisk.ari_url}' is no address; external mode needs http://host:port"
        )
    return f"{found[1]}:{found[2]}"


def _files(config: Config, inventory: Inventory) -> dict[str, str]:
    """File name → text, for an Asterisk whose own places are its own business."""
    if config.asterisk.mode != "external":
        raise ConfigError('asterisk.mode: set it to "external"; the embedded engine needs no files to include')
    ari_address = _ari_address(config)
    engine = Engine(config, None)
    own = Path(config.asterisk.config_dir)
    places = conf.Places(
        etc_dir=own,
        modules_dir=own,
        engine_data_dir=own,
        var_dir=own,
        spool_dir=own,
        socket_dir=own,
        log_dir=own,
        agi_address=engine.addresses.agi,
        hep_address=engine.addresses.hep,
        ari_address=ari_address,
        ari_secret=engine.ari_secret,
    )
    return conf.render(config, inventory, places, conf.EXTERNAL_TEMPLATES)


async def remarks(config: Config, inventory: Inventory | None) -> list[Remark]:
    """Everything about the running Asterisk; `inventory` None: the database could not tell it."""
    folder, journal = Path(config.asterisk.config_dir), config.journal_dir / "cel.json"
    found = await asyncio.to_thread(
        lambda: [*audited(folder, str(folder), config.asterisk.ari_user, journal), *_included(config, inventory)]
    )
    try:
        return [*found, *await asyncio.to_thread(lambda: list(_asked(config)))]
    except (ConfigError, EngineError) as error:
        return [*found, fault("ari", str(error), "enable http.conf and ari.conf in Asterisk, and see asterisk.ari_url")]


def audited(folder: Path, shown: str, ari_user: str, journal: Path | None) -> Iterator[Remark]:
    """What the audit of a configuration folder finds; `shown` is what people call the folder."""
    found = audit.findings(folder, ari_user=ari_user, journal=journal)
    for finding in found:
        inside = finding.file.is_relative_to(folder)
        name = f"{shown}/{finding.file.relative_to(folder)}" if inside else str(finding.file)
        place = f"{name}:{finding.line}" if finding.line else name
        yield Remark(finding.severity, place, f"{finding.setting}: {finding.opens}", finding.remedy)
    if not found:
        yield ok(shown, "no setting opens a way to forward a duty line")


def _included(config: Config, inventory: Inventory | None) -> Iterator[Remark]:
    """Whether the rendered files are part of what Asterisk reads, and current."""
    folder = Path(config.asterisk.config_dir)
    try:
        texts = _files(config, inventory) if inventory is not None else {}
    except ConfigError as error:
        yield fault("configuration", str(error))
        return
    remedy = "run dutyline asterisk render --to FOLDER and do what it says"
    for name in conf.EXTERNAL_TEMPLATES:
        top = f"{_INCLUDED_BY.get(name, name)}.conf"
        try:
            read = _files_of(conf_reader.read(folder, top))
        except ConfigError:
            continue  # the audit has told of it
        rendered = [path for path in read if path.name == f"{name}.conf" and path != folder / top]
        if not rendered:
            yield fault(top, f"the rendered {name}.conf is not included", remedy)
        elif texts and rendered[0].read_text(encoding="utf-8") != texts[f"{name}.conf"]:
            yield fault(str(rendered[0]), "it is not what configuration and inventory say now", remedy)


def _files_of(read: conf_reader.Conf) -> list[Path]:
    """Every file that something was read from."""
    paths = [section.file for section in read.sections]
    paths += [setting.file for section in read.sections for setting in section.settings]
    return list(dict.fromkeys(paths))


def _asked(config: Config) -> Iterator[Remark]:
    """What Asterisk itself says. Raises EngineError when it does not answer, or not as an Asterisk does."""
    ari = f"http://{_ari_address(config)}/ari"
    secret = Engine(config, None).ari_secret
    info = _ask(f"{ari}/asterisk/info", config.asterisk.ari_user, secret)
    modules = _ask(f"{ari}/asterisk/modules", config.asterisk.ari_user, secret)
    try:
        version, user = str(info["system"]["version"]), str(info.get("config", {}).get("setid", {}).get("user", ""))
        loaded = {str(module["name"]).removesuffix(".so") for module in modules}
    except (KeyError, TypeError, AttributeError) as error:
        raise EngineError(f"what answers at {ari} is no Asterisk's ARI") from error
    yield _about_version(version, config.asterisk.ari_user)
    for name in sorted(loaded & FORBIDDEN_MODULES.keys()):
        text = f"{name}.so is loaded: {FORBIDDEN_MODULES[name]}"
        yield fault("asterisk", text, "do not load it, and restart Asterisk")
    yield from _writable(config, user)


def _about_version(version: str, ari_user: str) -> Remark:
    numbers = re.match(r"\D*(\d+)\.(\d+)", version)
    floor = ".".join(map(str, install.VERSION_FLOOR))
    if numbers is None:
        return warning("asterisk", f"its version '{version}' cannot be read", f"make sure that it is {floor} or later")
    if (int(numbers[1]), int(numbers[2])) < install.VERSION_FLOOR:
        return fault("asterisk", f"it is version {version}", f"{floor} or later is needed")
    return ok("asterisk", f"version {version} answers with the account {ari_user}")


def _ask(url: str, user: str, secret: str) -> Any:
    """One GET of ARI. No event stream is opened: that would take it away from a gateway at work."""
    account = base64.b64encode(f"{user}:{secret}".encode()).decode()
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {account}"})  # noqa: S310  always http://
    try:
        with _DIRECT.open(request, timeout=ANSWER_WITHIN_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise EngineError(f"ARI answers {url} with {error.code} {error.reason}") from error
    except (OSError, ValueError) as error:
        raise EngineError(f"ARI does not answer {url}: {error}") from error


def _writable(config: Config, user: str) -> Iterator[Remark]:
    """Whether Asterisk's user may write what it has to write, as far as modes and owners tell."""
    for folder in (config.journal_dir, config.live_dir):
        if not folder.is_dir():
            yield fault(str(folder), "it is not there, so Asterisk cannot write", "create it for Asterisk's user")
        elif not user:
            yield warning(str(folder), "Asterisk does not say who it is", "make sure that its user may write here")
        elif _may_write(folder, user):
            yield ok(str(folder), f"Asterisk's user {user} may write")
        else:
            yield fault(str(folder), f"Asterisk's user {user} may not write", f"give {user} this folder, or its group")


def _may_write(folder: Path, user: str) -> bool:
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return False
    status = folder.stat()
    if account.pw_uid in (0, status.st_uid):
        return account.pw_uid == 0 or bool(status.st_mode & 0o200)
    if status.st_gid in os.getgrouplist(user, account.pw_gid):
        return bool(status.st_mode & 0o020)
    return bool(status.st_mode & 0o002)
