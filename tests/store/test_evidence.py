"""Recordings, forward attempts, alarms, audits, people: one contract on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.core.forwarding import ForwardAttempt
from gateway.errors import StoreRefusedError
from gateway.ports import Store

AT = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
LATER = AT + timedelta(minutes=1)
ATTEMPT = ForwardAttempt(
    key="a", method="redirect", at=AT, line_number=None, phone="desk1", target="02283001234",
    evidence=({"source": "cel", "at": AT.isoformat(), "text": "FORWARD"},),
)  # fmt: skip


async def test_a_recording_is_saved_column_by_column(store: Store) -> None:
    async with store.begin() as uow:
        row = {"id": "r1", "call_id": "c1", "kind": "talk", "state": "capturing", "started_at": AT}
        await uow.recordings.save(row)
        await uow.recordings.save({"id": "r2", **{k: v for k, v in row.items() if k != "id"}, "started_at": LATER})
        await uow.recordings.save({"id": "r1", "state": "sealed", "length_s": 2.5, "note": "n" * 400})
    async with store.begin() as uow:
        sealed = await uow.recordings.get("r1")
        assert sealed is not None
        assert (sealed["state"], sealed["length_s"], sealed["kind"], len(sealed["note"])) == (
            "sealed",
            2.5,
            "talk",
            255,
        )
        assert [row["id"] for row in await uow.recordings.of_call("c1")] == ["r1", "r2"]
        assert [row["id"] for row in await uow.recordings.search(None, None, 10)] == ["r2", "r1"]
        assert [row["id"] for row in await uow.recordings.search(AT, LATER, 10)] == ["r1"]
        assert [row["id"] for row in await uow.recordings.capturing()] == ["r2"]
        assert await uow.recordings.get("none") is None


async def test_an_attempt_that_was_not_blocked_is_never_called_blocked_again(store: Store) -> None:
    for outcome in ("blocked", "not_blocked", "blocked"):
        async with store.begin() as uow:
            await uow.forward_attempts.add(replace(ATTEMPT, outcome=outcome))
    async with store.begin() as uow:
        (row,) = await uow.forward_attempts.search(None, None, 10)
    assert row["outcome"] == "not_blocked"


async def test_a_recording_ends_once(store: Store) -> None:
    async with store.begin() as uow:
        await uow.recordings.save({"id": "r1", "call_id": "c1", "kind": "talk", "state": "capturing", "started_at": AT})
        assert await uow.recordings.end("r1", AT)
        assert not await uow.recordings.end("r1", LATER)
        assert not await uow.recordings.end("none", AT)
        row = await uow.recordings.get("r1")
        assert row is not None
        assert row["ended_at"] == AT


async def test_a_recording_without_its_call_is_refused(store: Store) -> None:
    with pytest.raises(StoreRefusedError):
        async with store.begin() as uow:
            await uow.recordings.save({"id": "r1", "state": "sealed"})


async def test_an_attempt_seen_twice_is_one_row_with_both_proofs(store: Store) -> None:
    sip = {"source": "sip", "at": LATER.isoformat(), "text": "SIP/2.0 302"}
    async with store.begin() as uow:
        assert await uow.forward_attempts.add(ATTEMPT)
    async with store.begin() as uow:
        again = replace(ATTEMPT, line_number="02283000000", call_id="c1", evidence=(sip, *ATTEMPT.evidence))
        assert not await uow.forward_attempts.add(again)
        assert not await uow.forward_attempts.add(ATTEMPT)
        await uow.forward_attempts.add(replace(ATTEMPT, key="b", at=LATER))
        (row,) = await uow.forward_attempts.of_call("c1")
        assert [row["key"] for row in await uow.forward_attempts.search(None, None, 10)] == ["b", "a"]
        assert [row["key"] for row in await uow.forward_attempts.search(AT, LATER, 10)] == ["a"]
    assert row["evidence"] == [*ATTEMPT.evidence, sip]
    assert (row["line_number"], row["phone"]) == ("02283000000", "desk1")


async def test_both_sides_may_see_an_attempt_at_once(store: Store) -> None:
    async def see(number: int) -> bool:
        async with store.begin() as uow:
            proof = {"source": "sip", "at": AT.isoformat(), "text": str(number)}
            return await uow.forward_attempts.add(replace(ATTEMPT, evidence=(proof,)))

    assert sorted(await asyncio.gather(*(see(number) for number in range(5)))) == [False] * 4 + [True]
    async with store.begin() as uow:
        (row,) = await uow.forward_attempts.search(None, None, 10)
    assert sorted(item["text"] for item in row["evidence"]) == list("01234")


async def test_an_alarm_stands_once_until_cleared(store: Store) -> None:
    async def raise_() -> bool:
        async with store.begin() as uow:
            return await uow.alarms.raise_("recording_stalled", "critical", "c1", "detail", AT)

    assert sorted(await asyncio.gather(*(raise_() for _ in range(4)))) == [False, False, False, True]
    async with store.begin() as uow:
        assert await uow.alarms.raise_("recording_stalled", "critical", "c2", "detail", LATER)
        assert [alarm["subject"] for alarm in await uow.alarms.standing()] == ["c2", "c1"]
        assert await uow.alarms.clear("recording_stalled", "c1", "clerk1", LATER)
        assert not await uow.alarms.clear("recording_stalled", "c1", "clerk1", LATER)
        assert [alarm["subject"] for alarm in await uow.alarms.standing()] == ["c2"]
        assert await uow.alarms.raise_("recording_stalled", "critical", "c1", "again", LATER)
        assert len(await uow.alarms.search(10)) == 3
        assert len(await uow.alarms.search(2)) == 2


async def test_audits_are_appended_newest_first(store: Store) -> None:
    async with store.begin() as uow:
        for at, name in ((AT, "r1"), (LATER, "r2")):
            await uow.audits.add(
                at=at,
                actor="a" * 100,
                action="play",
                object_type="recording",
                object_id=name,
                address="::1",
                detail={"一": 1},
            )
        rows = await uow.audits.search(None, 10)
        assert [row["object_id"] for row in await uow.audits.search(LATER, 10)] == ["r2"]
    assert [(row["object_id"], len(row["actor"]), row["detail"]) for row in rows] == [
        ("r2", 64, {"一": 1}),
        ("r1", 64, {"一": 1}),
    ]


async def test_people_log_in_and_out(store: Store) -> None:
    async with store.begin() as uow:
        assert not await uow.people.any_user()
        await uow.people.save_user("clerk1", "hash1", "clerk", AT)
        await uow.people.save_user("clerk1", "hash2", "auditor", LATER)
        user = await uow.people.user("clerk1")
        assert user is not None
        assert (user["password_hash"], user["role"], user["created_at"]) == ("hash2", "auditor", AT)
        await uow.people.open_session("1" * 64, "clerk1", AT, LATER)
        session = await uow.people.session("1" * 64, AT)
        assert session is not None
        assert (session["name"], session["role"]) == ("clerk1", "auditor")
        assert await uow.people.session("1" * 64, LATER) is None
        await uow.people.close_session("1" * 64)
        assert await uow.people.session("1" * 64, AT) is None
        await uow.people.save_token("2" * 64, "program", "clerk", AT)
        token = await uow.people.token("2" * 64)
        assert token is not None
        assert (token["name"], token["role"]) == ("program", "clerk")
        assert await uow.people.token("3" * 64) is None
