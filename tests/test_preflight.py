"""`dutyline check` on a machine with one thing wrong at a time: exactly that is said, and what to do."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import aiosqlite
import pytest

from gateway import clock, control, machine
from gateway.asterisk import conf, install
from gateway.audio.prompts import PROMPTS, RATES_HZ
from gateway.config import Config, load
from gateway.core.inventory import Inventory
from gateway.errors import EngineError
from gateway.free_ports import free_port
from gateway.preflight import preflight
from gateway.remark import Remark
from gateway.store.engine import open_store
from gateway.store.migrate import newest_revision
from tests.asterisk.samples import CITY, places


@pytest.fixture(autouse=True)
def ordinary_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with the right time and no Asterisk of its own."""
    monkeypatch.setattr(machine, "_clock_is_synchronised", lambda: True)
    monkeypatch.setattr(install, "installed", lambda: (None, "no Asterisk is installed on this machine"))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A configuration whose engine is fetched and whose prompts are spoken."""
    tree = tmp_path / "cache" / "root-1"
    (tree / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    (tree / "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2").touch()
    (tree / "version").write_text("22.10.1")
    (tmp_path / "cache" / "current").write_text("root-1")
    data_dir = tmp_path / "data"
    (data_dir / "prompts/rendered").mkdir(parents=True, mode=0o700)
    (data_dir / "recordings").mkdir(mode=0o700)
    data_dir.chmod(0o700)
    for prompt in PROMPTS:
        for end in RATES_HZ.values():
            (data_dir / "prompts/rendered" / f"{prompt.key}.{end}").touch()
    return {
        "DUTYLINE_DATA_DIR": str(data_dir),
        "DUTYLINE_ASTERISK_CACHE_DIR": str(tmp_path / "cache"),
        "DUTYLINE_HTTP_LISTEN": f"127.0.0.1:{free_port('127.0.0.1', socket.SOCK_STREAM)}",
        "DUTYLINE_SIP_LISTEN": f"127.0.0.1:{free_port('127.0.0.1')}",
        "DUTYLINE_SIP_RTP_PORTS": "20000-20999",
        "DUTYLINE_RECORDING_MIN_FREE_MB": "1",
    }


@pytest.fixture
def config(environment: dict[str, str]) -> Config:
    return load(None, environment)


async def said(config: Config, subject: str) -> list[Remark]:
    """What is said of one subject, when nothing else is at fault."""
    found = await preflight(config)
    assert [remark for remark in found if remark.severity == "fault" and remark.subject != subject] == []
    return [remark for remark in found if remark.subject == subject]


async def one(config: Config, subject: str) -> tuple[str, str]:
    (remark,) = await said(config, subject)
    assert (remark.remedy == "") == (remark.severity == "ok"), "whoever is told of a fault is told what to do"
    return remark.severity, remark.text


# --- all well ------------------------------------------------------------------------------------------------------


async def test_a_fresh_machine(config: Config) -> None:
    found = await preflight(config)
    assert {remark.subject: remark.severity for remark in found if remark.subject != "user"} == {
        "configuration": "ok",
        "data_dir": "ok",
        "recordings": "ok",
        "clock": "ok",
        "http.listen": "ok",
        "sip.listen": "ok",
        "sip.rtp_ports": "ok",
        "database": "ok",
        "inventory": "warning",
        "engine": "ok",
        "rendered configuration": "ok",
        "prompts": "ok",
    }
    assert not config.run_dir.exists(), "looking leaves nothing behind"
    assert not Path(config.database_url.partition(":///")[2]).exists()


def test_a_line_for_people() -> None:
    assert str(Remark("fault", "engine", "it is not there", "fetch it")) == "fault   engine: it is not there; fetch it"
    assert str(Remark("ok", "engine", "it is there")) == "ok      engine: it is there"


# --- configuration -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "subject", "severity"),
    [
        ("PROMPTS_COMMAND", "speak {text_file}", "configuration", "fault"),
        ("PROMPTS_COMMAND", "speak '", "configuration", "fault"),
        ("ASTERISK_AGI_LISTEN", "0.0.0.0:4573", "asterisk.agi_listen", "fault"),
        ("ASTERISK_HEP_LISTEN", "10.0.0.1:9060", "asterisk.hep_listen", "fault"),
        ("HTTP_LISTEN", f"0.0.0.0:{free_port('127.0.0.1', socket.SOCK_STREAM)}", "http.listen", "warning"),
    ],
)
async def test_values(environment: dict[str, str], key: str, value: str, subject: str, severity: str) -> None:
    found = await said(load(None, {**environment, f"DUTYLINE_{key}": value}), subject)
    assert severity in [remark.severity for remark in found]


async def test_a_database_url_that_is_none(environment: dict[str, str]) -> None:
    found = await preflight(load(None, {**environment, "DUTYLINE_DATABASE_URL": "sqlite:///:memory:"}))
    assert [remark.subject for remark in found if remark.severity == "fault"] == ["configuration"]


# --- this machine --------------------------------------------------------------------------------------------------


async def test_a_data_folder_that_cannot_be_made(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = load(None, {**environment, "DUTYLINE_DATA_DIR": str(tmp_path / "file" / "data")})
    faults = {remark.subject for remark in await preflight(config) if remark.severity == "fault"}
    assert faults >= {"data_dir", "recordings"}


async def test_a_folder_of_somebody_else(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != config.recordings_dir)
    severity, text = await one(config, "recordings")
    assert (severity, text) == ("fault", f"{config.recordings_dir} cannot be written")


async def test_a_full_disk(environment: dict[str, str]) -> None:
    config = load(None, {**environment, "DUTYLINE_RECORDING_MIN_FREE_MB": str(10**12)})
    faults = {remark.subject: remark.text for remark in await preflight(config) if remark.severity == "fault"}
    assert set(faults) == {"data_dir", "recordings"}
    assert "less than recording.min_free_mb" in faults["recordings"]


async def test_recordings_that_everybody_may_read(config: Config) -> None:
    config.recordings_dir.chmod(0o755)
    severity, text = await one(config, "recordings")
    assert (severity, text) == ("warning", f"everybody on this machine may look into {config.recordings_dir}")


@pytest.mark.parametrize("uid", [0, 1000])
async def test_root_and_a_clock_that_nobody_sets(config: Config, monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(machine, "_clock_is_synchronised", lambda: False)
    found = {remark.subject: remark.severity for remark in await preflight(config)}
    assert (found.get("user"), found["clock"]) == (None if uid else "warning", "warning")


def test_the_kernel_is_asked_about_the_clock() -> None:
    assert machine._clock_is_synchronised() in (True, False)


# --- ports ---------------------------------------------------------------------------------------------------------


def taken(address: str, kind: socket.SocketKind) -> socket.socket:
    host, _, port = address.rpartition(":")
    holder = socket.socket(socket.AF_INET, kind)
    try:
        holder.bind((host, int(port)))
    except OSError:
        holder.close()
        raise
    if kind is socket.SOCK_STREAM:
        holder.listen()
    return holder


@pytest.mark.parametrize(
    ("subject", "kind", "shown"),
    [
        ("http.listen", socket.SOCK_STREAM, "TCP"),
        ("sip.listen", socket.SOCK_DGRAM, "UDP"),
        ("sip.listen", socket.SOCK_STREAM, "TCP"),
    ],
)
async def test_a_port_in_use(config: Config, subject: str, kind: socket.SocketKind, shown: str) -> None:
    address = config.http.listen if subject == "http.listen" else config.sip.listen
    with taken(address, kind):
        assert await one(config, subject) == ("fault", f"{address} is in use ({shown})")
    assert (await one(config, subject))[0] == "ok"


async def test_a_port_that_we_use_ourselves(config: Config) -> None:
    async def status() -> str:
        return "{}"

    config.run_dir.mkdir(mode=0o700)
    with taken(config.http.listen, socket.SOCK_STREAM):
        async with control.listening(config.run_dir / "control.sock", {"status": status}):
            assert await one(config, "http.listen") == ("ok", f"{config.http.listen} is in use by us")
        assert (await one(config, "http.listen"))[0] == "fault"


async def test_an_address_that_this_machine_does_not_have(environment: dict[str, str]) -> None:
    config = load(None, {**environment, "DUTYLINE_SIP_LISTEN": "192.0.2.1:5060"})
    faults = {remark.subject: remark.text for remark in await preflight(config) if remark.severity == "fault"}
    assert faults["sip.listen"] == "192.0.2.1:5060 is no address of this machine"


@pytest.mark.parametrize(
    ("ports", "hep", "severity", "words"),
    [
        ("20000-20999", "127.0.0.1:0", "ok", "250 calls"),
        ("20000-20039", "127.0.0.1:0", "warning", "10 calls"),
        ("20000-20999", "127.0.0.1:20500", "fault", "asterisk.hep_listen lies inside"),
    ],
)
async def test_ports_for_speech(environment: dict[str, str], ports: str, hep: str, severity: str, words: str) -> None:
    more = {"DUTYLINE_SIP_RTP_PORTS": ports, "DUTYLINE_ASTERISK_HEP_LISTEN": hep}
    found = await one(load(None, {**environment, **more}), "sip.rtp_ports")
    assert found[0] == severity
    assert words in found[1]


@pytest.fixture
def busy_range() -> Iterator[str]:
    """Thirty neighbouring UDP ports, all in use."""
    for first in range(20_000, 28_000, 100):
        with ExitStack() as stack:
            try:
                for port in range(first, first + 30):
                    stack.enter_context(taken(f"127.0.0.1:{port}", socket.SOCK_DGRAM))
            except OSError:
                continue
            yield f"{first}-{first + 29}"
            return
    raise AssertionError("no thirty free ports side by side")


async def test_ports_for_speech_that_others_use(environment: dict[str, str], busy_range: str) -> None:
    severity, text = await one(load(None, {**environment, "DUTYLINE_SIP_RTP_PORTS": busy_range}), "sip.rtp_ports")
    assert (severity, text.startswith(f"most of {busy_range} is in use")) == ("fault", True)


# --- engine and prompts --------------------------------------------------------------------------------------------


async def test_an_engine_that_is_not_fetched(config: Config, tmp_path: Path) -> None:
    (tmp_path / "cache/current").unlink()
    (remark,) = await said(config, "engine")
    assert (remark.severity, remark.remedy) == ("fault", "run dutyline engine fetch")
    assert remark.text.startswith("no Asterisk is installed on this machine, and ")


async def test_the_machine_s_own_asterisk(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        install, "installed", lambda: (install.Engine(None, "22.9.0"), "/usr/sbin/asterisk is Asterisk 22.9.0")
    )
    assert await one(config, "engine") == ("ok", "/usr/sbin/asterisk is Asterisk 22.9.0")


async def test_an_installed_asterisk_that_does_not_start(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> tuple[None, str]:
        raise EngineError("asterisk cannot be started: exec format error")

    monkeypatch.setattr(install, "installed", broken)
    assert await one(config, "engine") == ("fault", "asterisk cannot be started: exec format error")


async def test_prompts_that_will_be_spoken_at_the_start(config: Config) -> None:
    (config.prompts_dir / "rendered" / f"{PROMPTS[0].key}.wav").unlink()
    severity, text = await one(config, "prompts")
    assert severity == "ok"
    assert text.startswith("1 sentences are not spoken yet; ")
    assert "espeak-ng" in text


@pytest.mark.parametrize(("program", "severity"), [("sh", "ok"), ("no-such-synthesizer", "fault")])
async def test_another_synthesizer(environment: dict[str, str], program: str, severity: str) -> None:
    config = load(None, {**environment, "DUTYLINE_PROMPTS_COMMAND": f"{program} {{text_file}} {{wav_file}}"})
    (config.prompts_dir / "rendered" / f"{PROMPTS[0].key}.wav").unlink()
    assert (await one(config, "prompts"))[0] == severity


async def test_what_asterisk_has_read_is_audited_too(config: Config) -> None:
    etc = config.run_dir / "etc"
    conf.write(etc, conf.render(config, CITY, places(config.run_dir)))
    (config.run_dir / "log").mkdir()
    (config.run_dir / "log/cel-custom").symlink_to(config.journal_dir)
    config.journal_dir.mkdir()
    assert await one(config, str(etc)) == ("ok", "no setting opens a way to forward a duty line")
    duty = etc / "pjsip_duty.conf"
    text = duty.read_text()
    line = text.splitlines().index("redirect_method = user") + 1
    duty.write_text(text.replace("redirect_method = user", "redirect_method = uri_core"))
    found = [remark for remark in await preflight(config) if remark.severity == "fault"]
    assert [(remark.subject, remark.remedy) for remark in found] == [(f"{duty}:{line}", "set redirect_method = user")]


# --- database and inventory ----------------------------------------------------------------------------------------


async def registered(url: str, inventory: Inventory) -> None:
    store = await open_store(url)
    async with store.begin() as uow:
        await uow.inventory.replace(inventory, by="test", source="city.toml", sha256="0" * 64, at=clock.now())
    await store.close()


@pytest.mark.parametrize(
    ("inventory", "severity", "words"),
    [
        (CITY, "ok", "version 1: 2 duty lines of ours, 2 trunks"),
        (Inventory(units=CITY.units), "warning", "no duty line of ours is registered"),
        (replace(CITY, lines=(replace(CITY.lines[0], number="13800138000", aliases=()),)), "fault", "mobile"),
    ],
)
async def test_inventory(
    environment: dict[str, str], url: str, inventory: Inventory, severity: str, words: str
) -> None:
    await registered(url, inventory)
    config = load(None, {**environment, "DUTYLINE_DATABASE_URL": url})
    found = await preflight(config)
    about = [remark for remark in found if remark.subject == "inventory"]
    assert {remark.severity for remark in about} == {severity}
    assert any(words in remark.text for remark in about), about
    (database,) = (remark.text for remark in found if remark.subject == "database")
    assert database.endswith(f"answers, at revision {newest_revision()}")


async def test_a_database_of_another_version(environment: dict[str, str], sqlite_url: str) -> None:
    async with aiosqlite.connect(sqlite_url.partition(":///")[2]) as database:
        await database.execute("UPDATE alembic_version SET version_num = '0000_old'")
        await database.commit()
    (remark,) = await said(load(None, {**environment, "DUTYLINE_DATABASE_URL": sqlite_url}), "database")
    assert (remark.severity, remark.remedy) == ("fault", "run dutyline migrate")
    assert "0000_old" in remark.text


async def test_an_empty_database(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    config = load(None, {**environment, "DUTYLINE_DATABASE_URL": f"sqlite:///{tmp_path}/empty.db"})
    severity, text = await one(config, "database")
    assert severity == "ok"
    assert "is empty" in text


async def test_a_database_that_does_not_answer_keeps_its_password(environment: dict[str, str]) -> None:
    url = f"postgresql://duty:made-up@127.0.0.1:{free_port('127.0.0.1', socket.SOCK_STREAM)}/dutyline"
    found = await preflight(load(None, {**environment, "DUTYLINE_DATABASE_URL": url}))
    assert [remark.subject for remark in found if remark.severity == "fault"] == ["database"]
    assert "made-up" not in "\n".join(map(str, found))


async def test_a_file_that_is_no_database(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database at all\n" * 99)
    config = load(None, {**environment, "DUTYLINE_DATABASE_URL": f"sqlite:///{tmp_path}/text.db"})
    assert (await one(config, "database"))[0] == "fault"
