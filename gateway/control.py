"""The control socket: how `dutyline` commands reach the gateway that is running on the same data folder.

A Unix socket below the private run folder: whoever may open it may administer this machine's data anyway. One line of
JSON each way: {"verb": "inventory_changed"} → {"ok": true, "text": "…"}.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.errors import DutylineError, EngineError

Verb = Callable[[], Awaitable[str]]
ANSWER_WITHIN_S = 60.0


@asynccontextmanager
async def listening(path: Path, verbs: Mapping[str, Verb]) -> AsyncIterator[None]:
    """Answers `verbs` on the socket at `path` within the block."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            reply = await _answer(await reader.readline(), verbs)
            writer.write(json.dumps(reply, ensure_ascii=False).encode() + b"\n")
            await writer.drain()
        finally:
            writer.close()

    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(answer, path)
    path.chmod(0o600)
    try:
        async with server:
            yield
    finally:
        path.unlink(missing_ok=True)


async def _answer(line: bytes, verbs: Mapping[str, Verb]) -> dict[str, object]:
    try:
        verb = verbs[json.loads(line)["verb"]]
    except (ValueError, KeyError, TypeError):
        return {"ok": False, "text": f"unknown request {line[:80]!r}; known are {', '.join(sorted(verbs))}"}
    try:
        return {"ok": True, "text": await verb()}
    except DutylineError as error:
        return {"ok": False, "text": str(error)}


async def tell(path: Path, verb: str) -> str | None:
    """Asks the running gateway; None when none is running. Raises EngineError with its answer when it refuses."""
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return None
    try:
        writer.write(json.dumps({"verb": verb}).encode() + b"\n")
        await writer.drain()
        reply = json.loads(await asyncio.wait_for(reader.readline(), ANSWER_WITHIN_S))
    except (TimeoutError, ValueError) as error:
        raise EngineError(f"the running gateway does not answer {verb}") from error
    finally:
        writer.close()
    if not reply["ok"]:
        raise EngineError(str(reply["text"]))
    return str(reply["text"])
