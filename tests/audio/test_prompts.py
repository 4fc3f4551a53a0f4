"""Spoken sentences: synthesized by a real espeak-ng, or recorded by the owner."""

from __future__ import annotations

import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.asterisk import install
from gateway.audio import prompts, wav
from gateway.audio.prompts import PROMPTS, Prompt, Synthesizer
from gateway.errors import ConfigError, SoundError

SENTENCE = Prompt("call-failed", "您拨打的电话暂时无法接通。", "The call cannot be connected.")
FULL_SCALE = 32768


@pytest.fixture
def espeak(engine: install.Engine) -> Synthesizer:
    return prompts.espeak(engine.command("espeak-ng"), environment=engine.environment)


def samples(path: Path, rate_hz: int) -> NDArray[np.float64]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate_hz)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / FULL_SCALE


def record(path: Path, seconds: float, level: float, rate_hz: int = 44100, frequency_hz: float = 700) -> None:
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    data = (level * 32767 * np.sin(2 * np.pi * frequency_hz * at)).astype("<i2").repeat(2).tobytes()
    path.write_bytes(wav.header(rate_hz, 2, len(data)) + data)


def test_the_dialplan_finds_its_prompts() -> None:
    keys = [prompt.key for prompt in PROMPTS]
    assert len(set(keys)) == len(keys)
    assert {"missed-leave-message", "message-saved", "recording-announcement", "not-recorded"} <= set(keys)
    assert {"not-recorded-refused", "code-denied", "number-unknown", "second-call-denied", "call-failed"} <= set(keys)
    assert all(prompt.text and prompt.gloss for prompt in PROMPTS)


