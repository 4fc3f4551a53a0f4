"""WAV as it lies on the disk, not as its header says.

Asterisk writes a WAV header with both sizes 0 when a recording starts and the true sizes when it is closed; in between
speech reaches the disk in blocks of 32 KiB. After a crash the file therefore says "no audio" over hours of speech:
Python's `wave` refuses it, libsndfile and sox read nothing, Asterisk plays nothing. Here the data decides:

    RIFF <size> WAVE  fmt <16 …> …  data <size> <samples to the end of the file>
         └ 0 or wrong after a crash      └ believed only when the file agrees

A stated size is believed when the data really is there and what follows are whole chunks (an owner's prompt may carry
a LIST chunk); otherwise everything up to the end of the file is audio. The same reading serves `.wav` (8 kHz) and
`.wav16` (16 kHz). Only 16-bit PCM is read: that is all Asterisk writes for us.
"""

from __future__ import annotations

import audioop
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gateway.errors import SoundError

_PCM, _EXTENSIBLE = 1, 0xFFFE
_SAMPLE_BYTES = 2
_LARGEST_RIFF = 0xFFFF_FFFF
_READ_BYTES = 1 << 20
_FULL_SCALE = 32768


@dataclass(frozen=True, slots=True)
class Wav:
    """What a WAV file holds. `stated_bytes` is the header's word, `data_bytes` the truth (whole frames only)."""

    rate_hz: int
    channels: int
    data_offset: int
    data_bytes: int
    stated_bytes: int
    trailing_bytes: int  # chunks after the data

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return _SAMPLE_BYTES * self.channels

    @property
    def frames(self) -> int:
        """Samples per channel."""
        return self.data_bytes // self.frame_bytes

    @property
    def length_s(self) -> float:
        """Seconds of audio present."""
        return self.frames / self.rate_hz


def _are_whole_chunks(file: BinaryIO, start: int, end: int) -> bool:
    """Whether `start` … `end` is a row of chunks that fit exactly: random samples are not."""
    while start < end:
        file.seek(start)
        head = file.read(8)
        if len(head) < 8 or not head[:4].isascii() or not head[:4].decode("ascii").isprintable():
            return False
        size = int.from_bytes(head[4:], "little")
        start += 8 + size + size % 2
    return start == end


def _format(chunk: bytes, path: Path) -> tuple[int, int]:
    """(rate in Hz, channels) of a `fmt ` chunk."""
    if len(chunk) < 16:
        raise SoundError(f"{path}: the WAV format description is cut short")
    code, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if code not in {_PCM, _EXTENSIBLE} or bits != 8 * _SAMPLE_BYTES or channels not in {1, 2} or not rate_hz:
        raise SoundError(
            f"{path}: only 16-bit PCM is read (format {code}, {bits} bits, {channels} channels, {rate_hz} Hz)"
        )
    return rate_hz, channels


def _read(file: BinaryIO, path: Path) -> Wav:
    file_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise SoundError(f"{path}: {'is empty' if not head else 'is not a WAV file'}")
    spec: tuple[int, int] | None = None
    offset = 12
    while True:
        file.seek(offset)
        head = file.read(8)
        if len(head) < 8:
            raise SoundError(f"{path}: the WAV header is cut short")
        name, size = head[:4], int.from_bytes(head[4:], "little")
        offset += 8
        if name == b"data":
            break
        if name == b"fmt ":
            spec = _format(file.read(min(size, 64)), path)
        offset += size + size % 2
    if spec is None:
        raise SoundError(f"{path}: the WAV format description is missing")
    rate_hz, channels = spec
    present = file_bytes - offset
    end = offset + size + size % 2
    believed = 0 < size <= present and (size == present or _are_whole_chunks(file, end, file_bytes))
    data = size if believed else present
    data -= data % (_SAMPLE_BYTES * channels)
    trailing = file_bytes - end if believed and end < file_bytes else 0
    return Wav(rate_hz, channels, offset, data, size, trailing)


