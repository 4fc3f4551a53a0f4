"""Open ways in extensions.conf: whatever could send a call of a duty line elsewhere.

Every context counts, reachable from a duty line or not: an Asterisk for duty lines serves nothing else. What a call
would do at run time is not followed; options and targets whose value the dialplan itself does not tell are faults.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.asterisk import dialplan
from gateway.asterisk.audit_pjsip import FEATURE_VARIABLES, NET
from gateway.asterisk.conf_reader import Conf
from gateway.asterisk.dialplan import UNKNOWN, Invocation, Step, Values
from gateway.asterisk.finding import Finding, absent, present

_MOVES = "it moves a call"
_RUNS = "it runs a program"
_TAKES = "it takes another call over or into its own"
FORBIDDEN_APPS = {
    **dict.fromkeys(
        ("transfer", "blindtransfer", "attendedtransfer", "channelredirect", "bridge", "bridgeadd"), _MOVES
    ),
    **dict.fromkeys(("park", "parkandannounce", "parkedcall"), "it parks a call where others can fetch it"),
    **dict.fromkeys(("pickup", "pickupchan", "chanspy", "extenspy", "slastation", "slatrunk"), _TAKES),
    **dict.fromkeys(("followme", "queue", "page", "retrydial"), "it rings other phones and follows forwards"),
    **dict.fromkeys(("system", "trysystem", "externalivr"), _RUNS),
    "disa": "it gives a caller a dial tone of ours",
}
_KEYS = "keys pressed during the call transfer, park, end or record it"
DIAL_OPTIONS = {
    **dict.fromkeys("tTkKhHwWxX", _KEYS),
    "F": "the called party is sent on when the caller hangs up",
    "G": "both parties are sent on when the call is answered",
    "g": "the caller goes on in the dialplan when the called party hangs up",
    "d": "the caller leaves for another extension while it rings",
    **dict.fromkeys("pPnN", "the called party chooses where the caller goes"),
    "O": "the call is rung back by operator services",
}
_HARMLESS_OPTIONS = set("AabBcCDeEfiIjLmoQrRsSuUz")
# Functions that give a channel what an option would.
_FUNCTIONS = re.compile(
    r"(CHANNEL\((dtmf_features|callgroup|pickupgroup|namedcallgroup|namedpickupgroup|after_bridge_goto)\)"
    r"|FEATURE(MAP)?\(.*\))",
    re.I,
)
_FILTERED = re.compile(r"\$\{FILTER\([0-9-]+,\$\{EXTEN[^}]*\}\)\}")
ASKING_CONTEXT, ASKED_CONTEXT = "ask-gateway", "duty-lookup"
_QUESTION = f"Local/s@{ASKED_CONTEXT}/n,app,Wait,"


def dialplan_findings(conf: Conf) -> Iterator[Finding]:
    """Every open way in extensions.conf."""
    steps = dialplan.steps(conf)
    invocations = [invocation for step in steps for invocation in dialplan.invocations(step)]
    given = dialplan.values(conf, invocations)
    yield from _net(conf, steps, invocations)
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
            yield from _dial(invocation, given)
        if invocation.app == "mixmonitor" and len(dialplan.split(invocation.arguments, ",", 2)) > 2:
            yield present(invocation.step.setting, f"MixMonitor's third argument: {_RUNS}", "leave it out")


def _net(conf: Conf, steps: list[Step], invocations: list[Invocation]) -> Iterator[Finding]:
    """The context into which whatever Asterisk would forward falls."""
    remedy = f"set FORWARD_CONTEXT = {NET} under [globals]"
    setting = next((found for found in conf.named("globals").settings[::-1] if found.name == "FORWARD_CONTEXT"), None)
    opens = "a followed forward is dialled in the context of its phone"
    if setting is None:
        yield absent(conf, "FORWARD_CONTEXT under [globals]", opens, remedy)
    elif setting.value != NET:
        yield present(setting, opens, remedy)
    for found in conf.named("globals").settings:
        if found.name.lstrip("_") in FEATURE_VARIABLES:
            yield present(found, _KEYS, "remove this variable")
    if not any(step.context == NET for step in steps):
        yield absent(conf, f"context [{NET}]", "a followed forward is not logged", "include extensions_duty.conf")
    for invocation in invocations:
        if invocation.step.context == NET and invocation.app == "dial":
            yield present(invocation.step.setting, "a followed forward is dialled", f"only log and hang up in [{NET}]")


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
        if inner in FEATURE_VARIABLES or _FUNCTIONS.fullmatch(name):
            yield present(found.step.setting, _KEYS, "remove this assignment")
        elif inner == "FORWARD_CONTEXT" and value.strip() != NET:
            yield present(found.step.setting, "a followed forward is dialled", f"leave FORWARD_CONTEXT at {NET}")
        elif name.startswith("$"):
            opens = "a variable chooses which variable is set"
            yield present(found.step.setting, opens, "name the variable")


def _dial(found: Invocation, given: Values) -> Iterator[Finding]:
    setting = found.step.setting
    arguments = [part.strip() for part in dialplan.split(found.arguments, ",")] + [""] * 3
    for letter, opens in sorted(_dial_options(arguments[2], given).items()):
        remedy = "add the option i" if letter == "i" else "leave the option out"
        yield present(setting, f"the Dial option {letter}: {opens}", remedy)
    for target in dialplan.alternatives(arguments[0], given):
        for part in filter(None, target.split("&")):
            tech, slash, _ = part.partition("/")
            if not slash or UNKNOWN in tech:
                yield present(setting, "what Dial rings cannot be told from the dialplan", "write PJSIP/ before it")
            elif tech.lower() == "local" and "Local/" not in found.step.text:
                yield present(setting, "a Local channel hides where a call ends", "dial the phone or the trunk itself")
    if "${EXTEN" in _FILTERED.sub("", found.arguments) and found.step.pattern.startswith("_"):
        yield from _catch_all(found)


def _dial_options(text: str, given: Values) -> dict[str, str]:
    """Option → what it opens, over everything the options can become; "i" when it can be missing."""
    opened: dict[str, str] = {}
    for options in dialplan.alternatives(text, given):
        letters = _letters(options)
        if "i" not in letters:
            opened["i"] = "it is missing, so a 3xx answer of the phone is followed"
        for letter in letters - _HARMLESS_OPTIONS:
            opened[letter] = DIAL_OPTIONS.get(letter, "it is not known, or cannot be told from the dialplan")
    return opened


def _letters(options: str) -> set[str]:
    """The options themselves, without their arguments: `iU(a^b(c))` → i, U."""
    found, depth = set(), 0
    for letter in options:
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and letter != ")":
            found.add(letter)
    return found


def _catch_all(found: Invocation) -> Iterator[Finding]:
    """A pattern that lets codes or whole dial strings through to Dial."""
    pattern, setting = found.step.pattern[1:], found.step.setting
    if re.match(r"[.!*#]|\[[^]]*[*#]", pattern):
        yield present(setting, "star and hash codes are dialled as they come", "let digits through only")
    elif pattern.endswith((".", "!")):
        opens = "letters and signs behind the first digits are dialled as they come"
        yield present(setting, opens, "write the pattern with X, or FILTER(0-9,${EXTEN})", "warning")
