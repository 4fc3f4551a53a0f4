"""Open ways in one Dial: what it rings, and what its options let either side do.

A number that somebody dialled reaches a trunk only when it was told to be digits alone, in the same extension and
before the Dial. This is the form that counts, because an expression that cannot be evaluated jumps to the other label:

    exten => s,n,GotoIf($[${REGEX("^[+]?[0-9]{3,20}$" ${DIALLED})} = 1]?good:bad)
     same => n(good),Dial(PJSIP/${DIALLED}@${ROUTE},120,i)
     same => n(bad),Hangup(28)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gateway.asterisk import dialplan
from gateway.asterisk.dialplan import UNKNOWN, Invocation, Step, Values
from gateway.asterisk.finding import Finding, present

KEYS = "keys pressed during the call transfer, park, end or record it"
DIAL_OPTIONS = {
    **dict.fromkeys("tTkKhHwWxX", KEYS),
    "F": "the called party is sent on when the caller hangs up",
    "G": "both parties are sent on when the call is answered",
    "g": "the caller goes on in the dialplan when the called party hangs up",
    "d": "the caller leaves for another extension while it rings",
    "D": "codes are keyed towards the carrier when it answers",
    **dict.fromkeys("pPnN", "the called party chooses where the caller goes"),
    "O": "the call is rung back by operator services",
}
_HARMLESS_OPTIONS = set("AabBcCeEfiIjLmoQrRsSuUz")
_TECHNOLOGIES = ("pjsip", "dahdi")  # phones and trunks of ours; Local is judged by itself
_FILTERED = re.compile(r"\$\{FILTER\([0-9+-]+,\$\{\w+(:[^}]*)?\}\)\}")
_THROUGH_TRUNK = re.compile(r"PJSIP/(?P<number>.*)@[^@/]+", re.I)
_ADDRESS = re.compile(r"[^/]*/[^/]*/\s*(sips?|tel):", re.I)
_DIGITS_ONLY = re.compile(r'\$\[\$\{REGEX\("\^(\[\+\]\?)?\[0-9\](\+|\{\d+,\d+\})\$" \$\{(?P<name>\w+)\}\)\} = 1\]')


def dial_findings(found: Invocation, given: Values, steps: Sequence[Step]) -> Iterator[Finding]:
    """Every open way in the Dial `found`; `given`: the values of variables, `steps`: the dialplan around it."""
    setting = found.step.setting
    arguments = [part.strip() for part in dialplan.split(found.arguments, ",")] + [""] * 3
    for letter, opens in sorted(_options(arguments[2], given).items()):
        remedy = "add the option i" if letter == "i" else "leave the option out"
        yield present(setting, f"the Dial option {letter}: {opens}", remedy)
    for part in {part for target in dialplan.alternatives(arguments[0], given) for part in target.split("&") if part}:
        yield from _target(found, part, arguments[0], steps)
    if "${EXTEN" in _FILTERED.sub("", found.arguments) and found.step.pattern.startswith("_"):
        yield from _catch_all(found)


def _target(found: Invocation, part: str, written: str, steps: Sequence[Step]) -> Iterator[Finding]:
    """One of the things that can be rung; `written`: the targets as the dialplan has them."""
    setting = found.step.setting
    tech, slash, _ = part.partition("/")
    trunk = _THROUGH_TRUNK.fullmatch(part)
    if not slash or UNKNOWN in tech:
        yield present(setting, "what Dial rings cannot be told from the dialplan", "write PJSIP/ before it")
    elif tech.lower() == "local":
        if "Local/" not in found.step.text:
            yield present(setting, "a Local channel hides where a call ends", "dial the phone or the trunk itself")
    elif tech.lower() not in _TECHNOLOGIES:
        yield present(setting, f"{tech} leads past our trunks", "dial the phone or the trunk itself")
    elif _ADDRESS.match(part) or (trunk and trunk["number"] and UNKNOWN not in trunk["number"]):
        yield present(setting, f"it always dials {part}", "dial the phone, or the number that somebody dialled")
    elif trunk and trunk["number"] and not _is_guarded(found, written, steps):
        opens = "whatever somebody dialled goes to the trunk, star and hash codes too"
        yield present(setting, opens, "let digits through only, by GotoIf with REGEX and two labels")


def _is_guarded(found: Invocation, written: str, steps: Sequence[Step]) -> bool:
    """Whether every variable in the number is known to hold digits only; `${EXTEN}` is its pattern's business."""
    names = set()
    for part in written.split("&"):
        trunk = _THROUGH_TRUNK.fullmatch(part.strip())
        if trunk is None:
            return False
        rest = _FILTERED.sub("", trunk["number"])
        names |= set(re.findall(r"\$\{(\w+)", rest)) - {"EXTEN"}
        if re.search(r"\$\[|\$\{\w+\(", rest):
            return False
    return names <= _digits_only(found.step, steps)


def _digits_only(dial: Step, steps: Sequence[Step]) -> set[str]:
    """The variables that hold digits only when `dial` is reached."""
    extension = [step for step in steps if (step.context, step.pattern) == (dial.context, dial.pattern)]
    place = extension.index(dial)
    later = {step.label for step in extension[place + 1 :] if step.label}
    known: set[str] = set()
    for step in extension[:place]:
        for jump in dialplan.invocations(step):
            condition, *choices = dialplan.split(jump.arguments, "?", 1)
            asked = _DIGITS_ONLY.fullmatch(condition.strip())
            yes, *no = dialplan.split(choices[0], ":", 1) if jump.app == "gotoif" and asked and choices else [""]
            if asked and yes.strip() and no and (dialplan.context_of(no[0]) or no[0].strip() in later):
                known.add(asked["name"])
            known -= {name for name, _ in dialplan.assignments(jump)}
    return known


def _options(text: str, given: Values) -> dict[str, str]:
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
