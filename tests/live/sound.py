"""Sound that can be told apart sample by sample: seeded noise shaped like speech, as A-law, and its comparison."""

from __future__ import annotations

import audioop
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8000


def speech(path: Path, seconds: float, seed: int) -> Path:
    """An A-law file of noise in the telephone band; two seeds never correlate."""
    chance = np.random.default_rng(seed)
    white = chance.standard_normal(int(seconds * RATE_HZ))
    spectrum = np.fft.rfft(white)
    frequencies = np.fft.rfftfreq(len(white), 1 / RATE_HZ)
    spectrum[(frequencies < 300) | (frequencies > 3000)] = 0
    shaped = np.fft.irfft(spectrum, len(white))
    pcm = (shaped / np.abs(shaped).max() * 12_000).astype("<i2")
    path.write_bytes(audioop.lin2alaw(pcm.tobytes(), 2))
    return path


def samples(path: Path) -> NDArray[np.int16]:
    """The samples of a mono 16-bit WAV or of an A-law file."""
    if path.suffix == ".alaw":
        return np.frombuffer(audioop.alaw2lin(path.read_bytes(), 2), "<i2")
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


@dataclass(frozen=True, slots=True)
class Match:
    """How much of a recording is what was spoken: seconds that match exactly, and the longest gap between them."""

    matched_s: float
    longest_gap_s: float
    begins_s: float


def compare(recorded: NDArray[np.int16], spoken: NDArray[np.int16]) -> Match:
    """Looks for each 20 ms of the recording at its place in the (repeating) speech, found by correlation."""
    head = spoken[: RATE_HZ // 2].astype(float)
    span = recorded[: RATE_HZ * 3].astype(float)
    correlation = np.correlate(span, head, "valid")
    begin = int(np.argmax(np.abs(correlation)))
    expected = np.resize(spoken, max(0, len(recorded) - begin))
    equal = recorded[begin:] == expected
    frames = [bool(equal[i : i + 160].mean() > 0.95) for i in range(0, len(equal) - 159, 160)]
    gap = longest = 0
    for good in frames:
        gap = 0 if good else gap + 1
        longest = max(longest, gap)
    return Match(sum(frames) * 0.02, longest * 0.02, begin / RATE_HZ)
