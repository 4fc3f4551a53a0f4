"""One node: this gateway, its Asterisk, and the inventory that is in force on both.

What services and doors ask back is answered here: who is behind a number, whether a call still lives, what to do with a
call whose recording stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import structlog

from gateway.asterisk.ari import Ari
from gateway.asterisk.engine import RELOADS, Engine
from gateway.config import Config
from gateway.core.call import Call
from gateway.core.directory import Directory
from gateway.core.inventory import Inventory
from gateway.core.treatment import Question, Treatment, TreatmentRules, treat
from gateway.errors import EngineError
from gateway.ports import Store

log = structlog.get_logger(__name__)

WHISPER_S = 15.0
SOUND_WITHIN_S = 0.3


class Node:
    """Answers from memory where a caller waits; asks Asterisk and the database where nobody does."""

    def __init__(self, config: Config, store: Store, engine: Engine, ari: Ari, inventory: Inventory) -> None:
        self._config = config
        self._store = store
        self._engine = engine
        self._ari = ari
        self.directory = Directory.of(inventory)
        self._changing = asyncio.Lock()

    async def inventory_changed(self) -> str:
        """Puts the newest inventory in force without dropping a call; gives a sentence. Raises EngineError."""
        async with self._changing:
            async with self._store.begin() as uow:
                inventory = await uow.inventory.current()
            changed = self._engine.prepare(inventory)
            self.directory = Directory.of(inventory)
            await self.reload(changed)
        return f"inventory version {inventory.version} is in force"

    async def reload(self, changed: list[str]) -> None:
        """Lets Asterisk read again what changed."""
        for module in sorted({RELOADS[name] for name in changed if name in RELOADS}):
            await self._ari.reload(module)

    def answer(self, question: Question) -> Treatment:
        """The one question of an inbound call; runs in FastAGI's threads."""
        directory, inbound = self.directory, self._config.inbound
        rules = TreatmentRules(inbound.announce_recording, inbound.ring_timeout_s)
        return treat(directory.line_of(question.line), directory.unit_of_number(question.caller), rules)

    def units_of(self, call: Call) -> tuple[str | None, str | None]:
        """(unit of the line, unit of the caller) by the directory as it is now."""
        line = self.directory.line_of(call.line_number) if call.line_number else None
        caller = self.directory.unit_of_number(call.caller_number)
        return line.unit if line else None, caller.code if caller else None

    async def guard_keeper(self) -> None:
        """Replaces a keeper that was killed, as soon as no call is lost by it. Raises EngineError until then.

        An Asterisk that died too has no calls left to wait for; one that hangs is killed by the engine watch.
        """
        if self._engine.is_kept:
            return
        if self._engine.is_orphaned and await self._ari.channel_ids():
            raise EngineError("the keeper is gone: Asterisk is unguarded until the calls now going on are over")
        log.error("keeper_replaced")
        await self._engine.keep_again()

    async def is_call_alive(self, call_id: str) -> bool:
        """Whether a channel of the call still exists in Asterisk."""
        return call_id in await self.calls_alive([call_id])

    async def calls_alive(self, call_ids: Collection[str]) -> set[str]:
        """Those of the calls of which a channel still exists, by one question to Asterisk."""
        living = set(await self._ari.channel_ids())
        alive = living.intersection(call_ids)
        async with self._store.begin() as uow:
            for call_id in set(call_ids) - alive:  # the caller is gone; somebody else may not be
                if any(leg["id"] in living for leg in await uow.calls.legs(call_id)):
                    alive.add(call_id)
        return alive

    async def recording_stalled(self, call_id: str, recording_id: str) -> None:
        """The configured policy for a call whose recording stopped: say so to both sides; with `refuse`, end it.

        Where no side sends sound there is nothing to record: the alarm stands, but the call is left alone.
        """
        refuse = self._config.recording.failure_policy == "refuse"
        sound = self._config.prompts_dir / "rendered" / ("not-recorded-refused" if refuse else "not-recorded")
        async with self._store.begin() as uow:
            legs = [leg["id"] for leg in await uow.calls.legs(call_id) if leg["ended_at"] is None]
        if not await self._sound_arrives(legs):
            log.warning("no_sound_from_either_side", call=call_id, recording=recording_id)
            return
        told = await asyncio.gather(
            *(self._ari.whisper(leg, str(sound), WHISPER_S) for leg in legs), return_exceptions=True
        )
        for leg, result in zip(legs, told, strict=True):
            if isinstance(result, EngineError):
                log.warning("not_told_of_stalled_recording", leg=leg, recording=recording_id, error=str(result))
        if refuse:
            await asyncio.gather(*(self._ari.hang_up(leg) for leg in legs))

    async def _sound_arrives(self, legs: list[str]) -> bool:
        """Whether a party of the call is sending RTP just now."""
        before = await asyncio.gather(*(self._ari.packets_received(leg) for leg in legs))
        await asyncio.sleep(SOUND_WITHIN_S)
        after = await asyncio.gather(*(self._ari.packets_received(leg) for leg in legs))
        return before != after
