"""What anybody with a token sees: the demo reads back through the HTTP API, as a city's own programs would."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from gateway.clock import monotonic_s
from gateway.errors import PeerError

PATIENCE_S = 15.0
LOOK_S = 0.1
MOST = 200

Row = dict[str, Any]
T = TypeVar("T")


class ApiError(PeerError):
    """The API did not answer as it should."""


@dataclass(frozen=True, slots=True)
class Api:
    """The API at `address` (host:port), asked with a token. Everything raises ApiError."""

    address: str
    token: str

    async def rows(self, path: str, since: datetime) -> list[Row]:
        """A list from an instant on, newest first."""
        return list((await self.get(path, since=since.isoformat(), limit=MOST))["items"])

    async def whole_calls(self, since: datetime) -> list[Row]:
        """Every call from an instant on with all its parts, oldest first."""
        found = await self.rows("/calls", since)
        calls: list[Row] = [await self.get(f"/calls/{quote(row['id'])}") for row in found]
        return calls[::-1]

    async def sound(self, recording_id: str, side: str) -> bytes:
        """One side of a recording as it was sealed: a WAV."""
        return await self.fetch(f"/recordings/{quote(recording_id)}/audio", format="wav", side=side)

    async def get(self, path: str, **query: object) -> Any:
        """The decoded answer."""
        return json.loads(await self.fetch(path, **query))

    async def fetch(self, path: str, **query: object) -> bytes:
        """The answer as it is."""
        return await asyncio.to_thread(self._fetch, path, query)

    def _fetch(self, path: str, query: Mapping[str, object]) -> bytes:
        line = http.client.HTTPConnection(self.address, timeout=PATIENCE_S)
        try:
            line.request("GET", f"/api/v1{path}?{urlencode(query)}", headers={"Authorization": f"Bearer {self.token}"})
            answer = line.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(f"{self.address}{path}: {error}") from error
        finally:
            line.close()
        if answer.status != 200:
            raise ApiError(f"{self.address}{path}: {answer.status} {body[:300].decode(errors='replace')}")
        return body


async def settled(read: Callable[[], Awaitable[T]], is_complete: Callable[[T], bool]) -> T:
    """What `read` gives as soon as it is complete, or as it is when patience ends."""
    deadline_s = monotonic_s() + PATIENCE_S
    while True:
        found = await read()
        if is_complete(found) or monotonic_s() > deadline_s:
            return found
        await asyncio.sleep(LOOK_S)  # what goes on in another process can only be looked at
