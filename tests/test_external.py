"""An Asterisk of one's own: what is rendered for it makes a configuration without findings, and each lack is told."""

from __future__ import annotations

import base64
import json
import os
import pwd
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway import external
from gateway.asterisk import conf
from gateway.config import Config, load
from gateway.core.inventory import Inventory
from gateway.docs import container_etc
from gateway.errors import ConfigError
from gateway.external import remarks, render_external
from gateway.remark import Remark
from tests.asterisk.samples import CITY

SECRET = "made-up"
USER = pwd.getpwuid(os.geteuid()).pw_name


class AriPeer(ThreadingHTTPServer):
    """What an Asterisk says of itself over ARI, for one account."""

    daemon_threads = True

    def __init__(self) -> None:
        self.info: dict[str, Any] = {"system": {"version": "22.10.1"}, "config": {"setid": {"user": USER}}}
        self.modules = ["app_dial.so", "chan_pjsip.so"]
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Answer)


class _Answer(BaseHTTPRequestHandler):
    server: AriPeer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        account = base64.b64encode(f"dutyline:{SECRET}".encode()).decode()
        body: object = {"message": "Authentication required"}
        status = 401
        if self.headers["Authorization"] == f"Basic {account}":
            status = 200
            modules = [{"name": name} for name in self.server.modules]
            body = modules if self.path.endswith("/modules") else self.server.info
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name in the base class
        """Nothing on the terminal."""


@pytest.fixture
def ari() -> Iterator[AriPeer]:
    with AriPeer() as peer:
        thread = threading.Thread(target=peer.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield peer
        peer.shutdown()
        thread.join()


@pytest.fixture
def environment(tmp_path: Path, ari: AriPeer) -> dict[str, str]:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    (tmp_path / "secret").chmod(0o600)
    return {
        "DUTYLINE_DATA_DIR": str(tmp_path / "d"),
        "DUTYLINE_ASTERISK_MODE": "external",
        "DUTYLINE_ASTERISK_CONFIG_DIR": str(tmp_path / "etc"),
        "DUTYLINE_ASTERISK_ARI_URL": f"http://127.0.0.1:{ari.server_address[1]}",
        "DUTYLINE_ASTERISK_ARI_SECRET_FILE": str(tmp_path / "secret"),
        "DUTYLINE_ASTERISK_AGI_LISTEN": "127.0.0.1:4573",
        "DUTYLINE_ASTERISK_HEP_LISTEN": "127.0.0.1:9060",
    }


@pytest.fixture
def config(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Config:
    """A container's Asterisk, except that its journal may have a name as long as a test's folder."""
    monkeypatch.setattr("gateway.asterisk.audit_engine.LONGEST_SECTION_NAME", 999)
    found = load(None, environment)
    found.journal_dir.mkdir(parents=True)
    found.live_dir.mkdir(parents=True)
    conf.write(etc(found), container_etc(found))
    return found


def etc(config: Config) -> Path:
    return Path(config.asterisk.config_dir)


async def faults(config: Config, inventory: Inventory | None = CITY) -> list[tuple[str, str]]:
    """(subject, text) of what is not well."""
    found = await remarks(config, inventory)
    assert all(remark.remedy for remark in found if remark.severity == "fault" and remark.subject != "configuration")
    return [(remark.subject, remark.text) for remark in found if remark.severity != "ok"]


async def test_what_is_rendered_makes_a_configuration_without_findings(config: Config) -> None:
    await render_external(config, CITY, etc(config) / "dutyline")
    assert await faults(config) == []
    assert await faults(config, None) == [], "without a database there is nothing to compare with"


async def test_the_reader_is_told_what_goes_where(config: Config) -> None:
    told = await render_external(config, CITY, etc(config) / "dutyline")
    assert "pjsip_duty.conf" in told[0]
    assert f"{etc(config)}/pjsip.conf: #include dutyline/pjsip_duty.conf" in told
    assert f"{etc(config)}/extensions.conf: #include dutyline/extensions_duty.conf" in told
    assert f"{etc(config)}/cel.conf: #include dutyline/cel.conf" in told
    assert any("endpoint_identifier_order = header,ip" in line for line in told)
    assert any("FORWARD_CONTEXT = forward-denied" in line for line in told)
    again = await render_external(config, CITY, etc(config) / "dutyline")
    assert again[0].endswith("nothing new")


async def test_files_elsewhere_are_included_by_their_whole_path(config: Config, tmp_path: Path) -> None:
    told = await render_external(config, CITY, tmp_path / "elsewhere")
    assert f"{etc(config)}/hep.conf: #include {tmp_path}/elsewhere/hep.conf" in told


async def test_asterisk_s_user_may_read_and_nobody_else(config: Config) -> None:
    target = etc(config) / "dutyline"
    await render_external(config, CITY, target)
    assert {path.stat().st_mode & 0o777 for path in target.iterdir()} == {0o640}
    assert {path.stat().st_gid for path in target.iterdir()} == {target.stat().st_gid}
    assert SECRET in (target / "ari.conf").read_text()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("MODE", "embedded", "asterisk.mode"),
        ("ARI_URL", "", "asterisk.ari_url"),
        ("ARI_URL", "ftp://127.0.0.1", "asterisk.ari_url"),
        ("ARI_SECRET_FILE", "", "asterisk.ari_secret_file"),
        ("ARI_SECRET_FILE", "/nowhere", "asterisk.ari_secret_file"),
    ],
)
async def test_rendering_needs_to_know(
    environment: dict[str, str], tmp_path: Path, key: str, value: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        await render_external(load(None, {**environment, f"DUTYLINE_ASTERISK_{key}": value}), CITY, tmp_path / "x")


async def test_files_that_are_not_included(config: Config) -> None:
    await render_external(config, CITY, etc(config) / "dutyline")
    hep = etc(config) / "hep.conf"
    hep.write_text((etc(config) / "dutyline/hep.conf").read_text())
    assert await faults(config) == [("hep.conf", "the rendered hep.conf is not included")]


async def test_files_that_are_out_of_date(config: Config) -> None:
    await render_external(config, Inventory(units=CITY.units), etc(config) / "dutyline")
    stale = "it is not what configuration and inventory say now"
    assert {text for _, text in await faults(config)} == {stale}
    assert {Path(subject).name for subject, _ in await faults(config)} == {"pjsip_duty.conf", "extensions_duty.conf"}


async def test_an_open_way_in_its_own_part(config: Config) -> None:
    await render_external(config, CITY, etc(config) / "dutyline")
    features = etc(config) / "features.conf"
    features.write_text(features.read_text() + "[applicationmap]\nx => *9,self,Transfer\n")
    ((subject, text),) = await faults(config)
    assert subject == f"{features}:4"
    assert text.startswith("x = *9,self,Transfer: ")


async def test_a_folder_that_is_not_there(environment: dict[str, str], tmp_path: Path) -> None:
    found = await remarks(load(None, {**environment, "DUTYLINE_ASTERISK_CONFIG_DIR": f"{tmp_path}/none"}), CITY)
    assert any("none/pjsip.conf" in remark.subject for remark in found if remark.severity == "fault")


# --- what Asterisk says itself -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "severity"),
    [
        ("22.9.0", "ok"),
        ("22.10.1~dfsg+~cs6.17", "ok"),
        ("23.1.0", "ok"),
        ("22.8.2", "fault"),
        ("18.1", "fault"),
        ("GIT-master-abc", "warning"),
    ],
)
async def test_version(config: Config, ari: AriPeer, version: str, severity: str) -> None:
    await render_external(config, CITY, etc(config) / "dutyline")
    ari.info["system"]["version"] = version
    found = [remark for remark in await remarks(config, CITY) if remark.subject == "asterisk"]
    assert [remark.severity for remark in found] == [severity]
    assert version in found[0].text


