"""The audit of a whole configuration folder, ours or foreign.

It finds every setting that opens a way to forward a duty line or to act without our account, or that leaves the
record out. It reads what Asterisk reads and believes no comment. What it cannot read (`#exec`, a database) is a fault:
a folder without findings is one in which nothing was found *and* everything was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.asterisk.audit_dialplan import dialplan_findings
from gateway.asterisk.audit_engine import (
    Modules,
    ari_findings,
    asterisk_findings,
    cel_findings,
    cli_findings,
    dahdi_findings,
    feature_findings,
    hep_findings,
    http_findings,
    journal_findings,
    manager_findings,
    module_findings,
    stasis_findings,
    users_findings,
    websocket_findings,
)
from gateway.asterisk.audit_pjsip import elsewhere_findings, pjsip_findings
from gateway.asterisk.conf_reader import Conf, read
from gateway.asterisk.finding import Finding, present
from gateway.errors import ConfigError

__all__ = ["FILES", "Finding", "findings"]

NEEDED = ("modules", "pjsip", "extensions", "cel", "cel_custom", "features", "ari", "http")
_ELSEWHERE = ("pjsip_wizard", "extconfig", "sorcery")
_MORE = ("asterisk", "manager", "hep", "acl", "chan_dahdi", "websocket_client", "cli", "stasis", "users")
FILES = (*NEEDED, *_MORE, *_ELSEWHERE)


def findings(folder: Path, *, ari_user: str = "dutyline", journal: Path | None = None) -> list[Finding]:
    """Everything that is open in the configuration in `folder`, in order of file and line.

    `ari_user`: the one account that may write. `journal`: where the CEL journal has to be; None: anywhere.
    """
    found: list[Finding] = []
    confs = {name: _read(folder, name, found) for name in FILES}
    found += _rules(confs, ari_user, journal)
    for conf in confs.values():
        for program in conf.programs:
            found.append(present(program, "a program writes configuration that this audit does not see", "remove it"))
        for line in conf.passed_over:
            found.append(present(line, "Asterisk passes over this line", "write name = value", "warning"))
    return sorted(dict.fromkeys(found), key=lambda finding: (str(finding.file), finding.line, finding.setting))


def _read(folder: Path, name: str, found: list[Finding]) -> Conf:
    """The file, or an empty one when it cannot be read; a needed file that is not there is a finding."""
    path = folder / f"{name}.conf"
    if not path.exists() and name not in NEEDED:
        return Conf(path)
    try:
        return read(folder, path.name)
    except ConfigError as error:
        found.append(Finding("fault", path, 0, str(error), "Asterisk does not load this file", "mend it"))
        return Conf(path)


def _rules(confs: dict[str, Conf], ari_user: str, journal: Path | None) -> Iterator[Finding]:
    modules = Modules.of(confs["modules"], confs["asterisk"])
    yield from module_findings(modules)
    yield from pjsip_findings(confs["pjsip"], confs["acl"])
    yield from dialplan_findings(confs["extensions"])
    yield from feature_findings(confs["features"])
    yield from asterisk_findings(confs["asterisk"])
    yield from ari_findings(confs["ari"], ari_user)
    yield from http_findings(confs["http"])
    yield from manager_findings(confs["manager"])
    yield from cel_findings(confs["cel"])
    yield from journal_findings(confs["cel_custom"], confs["asterisk"], journal)
    yield from hep_findings(confs["hep"])
    if modules.has("chan_dahdi"):
        yield from dahdi_findings(confs["chan_dahdi"])
    yield from websocket_findings(confs["websocket_client"])
    yield from cli_findings(confs["cli"])
    yield from stasis_findings(confs["stasis"])
    yield from users_findings(confs["users"])
    for name in _ELSEWHERE:
        yield from elsewhere_findings(f"{name}.conf", confs[name])
