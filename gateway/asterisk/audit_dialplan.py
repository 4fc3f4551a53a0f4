"""Open ways in extensions.conf: whatever could send a call of a duty line elsewhere.

Every context counts, reachable from a duty line or not: an Asterisk for duty lines serves nothing else. What a call
would do at run time is not followed; options and targets whose value the dialplan itself does not tell are faults.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.asterisk import dialplan
from gateway.asterisk.audit_dial import KEYS, dial_findings
from gateway.asterisk.audit_net import net_findings
from gateway.asterisk.audit_pjsip import NET, gives_features
from gateway.asterisk.conf_reader import Conf
from gateway.asterisk.dialplan import UNKNOWN, Invocation, Step
from gateway.asterisk.finding import Finding, present

_MOVES = "it moves a call"
_RUNS = "it runs a program"
_TAKES = "it takes another call over or into its own"
_JOINS = "it joins calls that are not its own"
_DIALS_OUT = "it lets a caller dial on"
FORBIDDEN_APPS = {
    **dict.fromkeys(
        ("transfer", "blindtransfer", "attendedtransfer", "channelredirect", "bridge", "bridgeadd"), _MOVES
    ),
    **dict.fromkeys(("park", "parkandannounce", "parkedcall"), "it parks a call where others can fetch it"),
    **dict.fromkeys(("pickup", "pickupchan", "chanspy", "extenspy", "slastation", "slatrunk"), _TAKES),
    **dict.fromkeys(("followme", "queue", "page", "retrydial"), "it rings other phones and follows forwards"),
    **dict.fromkeys(("confbridge", "agentlogin", "agentrequest", "stasisbroadcast"), _JOINS),
    **dict.fromkeys(("voicemail", "voicemailmain", "minivmnotify", "directory", "privacymanager"), _DIALS_OUT),
    **dict.fromkeys(("senddtmf", "sendmf", "sendsf"), "it keys codes towards the carrier"),
    **dict.fromkeys(("system", "trysystem", "externalivr", "mp3player"), _RUNS),
    "disa": "it gives a caller a dial tone of ours",
}
# Variables on which Asterisk itself moves a call; a Gosub of Dial may say that nobody answered.
MOVING_VARIABLES = ("BRIDGEPEER", "GOSUB_RESULT", "GOTO_ON_BLINDXFR", "PICKUPMARK")
_RESULTS = ("BUSY", "CONGESTION", "CHANUNAVAIL", "ABORT")
ASKING_CONTEXT, ASKED_CONTEXT = "ask-gateway", "duty-lookup"
_QUESTION = f"Local/s@{ASKED_CONTEXT}/n,app,Wait,"


def dialplan_findings(conf: Conf) -> Iterator[Finding]:
    """Every open way in extensions.conf."""
    steps = dialplan.steps(conf)
    invocations = [invocation for step in steps for invocation in dialplan.invocations(step)]
    given = dialplan.values(conf, invocations)
    yield from net_findings(conf, steps, invocations)
    for section in conf.objects():
        for setting in section.settings:
            if setting.name.lower() in ("switch", "lswitch", "eswitch"):
                yield present(setting, "extensions come from where this audit cannot see", "write them down here")
    for step in steps:
        yield from _step(step)
    for invocation in invocations:
        yield from _application(invocation)
        yield from _variables(invocation)
        if invocation.app == "dial":
            yield from dial_findings(invocation, given, steps)
        if invocation.app == "mixmonitor" and len(dialplan.split(invocation.arguments, ",", 2)) > 2:
            yield present(invocation.step.setting, f"MixMonitor's third argument: {_RUNS}", "leave it out")


def _step(step: Step) -> Iterator[Finding]:
    if "Local/" in step.text and step.context != ASKING_CONTEXT:
        opens = "a Local channel hides where a call ends"
        yield present(step.setting, opens, "dial the phone or the trunk itself")
    if "SHELL(" in step.text:
        yield present(step.setting, f"the function SHELL: {_RUNS}", "remove it")
    if step.priority == "hint":
        opens = "a hint tells others what the phone does, and whose call could be taken over"
        yield present(step.setting, opens, "remove it", "warning")


def _application(found: Invocation) -> Iterator[Finding]:
    setting, app = found.step.setting, found.app
    if app in FORBIDDEN_APPS:
        yield present(setting, f"the application {app}: {FORBIDDEN_APPS[app]}", "remove it")
    elif app == UNKNOWN:
        yield present(setting, "a variable chooses the application", "name the application")
    elif app == "originate":
        if found.step.context != ASKING_CONTEXT or not found.arguments.startswith(_QUESTION):
            yield present(setting, "the application originate: it makes calls that follow forwards", "remove it")
    elif app in ("agi", "eagi", "deadagi"):
        if found.step.context != ASKED_CONTEXT or not found.arguments.startswith("agi://"):
            yield present(setting, "the application AGI: its program may run any other application", "remove it")
    elif app == "stasis" and found.arguments.split(",")[0].strip() != "dutyline":
        yield present(setting, "another ARI application decides about the call", "remove it")


def _variables(found: Invocation) -> Iterator[Finding]:
    for name, value in dialplan.assignments(found):
        inner = name.removeprefix("GLOBAL(").removesuffix(")").lstrip("_") if name.startswith("GLOBAL(") else name
        if gives_features(inner) or gives_features(name):
            yield present(found.step.setting, KEYS, "remove this assignment")
        elif inner in MOVING_VARIABLES and not (inner == "GOSUB_RESULT" and value.strip() in _RESULTS):
            yield present(found.step.setting, f"the variable {inner} moves the call", "remove this assignment")
        elif inner == "FORWARD_CONTEXT" and value.strip() != NET:
            yield present(found.step.setting, "a followed forward is dialled", f"leave FORWARD_CONTEXT at {NET}")
        elif name.startswith("$"):
            opens = "a variable chooses which variable is set"
            yield present(found.step.setting, opens, "name the variable")
