"""Tasks that run as long as the gateway: one that fails is told of, shown as a fault, and begun again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger(__name__)

AGAIN_S = 1.0

Duty = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Duties:
    """`faults` names the duties that failed just now; a duty that runs again is no fault."""

    faults: dict[str, str] = field(default_factory=dict)
    _planned: list[tuple[str, Duty]] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def plan(self, name: str, duty: Duty) -> None:
        """Takes up a duty that is not meant to end."""
        self._planned.append((name, duty))

    def begin(self) -> None:
        """Starts all of them."""
        self._tasks = [asyncio.create_task(self._run(name, duty), name=name) for name, duty in self._planned]

    async def end(self) -> None:
        """Stops all of them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, name: str, duty: Duty) -> None:
        while True:
            try:
                await duty()
            except Exception as error:  # whatever it is, the other duties go on and this one is tried again
                log.exception("duty_failed", duty=name)
                self.faults[name] = f"{type(error).__name__}: {error}"
            await asyncio.sleep(AGAIN_S)
            self.faults.pop(name, None)
