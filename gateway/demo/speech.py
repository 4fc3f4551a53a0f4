"""What is said in the demo city: Mandarin by a synthesizer, one voice per person, laid out as conversations take turns.

    theirs   ······请讲？我是和平区……·········再见。····      both tracks are equally long and start together,
    ours     您好，……················收到……··········      so a talk is as long as its tracks

Tracks are A-law, as the phones send them; `hearing` compares recordings with these same files.
"""

from __future__ import annotations

import audioop
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.asterisk.install import Engine
from gateway.audio import prompts
from gateway.demo import hearing

RATE_HZ = 8000
PACKET = 160  # bytes of A-law in 20 ms
SILENCE = b"\xd5"  # A-law of nothing
BEGIN_S = 0.4  # a phone opens its speech path late
TURN_S = 0.25
END_S = 0.4
TONE_S = 0.8  # with a breath
IMPATIENCE_S = 1.5

Who = Literal["ours", "theirs"]


@dataclass(frozen=True, slots=True)
class Voice:
    """A person's voice: an espeak-ng voice and its speed in words per minute."""

    name: str
    speed_wpm: int


DUTY_OFFICER = Voice("cmn+m3", 225)
HEPING, HEXI, NANKAI = Voice("cmn+f2", 230), Voice("cmn+f4", 215), Voice("cmn+m7", 220)


@dataclass(frozen=True, slots=True)
class Turn:
    """One person speaks."""

    who: Who
    voice: Voice
    text: str


@dataclass(frozen=True, slots=True)
class Tracks:
    """A conversation as files, one for each side, equally long."""

    ours: Path
    theirs: Path
    length_s: float

    @property
    def length_ms(self) -> int:
        """For a scenario."""
        return round(self.length_s * 1000)


def _ours(text: str) -> Turn:
    return Turn("ours", DUTY_OFFICER, text)


def _theirs(voice: Voice, text: str) -> Turn:
    return Turn("theirs", voice, text)


SCRIPTS: Mapping[str, Sequence[Turn]] = {
    "report": (
        _ours("您好，市政府总值班室。"),
        _theirs(HEPING, "您好，和平区值班室报告，今日无重要情况。"),
        _ours("收到，请保持电话畅通。"),
    ),
    "message": (_theirs(HEXI, "我是河西区值班室，电话无人接听，请速回电。"),),
    "transfer": (
        _ours("您好，我把您转到手机上。"),
        _theirs(NANKAI, "值班电话不能转移，请您在这里接听。"),
        _ours("好的，请讲。"),
    ),
    "diverted": (
        _ours("您好，市政府总值班室。"),
        _theirs(NANKAI, "我拨的是防汛办，电话转到了这里。"),
    ),
    "outbound": (
        _theirs(HEPING, "和平区值班室，您好。"),
        _ours("这里是市政府总值班室，请报告情况。"),
        _theirs(HEPING, "带班领导在岗，一切正常。"),
    ),
    "visitor": (_ours("您好，这里是市政府总值班室，请讲。"),),
    "silence": (),
}
AFTER_VISITOR_S = 6.0  # the officer of the quiet city listens before the greeting comes again


def render(folder: Path, engine: Engine, sentence_s: float) -> dict[str, Tracks]:
    """Speaks every script into `folder`; a caller hears a sentence of `sentence_s` when nobody answers.

    Who leaves a message speaks after it and the tone, who does not hangs up before its end. Raises SoundError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before_s = {"message": sentence_s + TONE_S}
    after_s = {"visitor": AFTER_VISITOR_S, "silence": sentence_s - BEGIN_S - IMPATIENCE_S}
    return {
        name: _conversation(folder, name, turns, engine, before_s.get(name, 0.0), after_s.get(name, 0.0))
        for name, turns in SCRIPTS.items()
    }


def _conversation(
    folder: Path, name: str, turns: Sequence[Turn], engine: Engine, before_s: float, after_s: float
) -> Tracks:
    tracks: dict[Who, bytearray] = {"ours": bytearray(), "theirs": bytearray()}
    _pass(tracks, before_s + BEGIN_S)
    for number, turn in enumerate(turns):
        if number:
            _pass(tracks, TURN_S)
        spoken = _spoken(turn, folder / f"{name}-{number}.wav", engine)
        for who, track in tracks.items():
            track.extend(spoken if who == turn.who else SILENCE * len(spoken))
    _pass(tracks, after_s + END_S if turns else after_s)
    for who, track in tracks.items():
        (folder / f"{name}-{who}.alaw").write_bytes(track)
    return Tracks(folder / f"{name}-ours.alaw", folder / f"{name}-theirs.alaw", len(tracks["ours"]) / RATE_HZ)


def _pass(tracks: Mapping[Who, bytearray], seconds: float) -> None:
    """Nobody speaks for a while."""
    packets = round(seconds * RATE_HZ / PACKET)
    for track in tracks.values():
        track.extend(SILENCE * PACKET * packets)


def _spoken(turn: Turn, path: Path, engine: Engine) -> bytes:
    """The turn as A-law in whole packets."""
    synthesizer = prompts.espeak(
        engine.command("espeak-ng"),
        voice=turn.voice.name,
        speed_wpm=turn.voice.speed_wpm,
        environment=engine.environment,
    )
    prompts.speak(turn.text, path, synthesizer, rate_hz=RATE_HZ)
    law = audioop.lin2alaw(hearing.samples(path.read_bytes()), 2)
    return law + SILENCE * (-len(law) % PACKET)
