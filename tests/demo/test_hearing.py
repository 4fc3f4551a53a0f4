"""The comparison of recordings with speech finds what it is there to find, and nothing in a good recording."""

from __future__ import annotations

import audioop
import io
import math
import random
import wave
from collections.abc import Callable

import pytest

from gateway.demo import hearing
from gateway.demo.hearing import Side
from gateway.errors import SoundError

RATE_HZ = 8000
BEGIN = 370  # samples between answer and the first packet
SILENCE = b"\xd5"


def _speech(seed: int, seconds: float, begin_s: float, total_s: float) -> bytes:
    """A-law like speech: tones that wander and swell, between silences."""
    chance = random.Random(seed)
    phase, hertz = 0.0, 200.0
    linear = bytearray()
    for n in range(int(seconds * RATE_HZ)):
        if n % 800 == 0:
            hertz = chance.uniform(120, 900)
        phase += 2 * math.pi * hertz / RATE_HZ
        swell = 0.3 + 0.7 * abs(math.sin(n / 2500))
        sample = swell * (9000 * math.sin(phase) + chance.uniform(-2500, 2500))
        linear += int(sample).to_bytes(2, "little", signed=True)
    spoken = audioop.lin2alaw(bytes(linear), 2)
    before = SILENCE * int(begin_s * RATE_HZ)
    return (before + spoken).ljust(int(total_s * RATE_HZ), SILENCE)


OURS = _speech(1, 2.0, 0.5, 6.0)
THEIRS = _speech(2, 2.5, 3.0, 6.0)
TALK_S = 6.1


def _recorded(law: bytes, begin: int = BEGIN) -> bytes:
    """What the engine writes of it: silence until the first packet, then the samples."""
    return audioop.alaw2lin((SILENCE * begin + law).ljust(int(TALK_S * RATE_HZ), SILENCE), 2)


def _side(recorded: bytes, spoken: bytes = OURS, other: bytes = THEIRS) -> Side:
    return Side(spoken, other, recorded, TALK_S)


def _cut(law: bytes, at_s: float, length_s: float, patch: bytes) -> bytes:
    """`patch` in place of a stretch."""
    at, length = int(at_s * RATE_HZ), int(length_s * RATE_HZ)
    return law[:at] + patch + law[at + length :]


def test_whole_recording_is_good() -> None:
    assert hearing.faults(_side(_recorded(OURS))) == []
    assert hearing.faults(_side(_recorded(THEIRS), THEIRS, OURS)) == []
    heard = hearing.hear(OURS, _recorded(OURS))
    assert (heard.longest_gap_s, heard.drift_s, heard.exact) == (0.0, 0.0, 1.0)
    assert heard.begins_s == BEGIN / RATE_HZ
    assert heard.heard_s == heard.spoken_s > 1.9


def test_one_lost_packet_is_within_the_limit() -> None:
    one_lost = _cut(OURS, 1.0, 0.02, SILENCE * 160)
    assert hearing.hear(OURS, _recorded(one_lost)).longest_gap_s == pytest.approx(0.02)
    assert hearing.faults(_side(_recorded(one_lost))) == []


@pytest.mark.parametrize("at_s", [0.5, 1.0, 1.7031, 2.44], ids=["first word", "packet", "between packets", "last word"])
def test_gap_of_60_ms_is_found(at_s: float) -> None:
    (fault,) = hearing.faults(_side(_recorded(_cut(OURS, at_s, 0.06, SILENCE * 480))))
    assert "a gap of" in fault
    assert 0.06 <= hearing.hear(OURS, _recorded(_cut(OURS, at_s, 0.06, SILENCE * 480))).longest_gap_s <= 0.07


@pytest.mark.parametrize(
    "spoil",
    [lambda law: _cut(law, 1.3, 0.0, SILENCE * 480), lambda law: _cut(law, 1.3, 0.06, b"")],
    ids=["silence let in", "cut out"],
)
def test_shift_of_60_ms_is_found(spoil: Callable[[bytes], bytes]) -> None:
    (fault,) = hearing.faults(_side(_recorded(spoil(OURS))))
    assert fault == "a gap of 60 ms"


def test_many_small_shifts_are_out_of_step() -> None:
    drifting = OURS
    for at_s in (0.8, 1.2, 1.6):
        drifting = _cut(drifting, at_s, 0.0, SILENCE * 160)
    assert hearing.faults(_side(_recorded(drifting))) == ["out of step by 60 ms"]


def test_swapped_sides_are_found() -> None:
    found = hearing.faults(_side(_recorded(THEIRS)))
    assert found[0] == "its own voice is missing"
    assert found[1].endswith("of the other side's voice")


def test_silent_side_is_found() -> None:
    assert hearing.faults(_side(_recorded(b""))) == ["its own voice is missing"]


def test_other_voice_over_its_own_is_found() -> None:
    both = audioop.add(_recorded(OURS), audioop.mul(_recorded(THEIRS), 2, 0.25), 2)
    (fault,) = hearing.faults(_side(both))
    assert fault.endswith("of the other side's voice")


def test_missing_end_is_found() -> None:
    short = _recorded(OURS)[: -int(0.3 * RATE_HZ) * 2]
    assert hearing.faults(_side(short)) == ["5.80 s long, the talk was 6.10 s"]


def test_length_within_the_limit_is_good() -> None:
    assert hearing.faults(_side(_recorded(OURS)[: -int(0.19 * RATE_HZ) * 2])) == []


def test_path_that_transcodes_is_heard_by_likeness() -> None:
    quieter = audioop.mul(_recorded(OURS), 2, 0.6)
    heard = hearing.hear(OURS, quieter)
    assert heard.exact < 0.1
    assert heard.longest_gap_s <= 0.04
    assert hearing.faults(_side(quieter)) == []


def test_gap_on_a_path_that_transcodes_is_found() -> None:
    quieter = audioop.mul(_recorded(_cut(OURS, 1.3, 0.06, SILENCE * 480)), 2, 0.6)
    (fault,) = hearing.faults(_side(quieter))
    assert "a gap of" in fault


def test_speech_that_says_nothing_is_never_missing() -> None:
    assert hearing.faults(Side(SILENCE * RATE_HZ, THEIRS, _recorded(b""), TALK_S)) == []


def test_samples_of_a_wav() -> None:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        sound.writeframes(b"\x01\x02")
    assert hearing.samples(file.getvalue()) == b"\x01\x02"
    with pytest.raises(SoundError, match="no WAV"):
        hearing.samples(b"RIFF")
