"""Calls and legs: saved, kept, searched, paged."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.core.call import Call, Leg
from gateway.core.inventory import Inventory, Unit
from gateway.errors import RequestError
from gateway.ports import CallFilter, Store

AT = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
CALL = Call(
    id="node1-1.0",
    node="node1",
    direction="inbound",
    line_number="02283000000",
    dialled_number="02283000000",
    caller_number="02223000001",
    caller_name="和平区",
    started_at=AT,
    answered_at=None,
    ended_at=None,
    disposition="ringing",
    legs=(Leg("node1-1.0", "node1-1.0", "PJSIP/carrier-1", "caller", "carrier", "02223000001", AT, sip_call_id="a@b"),),
)


def call(number: int, **changes: object) -> Call:
    return replace(CALL, id=f"node1-{number}.0", started_at=AT + timedelta(seconds=number), legs=(), **changes)  # type: ignore[arg-type]


async def found(store: Store, **wanted: object) -> list[str]:
    async with store.begin() as uow:
        page = await uow.calls.search(CallFilter(**wanted))  # type: ignore[arg-type]
    return [row["id"] for row in page.rows]


async def test_a_call_is_saved_and_changed_with_its_legs(store: Store) -> None:
    async with store.begin() as uow:
        await uow.calls.save([CALL], {CALL.id: ("CITY", None)})
        await uow.calls.set_diversion(CALL.id, [{"number": "02283001234", "reason": "unconditional"}])
    ended = replace(CALL, ended_at=AT + timedelta(seconds=9), disposition="abandoned")
    second = replace(CALL.legs[0], id="node1-1.1", party="called", started_at=AT + timedelta(seconds=1))
    ended = replace(ended, legs=(replace(CALL.legs[0], cause=127), second))
    async with store.begin() as uow:
        await uow.calls.save([ended], {CALL.id: ("OTHER", "HP")})
        row = await uow.calls.get(CALL.id)
        legs = await uow.calls.legs(CALL.id)
        assert await uow.calls.rows([CALL.id, "none"]) == [row]
        assert await uow.calls.get("none") is None
    assert row is not None
    assert (row["disposition"], row["ended_at"]) == ("abandoned", ended.ended_at)
    assert (row["unit"], row["caller_unit"]) == ("CITY", "HP")  # frozen at the call; filled when first known
    assert row["diversion"] == [{"number": "02283001234", "reason": "unconditional"}]
    assert [(leg["id"], leg["cause"]) for leg in legs] == [("node1-1.0", 127), ("node1-1.1", None)]


async def test_ringing_ends_with_the_last_phone(store: Store) -> None:
    def called(number: int, seconds: int | None) -> Leg:
        ended = None if seconds is None else AT + timedelta(seconds=seconds)
        return replace(CALL.legs[0], id=f"node1-1.{number}", party="called", ended_at=ended)

    caller = replace(CALL.legs[0], ended_at=AT + timedelta(seconds=22))
    over = replace(CALL, legs=(caller, called(1, 3), called(2, 6)))
    ringing, rejected = (replace(call(n), legs=(replace(caller, id=f"node1-{n}.0"),)) for n in (2, 3))
    one_rings = replace(called(4, None), call_id=ringing.id), replace(called(5, 1), call_id=ringing.id)
    ringing = replace(ringing, legs=(*ringing.legs, *one_rings))
    async with store.begin() as uow:
        await uow.calls.save([over, ringing, rejected], {})
        assert await uow.calls.rang_until([over.id, ringing.id, rejected.id, "none"]) == {
            over.id: AT + timedelta(seconds=6)
        }
        assert await uow.calls.rang_until([]) == {}


async def test_words_units_and_whom_we_called(store: Store) -> None:
    units = (Unit("CITY", "市政府", "city_duty_office"), Unit("HP", "和平区", "district", "CITY"))
    called = call(2, direction="outbound", dialled_number="23000009", caller_name="")
    async with store.begin() as uow:
        await uow.inventory.replace(Inventory(units=units), by="t", source="t", sha256="0", at=AT)
        await uow.calls.save([call(1, caller_name=""), called], {"node1-1.0": ("CITY", "HP")})
    assert await found(store, text="和平 0228300") == ["node1-1.0"]
    assert await found(store, text="和平 nobody") == []
    assert await found(store, text="平% _") == []
    assert await found(store, unit="HP") == ["node1-1.0"]
    assert await found(store, unit="HP", numbers_of_unit=("23000009",)) == ["node1-2.0", "node1-1.0"]
    assert await found(store, number="＋８６　２２ ２３００") == ["node1-2.0", "node1-1.0"]


async def test_over_long_text_of_a_peer_is_cut_not_refused(store: Store) -> None:
    async with store.begin() as uow:
        await uow.calls.save([replace(CALL, caller_number="9" * 400, line_number="8" * 40)], {})
        row = await uow.calls.get(CALL.id)
    assert row is not None
    assert (len(row["caller_number"]), len(row["line_number"])) == (255, 32)


async def test_pages_neither_repeat_nor_hide_while_calls_arrive(store: Store) -> None:
    async with store.begin() as uow:
        same_moment = [replace(call(n), started_at=AT) for n in range(5)]
        await uow.calls.save([*same_moment, *(call(n) for n in range(10, 15))], {})
    seen: list[str] = []
    cursor = None
    for page_number in range(10):
        async with store.begin() as uow:
            page = await uow.calls.search(CallFilter(limit=3, cursor=cursor))
            seen += [row["id"] for row in page.rows]
            await uow.calls.save([call(100 + page_number)], {})
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [f"node1-{n}.0" for n in (14, 13, 12, 11, 10, 4, 3, 2, 1, 0)]


@pytest.mark.parametrize("cursor", ["x", "bm90IGpzb24", "WzEsMl0", "WyIyMDI2LTExLTIzIiwgIngiXQ", "\ud800"])
async def test_a_foreign_cursor_is_a_wrong_request(sqlite_store: Store, cursor: str) -> None:
    with pytest.raises(RequestError, match="cursor"):
        await found(sqlite_store, cursor=cursor)


@pytest.mark.parametrize(
    ("number", "ids"),
    [
        ("02223000001", ["node1-3.0", "node1-1.0"]),
        ("23000001", ["node1-3.0", "node1-1.0"]),
        ("+86 22 2300 0001", ["node1-3.0", "node1-1.0"]),
        ("0086-22-23000001", ["node1-3.0", "node1-1.0"]),
        ("02283000001", ["node1-2.0"]),
        ("2830000", ["node1-3.0", "node1-2.0", "node1-1.0"]),
        ("anonymous", ["node1-4.0"]),
        ("%", []),
        ("_", []),
        ("9999", []),
    ],
)
async def test_numbers_are_found_by_their_digits(store: Store, number: str, ids: list[str]) -> None:
    async with store.begin() as uow:
        calls = [
            call(1),
            call(2, caller_number="13800000000", line_number="02283000001"),
            call(3, caller_number="02283000002", dialled_number="02223000001", direction="outbound"),
            call(4, caller_number="anonymous", dialled_number="", line_number=None),
        ]
        await uow.calls.save(calls, {})
    assert await found(store, number=number) == ids


async def test_search_by_unit_time_and_text(store: Store) -> None:
    async with store.begin() as uow:
        calls = [call(1), call(2, caller_name="100%_Ready"), call(3, reason="noanswer", disposition="missed")]
        await uow.calls.save(
            calls, {"node1-1.0": ("CITY", None), "node1-2.0": (None, "CITY"), "node1-3.0": ("HP", None)}
        )
    assert await found(store, unit="CITY") == ["node1-2.0", "node1-1.0"]
    assert await found(store, since=AT + timedelta(seconds=2), until=AT + timedelta(seconds=3)) == ["node1-2.0"]
    assert await found(store, text="和平") == ["node1-3.0", "node1-1.0"]
    assert await found(store, text="0%_r") == ["node1-2.0"]
    assert await found(store, text="NOANSWER") == ["node1-3.0"]
    assert await found(store, text="%") == ["node1-2.0"]
    assert await found(store, text="'; DROP TABLE calls; --") == []
    assert await found(store, unit="CITY", limit=0) == ["node1-2.0"]


async def test_a_leg_is_found_by_its_sip_call_id(store: Store) -> None:
    async with store.begin() as uow:
        await uow.calls.save([CALL], {})
        leg = await uow.calls.leg_of_sip("a@b")
        assert leg is not None
        assert (leg["call_id"], leg["line_number"]) == (CALL.id, CALL.line_number)
        assert await uow.calls.leg_of_sip("c@d") is None
        assert await uow.calls.leg_of_sip("") is None


async def test_open_legs_are_those_without_an_end_in_calls_without_an_end(store: Store) -> None:
    over = replace(
        CALL, id="node1-2.0", ended_at=AT, legs=(replace(CALL.legs[0], id="node1-2.0", call_id="node1-2.0"),)
    )
    ended_leg = replace(CALL.legs[0], id="node1-1.1", ended_at=AT)
    async with store.begin() as uow:
        await uow.calls.save([replace(CALL, legs=(*CALL.legs, ended_leg)), over], {})
        later = AT + timedelta(seconds=1)
        assert [leg["id"] for leg in await uow.calls.open_legs("node1", later)] == ["node1-1.0"]
        assert await uow.calls.open_legs("node1", AT) == []
        assert await uow.calls.open_legs("node2", later) == []
