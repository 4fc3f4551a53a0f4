"""Open ways in the rest of Asterisk's configuration: modules, keys, accounts, and the record itself.

A setting that hides what happened (no CEL, no journal) is a fault like one that lets it happen.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.asterisk.conf_reader import Conf, Section, Setting
from gateway.asterisk.finding import Finding, absent, present

_ELSEWHERE = "it brings extensions or endpoints that this audit does not read"
_ACCOUNTS = "it makes calls for whoever can write a file or use the command line"
FORBIDDEN_MODULES = {
    "res_parking": "it parks calls where others can fetch them",
    "app_followme": "it rings other numbers",
    "app_queue": "it rings other phones and follows forwards",
    "app_page": "it rings other phones and follows forwards",
    "app_transfer": "it moves calls",
    "app_blind_transfer": "it moves calls",
    "app_attended_transfer": "it moves calls",
    "app_channelredirect": "it moves calls",
    "app_bridgeaddchan": "it moves calls",
    "app_directed_pickup": "it takes over calls that ring",
    "app_chanspy": "it listens to other calls and speaks into them",
    "app_sla": "it lets phones share a line",
    "app_confbridge": "it joins calls that are not its own",
    "app_agent_pool": "it joins calls that are not its own",
    "app_voicemail": "it lets a caller dial on",
    "app_directory": "it lets a caller dial on",
    "app_senddtmf": "it keys codes towards the carrier",
    "app_disa": "it gives callers a dial tone of ours",
    "app_system": "it runs programs",
    "app_externalivr": "it runs programs",
    "bridge_builtin_features": "it acts on keys pressed during a call",
    "chan_iax2": "it brings phones and trunks that nothing here guards",
    "chan_unistim": "it brings phones with forwarding of their own",
    "chan_motif": "it brings trunks that nothing here guards",
    "res_pjsip_send_to_voicemail": "it lets a phone divert its calls to voicemail",
    "res_pjsip_one_touch_record_info": "it lets a phone switch a recording off",
    "res_pjsip_endpoint_identifier_anonymous": "it lets strangers in",
    "res_pjsip_config_wizard": _ELSEWHERE,
    "pbx_ael": _ELSEWHERE,
    "pbx_lua": _ELSEWHERE,
    "pbx_realtime": _ELSEWHERE,
    "pbx_dundi": _ELSEWHERE,
    "pbx_loopback": _ELSEWHERE,
    "res_clioriginate": _ACCOUNTS,
    "pbx_spool": _ACCOUNTS,
    "res_calendar": "it makes calls when an appointment comes",
}
NEEDED_MODULES = {
    "cel_custom": "nothing of a call is recorded in the journal",
    "res_pjsip_acl": "addresses are not denied, neither to phones nor to INVITEs with Replaces",
    "res_pjsip_endpoint_identifier_ip": "INVITEs with Replaces are not recognised",
    "app_mixmonitor": "no call is recorded",
    "app_celgenuserevent": "no attempt that the dialplan sees is recorded",
    "func_groupcount": "a second call of a phone is not recognised",
}
_LOADING = ("load", "preload", "require", "preload-require")
_FEATURE_DEFAULTS = {"blindxfer": "#", "disconnect": "*", "atxfer": "", "parkcall": "", "automixmon": ""}
_DIALABLE = re.compile(r"[0-9*#A-Da-d]+")
CEL_EVENTS = (
    "CHAN_START", "CHAN_END", "ANSWER", "HANGUP", "BRIDGE_ENTER", "BRIDGE_EXIT", "FORWARD", "PICKUP", "BLINDTRANSFER",
    "ATTENDEDTRANSFER", "DTMF", "USER_DEFINED", "LINKEDID_END",
)  # fmt: skip
CEL_FIELDS = ("eventtype", "userdeftype", "eventtime", "channame", "uniqueid", "linkedid", "eventextra")
CEL_DATE = "%FT%T.%6q%z"  # Asterisk writes the time of its own zone: a Z would be a lie anywhere but in UTC
LONGEST_SECTION_NAME = 79
_AMI_CLASSES = {"all", "call", "originate", "system", "command", "config", "agi", "dialplan"}
_DAHDI_OFF = ("cancallforward", "transfer", "threewaycalling", "callwaiting")


@dataclass(frozen=True, slots=True)
class Modules:
    """What modules.conf has loaded. `there`: the modules that are installed, None when that is not known."""

    section: Section
    there: frozenset[str] | None
    named: dict[str, Setting]
    refused: frozenset[str]
    everything: bool

    @classmethod
    def of(cls, conf: Conf, asterisk: Conf) -> Modules:
        """As modules.conf says, with the modules folder that asterisk.conf names."""
        section = conf.named("modules")
        folder = Path(asterisk.named("directories").value("astmoddir", "/nowhere"))
        there = frozenset(path.stem for path in folder.glob("*.so")) if folder.is_dir() else None
        named = {_module(setting): setting for name in _LOADING for setting in section.all(name)}
        refused = frozenset(_module(setting) for setting in section.all("noload"))
        autoload = section.last("autoload")
        return cls(section, there, named, refused, autoload is not None and autoload.is_true)

    def has(self, name: str) -> bool:
        """Whether Asterisk loads it."""
        found = name in self.named or (self.everything and (self.there is None or name in self.there))
        return found and name not in self.refused


def _module(setting: Setting) -> str:
    return setting.value.lower().removesuffix(".so")


def module_findings(modules: Modules) -> Iterator[Finding]:
    """modules.conf: what is loaded and should not be, and the reverse."""
    for name, opens in FORBIDDEN_MODULES.items():
        if modules.has(name) and name in modules.named:
            yield present(modules.named[name], opens, "do not load it")
        elif modules.has(name):
            yield absent(modules.section, f"noload = {name}.so", f"autoload loads it: {opens}", "add this line")
    for name, opens in NEEDED_MODULES.items():
        if not modules.has(name):
            yield absent(modules.section, f"load = {name}.so", opens, "add this line")


def feature_findings(conf: Conf) -> Iterator[Finding]:
    """features.conf: keys that act."""
    for name, implied in _FEATURE_DEFAULTS.items():
        setting = conf.named("featuremap").last(name)
        if setting is None and implied:
            opens = f"Asterisk implies {implied}, which acts during calls"
            yield absent(conf, f"{name} under [featuremap]", opens, f"set {name} = with nothing behind it")
        elif setting is not None and _DIALABLE.fullmatch(setting.value):
            yield present(setting, "these keys act during calls", f"set {name} = with nothing behind it")
    pickup = conf.named("general").last("pickupexten")
    if pickup is None:
        opens = "Asterisk implies *8, which picks up calls that ring before the dialplan is asked"
        yield absent(conf, "pickupexten under [general]", opens, "set pickupexten = X-none")
    elif _DIALABLE.fullmatch(pickup.value):
        yield present(pickup, "dialling it picks up calls that ring", "set pickupexten = X-none")
    for setting in conf.named("applicationmap").settings:
        if _DIALABLE.fullmatch(setting.value.split(",")[0].strip().strip('"')):
            yield present(setting, "these keys run an application during calls", "remove it")


def asterisk_findings(conf: Conf) -> Iterator[Finding]:
    """asterisk.conf: what the interfaces of Asterisk may do at all."""
    options = conf.named("options")
    for name, opens in (
        ("live_dangerously", "API users may read and write files and run programs"),
        ("execincludes", "configuration may come from programs, which this audit does not run"),
    ):
        setting = options.last(name)
        if setting is not None and setting.is_true:
            yield present(setting, opens, f"set {name} = no")
    permissions = conf.named("files").last("astctlpermissions")
    if permissions is not None and not permissions.value.endswith("0"):
        opens = "every user of this machine has Asterisk's command line"
        yield present(permissions, opens, "set astctlpermissions = 0660")


def ari_findings(conf: Conf, ari_user: str) -> Iterator[Finding]:
    """ari.conf: whoever may write can move calls."""
    origins = conf.named("general").last("allowed_origins")
    if origins is not None and "*" in origins.value:
        yield present(origins, "any web page that is open near Asterisk can use ARI", "remove it")
    for account in conf.objects():
        if account.value("type").lower() == "outbound_websocket" and account.value("local_ari_user") != ari_user:
            yield absent(account, f"local_ari_user = {ari_user}", "another program can move calls", "remove it")
        if account.value("type").lower() != "user":
            continue
        read_only = account.last("read_only")
        if account.name != ari_user and not (read_only is not None and read_only.is_true):
            yield absent(account, "read_only = yes", "a second account can move calls", "add it, or remove the account")
        password = account.last("password")
        if password is None or not password.value:
            yield absent(account, "a password", "anybody can use this account", "give it a password")


def http_findings(conf: Conf) -> Iterator[Finding]:
    """http.conf: ARI is for this machine."""
    general = conf.named("general")
    for switch, bind, name in (("enabled", "bindaddr", "HTTP"), ("tlsenable", "tlsbindaddr", "HTTPS")):
        on = general.last(switch)
        if on is not None and on.is_true:
            yield from _not_loopback(general, bind, f"{name} and with it ARI can be reached from outside")


def manager_findings(conf: Conf) -> Iterator[Finding]:
    """manager.conf: AMI may tell, and never act."""
    general = conf.named("general")
    on = general.last("enabled")
    if on is None or not on.is_true:
        return
    yield from _not_loopback(general, "bindaddr", "AMI can be reached from outside")
    for account in conf.objects():
        if account.name.lower() == "general":
            continue
        for setting in account.all("write"):
            acting = _AMI_CLASSES & {word.strip().lower() for word in setting.value.split(",")}
            if acting:
                opens = f"[{account.name}] can move calls or run programs ({', '.join(sorted(acting))})"
                yield present(setting, opens, "leave these classes out")


def _not_loopback(section: Section, name: str, opens: str) -> Iterator[Finding]:
    setting = section.last(name)
    if setting is None:
        yield absent(section, name, opens, f"set {name} = 127.0.0.1")
    elif not _is_loopback(setting.value):
        yield present(setting, opens, f"set {name} = 127.0.0.1")


def _is_loopback(address: str) -> bool:
    host = re.sub(r"^\[(.*)\](:\d+)?$|^([^:]+):\d+$", lambda found: found[1] or found[3], address)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def cel_findings(cel: Conf) -> Iterator[Finding]:
    """cel.conf: the record that calls and report clocks rest on."""
    general = cel.named("general")
    enabled = general.last("enable")
    if enabled is None or not enabled.is_true:
        yield absent(general, "enable = yes", "nothing of a call is recorded", "add it")
    told = {word.strip().upper() for setting in general.all("events") for word in setting.value.split(",")}
    missing = [name for name in CEL_EVENTS if name not in told and "ALL" not in told]
    if missing:
        opens = f"these events are not recorded: {', '.join(missing)}"
        yield absent(general, f"events {','.join(missing)}", opens, "add them")
    if general.value("dateformat") != CEL_DATE:
        opens = "the time of an event lacks microseconds or zone, so it cannot be read"
        yield absent(general, f"dateformat = {CEL_DATE}", opens, "set it")


def journal_findings(conf: Conf, asterisk: Conf, expected: Path | None) -> Iterator[Finding]:
    """cel_custom.conf: a JSON journal where it is read. A bare name lies in `cel-custom` below the log folder."""
    log_dir = Path(asterisk.named("directories").value("astlogdir", "/var/log/asterisk"))
    files = [section for section in conf.objects() if section.value("format").lower() == "json"]
    ours = [
        section
        for section in files
        if expected is None or (log_dir / "cel-custom" / section.name).resolve() == expected.resolve()
    ]
    if not ours:
        place = expected or "<data_dir>/journal/cel.json"
        remedy = f"add [{place}] with format = json"
        yield absent(conf, f"section [{place}]", "the journal is not written where it is read", remedy)
    for section in ours:
        if len(section.name) > LONGEST_SECTION_NAME:
            opens = f"Asterisk cuts the name after {LONGEST_SECTION_NAME} characters and writes elsewhere"
            yield absent(section, "a short name", opens, "choose a shorter data_dir")
        fields = {word.strip() for word in section.value("fields").split(",")}
        lacking = [name for name in CEL_FIELDS if name not in fields]
        if lacking:
            opens = "events without these fields cannot be understood"
            yield absent(section, f"fields {','.join(lacking)}", opens, "add them")


def hep_findings(conf: Conf) -> Iterator[Finding]:
    """hep.conf: the raw SIP, evidence that Asterisk itself hides."""
    general = conf.named("general")
    enabled = general.last("enabled")
    if not general.settings or (enabled is not None and not enabled.is_true):
        opens = "REFER, Replaces and diversions are blocked but leave no evidence"
        yield absent(conf, "[general] with enabled = yes", opens, "include the rendered hep.conf", "warning")
        return
    if general.value("uuid_type") != "call-id":
        opens = "SIP messages cannot be joined with their calls"
        yield absent(general, "uuid_type = call-id", opens, "set it", "warning")
    yield from _not_loopback(general, "capture_address", "copies of all SIP messages leave this machine")


def dahdi_findings(conf: Conf) -> Iterator[Finding]:
    """chan_dahdi.conf: analogue phones forward inside the channel driver."""
    for section in conf.objects():
        for setting in section.settings:
            if setting.name.lower() in _DAHDI_OFF and setting.is_true:
                opens = "an analogue phone forwards or joins calls by itself"
                yield present(setting, opens, f"set {setting.name} = no")


def cli_findings(conf: Conf) -> Iterator[Finding]:
    """cli.conf: commands at the start change what was read, past this audit."""
    for setting in conf.named("startup_commands").settings:
        if not setting.is_false:
            yield present(setting, "a command at the start changes what this audit has read", "remove it")


def stasis_findings(conf: Conf) -> Iterator[Finding]:
    """stasis.conf: messages that Asterisk does not even make."""
    for setting in conf.named("declined_message_types").all("decline"):
        yield present(setting, "what happened is not told to the record", "remove it")


def users_findings(conf: Conf) -> Iterator[Finding]:
    """users.conf: pbx_config makes extensions of it, with a Dial of its own."""
    for section in conf.objects():
        if section.name.lower() != "general":
            opens = "its extension is dialled past every check"
            yield absent(section, "a place in extensions.conf", opens, "remove it")


def websocket_findings(conf: Conf) -> Iterator[Finding]:
    """websocket_client.conf: whom Asterisk lets control it by connecting to them."""
    for section in conf.objects():
        for setting in section.all("uri"):
            host = re.match(r"\w+://(\[[^]]*\]|[^:/]*)", setting.value)
            if host is None or not _is_loopback(host[1]):
                yield present(setting, "a program on another machine can be given control", "use 127.0.0.1")
