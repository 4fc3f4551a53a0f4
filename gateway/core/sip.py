"""A SIP message as evidence: start line and headers of RFC 3261, read leniently and never acted upon.

Only what evidence needs: several headers of one name stay apart, comma-joined values are told apart where a comma is
no part of a quoted name or a URI in angle brackets, compact names are widened, folded lines are joined.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

_COMPACT = {"i": "call-id", "f": "from", "t": "to", "m": "contact", "r": "refer-to", "b": "referred-by", "v": "via"}
_URI = re.compile(r"<([^<>]*)>|((?:sips?|tel):[^;,>\s]*)", re.I)
_USER = re.compile(r"sips?:(?:([^@;:>]*+)(?:[;:][^@>]*+)?@)?|tel:([^;>?]*)", re.I)
_REPLACED = "\N{REPLACEMENT CHARACTER}"  # for NUL, which no database keeps
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True, slots=True)
class SipMessage:
    """One message as it was on the wire. `source` and `target` are host:port."""

    at: datetime
    source: str
    target: str
    start: str
    headers: tuple[tuple[str, str], ...]  # lower-case names
    text: str

    @property
    def status(self) -> int:
        """The status code of a response; 0 for a request."""
        found = re.match(r"SIP/2\.0 (\d{3})", self.start)
        return int(found[1]) if found else 0

    @property
    def method(self) -> str:
        """Of a request its method; of a response that of the request it answers."""
        return (self.header("cseq").split() or [""])[-1] if self.status else self.start.split(" ", 1)[0]

    @property
    def request_user(self) -> str:
        """The user part of the request's URI, percent-decoded."""
        return user_of(f"<{self.request_uri}>")

    @property
    def request_uri(self) -> str:
        """The request's URI as it stands, with whatever parameters its user part has; empty for a response."""
        parts = self.start.split(" ")
        return parts[1] if not self.status and len(parts) > 1 else ""

    def header(self, name: str) -> str:
        """The first header of that name, or an empty text."""
        return next((value for key, value in self.headers if key == name), "")

    def values(self, name: str) -> list[str]:
        """Every value of every header of that name, in order, comma-joined ones apart."""
        return [part for key, value in self.headers if key == name for part in split_values(value)]


def parse(at: datetime, source: str, target: str, text: str) -> SipMessage:
    """The message in `text`; what is no header line is passed over, the text itself is kept whole."""
    head = re.split(r"\r?\n\r?\n", text.lstrip("\r\n"), maxsplit=1)[0]
    lines = re.split(r"\r?\n", re.sub(r"\r?\n[ \t]+", " ", head))  # nothing else ends a line: names may hold it
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            key = name.strip().lower()
            headers.append((_COMPACT.get(key, key), value.strip()))
    return SipMessage(at, source, target, lines[0], tuple(headers), text)


def split_values(value: str) -> list[str]:
    """`"A, B" <sip:x>, <sip:y>` → two values: commas in quotes and in angle brackets do not count."""
    parts, depth, quoted, escaped, start = [], 0, False, False, 0
    for position, letter in enumerate(value):
        if letter == '"' and not escaped:
            quoted = not quoted
        elif not quoted and letter in "<>":
            depth += 1 if letter == "<" else -1
        elif not quoted and depth <= 0 and letter == ",":
            parts.append(value[start:position].strip())
            start = position + 1
        escaped = quoted and letter == "\\" and not escaped
    return [part for part in [*parts, value[start:].strip()] if part]


def uri_of(value: str) -> str:
    """The URI of a name-addr or addr-spec, never one in a quoted name; the value itself when there is none."""
    found = _URI.search(_QUOTED.sub("", value))
    return (found[1] if found[1] is not None else found[2]) if found else value.strip()


def user_of(value: str) -> str:
    """The user part (or telephone number) of the URI in `value`, percent-decoded; empty when there is none."""
    found = _USER.match(uri_of(value).strip())
    return unquote(found[1] or found[2] or "").replace("\0", _REPLACED) if found else ""


def parameter(value: str, name: str) -> str:
    """A header parameter such as `reason` of `<sip:x>;reason=unconditional`, without its quotes."""
    outside = value.rpartition(">")[2] if ">" in value else value
    found = re.search(rf";\s*{re.escape(name)}\s*=\s*(\"[^\"]*\"|[^;,\s]*)", outside, re.I)
    return found[1].strip('"') if found else ""
