"""Identifiers: sortable by creation time, unguessable in the tail, safe in URLs and file names."""

from __future__ import annotations

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32


def _base32(value: int, length: int) -> str:
    digits = []
    for _ in range(length):
        value, rest = divmod(value, 32)
        digits.append(_ALPHABET[rest])
    return "".join(reversed(digits))


def new_id(kind: str) -> str:
    """A new identifier such as `fwd-01k9z…`: 48 bits of milliseconds, 64 bits of chance."""
    return f"{kind}-{_base32(time.time_ns() // 1_000_000, 10)}{_base32(secrets.randbits(64), 13)}"


def new_secret() -> str:
    """A secret of 192 bits for passwords and tokens."""
    return secrets.token_urlsafe(24)
