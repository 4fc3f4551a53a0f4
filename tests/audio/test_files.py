"""Recorded sound as people play it."""

from __future__ import annotations

import array
import asyncio
import os
import subprocess
import threading
import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.audio import files, wav
from gateway.audio.files import PydubSoundFiles
from gateway.errors import RequestError, SoundError


@pytest.fixture
async def sounds(tmp_path: Path) -> AsyncIterator[PydubSoundFiles]:
    door = PydubSoundFiles(tmp_path / "cache")
    yield door
    door.close()


def record(path: Path, seconds: float, frequency_hz: float, rate_hz: int = 8000, level: float = 0.5) -> str:
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    samples = (level * 32767 * np.sin(2 * np.pi * frequency_hz * at)).astype("<i2").tobytes()
    path.write_bytes(wav.header(rate_hz, 1, len(samples)) + samples)
    return str(path)


def decoded(path: str, rate_hz: int = 8000) -> NDArray[np.float64]:
    """Samples of both channels, shape (frames, 2), -1 to 1."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-f", "s16le", "-ar", str(rate_hz), "pipe:1"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, "<i2").reshape(-1, 2) / 32768


def samples_of(path: str) -> bytes:
    return Path(path).read_bytes()[44:]


def cut_as_by_a_crash(path: str) -> None:
    with Path(path).open("r+b") as file:
        file.seek(40)
        file.write(b"\0\0\0\0")


def stat(path: str) -> os.stat_result:
    return Path(path).stat()


def pitch_hz(samples: NDArray[np.float64], rate_hz: int = 8000) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * rate_hz / len(samples))


@pytest.mark.parametrize("form", ["wav", "opus", "mp3"])
async def test_ours_is_left_theirs_is_right(sounds: PydubSoundFiles, tmp_path: Path, form: str) -> None:
    ours, theirs = record(tmp_path / "o.wav", 2.0, 500), record(tmp_path / "t.wav", 3.0, 900)
    both = decoded(await sounds.mixed(ours, theirs, form))
    assert len(both) / 8000 == pytest.approx(3.0, abs=0.15), "the shorter side is padded"
    assert pitch_hz(both[2000:14000, 0]) == pytest.approx(500, abs=5)
    assert pitch_hz(both[2000:22000, 1]) == pytest.approx(900, abs=5)
    assert np.abs(both[17500:22000, 0]).max() < 0.02, "after its end our side is silent"
    for heard in (both[2000:14000, 0], both[2000:22000, 1]):
        assert np.sqrt(np.mean(heard**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.15), "as loud as it was recorded"


async def test_the_wav_keeps_every_sample(
    sounds: PydubSoundFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_PIECE_S", 1)
    ours, theirs = record(tmp_path / "o.wav", 3.5, 500), record(tmp_path / "t.wav", 2.25, 900)
    with wave.open(await sounds.mixed(ours, theirs, "wav")) as mixed:
        assert (mixed.getnchannels(), mixed.getframerate(), mixed.getnframes()) == (2, 8000, 28000)
        both = array.array("h", mixed.readframes(28000))
    assert both[0::2].tobytes() == samples_of(ours)
    assert both[1::2].tobytes() == samples_of(theirs) + b"\0\0" * 10000


async def test_wideband_stays_wideband_and_a_cut_file_is_whole(sounds: PydubSoundFiles, tmp_path: Path) -> None:
    ours, theirs = record(tmp_path / "o.wav16", 2.0, 3500, 16000), record(tmp_path / "t.wav16", 2.0, 6000, 16000)
    cut_as_by_a_crash(theirs)
    both = decoded(await sounds.mixed(ours, theirs, "opus"), 16000)
    assert pitch_hz(both[4000:28000, 0], 16000) == pytest.approx(3500, abs=5)
    assert pitch_hz(both[4000:28000, 1], 16000) == pytest.approx(6000, abs=5)


async def test_sides_of_different_rates_stay_in_step(sounds: PydubSoundFiles, tmp_path: Path) -> None:
    ours, theirs = record(tmp_path / "o.wav", 2.0, 500), record(tmp_path / "t.wav16", 2.0, 900, 16000)
    both = decoded(await sounds.mixed(ours, theirs, "wav"), 16000)
    assert len(both) == 32000
    assert pitch_hz(both[:, 0], 16000) == pytest.approx(500, abs=2)
    assert np.abs(both[-400:, 0]).max() > 0.3, "our side lasts to the end"


@pytest.mark.parametrize("present", ["ours", "theirs"])
async def test_one_side_alone_plays_with_silence_on_the_other(
    sounds: PydubSoundFiles, tmp_path: Path, present: str
) -> None:
    path = record(tmp_path / "one.wav", 1.0, 700)
    both = decoded(await sounds.mixed(**{"ours": None, "theirs": None, present: path}, form="wav"))
    heard, silent = (0, 1) if present == "ours" else (1, 0)
    assert np.abs(both[:, heard]).max() > 0.4
    assert not both[:, silent].any()


async def test_many_who_ask_wait_for_one_making(
    sounds: PydubSoundFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    make = files._make_once
    monkeypatch.setattr(files, "_make_once", lambda *arguments: (made.append(arguments), make(*arguments))[1])
    ours = record(tmp_path / "o.wav", 5.0, 500)
    paths = await asyncio.gather(*(sounds.mixed(ours, None, "opus") for _ in range(20)))
    assert len(set(paths)) == 1
    assert len(made) == 1
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [Path(paths[0]).name], "nothing half-made is left"
    born = stat(paths[0]).st_ino
    again = await sounds.mixed(ours, None, "opus")
    assert stat(again).st_ino == born, "kept"


async def test_one_who_leaves_does_not_stop_the_making(
    sounds: PydubSoundFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, begun, released, made = asyncio.get_running_loop(), asyncio.Event(), threading.Event(), []
    make = files._make_once

    def make_slowly(*arguments: object) -> str:
        made.append(arguments)
        loop.call_soon_threadsafe(begun.set)
        assert released.wait(20)
        return make(*arguments)

    monkeypatch.setattr(files, "_make_once", make_slowly)
    ours = record(tmp_path / "o.wav", 2.0, 500)
    leaving = asyncio.ensure_future(sounds.mixed(ours, None, "opus"))
    await begun.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    staying = asyncio.ensure_future(sounds.mixed(ours, None, "opus"))
    released.set()
    assert stat(await staying).st_size > 0
    assert len(made) == 1


async def test_a_changed_input_is_another_file(sounds: PydubSoundFiles, tmp_path: Path) -> None:
    ours = record(tmp_path / "o.wav", 1.0, 500)
    first = await sounds.mixed(ours, None, "wav")
    record(tmp_path / "o.wav", 2.0, 500)
    assert await sounds.mixed(ours, None, "wav") != first


async def test_work_is_done_in_the_background_of_the_machine(sounds: PydubSoundFiles) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert await sounds._read(os.getpriority, os.PRIO_PROCESS, 0) > own
    assert os.getpriority(os.PRIO_PROCESS, 0) == own, "the loop keeps its priority"


async def test_what_cannot_be_played_says_why(sounds: PydubSoundFiles, tmp_path: Path) -> None:
    empty = tmp_path / "empty.wav"
    empty.write_bytes(wav.header(8000, 1, 0))
    torn = tmp_path / "torn.wav"
    torn.write_bytes(b"RIFF")
    for ours, complaint in [(str(empty), "no audio"), (str(torn), "torn.wav"), (str(tmp_path / "gone"), "gone")]:
        with pytest.raises(SoundError, match=complaint):
            await sounds.mixed(ours, None, "opus")
    with pytest.raises(SoundError, match="either side"):
        await sounds.mixed(None, None, "wav")
    with pytest.raises(RequestError, match="flac"):
        await sounds.mixed(str(empty), None, "flac")
    assert not list((tmp_path / "cache").iterdir())
    assert not sounds._being_made


async def test_a_converter_that_fails_is_quoted(
    sounds: PydubSoundFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "FORMS", {"opus": ("-c:a", "no-such-codec", "-f", "ogg")})
    with pytest.raises(SoundError, match="no-such-codec"):
        await sounds.mixed(record(tmp_path / "o.wav", 90.0, 500), None, "opus")


async def test_closing_gives_up_what_is_being_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    door = PydubSoundFiles(tmp_path / "cache")
    loop, begun = asyncio.get_running_loop(), asyncio.Event()
    mix = files._mix

    def slowly(*arguments: object) -> Iterator[bytes]:
        for piece in mix(*arguments):
            loop.call_soon_threadsafe(begun.set)
            assert door._ending.wait(20)
            yield piece

    monkeypatch.setattr(files, "_mix", slowly)
    making = asyncio.ensure_future(door.mixed(record(tmp_path / "o.wav", 1.0, 500), None, "opus"))
    await begun.wait()
    door.close()
    with pytest.raises(SoundError, match="stopping"):
        await making
    assert not list((tmp_path / "cache").iterdir())


async def test_peaks_share_one_span_of_time(sounds: PydubSoundFiles, tmp_path: Path) -> None:
    ours, theirs = record(tmp_path / "o.wav", 1.0, 500, level=0.5), record(tmp_path / "t.wav", 2.0, 500, level=0.25)
    found = await sounds.peaks(ours, theirs, 4)
    assert found["ours"] == pytest.approx([0.5, 0.5, 0, 0], abs=0.01)
    assert found["theirs"] == pytest.approx([0.25] * 4, abs=0.01)
    assert (await sounds.peaks(None, theirs, 2))["ours"] == [0.0, 0.0]
    with pytest.raises(RequestError):
        await sounds.peaks(ours, theirs, 0)


async def test_a_long_call_is_mixed_in_little_memory(sounds: PydubSoundFiles, tmp_path: Path) -> None:
    import resource

    path = tmp_path / "long.wav16"
    hours_s = 2 * 3600
    with path.open("wb") as file:
        file.write(wav.header(16000, 1, 0))
        file.truncate(44 + hours_s * 32000)  # two hours of digital silence, sparse
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    length_s, rate_hz = await sounds.length(str(path))
    assert (length_s, rate_hz) == (hours_s, 16000)
    target = await sounds.mixed(str(path), None, "wav")
    await sounds.peaks(str(path), str(path), 1000)
    assert stat(target).st_size == 44 + hours_s * 64000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 100_000
