"""Recorded sound as people play it, on pydub and the ffmpeg that imageio-ffmpeg carries: nothing needs installing.

pydub loads whole files: two hours of both directions would be half a gigabyte several times over. So a call is mixed in
pieces of one minute (each a pair of pydub segments, padded to the same length, made stereo) and each piece goes
straight into the sink, either a WAV or the standard input of pydub's converter:

    ours   ──60 s──▶ AudioSegment ┐
                                  ├ from_mono_audiosegments ──▶ call.wav, or ffmpeg ──▶ call.opus, call.mp3
    theirs ──60 s──▶ AudioSegment ┘                            (left ours, right theirs)

Memory is that of one minute, whatever the length of the call. The work is done by threads of the lowest useful
priority (on Linux niceness belongs to a thread, and ffmpeg inherits it), so that it never competes with speech.
Each file is made once: its name is a hash of its inputs' paths, sizes and times, it appears by rename, and whoever asks
while it is being made waits for the same making.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, TypeVar

from gateway.audio import wav
from gateway.audio.segment import AudioSegment
from gateway.errors import RequestError, SoundError

FORMS: Mapping[str, tuple[str, ...]] = {
    "wav": (),
    "opus": ("-c:a", "libopus", "-b:a", "32k", "-application", "voip", "-f", "ogg"),
    "mp3": (
        "-c:a",
        "libmp3lame",
        "-ar",
        "16000",
        "-b:a",
        "48k",
        "-write_xing",
        "0",
        "-id3v2_version",
        "3",
        "-f",
        "mp3",
    ),
}
MOST_BUCKETS = 20_000
_RECIPE = "1"  # part of every name: another recipe is another file
_PIECE_S = 60
_NICENESS = 15
_ABANDONED_AFTER_S = 86_400
_SLOWEST_ENCODING = 4  # times real time; measured: 158 and more
_GRACE_S = 60.0

T = TypeVar("T")


def _become_background() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


class PydubSoundFiles:
    """`ports.SoundFiles`; mixed files are kept in `cache_dir`. Call `close` at the end."""

    def __init__(self, cache_dir: Path) -> None:
        self._cache_dir = cache_dir
        self._readers = ThreadPoolExecutor(2, "sound-read", _become_background)
        self._mixers = ThreadPoolExecutor(2, "sound-mix", _become_background)
        self._ending = threading.Event()
        self._being_made: dict[Path, asyncio.Future[str]] = {}
        cache_dir.mkdir(parents=True, exist_ok=True)
        for part in cache_dir.glob("*.part"):  # left by a process that was killed
            if time.time() - part.stat().st_mtime > _ABANDONED_AFTER_S:
                part.unlink(missing_ok=True)

    def close(self) -> None:
        """Ends the work: what is being made is given up within a second or so, what waits is dropped."""
        self._ending.set()
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._mixers.shutdown(wait=True, cancel_futures=True)

    async def length(self, path: str) -> tuple[float, int]:
        """(seconds, rate in Hz) by the data present; raises SoundError."""
        found = await self._read(wav.inspect, Path(path))
        return found.length_s, found.rate_hz

    async def closed(self, path: str) -> bool:
        """Whether the writer has closed the file; raises SoundError when there is none."""
        return await self._read(wav.is_closed, Path(path))

    async def repair(self, path: str) -> bool:
        """Rewrites wrong sizes in the header; True when something was changed; raises SoundError."""
        return await self._read(wav.repair, Path(path))

    async def peaks(self, ours: str | None, theirs: str | None, buckets: int) -> Mapping[str, Sequence[float]]:
        """Both sides over the same span of time, the longer one's; a side that is not there is silence."""
        if not 1 <= buckets <= MOST_BUCKETS:
            raise RequestError(f"{buckets} buckets asked for; 1 to {MOST_BUCKETS} are possible")
        return await self._read(_peaks, *_sides(ours, theirs), buckets)

    async def mixed(self, ours: str | None, theirs: str | None, form: str) -> str:
        """Path of the mixed file; raises RequestError for an unknown form, SoundError when it cannot be made."""
        if form not in FORMS:
            raise RequestError(f"'{form}' is no form of recording; {', '.join(FORMS)} are")
        sides = _sides(ours, theirs)
        target = self._cache_dir / f"{await self._read(_fingerprint, *sides)}.{form}"
        making = self._being_made.get(target)
        if making is None:
            making = asyncio.get_running_loop().run_in_executor(
                self._mixers, _make_once, *sides, form, target, self._ending
            )
            self._being_made[target] = making
            making.add_done_callback(lambda made: self._forget(target, made))
        return await asyncio.shield(making)

    def _forget(self, target: Path, made: asyncio.Future[str]) -> None:
        del self._being_made[target]
        if not made.cancelled():
            made.exception()  # whoever still waits raises it; with nobody left it is no news

    async def _read(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, *arguments)


def _sides(ours: str | None, theirs: str | None) -> tuple[Path | None, Path | None]:
    if ours is None and theirs is None:
        raise SoundError("this recording has no sound on either side")
    return (Path(ours) if ours else None), (Path(theirs) if theirs else None)


