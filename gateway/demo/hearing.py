"""What of a speech is heard in a recording: sample by sample, on both sides, from the first word to the last.

A phone of the city sends A-law, 20 ms a packet, and nothing on the way transcodes; so a recording that lost nothing
holds, brought back to A-law, the very bytes that were spoken. The speech is cut into cells of 10 ms; each cell that is
not silence and stands only once in the speech is looked for where it must be:

    spoken     ··▁▃▅▇▅▃▁········▁▃▇▅▁··          position s of a cell
    recorded   ····▁▃▅▇▅▃▁········▁▃▇▅▁··        place p of the same cell;  p − s is constant

    lost       cells that are not there          60 ms of silence in a word: 6 cells
    shift      p − s differs from the cell before   60 ms let in between two words, or cut out

The longer of the two is the gap at that place. Where a path does transcode, no byte is equal, and a cell counts as
heard when it correlates with the sound at its place.
"""

from __future__ import annotations

import audioop
import io
import wave
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.errors import SoundError

RATE_HZ = 8000
CELL = RATE_HZ // 100
LONGEST_GAP_S = 0.04
LENGTH_WITHIN_S = 0.2
ALIKE = 0.9  # correlation from which a transcoded cell counts as heard
_AUDIBLE_RMS = 60
_STRAY = RATE_HZ  # samples by which a cell may stand from its place and still be this cell, come late
_ANCHORS = 3  # cells that must agree on the beginning
_FRAGMENT = RATE_HZ * 2 // 5


@dataclass(frozen=True, slots=True)
class Heard:
    """What of a speech was found. `begins_s` is None when nothing was; `exact` is the share of equal bytes."""

    spoken_s: float
    heard_s: float
    longest_gap_s: float
    drift_s: float
    begins_s: float | None
    exact: float


@dataclass(frozen=True, slots=True)
class Side:
    """One direction of a recording: what was spoken there and on the other side (A-law), what was recorded (16-bit).

    `talk_s` is the time from answer to hang-up as the phones saw it.
    """

    spoken: bytes
    other: bytes
    recorded: bytes
    talk_s: float


def samples(file: bytes) -> bytes:
    """The 16-bit samples of a WAV, 8 kHz, one channel; raises SoundError for any other."""
    try:
        with wave.open(io.BytesIO(file)) as sound:
            shape = (sound.getframerate(), sound.getnchannels(), sound.getsampwidth())
            if shape != (RATE_HZ, 1, 2):
                raise SoundError(f"{shape} is not {RATE_HZ} Hz, one channel, 16 bits")
            return bytes(sound.readframes(sound.getnframes()))
    except (wave.Error, EOFError) as error:
        raise SoundError(f"no WAV: {error}") from error


def faults(side: Side) -> list[str]:
    """What is wrong with a side, each fault a short phrase; empty when all of its speech and nothing else is there."""
    found = []
    length_s = len(side.recorded) / 2 / RATE_HZ
    if abs(length_s - side.talk_s) > LENGTH_WITHIN_S:
        found.append(f"{length_s:.2f} s long, the talk was {side.talk_s:.2f} s")
    heard = hear(side.spoken, side.recorded)
    if heard.spoken_s and heard.begins_s is None:
        found.append("its own voice is missing")
    elif heard.longest_gap_s > LONGEST_GAP_S:
        found.append(f"a gap of {heard.longest_gap_s * 1000:.0f} ms")
    elif heard.drift_s > LONGEST_GAP_S:
        found.append(f"out of step by {heard.drift_s * 1000:.0f} ms")
    other = hear(side.other, side.recorded)
    if other.begins_s is not None:
        found.append(f"{other.heard_s:.2f} s of the other side's voice")
    return found


