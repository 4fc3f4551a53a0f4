"""The access log from the door's side: who did what, when, from where. The row is written before the answer is."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from gateway.ports import UnitOfWork
from gateway.web.parts import address_of, parts_of, person_of


async def add_audit(
    request: web.Request,
    uow: UnitOfWork,
    action: str,
    object_type: str,
    object_id: str,
    detail: dict[str, Any] | None = None,
    *,
    actor: str | None = None,
) -> None:
    """Appends a row within a transaction. `actor` is for those who are not (yet) known, such as at login."""
    await uow.audits.add(
        at=parts_of(request).now(),
        actor=actor if actor is not None else person_of(request).name,
        action=action,
        object_type=object_type,
        object_id=object_id[:150],
        address=address_of(request),
        detail=detail or {},
    )


async def audited(
    request: web.Request, action: str, object_type: str, object_id: str, detail: dict[str, Any] | None = None
) -> None:
    """Appends a row in a transaction of its own."""
    async with parts_of(request).store.begin() as uow:
        await add_audit(request, uow, action, object_type, object_id, detail)