def _fingerprint(ours: Path | None, theirs: Path | None) -> str:
    """SHA-256 of what identifies the inputs: a sealed file never changes, a growing one changes its size and time."""
    digest = hashlib.sha256(_RECIPE.encode())
    for path in (ours, theirs):
        try:
            stat = path.stat() if path else None
        except OSError as error:
            raise SoundError(f"{path}: cannot be read: {error.strerror}") from error
        digest.update(f"\0{path}\0{stat and (stat.st_size, stat.st_mtime_ns, stat.st_ino)}".encode())
    return digest.hexdigest()


def _peaks(ours: Path | None, theirs: Path | None, buckets: int) -> dict[str, list[float]]:
    span_s = max(wav.inspect(path).length_s for path in (ours, theirs) if path)
    named = {"ours": ours, "theirs": theirs}
    return {side: wav.peaks(path, buckets, span_s) if path else [0.0] * buckets for side, path in named.items()}


def _piece(source: tuple[BinaryIO, wav.Wav] | None, first: int, frames: int, rate_hz: int) -> AudioSegment:
    """`frames` frames at `rate_hz` from frame `first`, silence where the source has none."""
    data = b""
    if source is not None:
        file, found = source
        start, end = (min(frame * found.rate_hz // rate_hz, found.frames) for frame in (first, first + frames))
        file.seek(found.data_offset + start * found.frame_bytes)
        raw = file.read((end - start) * found.frame_bytes)
        segment = AudioSegment(raw, sample_width=2, frame_rate=found.rate_hz, channels=found.channels)
        data = segment.set_channels(1).set_frame_rate(rate_hz).raw_data[: 2 * frames] if raw else b""
    return AudioSegment(data.ljust(2 * frames, b"\0"), sample_width=2, frame_rate=rate_hz, channels=1)


def _mix(ours: Path | None, theirs: Path | None, found: Mapping[Path, wav.Wav], rate_hz: int) -> Iterator[bytes]:
    """Stereo samples, a minute at a time."""
    total = _total_frames(found, rate_hz)
    sources: list[tuple[BinaryIO, wav.Wav] | None] = []
    try:
        for path in (ours, theirs):
            sources.append((path.open("rb"), found[path]) if path else None)
        for first in range(0, total, _PIECE_S * rate_hz):
            frames = min(_PIECE_S * rate_hz, total - first)
            pair = [_piece(source, first, frames, rate_hz) for source in sources]
            yield AudioSegment.from_mono_audiosegments(*pair).raw_data
    finally:
        for source in sources:
            if source is not None:
                source[0].close()


def _until(ending: threading.Event, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if ending.is_set():
            raise SoundError("the gateway is stopping; ask again when it runs")
        yield piece


def _total_frames(found: Mapping[Path, wav.Wav], rate_hz: int) -> int:
    return max(side.frames * rate_hz // side.rate_hz for side in found.values())


def _make_once(ours: Path | None, theirs: Path | None, form: str, target: Path, ending: threading.Event) -> str:
    if target.is_file():
        return str(target)
    found = {path: wav.inspect(path) for path in (ours, theirs) if path}
    rate_hz = max(side.rate_hz for side in found.values())
    total = _total_frames(found, rate_hz)
    if not total:
        raise SoundError(f"{', '.join(map(str, found))}: holds no audio")
    descriptor, part = tempfile.mkstemp(prefix=target.stem, suffix=".part", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as sink:
            pieces = _until(ending, _mix(ours, theirs, found, rate_hz))
            if form == "wav":
                sink.write(wav.header(rate_hz, 2, total * 4))
                for piece in pieces:
                    sink.write(piece)
            else:
                _encode(pieces, rate_hz, FORMS[form], sink, _GRACE_S + total / rate_hz / _SLOWEST_ENCODING)
        Path(part).replace(target)
    except OSError as error:
        raise SoundError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        Path(part).unlink(missing_ok=True)
    return str(target)


def _encode(pieces: Iterator[bytes], rate_hz: int, options: Sequence[str], sink: BinaryIO, limit_s: float) -> None:
    """Runs pydub's converter from `pieces` into `sink`; it is ended after `limit_s`."""
    command = [AudioSegment.converter, "-hide_banner", "-loglevel", "error", "-threads", "1"]
    command += ["-f", "s16le", "-ar", str(rate_hz), "-ac", "2", "-i", "pipe:0", *options, "pipe:1"]
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sink, stderr=complaints) as converter,
    ):
        ending = threading.Timer(limit_s, converter.kill)
        ending.start()
        try:
            _feed(pieces, converter)
        except BaseException:
            converter.kill()
            raise
        finally:
            code = converter.wait()
            ending.cancel()
        if code:
            complaints.seek(0)
            said = complaints.read(2000).decode(errors="replace").strip()
            raise SoundError(f"the sound converter ended with {code}: {said or 'without a word'}")


def _feed(pieces: Iterator[bytes], converter: subprocess.Popen[bytes]) -> None:
    """Gives all pieces to the converter; one that has died says why by its exit code."""
    stdin = converter.stdin
    if stdin is None:
        raise SoundError("the sound converter has no input")
    try:
        for piece in pieces:
            stdin.write(piece)
        stdin.close()
    except BrokenPipeError as error:
        if converter.wait() == 0:
            raise SoundError("the sound converter ended before it had heard everything") from error
