"""Recordings: facts, sound and waveform.

Sound goes out with Range (RFC 9110), so that a player can seek in an hour without loading it. What is being captured
has no sound yet (409), what is missing has none (404), and both say so in a sentence. `wav` of one side is the sealed
file itself, bit by bit; everything else is made from the sealed files by the door to sound and kept there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import structlog
from aiohttp import hdrs, web

from gateway.clock import DUTY_ZONE
from gateway.core.roles import may
from gateway.ports import Row
from gateway.web.access import audited
from gateway.web.endpoint import Endpoint
from gateway.web.listening import Listenings
from gateway.web.lists import limit_of, list_answer
from gateway.web.params import LIMIT, SINCE, UNTIL, choice, read_query, text, whole
from gateway.web.parts import WebParts, parts_of, person_of
from gateway.web.problem import Problem
from gateway.web.ranges import WholeFile, first_byte
from gateway.web.shapes import RECORDING, recording_outside

log = structlog.get_logger("web")

LISTENINGS: Final = web.AppKey("listenings", Listenings)
CONTENT_TYPES: Final[Mapping[str, str]] = {"wav": "audio/wav", "opus": "audio/ogg; codecs=opus", "mp3": "audio/mpeg"}
SIDES: Final = ("mixed", "ours", "theirs")

SEARCH = (SINCE, UNTIL, LIMIT)
SOUND = (
    choice("format", "how the sound is packed", CONTENT_TYPES, "wav"),
    choice("side", "both sides (stereo: left ours, right theirs), or one", SIDES, "mixed"),
    choice("download", "1: as a file to keep, which is a right of its own", ("0", "1"), "0"),
    text("listening", "any word; a new one makes a browser ask anew for sound that it kept", 40),
)
PEAKS = (whole("buckets", "how many values per side", 1, 4000, 800),)


async def find_recording(parts: WebParts, recording_id: str) -> Row:
    """A recording's row. Raises Problem 404."""
    row = None
    if recording_id.isprintable():
        async with parts.store.begin() as uow:
            row = await uow.recordings.get(recording_id)
    if row is None:
        raise Problem(404, f"there is no recording '{recording_id[:150]}'")
    return row


def sealed_paths(parts: WebParts, row: Row) -> dict[str, str | None]:
    """Absolute paths of the sealed sides. Raises Problem 409 while capturing, 404 when there is no sound."""
    if row["state"] == "missing":
        raise Problem(404, f"no sound was found for this recording{': ' + row['note'] if row['note'] else ''}")
    if row["state"] != "sealed":
        over = row["ended_at"] is not None
        sentence = (
            "the call is over and its files are being sealed" if over else "it can be heard when the call is over"
        )
        raise Problem(409, f"this recording is still being captured; {sentence}", code="still-capturing")
    paths: dict[str, str | None] = {}
    root = parts.recordings_dir.resolve()
    for side in ("ours", "theirs"):
        name = row[f"{side}_path"]
        path = (root / name).resolve() if name else None
        if path is not None and not (path.is_relative_to(root) and path.is_file()):
            log.error("sealed_file_absent", recording=row["id"], side=side, path=str(path))
            raise Problem(404, f"this recording was sealed, but the file of side '{side}' is not where it was put")
        paths[side] = str(path) if path else None
    if not any(paths.values()):
        raise Problem(404, "this recording has no sound on either side")
    return paths


async def _sound_file(parts: WebParts, row: Row, side: str, form: str) -> Path:
    paths = await asyncio.to_thread(sealed_paths, parts, row)
    if side == "mixed":
        return Path(await parts.sounds.mixed(paths["ours"], paths["theirs"], form))
    one = paths[side]
    if one is None:
        raise Problem(404, f"this recording has no side '{side}'")
    if form == "wav":
        return Path(one)
    ours, theirs = (one, None) if side == "ours" else (None, one)
    return Path(await parts.sounds.mixed(ours, theirs, form))


def file_name(row: Row, side: str, form: str) -> str:
    """A name that sorts by time and says which line: 20261123-210501_02283000000_talk_mixed_<id>.wav."""
    at = row["started_at"].astimezone(DUTY_ZONE).strftime("%Y%m%d-%H%M%S")
    name = "_".join((at, row["line_number"] or "unknown", row["kind"], side, row["id"]))
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in name) + (
        f".{form}"
    )