def test_every_prompt_is_spoken_at_both_rates_and_even_loudness(tmp_path: Path, espeak: Synthesizer) -> None:
    rendered = prompts.render(tmp_path, espeak)
    assert [prompt.key for prompt in rendered] == [prompt.key for prompt in PROMPTS]
    for prompt in rendered:
        assert prompt.made
        assert prompt.source == "synthesized"
        assert set(prompt.paths) == {8000, 16000}
        for rate_hz, path in prompt.paths.items():
            assert path == tmp_path / "rendered" / f"{prompt.key}.{'wav' if rate_hz == 8000 else 'wav16'}"
            heard = samples(path, rate_hz)
            assert 20 * np.log10(np.abs(heard).max()) == pytest.approx(-3.0, abs=0.1)
            assert not heard[: rate_hz // 5].any(), "200 ms of silence first"
            assert len(heard) / rate_hz > 1.0
    left = {path.suffix for path in (tmp_path / "rendered").iterdir()}
    assert left == {".wav", ".wav16", ".made"}, "nothing half-made is left"


def test_the_same_is_not_made_again_but_another_voice_is(
    tmp_path: Path, espeak: Synthesizer, engine: install.Engine
) -> None:
    (first,) = prompts.render(tmp_path, espeak, [SENTENCE])
    (second,) = prompts.render(tmp_path, espeak, [SENTENCE])
    assert (first.made, second.made) == (True, False)
    faster = prompts.espeak(engine.command("espeak-ng"), speed_wpm=220, environment=engine.environment)
    (third,) = prompts.render(tmp_path, faster, [SENTENCE])
    assert third.made
    third.paths[16000].unlink()
    (fourth,) = prompts.render(tmp_path, faster, [SENTENCE])
    assert fourth.made, "a file that is gone is made again"


def test_the_owners_voice_wins_in_any_rate_and_loudness(tmp_path: Path, espeak: Synthesizer) -> None:
    record(tmp_path / "call-failed.wav", 1.5, 0.05)
    (rendered,) = prompts.render(tmp_path, espeak, [SENTENCE])
    assert rendered.source == "owner"
    for rate_hz, path in rendered.paths.items():
        heard = samples(path, rate_hz)
        assert len(heard) / rate_hz == pytest.approx(1.7, abs=0.01)
        assert np.abs(heard).max() == pytest.approx(10 ** (-3 / 20), abs=0.01)
        assert np.argmax(np.abs(np.fft.rfft(heard))) * rate_hz / len(heard) == pytest.approx(700, abs=2)
    record(tmp_path / "call-failed.wav", 2.0, 0.9)
    assert prompts.render(tmp_path, espeak, [SENTENCE])[0].made, "a new recording is taken"
    (tmp_path / "call-failed.wav").unlink()
    assert prompts.render(tmp_path, espeak, [SENTENCE])[0].source == "synthesized"


def test_what_a_phone_cannot_carry_is_cut_off_not_folded_down(tmp_path: Path, espeak: Synthesizer) -> None:
    record(tmp_path / "call-failed.wav", 1.0, 0.5, frequency_hz=300)
    low = (tmp_path / "call-failed.wav").read_bytes()
    record(tmp_path / "call-failed.wav", 1.0, 0.5, frequency_hz=6500)
    high = (tmp_path / "call-failed.wav").read_bytes()
    both = np.frombuffer(low[44:], "<i2") // 2 + np.frombuffer(high[44:], "<i2") // 2
    (tmp_path / "call-failed.wav").write_bytes(low[:44] + both.astype("<i2").tobytes())
    (rendered,) = prompts.render(tmp_path, espeak, [SENTENCE])
    spectrum = np.abs(np.fft.rfft(samples(rendered.paths[8000], 8000)[1600:]))
    per_hz = len(spectrum) / 4000
    assert spectrum[int(1500 * per_hz)] < spectrum.max() / 1000, "8000 − 6500 Hz"


@pytest.mark.parametrize("content", [b"", b"no sound at all", wav.header(8000, 1, 0)])
def test_an_owners_file_that_is_no_sound_is_refused_by_name(
    tmp_path: Path, espeak: Synthesizer, content: bytes
) -> None:
    (tmp_path / "call-failed.wav").write_bytes(content)
    with pytest.raises(SoundError, match="call-failed"):
        prompts.render(tmp_path, espeak, [SENTENCE])


def test_silence_is_refused(tmp_path: Path, espeak: Synthesizer) -> None:
    record(tmp_path / "call-failed.wav", 1.0, 0.0)
    with pytest.raises(SoundError, match=r"call-failed.*no spoken sentence"):
        prompts.render(tmp_path, espeak, [SENTENCE])
    assert not (tmp_path / "rendered" / "call-failed.wav").exists()


def test_another_synthesizer_gets_the_text_in_a_file(
    tmp_path: Path, engine: install.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in engine.environment.items():
        monkeypatch.setenv(name, value)
    command = engine.command("espeak-ng")
    script = tmp_path / "speak.py"
    script.write_text(
        "import pathlib, subprocess, sys\n"
        "pathlib.Path(sys.argv[3]).write_text(pathlib.Path(sys.argv[1]).read_text('utf-8'), 'utf-8')\n"
        f"subprocess.run([*{command!r}, '-v', 'cmn', '-w', sys.argv[2], '-f', sys.argv[1]], check=True)\n"
    )
    told = tmp_path / "told.txt"
    other = prompts.other_synthesizer(f"{sys.executable} {script} {{text_file}} {{wav_file}} '{told}'")
    nasty = Prompt("nasty", '说一句；$(touch /tmp/never) `id` "引号"', "shell signs are only text")
    assert prompts.render(tmp_path, other, [nasty])[0].made
    assert told.read_text("utf-8") == nasty.text


@pytest.mark.parametrize("template", ["say {text_file}", "say {wav_file}", "say 'unclosed {text_file} {wav_file}"])
def test_a_template_without_its_places_is_a_fault_of_the_configuration(template: str) -> None:
    with pytest.raises(ConfigError, match=r"prompts\.command"):
        prompts.other_synthesizer(template)


def test_a_synthesizer_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(code: str) -> Synthesizer:
        return Synthesizer((sys.executable, "-c", code, "{text_file}", "{wav_file}"), "failing", {})

    with pytest.raises(SoundError, match="no such voice"):
        prompts.render(tmp_path, failing("import sys; sys.exit('no such voice')"), [SENTENCE])
    with pytest.raises(SoundError, match="wrote no sound"):
        prompts.render(tmp_path, failing(""), [SENTENCE])
    with pytest.raises(SoundError, match="cannot be started"):
        prompts.render(tmp_path, prompts.espeak([str(tmp_path / "nowhere")]), [SENTENCE])
    monkeypatch.setattr(prompts, "_SYNTHESIS_LIMIT_S", 0.2)
    with pytest.raises(SoundError, match="did not end"):
        prompts.render(tmp_path, failing("import time; time.sleep(60)"), [SENTENCE])


def test_speaking_phones_get_a_sentence(tmp_path: Path, espeak: Synthesizer) -> None:
    length_s = prompts.speak("和平区值班室，情况正常。", tmp_path / "said.wav", espeak)
    heard = samples(tmp_path / "said.wav", 8000)
    assert len(heard) / 8000 == pytest.approx(length_s)
    assert length_s > 1.0
    assert np.abs(heard).max() == pytest.approx(10 ** (-3 / 20), abs=0.01)
    assert [path.name for path in tmp_path.iterdir()] == ["said.wav"]
