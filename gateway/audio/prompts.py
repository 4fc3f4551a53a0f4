"""What callers hear: a table of sentences, spoken once at set-up into files that Asterisk plays.

    <prompts_dir>/<key>.wav                       the owner's own voice: wins over synthesis
    <prompts_dir>/rendered/<key>.wav, <key>.wav16 8 and 16 kHz, what Asterisk plays
    <prompts_dir>/rendered/<key>.made             what it was made from; the same again is not made again

Every prompt, whoever spoke it, is brought to the same loudness (peak −3 dBFS, no clipping), begins with 200 ms of
silence (a phone opens its speech path late, and the first syllable is the one that says who speaks), and is refused
when it is silent or short: a dialplan that plays nothing looks exactly like one that works. Text reaches the
synthesizer in a file, never through a shell. All functions block: call them in a thread.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.audio import wav
from gateway.audio.segment import AudioSegment
from gateway.errors import ConfigError, SoundError

PEAK_DBFS = -3.0
LEAD_MS = 200
SILENT_DBFS = -50.0
SHORTEST_MS = 300
RATES_HZ: Mapping[int, str] = {8000: "wav", 16000: "wav16"}
_SYNTHESIS_LIMIT_S = 60
_CONVERSION_LIMIT_S = 60
_RECIPE = "1"  # part of every fingerprint: another recipe makes every prompt anew


@dataclass(frozen=True, slots=True)
class Prompt:
    """A sentence: its key in the dialplan, what is said, and what it means."""

    key: str
    text: str
    gloss: str


PROMPTS: tuple[Prompt, ...] = (
    Prompt(
        "missed-leave-message",
        "您好，值班电话暂时无人接听。请在提示音后留言，说完请挂机。",
        "The duty phone is not answered at the moment. Please leave a message after the tone, then hang up.",
    ),
    Prompt(
        "message-saved",
        "留言已保存，值班人员将尽快与您联系。再见。",
        "Your message is saved; the duty officer will call you.",
    ),
    Prompt("recording-announcement", "您好，本次通话将被录音。", "This call will be recorded."),
    Prompt(
        "not-recorded",
        "注意，因录音设备故障，本次通话未能录音。",
        "Attention: the recorder is out of order; this call is not being recorded.",
    ),
    Prompt(
        "not-recorded-refused",
        "您好，因录音设备故障，本线路暂时不能接通，请稍后再拨。",
        "The recorder is out of order; this line cannot be connected for now. Please call again later.",
    ),
    Prompt(
        "code-denied",
        "值班电话严禁转移，此代码已被禁止，本次操作已经记录。",
        "A duty phone must never be forwarded. This code is forbidden, and the attempt has been logged.",
    ),
    Prompt(
        "number-unknown",
        "您拨打的号码不是值班电话，请核对后再拨。",
        "The number you dialled is no duty phone. Please check it.",
    ),
    Prompt(
        "second-call-denied",
        "值班电话正在通话，不能同时接通第二个电话。",
        "The duty phone is in a call; a second one at the same time is not possible.",
    ),
    Prompt(
        "call-failed",
        "您拨打的电话暂时无法接通，请稍后再拨。",
        "The call cannot be connected for now. Please try again later.",
    ),
)


@dataclass(frozen=True, slots=True)
class Synthesizer:
    """A command that speaks. `{text_file}` and `{wav_file}` in `arguments` are filled in; no shell is involved.

    `identity` names voice and speed: a prompt is spoken anew when it changes. `environment` is added to ours.
    """

    arguments: tuple[str, ...]
    identity: str
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """A prompt as files. `made` says whether it was made just now or had been there already."""

    key: str
    source: Literal["owner", "synthesized"]
    paths: Mapping[int, Path]  # rate in Hz → file
    made: bool


def espeak(
    command: Sequence[str], *, voice: str = "cmn", speed_wpm: int = 150, environment: Mapping[str, str] | None = None
) -> Synthesizer:
    """espeak-ng, called as `command` (more than one word when it runs through a loader of its own)."""
    fixed = ("-b", "1", "-v", voice, "-s", str(speed_wpm), "-w", "{wav_file}", "-f", "{text_file}")
    return Synthesizer((*command, *fixed), f"espeak-ng {voice} {speed_wpm}", environment or {})


def other_synthesizer(template: str) -> Synthesizer:
    """The owner's command from the configuration; raises ConfigError unless it has both placeholders."""
    try:
        arguments = tuple(shlex.split(template))
    except ValueError as error:
        raise ConfigError(f"prompts.command: cannot be understood: {error}") from error
    for placeholder in ("{text_file}", "{wav_file}"):
        if not any(placeholder in argument for argument in arguments):
            raise ConfigError(f"prompts.command: must contain {placeholder}")
    return Synthesizer(arguments, template, {})


def render(prompts_dir: Path, synthesizer: Synthesizer, prompts: Iterable[Prompt] = PROMPTS) -> list[RenderedPrompt]:
    """Every prompt as 8 and 16 kHz files below `prompts_dir`/rendered; raises SoundError naming the prompt at fault."""
    rendered = prompts_dir / "rendered"
    rendered.mkdir(parents=True, exist_ok=True)
    return [_render_one(prompts_dir, rendered, prompt, synthesizer) for prompt in prompts]


