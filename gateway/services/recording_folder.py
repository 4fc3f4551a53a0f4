"""The recordings folder: where a recording lies while it is captured, and where it lies for good.

    recordings/live/<id>-ours.wav, <id>-theirs.wav   written by Asterisk (`.wav16` at 16 kHz)
    recordings/live/<id>.call                        one urlencoded line written by the dialplan before it starts
    recordings/2026/11/23/<id>-ours.wav …            sealed, by the day of its start in Asia/Shanghai
    recordings/unreadable/…                          held no audio: kept, never filed as good

Everything here blocks and belongs in a thread. A file is moved by rename within one file system, and both folders are
synced, so after a power cut it is in the one place or in the other. A sealed file is never overwritten.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qsl

from gateway.clock import DUTY_ZONE
from gateway.core.recording import SIDES, is_recording_id
from gateway.errors import SoundError

EXTENSIONS = ("wav", "wav16")
SIDECAR = ".call"


@dataclass(frozen=True, slots=True)
class RecordingFolder:
    """The folder `root` and its rules; paths in rows are relative to it."""

    root: Path

    @property
    def live(self) -> Path:
        """Where recordings are captured."""
        return self.root / "live"

    def names(self) -> set[str]:
        """Every recording of which live/ holds a file or a note; raises OSError."""
        return {recording_id for path in self.live.iterdir() if (recording_id := _named(path.name)[0])}

    def sizes(self) -> dict[str, tuple[int, ...]]:
        """Bytes per side of every recording that has a file in live/, 0 for a side that has none; raises OSError."""
        found: dict[str, dict[str, int]] = {}
        with os.scandir(self.live) as entries:
            for entry in entries:
                recording_id, side = _named(entry.name)
                if side:
                    found.setdefault(recording_id, dict.fromkeys(SIDES, 0))[side] = _size(entry)
        return {recording_id: tuple(bytes_of.values()) for recording_id, bytes_of in found.items()}

    def captured(self, recording_id: str) -> dict[str, Path]:
        """The sides that lie in live/."""
        return self._present(self.live, recording_id)

    def sides(self, recording_id: str, starts: Iterable[datetime]) -> dict[str, Path]:
        """The sides where they are now: in live/, or in a day's folder when a move was interrupted before its row."""
        found: dict[str, Path] = {}
        for start in starts:
            found |= self._present(self.root / _day(start), recording_id)
        captured = self.captured(recording_id)
        if twice := found.keys() & captured.keys():
            raise SoundError(
                f"{recording_id}: {', '.join(sorted(twice))} is filed already; the file in live/ is kept apart"
            )
        return found | captured

    def sidecar(self, recording_id: str) -> Mapping[str, str]:
        """What the dialplan noted before the recording started; empty when there is nothing."""
        path = self.live / f"{recording_id}{SIDECAR}"
        if not path.is_file():
            return {}
        return dict(parse_qsl(path.read_text(encoding="utf-8", errors="replace").strip(), keep_blank_values=True))

    def drop_sidecar(self, recording_id: str) -> None:
        """Removes the note once its facts are a row."""
        (self.live / f"{recording_id}{SIDECAR}").unlink(missing_ok=True)

    def file(self, path: Path, start: datetime) -> str:
        """Moves a side into its day's folder, unless it is there; gives its path below the root."""
        relative = Path(_day(start), path.name)
        if path.parent == self.live:
            _move(path, self.root / relative)
            return relative.as_posix()
        return path.relative_to(self.root).as_posix()

    def set_apart(self, path: Path) -> None:
        """Keeps a file without audio where nobody takes it for a recording."""
        _move(path, self.root / "unreadable" / path.name)

    def _present(self, folder: Path, recording_id: str) -> dict[str, Path]:
        paths = {(side, end): folder / f"{recording_id}-{side}.{end}" for side in SIDES for end in EXTENSIONS}
        return {side: path for (side, _), path in paths.items() if path.is_file()}


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:  # moved away between listing and looking
        return 0


def _named(name: str) -> tuple[str, str]:
    """(recording id, side) of a file name in live/; side is empty for the note, both are for a stranger."""
    stem, _, end = name.rpartition(".")
    if f".{end}" == SIDECAR and is_recording_id(stem):
        return stem, ""
    recording_id, _, side = stem.rpartition("-")
    return (recording_id, side) if end in EXTENSIONS and side in SIDES and is_recording_id(recording_id) else ("", "")


def _day(start: datetime) -> str:
    return start.astimezone(DUTY_ZONE).strftime("%Y/%m/%d")


def _move(path: Path, target: Path) -> None:
    for folder in reversed([above for above in (target.parent, *target.parent.parents) if not above.exists()]):
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)
    if target.exists():
        raise SoundError(f"{target}: is there already and is not overwritten by {path}")
    path.rename(target)
    _sync(target.parent)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, after its data has reached the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()
