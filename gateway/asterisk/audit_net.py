"""The net below everything: the context into which whatever Asterisk itself would forward falls.

It is a net only when every target falls into it, when nothing that can be reached from it makes or moves a call, and
when what fell into it is written down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.asterisk import dialplan
from gateway.asterisk.audit_pjsip import FEATURE_VARIABLES, NET
from gateway.asterisk.conf_reader import Conf
from gateway.asterisk.dialplan import Invocation, Step
from gateway.asterisk.finding import Finding, absent, present

_EVERY_TARGET = ("_.", "_!")
_ONLY = {
    *("set", "mset", "noop", "verbose", "log", "goto", "gotoif", "gosub", "gosubif", "return", "execif"),
    *("celgenuserevent", "progress", "playback", "wait", "playtones", "stopplaytones", "hangup"),
}


def net_findings(conf: Conf, steps: Sequence[Step], invocations: Sequence[Invocation]) -> Iterator[Finding]:
    """Every hole in the net, and every variable that leads past it."""
    remedy = f"set FORWARD_CONTEXT = {NET} under [globals]"
    setting = next((found for found in conf.named("globals").settings[::-1] if found.name == "FORWARD_CONTEXT"), None)
    opens = "a followed forward is dialled in the context of its phone"
    if setting is None:
        yield absent(conf, "FORWARD_CONTEXT under [globals]", opens, remedy)
    elif setting.value != NET:
        yield present(setting, opens, remedy)
    for found in conf.named("globals").settings:
        if found.name.lstrip("_") in FEATURE_VARIABLES:
            yield present(found, "keys pressed during a call transfer it", "remove this variable")
    if not any(step.context == NET for step in steps):
        yield absent(conf, f"context [{NET}]", "a followed forward is not logged", "include extensions_duty.conf")
        return
    yield from _holes(conf, steps, invocations)


def _holes(conf: Conf, steps: Sequence[Step], invocations: Sequence[Invocation]) -> Iterator[Finding]:
    place = conf.named(NET)
    if not any(step.context == NET and step.pattern in _EVERY_TARGET for step in steps):
        yield absent(place, "an extension _.", "some targets do not fall into it, and are not logged", "add it")
    for setting in place.all("include"):
        yield present(setting, "a followed forward reaches other extensions", "remove it")
    reached = _reached(invocations)
    inside = [invocation for invocation in invocations if invocation.step.context in reached]
    for invocation in inside:
        if invocation.app not in _ONLY:
            opens = f"the application {invocation.app}: a followed forward does more than end"
            yield present(invocation.step.setting, opens, f"only log and hang up in [{invocation.step.context}]")
        for destination in dialplan.destinations(invocation):
            if "$" in dialplan.context_of(destination):
                opens = "a variable chooses where a followed forward goes on"
                yield present(invocation.step.setting, opens, "name the context")
    if not any(
        invocation.app == "celgenuserevent" and invocation.arguments.startswith("FORWARD_ATTEMPT,")
        for invocation in inside
    ):
        yield absent(place, "CELGenUserEvent(FORWARD_ATTEMPT,…)", "a followed forward is not logged", "add it")


def _reached(invocations: Sequence[Invocation]) -> set[str]:
    """The contexts to which a call in the net can come."""
    reached, fresh = {NET}, {NET}
    while fresh:
        fresh = {
            context
            for invocation in invocations
            if invocation.step.context in fresh
            for context in map(dialplan.context_of, dialplan.destinations(invocation))
            if context
        } - reached
        reached |= fresh
    return reached
