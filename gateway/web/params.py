"""Query parameters: each is declared once, and that declaration both reads the request and stands in the OpenAPI.

A parameter nobody knows is a fault too: a misspelt filter that is silently ignored shows a list that is silently
wrong. Times without a zone are duty time (Asia/Shanghai), as people here write them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from gateway.clock import DUTY_ZONE
from gateway.web.problem import bad_parameter

_LOST_PLUS = re.compile(r"(?<=\d) (?=\d\d:\d\d$)")


@dataclass(frozen=True, slots=True)
class Param:
    """One query parameter. `read` raises ValueError whose text says what is allowed."""

    name: str
    says: str
    schema: Mapping[str, Any]
    read: Callable[[str], Any]
    default: Any = None


def _read_instant(text: str) -> datetime:
    allowed = "an ISO 8601 time such as 2026-11-23T13:05:00+08:00, or 2026-11-23 13:05 for duty time (Asia/Shanghai)"
    plain = unicodedata.normalize("NFKC", text).strip()  # Chinese input methods write ：－ and full-width digits
    for candidate in (plain, _LOST_PLUS.sub("+", plain)):  # an unescaped + arrives as a space
        try:
            at = datetime.fromisoformat(candidate)
        except ValueError:
            continue
        if 2000 <= at.year <= 2200:  # beyond, moving between zones may leave what a datetime can hold
            return at if at.tzinfo else at.replace(tzinfo=DUTY_ZONE)
    raise ValueError(allowed)


def instant(name: str, says: str) -> Param:
    """A time."""
    return Param(name, says, {"type": "string", "examples": ["2026-11-23T13:05:00+08:00"]}, _read_instant)


def text(name: str, says: str, longest: int = 200) -> Param:
    """Words, without control characters."""

    def read(value: str) -> str:
        if len(value) > longest or any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
            raise ValueError(f"up to {longest} characters, no control characters")
        return value.strip()

    return Param(name, says, {"type": "string", "maxLength": longest}, read)


def whole(name: str, says: str, lowest: int, highest: int, default: int | None) -> Param:
    """A whole number."""

    def read(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", value) or not lowest <= int(value) <= highest:
            raise ValueError(f"a whole number from {lowest} to {highest}")
        return int(value)

    schema: dict[str, Any] = {"type": "integer", "minimum": lowest, "maximum": highest}
    if default is not None:
        schema["default"] = default
    return Param(name, says, schema, read, default)


def choice(name: str, says: str, allowed: Iterable[str], default: str) -> Param:
    """One of a few words."""
    words = tuple(allowed)

    def read(value: str) -> str:
        if value not in words:
            raise ValueError(", ".join(words))
        return value

    return Param(name, says, {"type": "string", "enum": list(words), "default": default}, read, default)


SINCE = instant("since", "not before this time")
UNTIL = instant("until", "before this time")
LIMIT = whole("limit", "how many at most; without it 50, in CSV 10000", 1, 10_000, None)


def read_query(request: web.Request, params: Iterable[Param]) -> dict[str, Any]:
    """The values by name, defaults filled in; an empty value means the parameter was not given. Raises Problem 400."""
    known = {param.name: param for param in params}
    values = {name: param.default for name, param in known.items()}
    for name, value in request.query.items():
        param = known.get(name)
        if param is None:
            raise bad_parameter(name, value, f"only these parameters: {', '.join(known) or 'none'}")
        if len(request.query.getall(name)) > 1:
            raise bad_parameter(name, ",".join(request.query.getall(name)), "the parameter once")
        if value.strip() == "":
            continue
        try:
            values[name] = param.read(value)
        except ValueError as error:
            raise bad_parameter(name, value, str(error)) from error
    if values.get("since") and values.get("until") and values["since"] > values["until"]:
        raise bad_parameter("since", request.query["since"], f"a time not after until={request.query['until']}")
    return values
