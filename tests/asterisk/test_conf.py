"""Rendering: the inventory becomes a dialplan and endpoints; the same twice is the same; only changes are written."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from gateway.asterisk import conf
from gateway.asterisk.conf_reader import Conf, read
from gateway.asterisk.dialplan import Step, steps
from gateway.audio.prompts import PROMPTS
from gateway.core.inventory import Inventory, Trunk
from tests.asterisk.samples import CITY, config, places, rendered


def texts(folder: Path, inventory: Inventory = CITY, **environment: str) -> dict[str, str]:
    return conf.render(config(folder, **environment), inventory, places(folder))


def dialplan(folder: Path, inventory: Inventory = CITY) -> list[Step]:
    return steps(read(rendered(folder, inventory), "extensions.conf"))


def pjsip(folder: Path, inventory: Inventory = CITY) -> Conf:
    return read(rendered(folder, inventory), "pjsip.conf")


def test_rendering_is_a_function(tmp_path: Path) -> None:
    assert texts(tmp_path) == texts(tmp_path)
    assert "{{" not in "".join(texts(tmp_path).values())


def test_every_form_of_a_number_leads_to_its_line(tmp_path: Path) -> None:
    found = {step.pattern: step.text for step in dialplan(tmp_path) if step.context == "duty-numbers"}
    for form in ("02283000000", "+862283000000", "862283000000", "00862283000000", "83000000", "02283000009"):
        assert found[form] == "Goto(duty-line,02283000000,1)"
    assert found["83000001"] == "Goto(duty-line,02283000001,1)"
    assert not [pattern for pattern in found if pattern.endswith("23000001")], "another unit's number is not ours"


def line_facts(found: list[Step], number: str) -> list[str]:
    return [step.text for step in found if (step.context, step.pattern) == ("duty-line", number)]


def test_a_line_has_its_own_values_or_the_configured_ones(tmp_path: Path) -> None:
    found = dialplan(tmp_path)
    assert "Set(RING_S=60)" in line_facts(found, "02283000000")
    assert "Set(RING_S=25)" in line_facts(found, "02283000001")
    assert "Set(ANNOUNCE=0)" in line_facts(found, "02283000000")
    ours = replace(CITY.lines[0], announce_recording=True)
    assert "Set(ANNOUNCE=1)" in line_facts(dialplan(tmp_path, replace(CITY, lines=(ours,))), "02283000000")


def test_a_line_rings_its_own_phones(tmp_path: Path) -> None:
    found = dialplan(tmp_path)
    rung = [step.text for step in found if (step.context, step.pattern) == ("duty-phones", "02283000001")]
    assert [text for text in rung if text.startswith("Gosub")] == [
        "Gosub(duty-phone,s,1(desk2))",
        "Gosub(duty-phone,s,1(desk3))",
    ]


def test_phones_trunks_and_their_addresses(tmp_path: Path) -> None:
    found = pjsip(tmp_path)
    kinds = [section.value("type") for section in found.objects() if section.name == "desk1"]
    assert kinds == ["endpoint", "auth", "aor"]
    desk1, auth, aor = (section for section in found.objects() if section.name == "desk1")
    assert (desk1.value("auth"), desk1.value("aors"), desk1.value("callerid")) == ("desk1", "desk1", "<02283000000>")
    assert [setting.value for setting in desk1.all("permit")] == ["127.0.0.0/8"]
    assert [setting.value for setting in desk1.all("set_var")] == [
        "FORWARD_CONTEXT=forward-denied",
        "DUTY_LINE=02283000000",
    ]
    assert (auth.value("realm"), auth.value("md5_cred")) == ("dutyline", "0" * 32)
    assert aor.value("max_contacts") == "1"
    (identify,) = (section for section in found.objects() if section.name == "mobile" and section.value("match"))
    assert (identify.value("endpoint"), identify.value("match")) == ("mobile", "127.0.0.6")


def test_the_trunk_of_a_remote_line(tmp_path: Path) -> None:
    routes = dialplan(tmp_path)
    assert "Set(ROUTE=carrier)" in [step.text for step in routes if step.context == "duty-routes"], (
        "the first by default"
    )
    remote = {(step.pattern, step.text) for step in routes if step.context == "duty-remote"}
    assert ("02223000001", "Set(ROUTE=mobile)") in remote
    assert ("02223000000", "Set(ROUTE=mobile)") in remote, "by its alias too"


def test_without_a_trunk_there_is_no_route(tmp_path: Path) -> None:
    found = dialplan(tmp_path, replace(CITY, trunks=(), lines=CITY.lines[:2]))
    assert "Set(ROUTE=)" in [step.text for step in found if step.context == "duty-routes"]


def test_configuration_is_rendered(tmp_path: Path) -> None:
    found = texts(
        tmp_path,
        DUTYLINE_SIP_LISTEN="10.0.0.1:5070",
        DUTYLINE_SIP_RTP_PORTS="20000-20100",
        DUTYLINE_SIP_REALM="city",
        DUTYLINE_ASTERISK_NODE="b7",
        DUTYLINE_INBOUND_MESSAGE_MAX_S="33",
        DUTYLINE_RECORDING_FAILURE_POLICY="refuse",
    )
    assert found["pjsip.conf"].count("bind = 10.0.0.1:5070") == 2
    assert "default_realm = city" in found["pjsip.conf"]
    assert "rtpstart = 20000\nrtpend = 20100" in found["rtp.conf"]
    assert "systemname = b7" in found["asterisk.conf"]
    assert ",1,33)" in found["extensions_duty.conf"]
    assert '"refuse" = "refuse"' in found["extensions_duty.conf"]
    assert "bindaddr = 127.0.0.1\nbindport = 8088" in found["http.conf"]
    assert "password = made-up" in found["ari.conf"]
    assert "agi://127.0.0.1:4573/lookup" in found["extensions_duty.conf"]
    assert "capture_address = 127.0.0.1:9060" in found["hep.conf"]


def test_every_prompt_that_is_played_is_rendered(tmp_path: Path) -> None:
    folder = re.escape(f"{config(tmp_path).prompts_dir / 'rendered'}/")
    played = set(re.findall(rf"{folder}([a-z-]+)", texts(tmp_path)["extensions_duty.conf"]))
    assert {"missed-leave-message", "code-denied"} <= played <= {prompt.key for prompt in PROMPTS}


def test_files_for_another_asterisk_hold_only_what_is_ours(tmp_path: Path) -> None:
    files = conf.render(config(tmp_path), CITY, places(tmp_path), conf.EXTERNAL_TEMPLATES)
    assert set(files) == {f"{name}.conf" for name in conf.EXTERNAL_TEMPLATES}
    assert "type = transport" not in "".join(files.values())
    assert "[globals]" not in "".join(files.values())


def test_a_value_that_is_missing_is_no_empty_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.conf.j2").write_text("[a]\nb = {{ nothing }}\n")
    monkeypatch.setattr(conf, "share", lambda _: tmp_path)
    with pytest.raises(UndefinedError):
        conf.render(config(tmp_path), CITY, places(tmp_path), ("x",))


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    everything = texts(tmp_path)
    assert set(conf.write(folder, everything)) == set(everything)
    assert conf.write(folder, everything) == []
    more = texts(tmp_path, replace(CITY, trunks=(*CITY.trunks, Trunk("third", "127.0.0.7:5060", ("127.0.0.7",)))))
    assert conf.write(folder, more) == ["pjsip_duty.conf"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}, "they hold secrets"
    assert {path.name for path in folder.iterdir()} == set(everything), "nothing is left lying about"


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    conf.write(tmp_path / "etc", {"a.conf": "first\n"})
    with (tmp_path / "etc" / "a.conf").open() as opened:
        conf.write(tmp_path / "etc", {"a.conf": "second\n" * 99})
        assert opened.read() == "first\n", "what was opened before stays whole"


def test_a_password_is_never_rendered(tmp_path: Path) -> None:
    secret = "made-up-secret"
    ha1 = hashlib.md5(f"desk1:dutyline:{secret}".encode(), usedforsecurity=False).hexdigest()
    phone = replace(CITY.lines[0].phones[0], ha1=ha1)
    inventory = replace(CITY, lines=(replace(CITY.lines[0], phones=(phone,)),))
    assert f"md5_cred = {ha1}" in texts(tmp_path, inventory)["pjsip_duty.conf"]
    assert secret not in "".join(texts(tmp_path, inventory).values())
