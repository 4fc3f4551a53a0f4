from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from gateway.services import people
from gateway.web.auth import SESSION_COOKIE, hash_password
from gateway.web.throttle import FREE_FAILURES
from tests.peers.duty_desk import Desk

NAME, PASSWORD = "li.si", "correct horse"


async def add_user(desk: Desk, role: str = "clerk") -> None:
    async with desk.store.begin() as uow:
        await people.save_user(uow, NAME, PASSWORD, role, desk.clock.now(), hash_password)


async def log_in(client: TestClient, password: str = PASSWORD, **more: Any) -> Any:
    return await client.post("/api/v1/login", json={"name": NAME, "password": password}, **more)


async def test_login_and_logout(client: TestClient, desk: Desk) -> None:
    await add_user(desk)
    answer = await log_in(client)
    cookie = answer.headers["Set-Cookie"]
    assert (answer.status, (await answer.json())["role"]) == (200, "clerk")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie
    me = await client.get("/api/v1/me")
    assert await me.json() == {"name": NAME, "role": "clerk", "permissions": ["clear_alarms", "play", "read"]}
    stolen = {SESSION_COOKIE: answer.cookies[SESSION_COOKIE].value}
    assert (await client.post("/api/v1/logout")).status == 204
    assert (await client.get("/api/v1/me", cookies=stolen)).status == 401
    assert [row["action"] for row in await desk.audits()] == ["login", "logout"]


async def test_cookie_is_secure_behind_https(client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await add_user(desk)
    untrusted = await log_in(client, headers={"X-Forwarded-Proto": "https"})
    assert "Secure" not in untrusted.headers["Set-Cookie"]
    monkeypatch.setattr("gateway.web.auth.is_https", lambda request: True)
    assert "Secure" in (await log_in(client)).headers["Set-Cookie"]


async def test_wrong_name_and_wrong_password_look_the_same(client: TestClient, desk: Desk) -> None:
    await add_user(desk)
    wrong = await log_in(client, "wrong horse!")
    nobody = await client.post("/api/v1/login", json={"name": "nobody\x00 ", "password": PASSWORD})
    assert (wrong.status, await wrong.json()) == (nobody.status, await nobody.json())
    assert [(row["action"], row["actor"]) for row in await desk.audits()] == [
        ("login_failed", NAME),
        ("login_failed", "?"),
    ]


async def test_guessing_is_slowed_down_but_nobody_is_locked_out(client: TestClient, desk: Desk) -> None:
    await add_user(desk)
    for _ in range(FREE_FAILURES + 1):
        assert (await log_in(client, "wrong horse!")).status == 401
    slow = await log_in(client)
    assert (slow.status, slow.headers["Retry-After"]) == (429, "3")
    desk.clock.turn(3)
    assert (await log_in(client)).status == 200


async def test_session_outlives_the_night_and_ends(client: TestClient, desk: Desk) -> None:
    await add_user(desk)
    await log_in(client)
    desk.clock.turn(15 * 3600)
    assert (await client.get("/api/v1/me")).status == 200
    desk.clock.turn(3600)
    assert (await client.get("/api/v1/me")).status == 401


async def test_foreign_page_cannot_use_the_cookie(client: TestClient, desk: Desk) -> None:
    await add_user(desk)
    foreign = {"Origin": "http://evil.example"}
    assert (await log_in(client, headers=foreign)).status == 403
    await log_in(client)
    answer = await client.post("/api/v1/alarms/none/clear", headers=foreign)
    assert (answer.status, (await answer.json())["type"]) == (403, "urn:dutyline:problem:foreign-origin")
    own = {"Origin": f"http://{client.host}:{client.port}"}
    assert (await client.post("/api/v1/alarms/none/clear", headers=own)).status == 404


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"}, {"Cookie": "dutyline_session=x"}],
)
async def test_unknown(client: TestClient, headers: dict[str, str]) -> None:
    answer = await client.get("/api/v1/me", headers=headers)
    assert (answer.status, answer.content_type) == (401, "application/problem+json")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{", "not JSON"),
        ("[]", "object"),
        ('{"name": "a"}', "password"),
        ('{"name": "a", "password": 1}', "password"),
        ('{"name": "a", "password": "b", "role": "administrator"}', "only these members"),
    ],
)
async def test_wrong_body(client: TestClient, body: str, says: str) -> None:
    answer = await client.post("/api/v1/login", data=body)
    assert (answer.status, says in (await answer.json())["detail"]) == (400, True)


async def test_administrator_makes_users_and_tokens(client: TestClient, desk: Desk) -> None:
    headers = await desk.token("administrator")
    made = await client.put(f"/api/v1/users/{NAME}", json={"password": PASSWORD, "role": "clerk"}, headers=headers)
    assert made.status == 204
    assert (await log_in(client)).status == 200
    listed = await client.get("/api/v1/users", headers=headers)
    assert [(user["name"], user["role"]) for user in (await listed.json())["items"]] == [(NAME, "clerk")]
    assert "hash" not in await listed.text()
    answer = await client.post("/api/v1/tokens", json={"user": "robot", "role": "auditor"}, headers=headers)
    token = (await answer.json())["token"]
    client.session.cookie_jar.clear()
    me = await client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status, (await me.json())["name"]) == (201, "robot")
    assert {row["action"] for row in await desk.audits()} == {"save_user", "login", "token_create"}


@pytest.mark.parametrize("role", ["general_office", "clerk", "auditor"])
async def test_others_do_not(client: TestClient, desk: Desk, role: str) -> None:
    headers = await desk.token(role)
    assert (await client.get("/api/v1/users", headers=headers)).status == 403
    body = {"user": "robot", "role": "administrator"}
    assert (await client.post("/api/v1/tokens", json=body, headers=headers)).status == 403


async def test_nobody_changes_their_own_role(client: TestClient, desk: Desk) -> None:
    headers = await desk.token("administrator", "boss")
    answer = await client.put("/api/v1/users/boss", json={"password": PASSWORD, "role": "clerk"}, headers=headers)
    assert answer.status == 409


async def test_own_password(client: TestClient, desk: Desk) -> None:
    await add_user(desk)
    await log_in(client)
    change = "/api/v1/me/password"
    assert (await client.put(change, json={"old": "wrong horse!", "new": "battery staple"})).status == 401
    assert (await client.put(change, json={"old": PASSWORD, "new": "short"})).status == 400
    assert (await client.put(change, json={"old": PASSWORD, "new": "battery staple"})).status == 204
    assert (await log_in(client, "battery staple")).status == 200


async def test_a_new_password_ends_the_other_logins(client: TestClient, desk: Desk) -> None:
    await add_user(desk)
    await log_in(client)
    stolen = client.session.cookie_jar.filter_cookies(client.make_url("/"))["dutyline_session"].value
    await log_in(client)
    assert (await client.put("/api/v1/me/password", json={"old": PASSWORD, "new": "battery staple"})).status == 204
    assert (await client.get("/api/v1/me")).status == 200, "who changed it stays"
    client.session.cookie_jar.clear()
    assert (await client.get("/api/v1/me", headers={"Cookie": f"dutyline_session={stolen}"})).status == 401
