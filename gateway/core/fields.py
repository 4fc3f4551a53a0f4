"""One field of the inventory: from what a file holds to a value that is safe to render.

Values end in Asterisk's configuration files, where a newline, `;` or `[` begins something new. So every text is read
by a white list: a character that could break out cannot get in, whatever a template forgets. Full-width digits and
letters, which Chinese input methods produce, become plain; invisible characters, which copying produces, are dropped.
Numbers of a spreadsheet are never taken for text: 02283000000 typed as a number has lost its zero for good.

A reader takes the raw value and gives the clean one, or raises ValueError with what is wrong and what to do.
"""

from __future__ import annotations

import difflib
import ipaddress
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gateway.core import number as numbers
from gateway.core.inventory import OTHER_PURPOSES, UNIT_KINDS

Reader = Callable[[object], object]
DEFAULT_SIP_PORT = 5060
_NAME_MARKS = " -_./·・、（）—－：，。《》＋"
_KIND_ALIASES = {"city": "city_duty_office"}
_TRUTH = {"true": True, "yes": True, "1": True, "是": True, "false": False, "no": False, "0": False, "否": False}
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
_URI = re.compile(r"(sips?):(?:([A-Za-z0-9_.+-]{1,64})@)?([^@/]+)")
_LIST_SEPARATOR = re.compile(r"[\s,，、]+")
_LONGEST_FAULT = 600
_SHORTEST_SECRET = 8
_SHORTEST_WHOLE_NUMBER = 7


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands in for a value that a door could not read; `reason` says what is wrong and what to do."""

    reason: str


def blank(value: object) -> bool:
    """Whether nothing is given."""
    return value is None or (isinstance(value, str) and not visible(value).strip())


def visible(text: str) -> str:
    """Without characters of format such as zero-width spaces and direction marks."""
    return "".join(character for character in text if unicodedata.category(character) != "Cf")


def one_line(fault: str) -> str:
    """A fault as one line of bounded length: what it quotes came from a file and may hold anything."""
    plain = "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp", "Cs"} else c for c in visible(fault))
    return plain if len(plain) <= _LONGEST_FAULT else f"{plain[:_LONGEST_FAULT]}…"


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)`, or nothing when nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""


def read_text(value: object) -> str:
    """A text as it is written, trimmed, without invisible and control characters."""
    if isinstance(value, Unreadable):
        raise ValueError(value.reason)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"must be text, not {_kind_of(value)}")
    if not isinstance(value, str):
        raise ValueError(_number_for_text(value))
    text = visible(value).strip()
    for character in text:
        if unicodedata.category(character) in {"Cc", "Zl", "Zp", "Cs", "Co", "Cn"}:
            raise ValueError(f"contains a line break or control character (U+{ord(character):04X}); remove it")
    return text


def _kind_of(value: object) -> str:
    names = {bool: "true or false", list: "a list", tuple: "a list", dict: "a table", type(None): "nothing"}
    return names.get(type(value), f"a {type(value).__name__}")


def _number_for_text(value: float) -> str:
    whole = f"{value:.0f}" if math.isfinite(value) else str(value)
    example = f"0{whole}" if numbers.area_code_of(f"0{whole}") else whole
    return (
        f"is the number {whole}, not text, so leading zeros may be lost; write it as text: in TOML in quotes, "
        f"in a spreadsheet format the cell as Text and type it again (perhaps {example})"
    )


def read_plain(value: object) -> str:
    """A text of which full-width characters have become plain ones."""
    return unicodedata.normalize("NFKC", read_text(value)).strip()


def matching(pattern: str, expected: str) -> Reader:
    """A reader of plain texts that match `pattern` as a whole."""
    compiled = re.compile(pattern)

    def read(value: object) -> str:
        text = read_plain(value)
        if not compiled.fullmatch(text):
            raise ValueError(f"'{text}' is not allowed; write {expected}")
        return text

    return read


read_code = matching(r"[A-Za-z0-9_-]{1,32}", "1 to 32 letters a-z, digits, - or _")
read_endpoint = matching(
    r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", "1 to 64 letters a-z, digits, '.', '-' or '_', a letter or digit first"
)


def named(longest: int) -> Reader:
    """A reader of names for people: letters and digits of any script and a few marks."""

    def read(value: object) -> str:
        name = unicodedata.normalize("NFC", read_text(value))
        for character in name:
            if unicodedata.category(character)[0] not in "LMN" and character not in _NAME_MARKS:
                raise ValueError(f"'{name}' contains '{character}'; use letters, digits and {_NAME_MARKS.strip()} only")
        if len(name) > longest:
            raise ValueError(f"is longer than {longest} characters; shorten it")
        return name

    return read


def one_of(known: Sequence[str], aliases: dict[str, str] | None = None) -> Reader:
    """A reader of words from a list."""

    def read(value: object) -> str:
        text = read_plain(value).lower()
        word = (aliases or {}).get(text, text)
        if word not in known:
            raise ValueError(f"'{text}' is unknown; write one of {', '.join(known)}{nearest(text, known)}")
        return word

    return read


read_kind = one_of(UNIT_KINDS, _KIND_ALIASES)
read_owner = one_of(("ours", "remote"))
read_other_purpose = one_of(OTHER_PURPOSES)


def read_medium(value: object) -> str:
    """Art. 9(1): a duty line is wired."""
    text = read_plain(value).lower()
    if text != "wired":
        raise ValueError(f"'{text}' is refused: a duty line is wired (art. 9(1)); write wired, or leave it out")
    return text


def read_duty_purpose(value: object) -> str:
    """Art. 9(1): a duty line serves no second purpose."""
    text = read_plain(value).lower()
    if text != "duty":
        advice = "register it in the table 'number'" if text in OTHER_PURPOSES else "write duty, or leave it out"
        raise ValueError(f"'{text}' is refused: a duty line serves no other purpose (art. 9(1)); {advice}")
    return text


def read_number(value: object) -> str:
    """A telephone number: 3 to 20 digits, perhaps + in front; separators go."""
    text = read_plain(value)
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?[eE]\+?[0-9]+|[0-9]+\.0+", text):
        raise ValueError(f"'{text}' is what a spreadsheet made of a number; format the cell as Text and type it again")
    groups = [group for group in text.split() if len(group) >= _SHORTEST_WHOLE_NUMBER]
    if len(groups) > 1:
        raise ValueError(f"'{text}' looks like {len(groups)} numbers; write one here")
    dial = numbers.dialable(text)
    digits = len(dial.lstrip("+"))
    if not 3 <= digits <= 20:
        raise ValueError(f"'{text}' has {digits} digits; a number has 3 to 20")
    if len(dial) == 10 and dial[0] in "123456789" and numbers.area_code_of(dial):
        raise ValueError(f"'{text}' has lost its leading zero; write 0{dial}, in a cell that is formatted as Text")
    return dial


def read_secret(value: object) -> str:
    """A phone's password; never quoted in a fault."""
    if isinstance(value, Unreadable):
        raise ValueError(value.reason)
    if not isinstance(value, str):
        raise ValueError("must be text; write it in quotes (TOML) or in a cell that is formatted as Text")
    if len(value) < _SHORTEST_SECRET:
        raise ValueError(f"is shorter than {_SHORTEST_SECRET} characters; choose a longer one")
    if not re.fullmatch(r"[!-~]+", value):
        raise ValueError("may contain only visible ASCII characters without spaces, as on a phone's keyboard")
    return value


