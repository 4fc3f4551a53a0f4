from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.errors import RequestError
from gateway.ports import Store
from gateway.services import people
from gateway.store.engine import open_store
from gateway.store.migrate import migrate

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    url = f"sqlite:///{tmp_path}/people.db"
    await migrate(url)
    store = await open_store(url)
    yield store
    await store.close()


def hashed(password: str) -> str:
    return f"hash of {password}"


async def test_first_administrator_is_made_once(store: Store) -> None:
    async with store.begin() as uow:
        password = await people.ensure_first_administrator(uow, NOW, hashed)
    async with store.begin() as uow:
        assert await people.ensure_first_administrator(uow, NOW, hashed) is None
        user = await uow.people.user("admin")
    assert password is not None
    assert len(password) >= people.PASSWORD_MIN_LENGTH
    assert user is not None
    assert (user["role"], user["password_hash"]) == ("administrator", f"hash of {password}")


async def test_no_administrator_where_there_is_any_user(store: Store) -> None:
    async with store.begin() as uow:
        await people.save_user(uow, "li.si", "correct horse", "clerk", NOW, hashed)
        assert await people.ensure_first_administrator(uow, NOW, hashed) is None


@pytest.mark.parametrize(
    ("name", "password", "role", "says"),
    [
        ("li si", "correct horse", "clerk", "user name"),
        ("", "correct horse", "clerk", "user name"),
        ("li.si", "eleven char", "clerk", "12 to 256"),
        ("li.si", "x" * 257, "clerk", "12 to 256"),
        ("li.si", "abababababab", "clerk", "easy to guess"),
        ("administrator", "Administrator", "clerk", "easy to guess"),
        ("li.si", "correct horse", "boss", "not a role"),
    ],
)
async def test_user_that_cannot_be(store: Store, name: str, password: str, role: str, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        async with store.begin() as uow:
            await people.save_user(uow, name, password, role, NOW, hashed)
    async with store.begin() as uow:
        assert not await uow.people.any_user()


async def test_token_is_kept_as_a_hash(store: Store) -> None:
    async with store.begin() as uow:
        token = await people.create_token(uow, "robot", "auditor", NOW)
        kept = await uow.people.token(people.fingerprint(token))
        person = await people.person_of_token(uow, token)
        assert await people.person_of_token(uow, token + "x") is None
        assert await uow.people.token(token) is None
    assert kept is not None
    assert person == people.Person("robot", "auditor", "token", people.fingerprint(token))


async def test_session_ends(store: Store) -> None:
    async with store.begin() as uow:
        await people.save_user(uow, "li.si", "correct horse", "clerk", NOW, hashed)
        secret, expires_at = await people.open_session(uow, "li.si", NOW)
        last_moment = expires_at - timedelta(microseconds=1)
        person = await people.person_of_session(uow, secret, last_moment)
        assert await people.person_of_session(uow, secret, expires_at) is None
    assert person is not None
    assert (person.name, person.role, person.via) == ("li.si", "clerk", "session")
    assert expires_at - NOW > timedelta(hours=14, minutes=30)  # the night shift