def _render_one(prompts_dir: Path, rendered: Path, prompt: Prompt, synthesizer: Synthesizer) -> RenderedPrompt:
    recorded = prompts_dir / f"{prompt.key}.wav"
    source: Literal["owner", "synthesized"] = "owner" if recorded.is_file() else "synthesized"
    made_from = f"{prompt.text}\0{synthesizer.identity}".encode() if source == "synthesized" else _content(recorded)
    fingerprint = hashlib.sha256(b"\0".join((_RECIPE.encode(), source.encode(), made_from))).hexdigest()
    paths = {rate_hz: rendered / f"{prompt.key}.{end}" for rate_hz, end in RATES_HZ.items()}
    mark = rendered / f"{prompt.key}.made"
    if mark.is_file() and mark.read_text(encoding="ascii") == fingerprint and all(map(_is_sound, paths.values())):
        return RenderedPrompt(prompt.key, source, paths, made=False)
    mark.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=rendered) as folder:
        spoken = recorded if source == "owner" else _synthesize(prompt.text, synthesizer, Path(folder))
        for rate_hz, path in paths.items():
            _finish(spoken, path, rate_hz, Path(folder), LEAD_MS)
    mark.write_text(fingerprint, encoding="ascii")
    return RenderedPrompt(prompt.key, source, paths, made=True)


def speak(text: str, path: Path, synthesizer: Synthesizer, *, rate_hz: int = 8000, lead_ms: int = 0) -> float:
    """Speaks `text` into a mono 16-bit WAV, peak −3 dBFS; gives its seconds; raises SoundError."""
    with tempfile.TemporaryDirectory(prefix=".making-", dir=path.parent) as folder:
        spoken = _synthesize(text, synthesizer, Path(folder))
        _finish(spoken, path, rate_hz, Path(folder), lead_ms)
    return wav.inspect(path).length_s


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SoundError(f"{path}: cannot be read: {error.strerror}") from error


def _is_sound(path: Path) -> bool:
    try:
        return wav.is_closed(path)
    except SoundError:  # not there: make it
        return False


def _synthesize(text: str, synthesizer: Synthesizer, folder: Path) -> Path:
    text_file, wav_file = folder / "text.txt", folder / "spoken.wav"
    text_file.write_text(text, encoding="utf-8")
    places = {"{text_file}": str(text_file), "{wav_file}": str(wav_file)}
    arguments = [_filled(argument, places) for argument in synthesizer.arguments]
    _run(arguments, {**os.environ, **synthesizer.environment}, _SYNTHESIS_LIMIT_S, "the synthesizer")
    if not wav_file.is_file():
        raise SoundError(f"the synthesizer wrote no sound for '{text}'")
    return wav_file


def _filled(argument: str, places: Mapping[str, str]) -> str:
    for placeholder, value in places.items():
        argument = argument.replace(placeholder, value)
    return argument


def _finish(spoken: Path, target: Path, rate_hz: int, folder: Path, lead_ms: int) -> None:
    """Brings speech in any form to mono 16-bit PCM of even loudness; it appears by rename."""
    plain, finished = folder / f"plain-{rate_hz}.raw", folder / f"finished-{rate_hz}.wav"
    command = [AudioSegment.converter, "-nostdin", "-hide_banner", "-loglevel", "error", "-y"]
    # soxr is the low-pass that pydub's own resampler lacks: without it sibilants fold down into the telephone band
    command += ["-i", str(spoken), "-map", "0:a:0", "-ac", "1", "-af", "aresample=resampler=soxr", "-ar", str(rate_hz)]
    _run([*command, "-f", "s16le", str(plain)], None, _CONVERSION_LIMIT_S, f"reading {spoken}")
    speech = AudioSegment(plain.read_bytes(), sample_width=2, frame_rate=rate_hz, channels=1)
    if len(speech) < SHORTEST_MS or speech.max_dBFS < SILENT_DBFS:
        raise SoundError(f"{target.stem}: {len(speech)} ms at {speech.max_dBFS:.0f} dBFS is no spoken sentence")
    even = AudioSegment.silent(lead_ms, frame_rate=rate_hz) + speech.apply_gain(PEAK_DBFS - speech.max_dBFS)
    finished.write_bytes(wav.header(rate_hz, 1, len(even.raw_data)) + even.raw_data)
    finished.replace(target)


def _run(arguments: Sequence[str], environment: Mapping[str, str] | None, limit_s: float, what: str) -> None:
    try:
        done = subprocess.run(
            arguments, check=False, capture_output=True, stdin=subprocess.DEVNULL, env=environment, timeout=limit_s
        )
    except OSError as error:
        raise SoundError(f"{what} cannot be started: {arguments[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise SoundError(f"{what} did not end within {limit_s:.0f} s: {arguments[0]}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-1000:]
        raise SoundError(f"{what} ended with {done.returncode}: {said or 'without a word'}")