def hear(spoken: bytes, recorded: bytes) -> Heard:
    """Looks for the A-law speech `spoken` in the 16-bit samples `recorded`, both 8 kHz."""
    cells = list(_cells(spoken))
    begin = _begin(cells, spoken, recorded)
    spoken_s = len(cells) * CELL / RATE_HZ
    if begin is None:
        return Heard(spoken_s, 0.0, spoken_s, 0.0, None, 0.0)
    law = audioop.lin2alaw(recorded, 2)
    offset, lost, longest, exact, heard = begin, 0, 0, 0, 0
    offsets = []
    for position, cell in cells:
        place = _place(cell, position + offset, law)
        if place is not None:
            exact += 1
        elif _likeness(cell, position + offset, recorded) >= ALIKE:
            place = position + offset
        if place is None:
            lost += CELL
            longest = max(longest, lost)
            continue
        longest = max(longest, abs(place - position - offset))
        offset, lost, heard = place - position, 0, heard + 1
        offsets.append(offset)
    drift_s = (max(offsets) - min(offsets)) / RATE_HZ if offsets else 0.0
    return Heard(spoken_s, heard * CELL / RATE_HZ, longest / RATE_HZ, drift_s, begin / RATE_HZ, exact / len(cells))


def _cells(spoken: bytes) -> Iterator[tuple[int, bytes]]:
    """(position, bytes) of each cell that can be heard and cannot be mistaken for another."""
    cut = [(place, spoken[place : place + CELL]) for place in range(0, len(spoken) - CELL + 1, CELL)]
    often = Counter(cell for _, cell in cut)
    for place, cell in cut:
        if often[cell] == 1 and audioop.rms(audioop.alaw2lin(cell, 2), 2) >= _AUDIBLE_RMS:
            yield place, cell


def _begin(cells: list[tuple[int, bytes]], spoken: bytes, recorded: bytes) -> int | None:
    """Where sample 0 of the speech is in the recording, in samples; None when it is not there at all."""
    law = audioop.lin2alaw(recorded, 2)
    places = ((law.find(cell), position) for position, cell in cells)
    offsets = Counter(place - position for place, position in places if place >= 0)
    for offset, agreeing in offsets.most_common(1):
        if agreeing >= min(_ANCHORS, len(cells)):
            return min(each for each, count in offsets.items() if count * 4 >= agreeing and abs(each - offset) < _STRAY)
    return _begin_by_likeness(cells, spoken, recorded)


def _begin_by_likeness(cells: list[tuple[int, bytes]], spoken: bytes, recorded: bytes) -> int | None:
    """The same for a path that transcodes: the place of the loudest 400 ms by correlation."""
    if len(recorded) // 2 <= _FRAGMENT or not cells or not audioop.max(recorded, 2):
        return None
    starts = [position for position, _ in cells if position + _FRAGMENT <= len(spoken)]
    if not starts:
        return None
    loudest = max(starts, key=lambda start: audioop.rms(audioop.alaw2lin(spoken[start : start + _FRAGMENT], 2), 2))
    fragment = spoken[loudest : loudest + _FRAGMENT]
    place, _ = audioop.findfit(recorded, audioop.alaw2lin(fragment, 2))
    return place - loudest if _likeness(fragment, place, recorded) >= ALIKE else None


def _place(cell: bytes, expected: int, law: bytes) -> int | None:
    """Where the very bytes of the cell are: at the expected place, else nearest behind or before it."""
    if expected >= 0 and law.startswith(cell, expected):
        return expected
    late = law.find(cell, max(0, expected), max(0, expected + _STRAY))
    early = law.rfind(cell, max(0, expected - _STRAY), max(0, expected + CELL))
    found = [place for place in (late, early) if place >= 0]
    return min(found, key=lambda place: abs(place - expected), default=None)


def _likeness(cell: bytes, place: int, recorded: bytes) -> float:
    """The normalised correlation of A-law speech with the sound at a place; 0.0 where there is none."""
    if place < 0:
        return 0.0
    sound = recorded[2 * place : 2 * (place + len(cell))]
    speech = audioop.alaw2lin(cell, 2)
    loudness = audioop.rms(sound, 2) if len(sound) == len(speech) else 0
    return audioop.findfactor(sound, speech) * audioop.rms(speech, 2) / loudness if loudness else 0.0
