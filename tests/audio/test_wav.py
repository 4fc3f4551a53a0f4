"""WAV read and repaired by its data."""

from __future__ import annotations

import array
import contextlib
import math
import struct
import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio import wav
from gateway.errors import SoundError


def tone(seconds: float, rate_hz: int = 8000, level: float = 0.5) -> bytes:
    count = round(seconds * rate_hz)
    return array.array(
        "h", [round(level * 32767 * math.sin(i * 440 * math.tau / rate_hz)) for i in range(count)]
    ).tobytes()


def as_asterisk_leaves_it(samples: bytes, rate_hz: int = 8000) -> bytes:
    """A recording whose writer was killed: both sizes are still 0."""
    good = bytearray(wav.header(rate_hz, 1, len(samples)))
    good[4:8] = good[40:44] = b"\0\0\0\0"
    return bytes(good) + samples


@pytest.mark.parametrize(("suffix", "rate_hz"), [("wav", 8000), ("wav16", 16000)])
def test_a_cut_recording_is_as_long_as_its_data(tmp_path: Path, suffix: str, rate_hz: int) -> None:
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(as_asterisk_leaves_it(tone(3.5, rate_hz), rate_hz))
    found = wav.inspect(path)
    assert found.length_s == pytest.approx(3.5)
    assert found.rate_hz == rate_hz
    assert found.stated_bytes == 0


def test_repair_makes_a_cut_recording_readable_for_everyone_and_touches_no_sample(tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    samples = tone(2)
    path.write_bytes(as_asterisk_leaves_it(samples))
    assert not wav.is_closed(path)
    assert wav.repair(path)
    assert wav.is_closed(path)
    with wave.open(str(path)) as file:
        assert file.readframes(file.getnframes()) == samples
    assert path.read_bytes() == wav.header(8000, 1, len(samples)) + samples
    assert not wav.repair(path), "the second repair has nothing to do"


def test_half_a_sample_at_the_cut_is_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    path.write_bytes(as_asterisk_leaves_it(tone(1) + b"\x7f"))
    assert wav.repair(path)
    assert wav.inspect(path).frames == 8000
    assert not wav.repair(path)


def test_stated_size_that_the_file_does_not_hold_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "short.wav"
    path.write_bytes(wav.header(8000, 1, 64000) + tone(1))
    assert wav.inspect(path).length_s == pytest.approx(1.0)
    assert not wav.is_closed(path)


def test_audio_after_the_stated_size_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "appended.wav"
    path.write_bytes(wav.header(8000, 1, 16000) + tone(3))
    assert wav.inspect(path).length_s == pytest.approx(3.0)


def test_chunks_before_and_after_the_data_are_no_audio(tmp_path: Path) -> None:
    path = tmp_path / "owner.wav"
    chunk = b"LIST" + struct.pack("<I", 5) + b"INFOx\0"
    head, samples = wav.header(16000, 1, 32000), tone(1, 16000)
    path.write_bytes(head[:36] + chunk + head[36:] + samples + chunk)
    found = wav.inspect(path)
    assert found.length_s == pytest.approx(1.0)
    assert wav.repair(path), "the outer size left the chunks out"
    assert int.from_bytes(path.read_bytes()[4:8], "little") == path.stat().st_size - 8
    assert wav.inspect(path).length_s == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b"ID3\x03 an MP3 in disguise", "not a WAV"),
        (wav.header(8000, 1, 0)[:30], "cut short"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "description is missing"),
        (wav.header(8000, 1, 0).replace(b"\x10\0\0\0\x01\0", b"\x10\0\0\0\x07\0"), "only 16-bit PCM"),
    ],
)
def test_what_is_no_recording_is_refused_by_name_and_left_alone(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "odd.wav"
    path.write_bytes(content)
    for read in (wav.inspect, wav.repair):
        with pytest.raises(SoundError, match=rf"odd\.wav.*{complaint}"):
            read(path)
    assert path.read_bytes() == content
    assert not wav.is_closed(path)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    for read in (wav.inspect, wav.repair, wav.is_closed):
        with pytest.raises(SoundError, match="gone"):
            read(tmp_path / "gone.wav")


def test_a_header_alone_is_not_called_closed(tmp_path: Path) -> None:
    path = tmp_path / "begun.wav"
    path.write_bytes(wav.header(8000, 1, 0))
    assert not wav.is_closed(path)
    assert wav.inspect(path).length_s == 0.0


def test_more_than_a_header_can_state_is_refused() -> None:
    with pytest.raises(SoundError, match="Opus"):
        wav.header(16000, 2, 0xFFFF_FFFF)


def test_peaks_are_the_loudest_sample_of_each_part(tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    samples = array.array("h", [0] * 1000 + [16384, -100] * 500 + [-32768] * 1000 + [8192] * 1000)
    path.write_bytes(as_asterisk_leaves_it(samples.tobytes()))
    assert wav.peaks(path, 4, 0.5) == [0.0, 0.5, 1.0, 0.25]
    assert wav.peaks(path, 4, 1.0) == [0.5, 1.0, 0.0, 0.0], "the span is longer than the audio"
    assert len(wav.peaks(path, 9000, 0.5)) == 9000


@given(audio=st.binary(max_size=2000), stated=st.integers(0, 2**32 - 1), riff=st.integers(0, 2**32 - 1))
def test_whatever_the_sizes_say_repair_settles_it(
    tmp_path_factory: pytest.TempPathFactory, audio: bytes, stated: int, riff: int
) -> None:
    path = tmp_path_factory.mktemp("repair") / "any.wav"
    head = bytearray(wav.header(8000, 1, 0))
    head[4:8], head[40:44] = struct.pack("<I", riff), struct.pack("<I", stated)
    path.write_bytes(bytes(head) + audio)
    before = wav.inspect(path)
    wav.repair(path)
    after = wav.inspect(path)
    assert after.frames == before.frames
    assert path.read_bytes()[44:] == audio
    assert not wav.repair(path)


@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "any.wav"
    for prefix in (b"", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0"):
        path.write_bytes(prefix + content)
        with contextlib.suppress(SoundError):
            wav.repair(path)
            assert wav.inspect(path).frames >= 0
