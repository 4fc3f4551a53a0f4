"""A dialplan as an audit needs it: its steps, the applications they run, and what a text can become.

A step may run an application inside another one (`ExecIf`, `Exec`), and an argument may hold variables and `${IF(…)}`.
What such a text can become is worked out from every value the dialplan itself gives its variables; whatever comes from
outside (a dialled number, an argument of a Gosub) is UNKNOWN: any text at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.asterisk.conf_reader import Conf, Setting

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
MOST_ALTERNATIVES = 256
_NOT_CONTEXTS = ("general", "globals")
_PRIORITY = re.compile(r"\s*(?P<priority>[^(,]*)(\((?P<label>[^)]*)\))?\s*(,|$)")
_NAME = re.compile(r"_*(\w+)")
_SLICE = re.compile(r"(?P<name>.*?):(?P<first>\d+)(:(?P<length>\d+))?")
_OPENING, _CLOSING = "([{", ")]}"

Values = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Step:
    """One priority of one extension."""

    context: str
    pattern: str
    setting: Setting
    priority: str
    text: str  # application(arguments), or for a hint its devices
    label: str = ""


@dataclass(frozen=True, slots=True)
class Invocation:
    """An application that a step may run. `app` is in small letters, and UNKNOWN when a variable names it."""

    step: Step
    app: str
    arguments: str


def steps(conf: Conf) -> list[Step]:
    """Every step in order of the file."""
    found: list[Step] = []
    for section in conf.objects():
        if section.name.lower() in _NOT_CONTEXTS:
            continue
        pattern = ""
        for setting in section.settings:
            rest = setting.value
            if setting.name.lower() == "exten":
                pattern, _, rest = rest.partition(",")
            elif setting.name.lower() != "same":
                continue
            head = _PRIORITY.match(rest)
            text = rest[head.end() :].strip() if head else rest
            priority, label = (head["priority"].strip(), head["label"] or "") if head else ("", "")
            found.append(Step(section.name, pattern.strip(), setting, priority, text, label.strip()))
    return found


def destinations(found: Invocation) -> list[str]:
    """Where a jump may lead, as written: `context,extension,priority`, `label` or any shorter form; none for others."""
    if found.app in ("goto", "gosub"):
        return [found.arguments]
    if found.app in ("gotoif", "gosubif", "gotoiftime"):
        return [choice for choice in split(split(found.arguments, "?", 1)[-1], ":", 1) if choice.strip()]
    return []


def context_of(destination: str) -> str:
    """The context that a destination names; empty when it stays where it is."""
    parts = split(destination, ",")
    return parts[0].strip() if len(parts) > 2 else ""


def invocations(step: Step) -> list[Invocation]:
    """The application of a step and those it runs inside."""
    return [] if step.priority == "hint" else list(_invocations(step, step.text))


def _invocations(step: Step, text: str) -> Iterator[Invocation]:
    app, parenthesis, rest = text.strip().partition("(")
    arguments = rest[: rest.rindex(")")] if parenthesis and ")" in rest else rest
    name = UNKNOWN if "$" in app or not app else app.strip().lower()
    yield Invocation(step, name, arguments)
    if name in ("exec", "tryexec"):
        yield from _invocations(step, arguments)
    elif name in ("execif", "execiftime"):
        for inner in filter(str.strip, split(split(arguments, "?", 1)[-1], ":")):
            yield from _invocations(step, inner)


def split(text: str, separator: str, most: int = -1) -> list[str]:
    """Cuts at `separator` where it stands in no bracket and no quotation."""
    parts: list[str] = []
    depth, quoted, start = 0, False, 0
    for position, letter in enumerate(text):
        if letter == '"' and depth == 0:
            quoted = not quoted
        elif letter in _OPENING:
            depth += 1
        elif letter in _CLOSING:
            depth -= 1
        elif letter == separator and depth <= 0 and not quoted and len(parts) != most:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def assignments(found: Invocation) -> list[tuple[str, str]]:
    """(name, value) of what Set and MSet give; the name as written, without the signs of inheritance."""
    if found.app not in ("set", "mset"):
        return []
    pairs = split(found.arguments, ",") if found.app == "mset" else [found.arguments]
    return [(name.strip().lstrip("_"), value) for name, _, value in (pair.partition("=") for pair in pairs)]


def values(conf: Conf, found: list[Invocation]) -> dict[str, list[str]]:
    """Everything the dialplan gives its variables."""
    given: dict[str, list[str]] = {}
    for setting in conf.named("globals").settings:
        given.setdefault(setting.name, []).append(setting.value)
    for invocation in found:
        for name, value in assignments(invocation):
            given.setdefault(name, []).append(value)
    return given


def alternatives(text: str, given: Values, outer: tuple[str, ...] = ()) -> set[str]:
    """Everything `text` can become; what comes from outside is UNKNOWN."""
    found = {""}
    for part in _parts(text):
        if part.startswith("${"):
            more = _value_of(part[2:-1], given, outer)
        else:
            more = {UNKNOWN} if part.startswith("$[") else {part}
        found = {begin + end for begin in found for end in more}
        if len(found) > MOST_ALTERNATIVES:
            return {UNKNOWN}
    return found


def _parts(text: str) -> list[str]:
    """Literal texts, `${…}` and `$[…]`, in order."""
    parts: list[str] = []
    literal = position = 0
    while position < len(text):
        if text[position] == "$" and text[position + 1 : position + 2] in ("{", "["):
            end = _end_of_bracket(text, position + 1)
            parts += [text[literal:position], text[position:end]]
            literal = position = end
        else:
            position += 1
    return [part for part in [*parts, text[literal:]] if part]


def _end_of_bracket(text: str, opening: int) -> int:
    """Just behind the bracket that closes the one at `opening`."""
    mine, depth = text[opening], 0
    other = _CLOSING[_OPENING.index(mine)]
    for position in range(opening, len(text)):
        depth += (text[position] == mine) - (text[position] == other)
        if depth == 0:
            return position + 1
    return len(text)


def _value_of(expression: str, given: Values, outer: tuple[str, ...]) -> set[str]:
    name, parenthesis, rest = expression.partition("(")
    if parenthesis:
        if name != "IF" or not rest.endswith(")"):
            return {UNKNOWN}
        choices = split(split(rest[:-1], "?", 1)[-1], ":", 1)
        return {value for choice in choices for value in alternatives(choice, given, outer)} | (
            {""} if len(choices) == 1 else set()
        )
    sliced = _SLICE.fullmatch(expression)
    name = sliced["name"] if sliced else expression
    if name in outer:
        return {""}  # it lengthens itself: what it can be else is told by its other values
    if name not in given or not _NAME.fullmatch(name):
        return {UNKNOWN}
    found = {""}.union(*(alternatives(value, given, (*outer, name)) for value in given[name]))
    if sliced:
        first, length = int(sliced["first"]), sliced["length"]
        found = {value[first : first + int(length) if length else None] for value in found}
    return found
