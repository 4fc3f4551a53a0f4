"""Alarms: raised by the house, shown until a person clears them."""

from __future__ import annotations

from aiohttp import web

from gateway.ports import UnitOfWork
from gateway.web.access import add_audit
from gateway.web.endpoint import Endpoint
from gateway.web.lists import limit_of, list_answer
from gateway.web.params import LIMIT, choice, read_query
from gateway.web.parts import parts_of, person_of
from gateway.web.problem import Problem
from gateway.web.shapes import ALARM, outside

PARAMS = (choice("state", "standing alarms only, or all", ("standing", "all"), "all"), LIMIT)
LOOK_BACK = 10_000  # how many alarms back a cleared one is still told from one that never was


async def search(request: web.Request) -> web.Response:
    """Alarms, newest first."""
    query = read_query(request, PARAMS)
    limit = limit_of(request, query)
    parts = parts_of(request)
    async with parts.store.begin() as uow:
        stored = await uow.alarms.standing() if query["state"] == "standing" else await uow.alarms.search(limit)
    rows = [*parts.waiting_alarms(), *stored][:limit]
    return await list_answer(request, "alarms", ALARM, [outside(ALARM, row) for row in rows])


async def _cleared(request: web.Request, uow: UnitOfWork, alarm_id: str) -> None:
    standing = {row["id"]: row for row in await uow.alarms.standing()}
    alarm = standing.get(alarm_id)
    if alarm is None:
        if any(row["id"] == alarm_id for row in await uow.alarms.search(LOOK_BACK)):
            raise Problem(409, "this alarm is cleared already")
        raise Problem(404, f"there is no alarm '{alarm_id[:40]}'")
    await uow.alarms.clear(alarm["code"], alarm["subject"], person_of(request).name, parts_of(request).now())
    await add_audit(
        request, uow, "clear_alarm", "alarm", alarm_id, {"code": alarm["code"], "subject": alarm["subject"]}
    )


async def clear_alarm(request: web.Request, alarm_id: str) -> None:
    """Clears a standing alarm and tells everybody who is watching. Raises Problem 404 or 409."""
    parts = parts_of(request)
    async with parts.store.begin() as uow:
        await _cleared(request, uow, alarm_id)
    parts.live.publish("alarm", {"id": alarm_id, "cleared_by": person_of(request).name})


async def clear(request: web.Request) -> web.Response:
    """Clears an alarm in the name of the person who asks."""
    await clear_alarm(request, request.match_info["id"])
    return web.Response(status=204)


ENDPOINTS = (
    Endpoint("GET", "/alarms", search, "Alarms, newest first", params=PARAMS, gives=ALARM, many=True),
    Endpoint(
        "POST",
        "/alarms/{id}/clear",
        clear,
        "Clears an alarm",
        permission="clear_alarms",
        status=204,
        problems={404: "no such alarm", 409: "cleared already"},
    ),
)
