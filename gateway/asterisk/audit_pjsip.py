"""Open ways in pjsip.conf: what a phone or a stranger may do to a call below the dialplan.

An endpoint that nobody may reach (`takeover-denied`: no account, every address denied) is the one that needs no
settings: requests with Replaces and Refer-To are led to it by their header, before any other identification is tried.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.asterisk.conf_reader import Conf, Section, Setting
from gateway.asterisk.finding import Finding, absent, present

NET = "forward-denied"
_DESK = "from-desk"
TAKEOVER_HEADERS = ("Replaces", "Refer-To")
# Variables that give a channel features, or move where its forwards end.
FEATURE_VARIABLES = ("BRIDGE_FEATURES", "DYNAMIC_FEATURES", "TRANSFER_CONTEXT")
# Functions that do the same, by set_var as well as in the dialplan.
_FEATURE_FUNCTIONS = re.compile(
    r"_*(CHANNEL\((dtmf_features|callgroup|pickupgroup|namedcallgroup|namedpickupgroup|after_bridge_goto)\)"
    r"|FEATURE(MAP)?\(.*\))",
    re.I,
)
_EVERYBODY = {"0.0.0.0/0.0.0.0": 4, "0.0.0.0/0": 4, "::/0": 6}
BROADEST = {4: 8, 6: 16}  # a network with a shorter prefix is nobody's trunk
_ANY_VALUE = re.compile(r"/\^?\.[*+]\$?/")


@dataclass(frozen=True, slots=True)
class _Must:
    """An option that has to have one value; `implied`: what Asterisk takes when it is not set."""

    name: str
    value: str
    implied: str
    opens: str

    def is_met(self, setting: Setting) -> bool:
        return setting.is_false if self.value == "no" else setting.value.lower() == self.value


_ENDPOINT = (
    _Must("redirect_method", "user", "user", "a 3xx answer of the phone is followed past the dialplan"),
    _Must("allow_transfer", "no", "yes", "a REFER from the phone moves the call"),
    _Must("allow_subscribe", "no", "yes", "a subscription tells the dialog that Replaces needs to take a call over"),
    _Must("direct_media", "no", "yes", "speech goes past Asterisk and is not recorded"),
    _Must("fax_detect", "no", "no", "a fax tone moves the call to the extension fax"),
    _Must("one_touch_recording", "no", "no", "the phone can switch a recording off"),
)
_MAPPED = ("endpoint", "aor", "auth", "identify", "global")
_GROUPS = ("call_group", "pickup_group", "named_call_group", "named_pickup_group")


def gives_features(variable: str) -> bool:
    """Whether a variable or function of that name lets keys act, lets others pick up, or moves the call on."""
    return variable.lstrip("_") in FEATURE_VARIABLES or _FEATURE_FUNCTIONS.fullmatch(variable) is not None


def pjsip_findings(pjsip: Conf, acls: Conf) -> Iterator[Finding]:
    """Every open way in `pjsip`; `acls` is acl.conf, which endpoints may refer to."""
    stack = _Stack(pjsip, acls)
    for endpoint in stack.of_type("endpoint"):
        if endpoint.name.partition("@")[0] == "anonymous":
            yield absent(endpoint, "a caller", "any stranger becomes this endpoint", "remove it")
        if not stack.is_barred(endpoint):
            yield from _options(endpoint)
            yield from _variables(endpoint)
            yield from _identity(endpoint, stack)
        if any(_is_duty_line(setting) for setting in endpoint.all("set_var")):
            yield from _phone(endpoint, stack)
    for aor in stack.of_type("aor"):
        yield from _registrations(aor)
    yield from _takeover(stack)


@dataclass(frozen=True, slots=True)
class _Stack:
    """The objects of pjsip.conf by type."""

    pjsip: Conf
    acls: Conf

    def of_type(self, kind: str) -> list[Section]:
        return [section for section in self.pjsip.objects() if section.value("type").lower() == kind]

    def is_barred(self, endpoint: Section) -> bool:
        """Nobody gets in: every address is denied and none permitted, and there is no contact to dial."""
        rules = [endpoint, *(self.acls.named(name) for name in _words(endpoint, "acl"))]
        denied = {_EVERYBODY.get(word) for section in rules for word in _words(section, "deny")}
        permitted = [word for section in rules for word in _words(section, "permit")]
        return {4, 6} <= denied and not permitted and not _words(endpoint, "aors")

    def identifies(self, endpoint: Section) -> list[Section]:
        return [section for section in self.of_type("identify") if section.value("endpoint") == endpoint.name]


def _is_duty_line(setting: Setting) -> bool:
    return setting.value.partition("=")[0].strip() == "DUTY_LINE"


def _words(section: Section, name: str) -> list[str]:
    """The comma-separated words of every setting of that name."""
    return [word.strip() for setting in section.all(name) for word in setting.value.split(",") if word.strip()]


def _options(endpoint: Section) -> Iterator[Finding]:
    for must in _ENDPOINT:
        setting = endpoint.last(must.name)
        remedy = f"set {must.name} = {must.value}"
        if setting is not None and not must.is_met(setting):
            yield present(setting, must.opens, remedy)
        elif setting is None and must.implied != must.value:
            yield absent(endpoint, must.name, f"{must.opens} (Asterisk implies {must.implied})", remedy)
    for name in _GROUPS:
        for setting in endpoint.all(name):
            if setting.value:
                yield present(setting, "another phone can pick the call up", f"remove {name}")
    trust = endpoint.last("trust_id_inbound")
    if trust is not None and trust.is_true and endpoint.value("auth"):
        yield present(trust, "the phone can say that it is another", "set trust_id_inbound = no", "warning")


def _variables(endpoint: Section) -> Iterator[Finding]:
    remedy = f"set set_var = FORWARD_CONTEXT={NET}"
    context = None
    for setting in endpoint.all("set_var"):
        name, _, value = (part.strip() for part in setting.value.partition("="))
        if name.lstrip("_") == "FORWARD_CONTEXT":
            context = value
            if value != NET:
                yield present(setting, "a followed forward is dialled", remedy)
        elif gives_features(name):
            yield present(setting, "keys pressed during a call transfer it", "remove this variable")
    if context is None:
        yield absent(endpoint, "set_var FORWARD_CONTEXT", "a followed forward is dialled in its own context", remedy)


def _identity(endpoint: Section, stack: _Stack) -> Iterator[Finding]:
    """Who may speak as an endpoint that has no password."""
    if endpoint.value("auth"):
        return
    by = {word.lower() for word in _words(endpoint, "identify_by")} or {"username", "ip"}
    if by & {"username", "auth_username"}:
        opens = "it has no auth, so whoever writes its name into From is this endpoint"
        yield absent(endpoint, "auth", opens, "give it an auth, or set identify_by = ip")
    identifies = stack.identifies(endpoint)
    if not identifies and "ip" in by:
        opens = "it has no auth and no identify, so nothing of it can be accepted"
        yield absent(endpoint, "identify", opens, "add an identify with the addresses of this trunk", "warning")
    for identify in identifies:
        for setting in identify.all("match"):
            if any(_is_everybody(word.strip()) for word in setting.value.split(",")):
                yield present(setting, f"every stranger is the endpoint {endpoint.name}", "name the trunk's addresses")
        for setting in (*identify.all("match_header"), *identify.all("match_request_uri")):
            opens = f"whoever writes this into a request is the endpoint {endpoint.name}"
            yield present(setting, opens, "identify it by address")


def _is_everybody(network: str) -> bool:
    try:
        told = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False  # a host's name
    return told.prefixlen < BROADEST[told.version]


def _phone(endpoint: Section, stack: _Stack) -> Iterator[Finding]:
    """A duty phone is rung where it registered itself, and its calls go through the checks of its context."""
    context = endpoint.last("context")
    if context is None:
        yield absent(endpoint, f"context = {_DESK}", "star codes and second calls are not looked for", "add it")
    elif context.value != _DESK:
        yield present(context, "star codes and second calls are not looked for", f"set context = {_DESK}")
    places = [endpoint, *(aor for aor in stack.of_type("aor") if aor.name in _words(endpoint, "aors"))]
    for setting in (found for place in places for found in place.all("outbound_proxy")):
        yield present(setting, "its calls are sent to another machine", "remove it")
    for setting in (found for place in places[1:] for found in place.all("contact")):
        yield present(setting, "its calls ring there, whoever registered", "remove it")
    if len(_words(endpoint, "aors")) > 1:
        yield present(endpoint.all("aors")[-1], "it can register more than one device", f"set aors = {endpoint.name}")


def _registrations(aor: Section) -> Iterator[Finding]:
    contacts = aor.last("max_contacts")
    if contacts is not None and contacts.value not in ("0", "1"):
        yield present(contacts, "a second device can register and ring along", "set max_contacts = 1")
    existing = aor.last("remove_existing")
    if existing is not None and not existing.is_false:
        yield present(existing, "a newcomer can push the duty phone out", "set remove_existing = no")
    path = aor.last("support_path")
    if path is not None and path.is_true:
        yield present(path, "whoever registers can have calls sent past its own address", "set support_path = no")


def _takeover(stack: _Stack) -> Iterator[Finding]:
    barred = {endpoint.name for endpoint in stack.of_type("endpoint") if stack.is_barred(endpoint)}
    caught = set()
    for identify in stack.of_type("identify"):
        for setting in identify.all("match_header"):
            header, _, value = (part.strip() for part in setting.value.partition(":"))
            if identify.value("endpoint") in barred and _ANY_VALUE.fullmatch(value):
                caught.add(header.lower())
    for header, opens in zip(
        TAKEOVER_HEADERS,
        ("an INVITE with Replaces takes an answered call over", "a REFER outside a call has calls made"),
        strict=True,
    ):
        if header.lower() not in caught:
            remedy = f"add an identify with match_header = {header}: /.*/ to an endpoint that denies every address"
            yield absent(stack.pjsip, f"identify for {header}", opens, remedy)
    order = [setting for section in stack.of_type("global") for setting in section.all("endpoint_identifier_order")]
    if order and order[-1].value.split(",")[0].strip() == "header":
        return
    opens, remedy = "Replaces and Refer-To are not looked for first", "let endpoint_identifier_order begin with header"
    if order:
        yield present(order[-1], opens, remedy)
    else:
        yield absent(stack.pjsip, "endpoint_identifier_order in a section of type global", opens, remedy)


def elsewhere_findings(name: str, conf: Conf) -> Iterator[Finding]:
    """Endpoints and extensions that come from where this audit cannot see: wizards, databases."""
    for section in conf.objects():
        for setting in section.settings:
            wizard = name == "pjsip_wizard.conf" and setting.name == "type" and setting.value == "wizard"
            database = name == "extconfig.conf" and section.name == "settings"
            mapped = name == "sorcery.conf" and section.name.startswith("res_pjsip") and setting.name in _MAPPED
            if wizard or database or (mapped and not setting.value.startswith("config,pjsip.conf")):
                remedy = "write endpoints, AORs and extensions into pjsip.conf and extensions.conf"
                yield present(setting, "what is configured there is not seen by this audit", remedy)