async def test_a_forbidden_module_that_is_loaded_in_truth(config: Config, ari: AriPeer) -> None:
    await render_external(config, CITY, etc(config) / "dutyline")
    ari.modules.append("app_queue.so")
    ((subject, text),) = await faults(config)
    assert subject == "asterisk"
    assert text.startswith("app_queue.so is loaded: ")


async def test_asking_opens_no_event_stream(config: Config, ari: AriPeer) -> None:
    await faults(config)
    assert set(ari.asked) == {"/ari/asterisk/info", "/ari/asterisk/modules"}, "it would be taken from the gateway"


async def test_no_proxy_hears_the_password(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    await render_external(config, CITY, etc(config) / "dutyline")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert await faults(config) == []


async def test_a_wrong_password(config: Config, tmp_path: Path) -> None:
    await render_external(config, CITY, etc(config) / "dutyline")
    (tmp_path / "secret").write_text("something-else")
    about = dict(await faults(config))
    assert "401" in about["ari"]
    assert "something-else" not in str(about)


async def test_ari_that_does_not_answer(config: Config, ari: AriPeer) -> None:
    await render_external(config, CITY, etc(config) / "dutyline")
    ari.info = {}
    ari.shutdown()
    ari.server_close()
    ((subject, text),) = await faults(config)
    assert subject == "ari"
    assert "does not answer" in text


@pytest.mark.parametrize("body", [{}, {"system": {}}, []])
async def test_an_answer_that_is_no_asterisk_s(config: Config, ari: AriPeer, body: Any) -> None:
    await render_external(config, CITY, etc(config) / "dutyline")
    ari.info = body
    ((subject, text),) = await faults(config)
    assert (subject, "is no Asterisk's ARI" in text) == ("ari", True)


# --- folders that Asterisk writes ----------------------------------------------------------------------------------


async def about_folders(config: Config) -> list[Remark]:
    names = {str(config.journal_dir), str(config.live_dir)}
    return [remark for remark in await remarks(config, CITY) if remark.subject in names]


async def test_folders_that_asterisk_writes(config: Config, ari: AriPeer) -> None:
    assert [remark.severity for remark in await about_folders(config)] == ["ok", "ok"]
    ari.info["config"] = {}
    assert [remark.severity for remark in await about_folders(config)] == ["warning", "warning"]
    ari.info["config"] = {"setid": {"user": "no-such-user"}}
    assert [remark.severity for remark in await about_folders(config)] == ["fault", "fault"]
    config.live_dir.rmdir()
    assert any("is not there" in remark.text for remark in await about_folders(config))


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "may"),
    [
        (0o700, 7777, 7777, True),
        (0o500, 7777, 7777, False),
        (0o770, 1, 7777, True),
        (0o750, 1, 7777, False),
        (0o770, 1, 1, False),
        (0o777, 1, 1, True),
        (0o000, 1, 1, False),
    ],
)
def test_who_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, uid: int, gid: int, may: bool
) -> None:
    status = os.stat_result((0o040000 | mode, 1, 1, 1, uid, gid, 0, 0, 0, 0))
    account = pwd.struct_passwd(("asterisk", "x", 7777, 7777, "", "/", "/bin/false"))
    monkeypatch.setattr(pwd, "getpwnam", lambda _: account)
    monkeypatch.setattr(os, "getgrouplist", lambda *_: [7777])
    monkeypatch.setattr(Path, "stat", lambda *_, **__: status)
    assert external._may_write(tmp_path, "asterisk") is may
