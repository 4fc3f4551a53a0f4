"""People over HTTP: logging in and out, one's own password, and, for administrators, users and tokens."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.core.roles import GRANTED, ROLES
from gateway.services import people
from gateway.web.access import add_audit
from gateway.web.auth import check_origin, give_cookie, hash_password, log_in, log_out, prove, take_cookie
from gateway.web.endpoint import Endpoint, object_schema, read_object
from gateway.web.lists import list_answer
from gateway.web.params import read_query
from gateway.web.parts import parts_of, person_of
from gateway.web.problem import Problem
from gateway.web.shapes import USER, iso, outside

_PASSWORD = f"{people.PASSWORD_MIN_LENGTH} to {people.PASSWORD_MAX_LENGTH} characters"
_ROLE = f"one of {', '.join(ROLES)}"
LOGIN = {"name": "a user's name", "password": "the user's password"}
NEW_USER = {"password": _PASSWORD, "role": _ROLE}
NEW_TOKEN = {"user": "whom the token stands for", "role": _ROLE}
NEW_PASSWORD = {"old": "the password until now", "new": _PASSWORD}


async def login(request: web.Request) -> web.Response:
    """Opens a session; the cookie is the key."""
    check_origin(request)
    body = await read_object(request, LOGIN)
    person, secret, expires_at = await log_in(request, body["name"], body["password"])
    response = web.json_response({"name": person.name, "role": person.role, "expires_at": iso(expires_at)})
    give_cookie(request, response, secret)
    return response


async def logout(request: web.Request) -> web.Response:
    """Forgets the session."""
    check_origin(request)
    await log_out(request)
    response = web.Response(status=204)
    take_cookie(request, response)
    return response


async def me(request: web.Request) -> web.Response:
    """Who asks, and what they may do."""
    person = person_of(request)
    return web.json_response({"name": person.name, "role": person.role, "permissions": sorted(GRANTED[person.role])})


async def change_password(request: web.Request) -> web.Response:
    """A new password for the person who asks."""
    body = await read_object(request, NEW_PASSWORD)
    person = await prove(request, person_of(request).name, body["old"])
    await _save_user(request, person.name, body["new"], person.role, "change_password")
    return web.Response(status=204)


async def _save_user(request: web.Request, name: str, password: str, role: str, action: str) -> None:
    parts = parts_of(request)
    people.check_password(password, people.check_name(name))
    hashed = await asyncio.to_thread(hash_password, password)
    async with parts.store.begin() as uow:
        await people.save_user(uow, name, password, role, parts.now(), lambda _: hashed)
        # Whoever knew the old password is no longer logged in; the person who changes it here stays.
        await uow.people.close_sessions_of(name, person_of(request).key)
        await add_audit(request, uow, action, "user", name, {"role": role})


async def users(request: web.Request) -> web.Response:
    """All users by name."""
    read_query(request, ())
    async with parts_of(request).store.begin() as uow:
        rows = await uow.people.users()
    return await list_answer(request, "users", USER, [outside(USER, row) for row in rows])


async def put_user(request: web.Request) -> web.Response:
    """Creates or changes a user."""
    body = await read_object(request, NEW_USER)
    name = request.match_info["name"]
    if name == person_of(request).name and body["role"] != person_of(request).role:
        raise Problem(409, "nobody changes their own role; ask another administrator")
    await _save_user(request, name, body["password"], body["role"], "save_user")
    return web.Response(status=204)


async def post_token(request: web.Request) -> web.Response:
    """A new API token, shown this once."""
    body = await read_object(request, NEW_TOKEN)
    parts = parts_of(request)
    async with parts.store.begin() as uow:
        token = await people.create_token(uow, body["user"], body["role"], parts.now())
        await add_audit(request, uow, "token_create", "user", body["user"], {"role": body["role"]})
    return web.json_response({"token": token, "user": body["user"], "role": body["role"]}, status=201)


def _strings(*names: str) -> dict[str, object]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": list(names)}


_ME = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "role": {"enum": list(ROLES)},
        "permissions": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "role", "permissions"],
}
_WRONG = {401: "the name or the password is wrong", 429: "too many failures; Retry-After says when to try again"}
ENDPOINTS = (
    Endpoint(
        "POST",
        "/login",
        login,
        "Opens a session and sets its cookie",
        public=True,
        takes=object_schema(LOGIN),
        schema=_strings("name", "role", "expires_at"),
        problems=_WRONG,
    ),
    Endpoint("POST", "/logout", logout, "Closes the session", public=True, status=204),
    Endpoint("GET", "/me", me, "Who asks, and what they may do", permission=None, schema=_ME),
    Endpoint(
        "PUT",
        "/me/password",
        change_password,
        "Changes one's own password",
        permission=None,
        takes=object_schema(NEW_PASSWORD),
        status=204,
        problems=_WRONG,
    ),
    Endpoint("GET", "/users", users, "All users", permission="manage_people", gives=USER, many=True),
    Endpoint(
        "PUT",
        "/users/{name}",
        put_user,
        "Creates or changes a user",
        permission="manage_people",
        takes=object_schema(NEW_USER),
        status=204,
        problems={409: "one's own role"},
    ),
    Endpoint(
        "POST",
        "/tokens",
        post_token,
        "A new API token, shown this once",
        permission="manage_people",
        takes=object_schema(NEW_TOKEN),
        schema=_strings("token", "user", "role"),
        status=201,
    ),
)
