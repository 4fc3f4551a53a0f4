"""Our own configuration has no open way; each way that is opened in a copy of it is found, and nothing else.

A row of the table: in `file`, `old` becomes `new` (an empty `old` puts `new` at the end), and the finding says `words`.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.asterisk import audit_dialplan, audit_engine, audit_pjsip
from gateway.asterisk.audit import NEEDED, Finding, findings
from gateway.core.inventory import Inventory
from tests.asterisk.samples import config, rendered


class Opened(NamedTuple):
    """One way, opened."""

    file: str
    old: str
    new: str
    words: str
    severity: str = "fault"
    count: int = 1  # of findings, all saying the same of several endpoints


DIAL_IN = "Dial(${RING:1},${RING_S},iIb("
DIAL_OUT = "Dial(PJSIP/${DIALLED}@${ROUTE},"
PLAIN = 'GotoIf($[${REGEX("^[+]?[0-9]+$" ${DIALLED})} = 1]?plain:code-denied,s,1)'
GOOD = 'GotoIf($[${REGEX("^[+]?[0-9]{3,20}$" ${DIALLED})} = 1]?good:bad)'
STOPPED_IN = "[forward-stopped]"
NET_IN = "[forward-denied]\nexten => _.,1,Set"
PJSIP = [
    Opened("pjsip_duty", "redirect_method = user", "redirect_method = uri_core", "redirect_method = uri_core"),
    Opened("pjsip_duty", "redirect_method = user", "redirect_method = uri_pjsip", "redirect_method = uri_pjsip"),
    Opened("pjsip_duty", "redirect_method = user", "Redirect_Method => uri_core", "followed past the dialplan"),
    Opened("pjsip_duty", "[desk2](phone)", "[desk2](phone)\nredirect_method = uri_core", "redirect_method = uri_core"),
    Opened("pjsip_duty", "allow_transfer = no", "allow_transfer = yes", "allow_transfer = yes"),
    Opened("pjsip_duty", "allow_transfer = no", "allow_transfer = maybe", "allow_transfer = maybe"),
    Opened("pjsip_duty", "allow_transfer = no", "; allow_transfer = no", "without allow_transfer", count=5),
    Opened("pjsip_duty", "allow_subscribe = no", "allow_subscribe = on", "allow_subscribe = on"),
    Opened("pjsip_duty", "allow_subscribe = no", "", "without allow_subscribe", count=5),
    Opened("pjsip_duty", "direct_media = no", "direct_media = yes", "direct_media = yes"),
    Opened("pjsip_duty", "direct_media = no", "", "without direct_media", count=5),
    Opened("pjsip_duty", "t38_udptl = no", "fax_detect = yes", "fax_detect = yes"),
    Opened("pjsip_duty", "t38_udptl = no", "one_touch_recording = yes", "one_touch_recording = yes"),
    *(Opened("pjsip_duty", "t38_udptl = no", f"{name} = 1", f"{name} = 1") for name in audit_pjsip._GROUPS),
    Opened("pjsip_duty", "trust_id_inbound = no", "trust_id_inbound = yes", "trust_id_inbound = yes", "warning"),
    Opened("pjsip_duty", "set_var = FORWARD_CONTEXT=forward-denied", "", "without set_var FORWARD_CONTEXT", count=5),
    Opened("pjsip_duty", "FORWARD_CONTEXT=forward-denied", "FORWARD_CONTEXT=outbound", "FORWARD_CONTEXT=outbound"),
    *(
        Opened("pjsip_duty", "[desk2](phone)", f"[desk2](phone)\nset_var = __{name}=T", f"__{name}=T")
        for name in audit_pjsip.FEATURE_VARIABLES
    ),
    *(
        Opened("pjsip_duty", "[desk2](phone)", f"[desk2](phone)\nset_var = {name}=T", f"{name}=T")
        for name in ("CHANNEL(dtmf_features)", "__CHANNEL(pickupgroup)", "FEATUREMAP(blindxfer)")
    ),
    Opened("pjsip_duty", "[desk2](phone)", "[desk2](phone)\noutbound_proxy = sip:10.0.0.9", "another machine"),
    Opened("pjsip_duty", "[desk2](phone)", "[desk2](phone)\ncontext = outbound", "context = outbound"),
    Opened("pjsip_duty", "context = from-desk\n", "", "without context = from-desk", count=3),
    Opened("pjsip_duty", "aors = desk2", "aors = desk2,desk3", "more than one device"),
    Opened("pjsip_duty", "[desk2](phone-aor)", "[desk2](phone-aor)\ncontact = sip:1@10.0.0.9", "whoever registered"),
    Opened("pjsip_duty", "[desk2](phone-aor)", "[desk2](phone-aor)\noutbound_proxy = sip:x", "another machine"),
    Opened("pjsip_duty", "max_contacts = 1", "max_contacts = 1\nsupport_path = yes", "support_path = yes"),
    Opened("pjsip_duty", "max_contacts = 1", "max_contacts = 2", "max_contacts = 2"),
    Opened("pjsip_duty", "remove_existing = no", "remove_existing = yes", "remove_existing = yes"),
    Opened("pjsip_duty", "auth = desk2\n", "", "whoever writes its name into From"),
    Opened("pjsip_duty", "identify_by = ip\n", "", "whoever writes its name into From", count=2),
    Opened("pjsip_duty", "endpoint = carrier\n", "endpoint = other\n", "without identify", "warning"),
    Opened("pjsip_duty", "match = 127.0.0.5", "match = 127.0.0.5,0.0.0.0/0", "every stranger is the endpoint carrier"),
    Opened("pjsip_duty", "match = 127.0.0.5", "match = 0.0.0.0/1", "every stranger is the endpoint carrier"),
    Opened("pjsip_duty", "match = 127.0.0.5", "match = 64.0.0.0/192.0.0.0", "every stranger is the endpoint carrier"),
    Opened("pjsip_duty", "match = 127.0.0.5", "match_header = X-Us: 1", "whoever writes this into a request"),
    Opened("pjsip_duty", "match = 127.0.0.5", "match_request_uri = 1", "whoever writes this into a request"),
    Opened(
        "pjsip_duty",
        "",
        "[anonymous](phone)\nauth = desk1\n",
        "[anonymous] without a caller",
    ),
    Opened("pjsip_duty", "match_header = Replaces: /.*/", "", "identify for Replaces"),
    Opened("pjsip_duty", "match_header = Replaces: /.*/", "match_header = Replaces: 1", "identify for Replaces"),
    Opened("pjsip_duty", "match_header = Refer-To: /.*/", "", "identify for Refer-To"),
    Opened("pjsip", "= header,ip", "= ip,header", "endpoint_identifier_order = ip,header"),
    Opened("pjsip", "endpoint_identifier_order", "; endpoint", "no endpoint_identifier_order"),
    Opened("pjsip", "", "#exec /bin/true", "#exec = /bin/true"),
    Opened("pjsip", "", "an odd line", "passes over", "warning"),
    Opened("pjsip_wizard", "", "[desk9]\ntype = wizard", "type = wizard"),
    Opened("extconfig", "", "[settings]\nps_endpoints => odbc,asterisk", "ps_endpoints = odbc,asterisk"),
    Opened("sorcery", "", "[res_pjsip]\nendpoint = realtime,ps_endpoints", "endpoint = realtime,ps_endpoints"),
]
DIALPLAN = [
    Opened("extensions", "FORWARD_CONTEXT = forward-denied", "", "no FORWARD_CONTEXT under [globals]"),
    Opened("extensions", "FORWARD_CONTEXT = forward-denied", "FORWARD_CONTEXT = x", "FORWARD_CONTEXT = x"),
    Opened("extensions", "[globals]", "[globals]\nTRANSFER_CONTEXT = x", "TRANSFER_CONTEXT = x"),
    Opened("extensions_duty", "[forward-denied]", "[forward-denied-not]", "no context [forward-denied]"),
    Opened("extensions_duty", "[forward-stopped]", "exten => 1,1,Dial(PJSIP/a,1,i)\n[forward-stopped]", "only log and"),
    Opened("extensions_duty", NET_IN, "[forward-denied]\nexten => _X.,1,Set", "an extension _."),
    Opened("extensions_duty", NET_IN, "[forward-denied]\ninclude => outbound\nexten => _.,1,Set", "include = outbound"),
    Opened("extensions_duty", "(FORWARD_ATTEMPT,method=forward_context", "(X,x", "CELGenUserEvent(FORWARD_ATTEMPT,…)"),
    Opened("extensions_duty", STOPPED_IN, f"{STOPPED_IN}\nexten => 1,1,Dial(PJSIP/a,1,i)", "dial: a followed forward"),
    Opened("extensions_duty", STOPPED_IN, f"{STOPPED_IN}\nexten => 1,1,Goto(${{T}},1,1)", "a variable chooses where"),
    *(
        Opened("extensions_duty", DIAL_IN, DIAL_IN.replace("iI", f"iI{letter}"), f"the Dial option {letter}: ")
        for letter in "tTkKhHwWxXFGgdDpPnNO"
    ),
    Opened("extensions_duty", DIAL_OUT, "Dial(PJSIP/110@${ROUTE},", "it always dials PJSIP/110@", count=2),
    Opened("extensions_duty", DIAL_OUT, "Dial(PJSIP/${CUT(DIALLED,x,1)}@${ROUTE},", "star and hash codes too"),
    Opened("extensions_duty", DIAL_OUT, "Dial(IAX2/${DIALLED}@${ROUTE},", "IAX2 leads past our trunks"),
    Opened("extensions_duty", "Set(RING=${RING}&PJSIP/", "Set(RING=&PJSIP/1@carrier${RING}&PJSIP/", "PJSIP/1@carrier"),
    Opened("extensions_duty", "/${PLACE})", "/sip:1@10.0.0.9)", "it always dials"),
    Opened("extensions_duty", DIAL_IN, DIAL_IN.replace("iI", "iI~"), "the Dial option ~: it is not known"),
    Opened("extensions_duty", DIAL_IN, DIAL_IN.replace("iI", "I"), "the Dial option i: it is missing"),
    Opened("extensions_duty", "(UNRECORDED=A(", "(UNRECORDED=tA(", "the Dial option t: ", count=2),
    Opened("extensions_duty", DIAL_IN, DIAL_IN.replace("iI", "iI${ARG1}"), "cannot be told from the dialplan"),
    Opened("extensions_duty", DIAL_IN, DIAL_IN.replace("${RING:1}", "${CALLFORWARD}"), "what Dial rings"),
    Opened("extensions_duty", "Set(RING=${RING}&PJSIP/", "Set(RING=${RING}&local/", "a Local channel hides"),
    Opened("extensions_duty", "[missed]", "[x]\nexten => 1,1,Dial(Local/1@y,9,i)\n[missed]", "a Local channel hides"),
    Opened("extensions_duty", "[missed]", "[x]\nexten => 1,hint,PJSIP/desk1\n[missed]", "a hint tells", "warning"),
    Opened("extensions_duty", "[missed]", "[x]\nswitch => Realtime/x\n[missed]", "switch = Realtime/x"),
    *(
        Opened("extensions_duty", "Wait(0.3)", f"{app.title()}(x)", f"the application {app}: ")
        for app in audit_dialplan.FORBIDDEN_APPS
    ),
    Opened("extensions_duty", "Wait(0.3)", "ExecIf($[1]?NoOp(a,b):Transfer(x))", "the application transfer"),
    Opened("extensions_duty", "Wait(0.3)", "TryExec(System(x))", "the application system"),
    Opened("extensions_duty", "Wait(0.3)", "Exec(${ARG1}(x))", "a variable chooses the application"),
    Opened("extensions_duty", "Wait(0.3)", "Originate(PJSIP/x,app,Wait,1)", "the application originate"),
    Opened("extensions_duty", "Originate(Local/s@duty-lookup/n,app,Wait", "Originate(PJSIP/x,app,Dial", "originate"),
    Opened("extensions_duty", "Wait(0.3)", "EAGI(x)", "the application AGI"),
    Opened("extensions_duty", "Wait(0.3)", "Stasis(other)", "another ARI application"),
    Opened("extensions_duty", "Wait(0.3)", "Set(X=${SHELL(x)})", "the function SHELL"),
    Opened("extensions_duty", "${EXT}))", "${EXT}),/bin/true)", "MixMonitor's third argument"),
    *(
        Opened("extensions_duty", "Wait(0.3)", f"Set({name}=x)", "remove this assignment")
        for name in (
            *audit_pjsip.FEATURE_VARIABLES,
            "__BRIDGE_FEATURES",
            "GLOBAL(TRANSFER_CONTEXT)",
            "CHANNEL(dtmf_features)",
            "CHANNEL(pickupgroup)",
            "CHANNEL(namedcallgroup)",
            "CHANNEL(after_bridge_goto)",
            "FEATUREMAP(blindxfer)",
        )
    ),
    *(
        Opened("extensions_duty", "Wait(0.3)", f"Set({name}=x)", f"the variable {name} moves the call")
        for name in audit_dialplan.MOVING_VARIABLES
    ),
    Opened("extensions_duty", "GOSUB_RESULT=BUSY", "GOSUB_RESULT=GOTO:a^b^1", "the variable GOSUB_RESULT moves"),
    Opened("extensions_duty", "Wait(0.3)", "MSet(A=1,__FORWARD_CONTEXT=x)", "leave FORWARD_CONTEXT at"),
    Opened("extensions_duty", "Wait(0.3)", "Set(GLOBAL(FORWARD_CONTEXT)=x)", "leave FORWARD_CONTEXT at"),
    Opened("extensions_duty", "Wait(0.3)", "Set(${ARG1}=x)", "a variable chooses which variable"),
    *(
        Opened("extensions", "", f"[x]\nexten => {pattern},1,Dial(PJSIP/${{EXTEN}}@carrier,9,i)", "star and hash codes")
        for pattern in ("_.", "_!", "_*X.", "_[*#].", "_#.")
    ),
    Opened("extensions", "", "[x]\nexten => _X.,1,Dial(PJSIP/${EXTEN}@a,9,i)", "behind the first digits", "warning"),
]
ENGINE = [
    *(
        Opened("modules", "", f"load => {name}.so", f"load = {name}.so: {opens}")
        for name, opens in audit_engine.FORBIDDEN_MODULES.items()
    ),
    *(Opened("modules", f"load = {name}.so", "", f"without load = {name}.so") for name in audit_engine.NEEDED_MODULES),
    Opened("features", "blindxfer =", "blindxfer = #1", "blindxfer = #1"),
    Opened("features", "blindxfer =", "", "no blindxfer"),
    Opened("features", "disconnect =", "", "no disconnect"),
    Opened("features", "disconnect =", "disconnect = *", "disconnect = *"),
    Opened("features", "atxfer =", "atxfer = *2", "atxfer = *2"),
    Opened("features", "parkcall =", "parkcall = #72", "parkcall = #72"),
    Opened("features", "automixmon =", "automixmon = *3", "automixmon = *3"),
    Opened("features", "pickupexten = X-none", "pickupexten = *8", "pickupexten = *8"),
    Opened("features", "pickupexten = X-none", "", "no pickupexten"),
    Opened("features", "", "x => *9,self,Transfer", "x = *9,self,Transfer"),
    Opened("asterisk", "live_dangerously = no", "live_dangerously = yes", "live_dangerously = yes"),
    Opened("asterisk", "live_dangerously = no", "execincludes = yes", "execincludes = yes"),
    Opened("asterisk", "", "[files]\nastctlpermissions = 0666", "astctlpermissions = 0666"),
    Opened("ari", "", "[other]\ntype = user\npassword = x", "[other] without read_only = yes"),
    Opened("ari", "", "[other]\ntype = user\npassword =\nread_only = yes", "[other] without a password"),
    Opened("ari", "password = made-up", "", "[dutyline] without a password"),
    Opened("ari", "enabled = yes", "enabled = yes\nallowed_origins = *", "allowed_origins = *"),
    Opened(
        "ari", "", "[out]\ntype = outbound_websocket\nlocal_ari_user = x", "[out] without local_ari_user = dutyline"
    ),
    Opened("websocket_client", "", "[out]\nuri = ws://10.0.0.9:80/x", "uri = ws://10.0.0.9:80/x"),
    Opened("http", "bindaddr = 127.0.0.1", "bindaddr = 0.0.0.0", "bindaddr = 0.0.0.0"),
    Opened("http", "bindaddr = 127.0.0.1", "", "[general] without bindaddr"),
    Opened("http", "", "tlsenable = yes\ntlsbindaddr = 0.0.0.0:8089", "tlsbindaddr = 0.0.0.0:8089"),
    Opened("manager", "enabled = no", "enabled = yes\nbindaddr = ::", "bindaddr = ::"),
    Opened("manager", "enabled = no", "enabled = yes", "[general] without bindaddr"),
    *(
        Opened(
            "manager",
            "enabled = no\nwebenabled = no",
            f"enabled = yes\nbindaddr = 127.0.0.1\n[tool]\nsecret = x\nwrite = reporting,{name}",
            f"[tool] can move calls or run programs ({name})",
        )
        for name in sorted(audit_engine._AMI_CLASSES)
    ),
    Opened("cel", "enable = yes", "enable = no", "without enable = yes"),
    *(Opened("cel", name, "APP_START", f"without events {name}") for name in audit_engine.CEL_EVENTS),
    Opened("cel", "%6q%z", "%6qZ", "without dateformat"),
    Opened("cel_custom", "cel.json]", "elsewhere.json]", "the journal is not written where it is read"),
    Opened("cel_custom", "format = json", "format = dsv", "the journal is not written where it is read"),
    *(Opened("cel_custom", f"{name},", "", f"without fields {name}") for name in audit_engine.CEL_FIELDS[1:-1]),
    Opened("cli", "", "[startup_commands]\ndialplan set global FORWARD_CONTEXT x = yes", "FORWARD_CONTEXT x = yes"),
    Opened("stasis", "", "[declined_message_types]\ndecline = cel_generic_type", "decline = cel_generic_type"),
    Opened("users", "", "[general]\nhasexten = no\n[6000]\nfullname = x", "[6000] without a place"),
    Opened("hep", "enabled = yes", "enabled = no", "enabled = yes", "warning"),
    Opened("hep", "uuid_type = call-id", "uuid_type = channel", "without uuid_type", "warning"),
    Opened("hep", "capture_address = 127.0.0.1", "capture_address = 10.0.0.9", "capture_address = 10.0.0.9:9060"),
]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = rendered(tmp_path_factory.mktemp("data"))
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def found_in(folder: Path, texts: dict[str, str], file: str, text: str | None) -> list[Finding]:
    for name, rest in texts.items():
        (folder / name).write_text(rest, encoding="utf-8")
    if text is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(text, encoding="utf-8")
    log_dir = texts["asterisk.conf"].partition("astlogdir => ")[2].partition("\n")[0]
    return findings(folder, journal=Path(log_dir, "cel-custom", "cel.json"))


def test_our_own_configuration_has_no_open_way(tmp_path: Path) -> None:
    folder = rendered(tmp_path)
    config(tmp_path).journal_dir.mkdir()
    (tmp_path / "run/log").mkdir()
    (tmp_path / "run/log/cel-custom").symlink_to(config(tmp_path).journal_dir)
    assert findings(folder, journal=config(tmp_path).journal_dir / "cel.json") == []


def test_an_empty_inventory_has_no_open_way(tmp_path: Path) -> None:
    assert findings(rendered(tmp_path, Inventory())) == []


@pytest.mark.parametrize("opened", [*PJSIP, *DIALPLAN, *ENGINE], ids=lambda row: f"{row.file}: {row.words}")
def test_each_open_way_is_found(tmp_path: Path, texts: dict[str, str], opened: Opened) -> None:
    name = f"{opened.file}.conf"
    before = texts.get(name, "")
    if opened.old:
        assert opened.old in before, "the template has changed: bring this row up to date"
    text = before.replace(opened.old, opened.new, 1 if "\n" not in opened.old else -1) if opened.old else before
    found = found_in(tmp_path, texts, name, text if opened.old else f"{before}\n{opened.new}\n")
    assert {(finding.severity, opened.words in str(finding)) for finding in found} == {(opened.severity, True)}, found
    assert len(found) == opened.count
    assert {finding.file.name for finding in found} <= {name, "pjsip.conf", "extensions.conf"}


@pytest.mark.parametrize(
    "weak",
    [
        "NoOp()",
        GOOD.replace("[+]?[0-9]{3,20}", "[+*]?[0-9]{3,20}"),
        GOOD.replace("[0-9]{3,20}", ".+"),
        GOOD.replace("20}$", "20}"),
        GOOD.replace("^", ""),
        GOOD.replace("${DIALLED}", "${LINE}"),
        GOOD.replace("= 1", "= 0"),
        GOOD.replace("?good:bad", "?good"),
        GOOD.replace("?good:bad", "?bad:good"),
        GOOD.replace("GotoIf", "NoOp"),
        f"{GOOD}\n same => n,Set(DIALLED=${{CALLERID(num)}})",
    ],
)
def test_a_number_reaches_a_trunk_only_as_digits(tmp_path: Path, texts: dict[str, str], weak: str) -> None:
    dialplan = texts["extensions_duty.conf"]
    assert dialplan.count(PLAIN) == dialplan.count(GOOD) == 1, "the template has changed: bring this test up to date"
    assert found_in(tmp_path, texts, "extensions_duty.conf", dialplan.replace(PLAIN, "NoOp()")) == []
    (found,) = found_in(tmp_path, texts, "extensions_duty.conf", dialplan.replace(PLAIN, "NoOp()").replace(GOOD, weak))
    assert "star and hash codes too" in str(found)


@pytest.mark.parametrize("name", NEEDED)
def test_a_file_that_is_missing_is_a_fault(tmp_path: Path, texts: dict[str, str], name: str) -> None:
    found = found_in(tmp_path, texts, f"{name}.conf", None)
    assert any(finding.file.name == f"{name}.conf" and "cannot be read" in finding.setting for finding in found)


def test_a_file_that_asterisk_would_refuse_is_a_fault_with_its_line(tmp_path: Path, texts: dict[str, str]) -> None:
    found = found_in(tmp_path, texts, "features.conf", "[general\n")
    assert any("features.conf:1: " in str(finding) for finding in found)


def test_whatever_is_switched_off_needs_no_finding(tmp_path: Path, texts: dict[str, str]) -> None:
    folder = tmp_path
    assert found_in(folder, texts, "http.conf", "[general]\nenabled = no\nbindaddr = 0.0.0.0\n") == []
    shut = "[general]\nenabled = no\nbindaddr = 0.0.0.0\n[tool]\nwrite = all\n"
    assert found_in(folder, texts, "manager.conf", shut) == []
    told = "[general]\nenabled = yes\nbindaddr = 127.0.0.1\n[tool]\nread = all\nwrite = reporting\n"
    assert found_in(folder, texts, "manager.conf", told) == []


def test_a_second_account_that_only_reads_is_no_finding(tmp_path: Path, texts: dict[str, str]) -> None:
    more = "\n[watcher]\ntype = user\nread_only = yes\npassword = x\n"
    assert found_in(tmp_path, texts, "ari.conf", texts["ari.conf"] + more) == []


def test_an_endpoint_barred_by_a_named_acl_needs_no_settings(tmp_path: Path, texts: dict[str, str]) -> None:
    more = "\n[nobody]\ntype = endpoint\nacl = all\n"
    acl = {**texts, "acl.conf": "[all]\ndeny = 0.0.0.0/0.0.0.0,::/0\n"}
    assert found_in(tmp_path, acl, "pjsip.conf", texts["pjsip.conf"] + more) == []
    half = {**texts, "acl.conf": "[all]\ndeny = 0.0.0.0/0.0.0.0\n"}
    assert found_in(tmp_path, half, "pjsip.conf", texts["pjsip.conf"] + more) != []


def modules_of(folder: Path, texts: dict[str, str], modules: str) -> set[str]:
    found = found_in(folder, texts, "modules.conf", f"[modules]\nautoload = yes\n{modules}")
    assert {finding.file.name for finding in found} <= {"modules.conf"}
    return {finding.setting.removeprefix("[modules] without ") for finding in found}


def test_autoload_needs_every_forbidden_module_refused(tmp_path: Path, texts: dict[str, str]) -> None:
    names = list(audit_engine.FORBIDDEN_MODULES)
    assert modules_of(tmp_path, texts, "") == {f"noload = {name}.so" for name in names}
    refused = "".join(f"noload => {name}.so\n" for name in names)
    assert modules_of(tmp_path, texts, refused) == set()
    assert modules_of(tmp_path, texts, f"load => app_queue.so\n{refused}") == set(), "noload wins"


def test_autoload_cannot_load_what_is_not_installed(tmp_path: Path, texts: dict[str, str]) -> None:
    (tmp_path / "modules").mkdir()
    for name in ("app_queue", *audit_engine.NEEDED_MODULES):
        (tmp_path / "modules" / f"{name}.so").touch()
    there = texts["asterisk.conf"].replace("astmoddir => ", f"astmoddir => {tmp_path}/modules ; ")
    assert modules_of(tmp_path, {**texts, "asterisk.conf": there}, "") == {"noload = app_queue.so"}
    (tmp_path / "modules" / "cel_custom.so").unlink()
    assert "load = cel_custom.so" in modules_of(tmp_path, {**texts, "asterisk.conf": there}, "")


@pytest.mark.parametrize("name", ["cancallforward", "transfer", "threewaycalling", "callwaiting"])
def test_analogue_phones(tmp_path: Path, texts: dict[str, str], name: str) -> None:
    loaded = {**texts, "modules.conf": f"{texts['modules.conf']}\nload = chan_dahdi.so\n"}
    (finding,) = found_in(tmp_path, loaded, "chan_dahdi.conf", f"[channels]\n{name} = yes\n")
    assert finding.setting == f"{name} = yes"
    assert found_in(tmp_path, texts, "chan_dahdi.conf", f"[channels]\n{name} = yes\n") == []


def test_findings_say_where_what_and_what_to_do(tmp_path: Path, texts: dict[str, str]) -> None:
    (finding,) = found_in(tmp_path, texts, "cel.conf", texts["cel.conf"].replace("enable = yes", "enable = no"))
    line = texts["cel.conf"].splitlines().index("[general]") + 1
    place = f"{tmp_path / 'cel.conf'}:{line}"
    assert str(finding) == f"{place}: [general] without enable = yes: nothing of a call is recorded; add it"


def test_a_journal_whose_name_asterisk_would_cut(tmp_path: Path, texts: dict[str, str]) -> None:
    for length, count in ((79, 0), (80, 1)):
        journal = Path("/" + "d" * (length - 10) + "/cel.json")
        (tmp_path / "cel_custom.conf").write_text(texts["cel_custom.conf"].replace("[cel.json]", f"[{journal}]"))
        found_in(tmp_path, {**texts, "cel_custom.conf": (tmp_path / "cel_custom.conf").read_text()}, "x.conf", "")
        found = findings(tmp_path, journal=journal)
        assert [finding.setting.endswith("without a short name") for finding in found] == [True] * count