def read_host(value: object) -> str:
    """`host:port`, or `host` with port 5060 filled in. Names and IPv4 addresses."""
    text = read_plain(value)
    host, separator, port = text.rpartition(":")
    if not separator:
        host, port = text, str(DEFAULT_SIP_PORT)
    if ":" in host:
        raise ValueError(f"'{text}' is no host:port; IPv6 trunks need a host name, for example sip.example.cn:5060")
    if not _HOST.fullmatch(host) or (re.fullmatch(r"[0-9.]+", host) and not _is_ipv4(host)):
        raise ValueError(f"'{text}' is no host:port; write for example 127.0.0.5:5060")
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ValueError(f"'{text}' has no port between 1 and 65535; write for example {host}:{DEFAULT_SIP_PORT}")
    return f"{host}:{int(port)}"


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def read_network(value: object) -> str:
    """An address, or a network as address/bits."""
    text = read_plain(value)
    if "%" in text:
        raise ValueError(f"'{text}' names an interface; write the address alone")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError(f"'{text}' is no address or network; write for example 10.1.2.3 or 10.1.2.0/24") from error
    if "/" in text and str(network.network_address) != text.split("/")[0].lower() and network.version == 4:
        raise ValueError(f"'{text}' is an address inside a network; write {network}, or the address without /")
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def read_uri(value: object) -> str:
    """`sip:user@host:port` of a radio gateway, without parameters."""
    text = read_plain(value)
    parts = _URI.fullmatch(text)
    if not parts:
        raise ValueError(f"'{text}' is no SIP address; write for example sip:net1@127.0.0.6:5070, without parameters")
    host = read_host(parts[3]) if ":" in parts[3] else read_host(parts[3]).rpartition(":")[0]
    return f"{parts[1]}:{parts[2]}@{host}" if parts[2] else f"{parts[1]}:{host}"


def many(read_one: Reader) -> Reader:
    """A reader of lists: a TOML list, or one text separated by spaces or commas; repeated items go."""

    def read(value: object) -> tuple[object, ...]:
        if isinstance(value, str):
            value = [item for item in _LIST_SEPARATOR.split(visible(value)) if item]
        if not isinstance(value, list | tuple):
            value = [value]
        return tuple(dict.fromkeys(read_one(item) for item in value))

    return read


def whole(lowest: int, highest: int) -> Reader:
    """A reader of whole numbers, typed as a number or as text."""

    def read(value: object) -> int:
        if isinstance(value, Unreadable):
            raise ValueError(value.reason)
        text = f"{value:g}" if isinstance(value, float) else "" if isinstance(value, bool) else str(value).strip()
        plain = unicodedata.normalize("NFKC", text)
        if not re.fullmatch(r"[0-9]{1,9}", plain) or not lowest <= int(plain) <= highest:
            raise ValueError(f"'{value}' is no whole number from {lowest} to {highest}")
        return int(plain)

    return read


def read_truth(value: object) -> bool:
    """true or false, 是 or 否."""
    if isinstance(value, Unreadable):
        raise ValueError(value.reason)
    known = _TRUTH.get(str(value).strip().lower()) if isinstance(value, bool | str | int) else None
    if known is None:
        raise ValueError(f"'{value}' is neither true nor false")
    return known
