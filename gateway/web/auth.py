"""Who asks: passwords (argon2id), session cookies, bearer tokens; and the check that stands before every endpoint.

A session cookie is HttpOnly, SameSite=Strict, and Secure behind https. Requests that change something by cookie must
also come from our own pages (Origin), because not every office browser is young enough for SameSite.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.core.roles import Permission, as_role, may
from gateway.ids import new_secret
from gateway.ports import UnitOfWork
from gateway.services import people
from gateway.services.people import Person
from gateway.web.access import add_audit
from gateway.web.parts import PERSON, address_of, is_https, parts_of
from gateway.web.problem import Handler, Problem
from gateway.web.throttle import LoginThrottle

SESSION_COOKIE: Final = "dutyline_session"
THROTTLE: Final = web.AppKey("throttle", LoginThrottle)
HASHING: Final = web.AppKey("hashing", asyncio.Semaphore)  # argon2 takes 64 MiB and a core each time
HASHING_AT_ONCE = 2

_hasher = PasswordHasher()
_NOBODYS_HASH = _hasher.hash(new_secret())  # an unknown name takes as long as a wrong password


def hash_password(password: str) -> str:
    """The hash to keep."""
    return _hasher.hash(password)


def is_password(password: str, kept: str) -> bool:
    """Whether `password` is the one that was hashed."""
    try:
        return _hasher.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False


async def ensure_first_administrator(uow: UnitOfWork, now: datetime) -> str | None:
    """Creates the first administrator when there is no user at all; gives the password, which is shown once."""
    return await people.ensure_first_administrator(uow, now, hash_password)


async def _is_password_of(request: web.Request, password: str, kept: str | None) -> bool:
    if len(password) > people.PASSWORD_MAX_LENGTH:
        return False
    async with request.app[HASHING]:
        matches = await asyncio.to_thread(is_password, password, kept or _NOBODYS_HASH)
    return matches and kept is not None


async def prove(request: web.Request, name: str, password: str) -> Person:
    """Who logs in with this name and password. Raises Problem 401 (without saying which was wrong) or 429."""
    parts, throttle, address = parts_of(request), request.app[THROTTLE], address_of(request)
    now_s = parts.monotonic_s()
    wait_s = throttle.wait_s(name, address, now_s)
    if wait_s > 0:
        seconds = int(wait_s) + 1
        detail = f"too many failed logins; try again in {seconds} s"
        raise Problem(
            429, detail, code="slow-down", more={"retry_after_s": seconds}, headers={"Retry-After": str(seconds)}
        )
    throttle.tried(name, address, now_s)
    async with parts.store.begin() as uow:
        row = await uow.people.user(name) if people.is_name(name) else None
    kept = row["password_hash"] if row is not None and row["disabled_at"] is None else None
    matches = await _is_password_of(request, password, kept)
    if row is None or not matches:
        actor = name if people.is_name(name) else "?"
        async with parts.store.begin() as uow:
            await add_audit(request, uow, "login_failed", "user", actor, actor=actor)
        raise Problem(401, "the name or the password is wrong", code="wrong-credentials")
    throttle.succeeded(name, address)
    return Person(row["name"], as_role(row["role"]), "password", "")


async def log_in(request: web.Request, name: str, password: str) -> tuple[Person, str, datetime]:
    """Proves who it is and opens a session: (person, secret for the cookie, end)."""
    person = await prove(request, name, password)
    parts = parts_of(request)
    async with parts.store.begin() as uow:
        secret, expires_at = await people.open_session(uow, person.name, parts.now())
        await add_audit(request, uow, "login", "user", person.name, actor=person.name)
    return person, secret, expires_at


async def log_out(request: web.Request) -> None:
    """Forgets the session of this request, if it has one."""
    secret = request.cookies.get(SESSION_COOKIE, "")
    parts = parts_of(request)
    async with parts.store.begin() as uow:
        person = await people.person_of_session(uow, secret, parts.now())
        if person is not None:
            await uow.people.close_session(person.key)
            await add_audit(request, uow, "logout", "user", person.name, actor=person.name)


def give_cookie(request: web.Request, response: web.StreamResponse, secret: str) -> None:
    """Lets the browser keep the session; it ends with the browser or after `SESSION_LENGTH`."""
    response.set_cookie(
        SESSION_COOKIE,
        secret,
        max_age=int(people.SESSION_LENGTH.total_seconds()),
        path="/",
        httponly=True,
        samesite="Strict",
        secure=is_https(request),
    )


def take_cookie(request: web.Request, response: web.StreamResponse) -> None:
    """Lets the browser forget the session."""
    response.del_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="Strict", secure=is_https(request))


def check_origin(request: web.Request) -> None:
    """Refuses a change that a foreign page asks the browser to make."""
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise Problem(403, f"a page of '{origin[:100]}' may not do this here", code="foreign-origin")


async def find_person(request: web.Request) -> Person | None:
    """Who asks, by bearer token or session cookie; None when neither is given or valid."""
    kind, _, secret = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    cookie = request.cookies.get(SESSION_COOKIE, "")
    parts = parts_of(request)
    if kind.lower() == "bearer":
        async with parts.store.begin() as uow:
            return await people.person_of_token(uow, secret.strip())
    if not cookie:
        return None
    if request.method not in ("GET", "HEAD"):
        check_origin(request)
    async with parts.store.begin() as uow:
        return await people.person_of_session(uow, cookie, parts.now())


def guarded(handler: Handler, permission: Permission | None) -> Handler:
    """`handler`, for known people only, and only those who have `permission` (None: everybody who is known)."""

    async def check(request: web.Request) -> web.StreamResponse:
        person = await find_person(request)
        if person is None:
            detail = "log in first, or send a valid bearer token"
            raise Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="dutyline"'})
        if permission is not None and not may(person.role, permission):
            raise Problem(403, f"the role '{person.role}' does not have the right '{permission}'")
        request[PERSON] = person
        return await handler(request)

    return check
