"""Users, their sessions in a browser, and tokens of programs. Only hashes are kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update

from gateway.ports import Row
from gateway.store import tables
from gateway.store.statements import Transaction, insert, upsert

_U, _S, _T = tables.users.c, tables.sessions.c, tables.tokens.c


class SqlPeopleRows:
    """`ports.PeopleRows`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def user(self, name: str) -> Row | None:
        """A user, or None."""
        return await self._transaction.first(select(tables.users).where(_U.name == name))

    async def any_user(self) -> bool:
        """Whether there is a user at all."""
        return await self._transaction.first(select(_U.name).limit(1)) is not None

    async def users(self) -> Sequence[Row]:
        """All users by name."""
        return await self._transaction.read(select(tables.users).order_by(_U.name))

    async def save_user(self, name: str, password_hash: str, role: str, at: datetime) -> None:
        """Creates or changes a user, who may log in from then on."""
        values = {"name": name, "password_hash": password_hash, "role": role, "created_at": at, "disabled_at": None}
        keep = frozenset({"created_at"})
        await self._transaction.write(upsert(tables.users, self._transaction.dialect, keep=keep), values)

    async def open_session(self, token_sha256: str, name: str, at: datetime, expires_at: datetime) -> None:
        """Remembers a login, and forgets those that have run out."""
        await self._transaction.write(delete(tables.sessions).where(_S.expires_at <= at))
        values = {"token_sha256": token_sha256, "user_name": name, "created_at": at, "expires_at": expires_at}
        await self._transaction.write(insert(tables.sessions, self._transaction.dialect), values)

    async def session(self, token_sha256: str, at: datetime) -> Row | None:
        """User `name` and `role` of a session that is still valid."""
        query = (
            select(_U.name, _U.role, _S.expires_at)
            .join(tables.users, _S.user_name == _U.name)
            .where(_S.token_sha256 == token_sha256, _S.expires_at > at, _U.disabled_at.is_(None))
        )
        return await self._transaction.first(query)

    async def disable_user(self, name: str, at: datetime) -> bool:
        """Keeps a user from logging in; False when there is no such user who may."""
        known = (_U.name == name) & _U.disabled_at.is_(None)
        return await self._transaction.write(update(tables.users).where(known).values(disabled_at=at)) == 1

    async def close_session(self, token_sha256: str) -> None:
        """Forgets a login."""
        await self._transaction.write(delete(tables.sessions).where(_S.token_sha256 == token_sha256))

    async def close_sessions_of(self, name: str, but: str) -> None:
        """Forgets every login of a user but one."""
        others = (_S.user_name == name) & (_S.token_sha256 != but)
        await self._transaction.write(delete(tables.sessions).where(others))

    async def save_token(self, token_sha256: str, name: str, role: str, at: datetime) -> None:
        """Remembers an API token."""
        values = {"token_sha256": token_sha256, "user_name": name, "role": role, "created_at": at, "revoked_at": None}
        await self._transaction.write(insert(tables.tokens, self._transaction.dialect), values)

    async def token(self, token_sha256: str) -> Row | None:
        """User `name` and `role` of a token that is not revoked; a disabled user's tokens are void too."""
        query = (
            select(_T.user_name.label("name"), _T.role)
            .outerjoin(tables.users, _T.user_name == _U.name)
            .where(_T.token_sha256 == token_sha256, _T.revoked_at.is_(None), _U.disabled_at.is_(None))
        )
        return await self._transaction.first(query)

    async def revoke_tokens_of(self, name: str, at: datetime) -> int:
        """Makes every API token that stands for `name` void; gives how many there were."""
        standing = (_T.user_name == name) & _T.revoked_at.is_(None)
        return await self._transaction.write(update(tables.tokens).where(standing).values(revoked_at=at))
