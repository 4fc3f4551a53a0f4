"""ARI over aiohttp: what the gateway asks of a running Asterisk, and the events of its one application.

Only the account of this gateway may write. Nothing here is on the path of a caller: when ARI is away, duty lines ring
and are recorded all the same.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import aiohttp
import structlog

from gateway.errors import EngineError

log = structlog.get_logger()

APPLICATION = "dutyline"
ANSWER_WITHIN_S = 3.0
RECONNECT_S = 0.5


class Ari:
    """A client with one HTTP session and one event stream that reconnects by itself."""

    def __init__(self, base_url: str, user: str, secret: str) -> None:
        self._base = base_url.rstrip("/") + "/ari"
        self._headers = {"Authorization": aiohttp.encode_basic_auth(user, secret)}
        self._session: aiohttp.ClientSession | None = None
        self._listener: asyncio.Task[None] | None = None
        self._waiting: dict[tuple[str, str], asyncio.Event] = {}
        self.connected = asyncio.Event()
        self._disconnected = asyncio.Event()
        self._told_start = datetime.min.replace(tzinfo=UTC)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers, timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S), raise_for_status=False
        )
        self._listener = asyncio.create_task(self._listen(), name="ari-events")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def ask(self, method: str, path: str, **parameters: str) -> Any:
        """One request; gives the decoded answer. Raises EngineError with Asterisk's own words."""
        if self._session is None:
            raise EngineError("ARI is not open")
        try:
            async with self._session.request(method, f"{self._base}{path}", params=parameters) as response:
                body = await response.text()
                if response.status >= 400:
                    raise EngineError(f"ARI {method} {path}: {response.status} {body[:200]}")
                return json.loads(body) if body else None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineError(f"ARI {method} {path}: {str(error) or type(error).__name__}") from error

    async def ping(self) -> None:
        """Raises EngineError unless Asterisk answers."""
        await self.ask("GET", "/asterisk/ping")

    async def reload(self, module: str) -> None:
        """Reads a module's configuration again; calls go on."""
        await self.ask("PUT", f"/asterisk/modules/{module}.so")

    async def next_start(self) -> datetime:
        """Waits until an Asterisk not told of before is connected; gives the time at which it was started."""
        while True:
            await self.connected.wait()
            try:
                told = await self.ask("GET", "/asterisk/info", only="status")
                started_at = datetime.fromisoformat(told["status"]["startup_time"])
            except EngineError as error:
                log.info("engine_start_unknown", error=str(error))
                started_at = self._told_start
            if started_at != self._told_start:
                self._told_start = started_at
                return started_at
            await self._wait_for_disconnect()

    async def _wait_for_disconnect(self) -> None:
        self._disconnected.clear()
        if self.connected.is_set():
            await self._disconnected.wait()

    async def channel_ids(self) -> list[str]:
        """The ids of all channels that exist now."""
        return [str(channel["id"]) for channel in await self.ask("GET", "/channels")]

    async def packets_received(self, channel_id: str) -> int:
        """How many RTP packets its party has sent so far; 0 for a channel that is gone."""
        try:
            told = await self.ask("GET", f"/channels/{channel_id}/rtp_statistics")
        except EngineError as error:
            if " 404 " in str(error):
                return 0
            raise
        return int(told["rxcount"])

    async def hang_up(self, channel_id: str) -> None:
        """Ends a channel; one that is gone already is no fault."""
        try:
            await self.ask("DELETE", f"/channels/{channel_id}", reason="normal")
        except EngineError as error:
            if " 404 " not in str(error):
                raise

    async def whisper(self, channel_id: str, sound: str, within_s: float) -> None:
        """Plays `sound` (an absolute path without extension) into what the party on this channel hears."""
        snoop_id = f"whisper-{channel_id}"
        started, finished = ("StasisStart", snoop_id), ("PlaybackFinished", snoop_id)
        async with self._expecting(started, finished) as (entered, played):
            await self.ask(
                "POST", f"/channels/{channel_id}/snoop/{snoop_id}", app=APPLICATION, whisper="out", spy="none"
            )
            try:
                await asyncio.wait_for(entered.wait(), within_s)
                await self.ask("POST", f"/channels/{snoop_id}/play/{snoop_id}", media=f"sound:{sound}")
                await asyncio.wait_for(played.wait(), within_s)
            except TimeoutError as error:
                raise EngineError(
                    f"the announcement on channel {channel_id} did not end in {within_s:.0f} s"
                ) from error
            finally:
                await self.hang_up(snoop_id)

    @asynccontextmanager
    async def _expecting(self, *keys: tuple[str, str]) -> AsyncIterator[list[asyncio.Event]]:
        """Listens before the act: the event may arrive before the request returns."""
        events = [self._waiting.setdefault(key, asyncio.Event()) for key in keys]
        try:
            yield events
        finally:
            for key in keys:
                self._waiting.pop(key, None)

    async def _listen(self) -> None:
        """Keeps the event stream open; a stream that ends is a disconnect, whatever it looks like."""
        while True:
            try:
                await self._listen_once()
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                log.debug("ari_events_away", error=str(error))
            self.connected.clear()
            self._disconnected.set()
            await asyncio.sleep(RECONNECT_S)  # back-off between attempts to connect

    async def _listen_once(self) -> None:
        assert self._session is not None  # noqa: S101  opened with the client
        async with self._session.ws_connect(
            f"{self._base}/events", params={"app": APPLICATION}, heartbeat=10.0
        ) as stream:
            self.connected.set()
            log.info("ari_connected")
            async for message in stream:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._take(json.loads(message.data))

    def _take(self, event: Mapping[str, Any]) -> None:
        subject = event.get("channel") or event.get("playback") or {}
        waiting = self._waiting.get((str(event.get("type")), str(subject.get("id"))))
        if waiting is not None:
            waiting.set()
