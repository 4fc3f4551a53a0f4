"""People and the keys they hold: the first administrator, users, sessions, API tokens.

What the database keeps can never be used to log in: passwords are hashed by the door that owns the hash (handed in as
`hash_password`), sessions and tokens are kept as SHA-256 only (they are 192 random bits: no slow hash
is needed).
A session outlasts the longest shift (18:00 to 08:30, art. 12), so that nobody is thrown out in the middle of a night.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.core.roles import Role, as_role
from gateway.errors import NotFoundError, RequestError
from gateway.ids import new_secret
from gateway.ports import UnitOfWork

FIRST_ADMINISTRATOR = "admin"
PASSWORD_MIN_LENGTH = 12
PASSWORD_MAX_LENGTH = 256  # a hash of megabytes is an attack, not a password
SESSION_LENGTH = timedelta(hours=16)

_NAME = re.compile(r"[\w.@-]{1,64}")

HashPassword = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is known. `key` tells two logins of one person apart; `via` is session or token."""

    name: str
    role: Role
    via: str
    key: str


def fingerprint(secret: str) -> str:
    """How a session or token is kept."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_name(name: str) -> bool:
    """Whether `name` can be a user's."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """`name` when it can be a user's; raises RequestError."""
    if not is_name(name):
        raise RequestError(f"'{name[:80]}' cannot be a user name; use 1 to 64 letters, digits, '.', '-', '_' or '@'")
    return name


def check_role(role: str) -> Role:
    """`role` when there is such a role; raises RequestError."""
    try:
        return as_role(role)
    except ValueError as error:
        raise RequestError(str(error)) from error


def check_password(password: str, name: str) -> str:
    """`password` when it is good enough; raises RequestError. Length counts (NIST SP 800-63B)."""
    if not PASSWORD_MIN_LENGTH <= len(password) <= PASSWORD_MAX_LENGTH:
        raise RequestError(f"a password has {PASSWORD_MIN_LENGTH} to {PASSWORD_MAX_LENGTH} characters")
    if len(set(password)) < 4 or password.casefold() == name.casefold():
        raise RequestError("this password is too easy to guess: use at least four different characters, not the name")
    return password


async def ensure_first_administrator(uow: UnitOfWork, now: datetime, hash_password: HashPassword) -> str | None:
    """Creates the first administrator when there is no user at all; gives the password, which is shown once."""
    if await uow.people.any_user():
        return None
    password = new_secret()
    await uow.people.save_user(FIRST_ADMINISTRATOR, hash_password(password), "administrator", now)
    return password


async def save_user(
    uow: UnitOfWork, name: str, password: str, role: str, now: datetime, hash_password: HashPassword
) -> None:
    """Creates or changes a user; raises RequestError."""
    checked = check_password(password, check_name(name))
    await uow.people.save_user(name, hash_password(checked), check_role(role), now)


async def create_token(uow: UnitOfWork, name: str, role: str, now: datetime) -> str:
    """A new API token for `name`, which need not be a user who can log in; the token is never shown again."""
    token = new_secret()
    await uow.people.save_token(fingerprint(token), check_name(name), check_role(role), now)
    return token


async def revoke_tokens(uow: UnitOfWork, name: str, now: datetime) -> int:
    """Makes every API token of `name` void; gives how many. Raises NotFoundError when there is none."""
    count = await uow.people.revoke_tokens_of(name, now)
    if not count:
        raise NotFoundError(f"there is no API token of '{name[:80]}'")
    return count


async def disable_user(uow: UnitOfWork, name: str, now: datetime) -> None:
    """Ends every login of a user and lets nobody log in as them, nor use their tokens. Raises NotFoundError."""
    if not await uow.people.disable_user(name, now):
        raise NotFoundError(f"there is no user '{name[:80]}' who may log in")
    await uow.people.close_sessions_of(name, "")


async def open_session(uow: UnitOfWork, name: str, now: datetime) -> tuple[str, datetime]:
    """Remembers a login that was proven; gives the session's secret and when it ends."""
    secret, expires_at = new_secret(), now + SESSION_LENGTH
    await uow.people.open_session(fingerprint(secret), name, now, expires_at)
    return secret, expires_at


async def person_of_session(uow: UnitOfWork, secret: str, now: datetime) -> Person | None:
    """Who logged in with this session, or None."""
    key = fingerprint(secret)
    row = await uow.people.session(key, now)
    return None if row is None else Person(row["name"], as_role(row["role"]), "session", key)


async def person_of_token(uow: UnitOfWork, secret: str) -> Person | None:
    """Who holds this token, or None."""
    key = fingerprint(secret)
    row = await uow.people.token(key)
    return None if row is None else Person(row["name"], as_role(row["role"]), "token", key)