def inspect(path: Path) -> Wav:
    """What the file holds, by its data; raises SoundError when it cannot be read or is no 16-bit PCM WAV."""
    try:
        with path.open("rb") as file:
            return _read(file, path)
    except OSError as error:
        raise SoundError(f"{path}: cannot be read: {error.strerror}") from error


def is_closed(path: Path) -> bool:
    """Whether its writer has closed it: there is audio and the header agrees with it.

    A file that holds nothing but its header is never called closed: at its start it looks just the same.
    """
    try:
        wav = inspect(path)
    except SoundError:
        if path.is_file():  # the header itself is still in the writer's buffer
            return False
        raise
    return wav.data_bytes > 0 and wav.stated_bytes == wav.data_bytes


def repair(path: Path) -> bool:
    """Rewrites the two sizes where they are wrong, in place and down to the disk; True when something was changed.

    Not one sample is touched. Raises SoundError when the file is no 16-bit PCM WAV.
    """
    try:
        with path.open("r+b") as file:
            wav = _read(file, path)
            riff_bytes = wav.data_offset - 8 + wav.data_bytes + wav.data_bytes % 2 + wav.trailing_bytes
            if riff_bytes > _LARGEST_RIFF:
                raise SoundError(f"{path}: holds more audio than a WAV header can state")
            file.seek(4)
            stated_riff = int.from_bytes(file.read(4), "little")
            if stated_riff == riff_bytes and wav.stated_bytes == wav.data_bytes:
                return False
            file.seek(wav.data_offset - 4)
            file.write(wav.data_bytes.to_bytes(4, "little"))
            file.seek(4)
            file.write(riff_bytes.to_bytes(4, "little"))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SoundError(f"{path}: cannot be repaired: {error.strerror}") from error
    return True


def header(rate_hz: int, channels: int, data_bytes: int) -> bytes:
    """The 44 bytes before `data_bytes` of 16-bit samples; raises SoundError beyond 4 GiB."""
    if 36 + data_bytes > _LARGEST_RIFF:
        raise SoundError("more audio than a WAV header can state: take Opus or MP3 instead")
    frame_bytes = _SAMPLE_BYTES * channels
    spec = struct.pack("<HHIIHH", _PCM, channels, rate_hz, rate_hz * frame_bytes, frame_bytes, 8 * _SAMPLE_BYTES)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + data_bytes)
        + b"WAVEfmt \x10\0\0\0"
        + spec
        + struct.pack("<4sI", b"data", data_bytes)
    )


def peaks(path: Path, buckets: int, span_s: float) -> list[float]:
    """The loudest sample, 0.0 to 1.0, in each of `buckets` equal parts of `span_s` seconds; 0.0 after the end.

    Reads 1 MiB at a time, so hours of audio cost no memory. Raises SoundError.
    """
    wav = inspect(path)
    span_frames = max(1, round(span_s * wav.rate_hz))
    loudest = []
    try:
        with path.open("rb") as file:
            for bucket in range(buckets):
                first = bucket * span_frames // buckets
                last = max(first + 1, (bucket + 1) * span_frames // buckets)
                file.seek(wav.data_offset + min(first, wav.frames) * wav.frame_bytes)
                loudest.append(_loudest(file, max(0, min(last, wav.frames) - first) * wav.frame_bytes) / _FULL_SCALE)
    except OSError as error:
        raise SoundError(f"{path}: cannot be read: {error.strerror}") from error
    return loudest


def _loudest(file: BinaryIO, count: int) -> int:
    loudest = 0
    while count > 0:
        block = file.read(min(count, _READ_BYTES))
        if not block:
            break
        loudest = max(loudest, audioop.max(block[: len(block) - len(block) % _SAMPLE_BYTES], _SAMPLE_BYTES))
        count -= len(block)
    return loudest