async def _log_listening(request: web.Request, row: Row, query: Mapping[str, Any], begin: int, size: int) -> None:
    """Writes the access row when this request opens a listening (see `listening`)."""
    if request.method == hdrs.METH_HEAD:
        return
    action = "download" if query["download"] == "1" else "play"
    now_s = parts_of(request).monotonic_s()
    key = (person_of(request).key, row["id"], query["format"], query["side"], action)
    listenings = request.app[LISTENINGS]
    if listenings.opens(key, begin, size, row["length_s"] or 0.0, now_s):
        detail = {"format": query["format"], "side": query["side"], "range": request.headers.get(hdrs.RANGE, "")}
        await audited(request, action, "recording", row["id"], {**detail, "call": row["call_id"]})
        listenings.opened(key, now_s)


async def audio(request: web.Request) -> web.StreamResponse:
    """The sound, whole or in ranges."""
    query = read_query(request, SOUND)
    if query["download"] == "1" and not may(person_of(request).role, "download"):
        raise Problem(403, f"the role '{person_of(request).role}' may hear recordings, but not take them away")
    parts = parts_of(request)
    row = await find_recording(parts, request.match_info["id"])
    path = await _sound_file(parts, row, query["side"], query["format"])
    file = await asyncio.to_thread(path.stat)
    begin = first_byte(request, file)
    await _log_listening(request, row, query, begin or 0, file.st_size)
    headers = {hdrs.CONTENT_TYPE: CONTENT_TYPES[query["format"]], hdrs.CACHE_CONTROL: "private, no-store"}
    if query["download"] == "1":
        name = file_name(row, query["side"], query["format"])
        headers[hdrs.CONTENT_DISPOSITION] = f'attachment; filename="{name}"'
    return WholeFile(path, headers=headers) if begin is None else web.FileResponse(path, headers=headers)


async def peaks(request: web.Request) -> web.Response:
    """The waveform: the loudest sample per bucket and side."""
    query = read_query(request, PEAKS)
    parts = parts_of(request)
    row = await find_recording(parts, request.match_info["id"])
    paths = await asyncio.to_thread(sealed_paths, parts, row)
    found = await parts.sounds.peaks(paths["ours"], paths["theirs"], query["buckets"])
    return web.json_response({"length_s": row["length_s"], "buckets": query["buckets"], **found})


async def search(request: web.Request) -> web.Response:
    """Recordings, newest first."""
    query = read_query(request, SEARCH)
    async with parts_of(request).store.begin() as uow:
        rows = await uow.recordings.search(query["since"], query["until"], limit_of(request, query))
    return await list_answer(request, "recordings", RECORDING, [recording_outside(row) for row in rows])


async def get(request: web.Request) -> web.Response:
    """The facts about one recording."""
    read_query(request, ())
    return web.json_response(recording_outside(await find_recording(parts_of(request), request.match_info["id"])))


_VALUES = {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}}
_PEAKS_SCHEMA = {
    "type": "object",
    "properties": {
        "length_s": {"type": ["number", "null"]},
        "buckets": {"type": "integer"},
        "ours": _VALUES,
        "theirs": _VALUES,
    },
    "required": ["length_s", "buckets"],
}
_NO_SOUND = {404: "no such recording, or it has no sound", 409: "still being captured"}
ENDPOINTS = (
    Endpoint("GET", "/recordings", search, "Recordings, newest first", params=SEARCH, gives=RECORDING, many=True),
    Endpoint(
        "GET",
        "/recordings/{id}",
        get,
        "The facts about one recording",
        gives=RECORDING,
        problems={404: "no such recording"},
    ),
    Endpoint(
        "GET",
        "/recordings/{id}/audio",
        audio,
        "The sound; answers Range with 206. Each listening and each download is in the access log",
        permission="play",
        params=SOUND,
        media=tuple(CONTENT_TYPES.values()),
        problems={**_NO_SOUND, 416: "the range is not within the file"},
    ),
    Endpoint(
        "GET",
        "/recordings/{id}/peaks",
        peaks,
        "The waveform",
        permission="play",
        params=PEAKS,
        schema=_PEAKS_SCHEMA,
        problems=_NO_SOUND,
    ),
)
