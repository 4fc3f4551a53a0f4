"""Following the journal files: through rotation, restart, copies and cuts, woken by inotify.

Files of a journal folder, and who writes them:

    cel.json      Asterisk, one event a line; it opens the file anew for each, so a rename loses nothing
    gateway.json  ourselves, the same fields: ends of channels that a dead engine can no longer write
    cel-<UTC>.json, gateway-<UTC>.json   the same after rotation

A file is known by what it contains, not by its name: by the SHA-256 of its first line (lengthened to the first line
feed behind byte 64, so that an empty line is no identity). So it stays itself when renamed, copied or restored; before
its first line feed it is nobody.

Rotation, with Asterisk writing all the while (a line may still reach the old file after the rename, never after the
first line in the new one):

    cel.json ─────────── rename ─┐                 read old ── first line in new? ── read old once more ── close it
                                 └ cel-….json                   │
                                   cel.json (new) ───────────── read new

A file can become shorter than what is stored of it: after a power cut the database may know lines that the disk lost.
What is then written stands where other lines stood. Such a file gets a new key, `<identity>~1`, and is read again
from its start; lines that are stored already are left out by the reader (`JournalBatch.reread`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from asyncinotify import Event, Inotify, Mask

from gateway.asterisk.cel import LONGEST_LINE, read_line, whole_lines
from gateway.core.cel import CelEvent
from gateway.errors import EngineError
from gateway.ports import JournalBatch, SpoiledLine

GATHER_S = 0.06  # events of one moment become one transaction; half of it is the lag of an event, on average
CHUNK = 262_144  # bytes: the longest transaction when catching up
SHORTEST_HEAD = 64
LONGEST_HEAD = 1_048_576

# The end of a folder is not told (DELETE_SELF) while we hold one of its files open; that a file went is.
_WATCHED = Mask.MODIFY | Mask.CREATE | Mask.MOVED_TO | Mask.DELETE | Mask.DELETE_SELF | Mask.MOVE_SELF

Checkpoint = Callable[[str], Awaitable[int]]
Fact = TypeVar("Fact")
Fact_co = TypeVar("Fact_co", covariant=True)


class LineReader(Protocol[Fact_co]):
    """Makes a fact of a line: the fact, the line's fields, and what was amiss ("" for nothing); raises ValueError."""

    def __call__(self, line: bytes, *, node: str, file: str, offset: int) -> tuple[Fact_co, Mapping[str, Any], str]: ...


@dataclass(slots=True)
class _File(Generic[Fact]):
    """A file that is being read."""

    fd: int
    inode: tuple[int, int]
    read: LineReader[Fact]
    head: bytes = b""
    key: str = ""
    place: int = 0
    searched: int = 0  # in an over-long line without an end: how far it was looked for
    reread: bool = False

    async def recognise(self, checkpoint: Checkpoint) -> bool:
        """Finds out who the file is and where to go on; False while nothing can be read."""
        size = os.fstat(self.fd).st_size
        if self.head and size >= self.place and os.pread(self.fd, len(self.head), 0) == self.head:
            return True
        self.head = _head(self.fd)
        if not self.head:
            return False
        identity = hashlib.sha256(self.head.removesuffix(b"\n")).hexdigest()[:16]
        cuts, self.key, self.place = 0, identity, await checkpoint(identity)
        while later := await checkpoint(f"{identity}~{cuts + 1}"):
            cuts, self.key, self.place = cuts + 1, f"{identity}~{cuts + 1}", later
        if self.place and os.pread(self.fd, 1, self.place - 1) != b"\n":
            cuts, self.key, self.place = cuts + 1, f"{identity}~{cuts + 1}", 0
        self.reread = cuts > 0
        self.searched = self.place
        return True

    def take(self, node: str) -> JournalBatch[Fact] | None:
        """The next whole lines, or None when there is none yet."""
        data = os.pread(self.fd, CHUNK, self.place)
        last = data.rfind(b"\n")
        if last >= 0:
            return self._batch(node, data[: last + 1])
        if len(data) < CHUNK:
            return None
        end = self._end_of_line()
        if end is None:
            return None
        reason = f"the line is longer than {LONGEST_LINE} bytes"
        spoiled = (SpoiledLine(self.place, data[:LONGEST_LINE], reason),)
        return JournalBatch(node, self.key, self.place, end, (), spoiled, self.reread)

    def _batch(self, node: str, data: bytes) -> JournalBatch[Fact]:
        events, spoiled = [], []
        for offset, line in whole_lines(data):
            at = self.place + offset
            try:
                event, raw, amiss = self.read(line, node=node, file=self.key, offset=at)
            except ValueError as error:
                spoiled.append(SpoiledLine(at, line[:LONGEST_LINE], str(error)))
                continue
            events.append((event, raw))
            if amiss:
                spoiled.append(SpoiledLine(at, line, amiss))
        return JournalBatch(node, self.key, self.place, self.place + len(data), events, spoiled, self.reread)

    def _end_of_line(self) -> int | None:
        self.searched = max(self.searched, self.place)
        while data := os.pread(self.fd, CHUNK, self.searched):
            found = data.find(b"\n")
            if found >= 0:
                return self.searched + found + 1
            self.searched += len(data)
        return None


class JournalFolder(Generic[Fact]):
    """`ports.FollowedJournal` over a folder: the files of some families, each line made a fact by `read_line`."""

    def __init__(
        self,
        folder: Path,
        node: str,
        families: tuple[str, ...],
        read_line: LineReader[Fact],
        *,
        gather_s: float = GATHER_S,
    ) -> None:
        self._families = families
        self._read_line = read_line
        self._folder = folder
        self.node = node
        self._gather_s = gather_s
        self._open: dict[str, list[_File[Fact]]] = {}

    async def follow(self, checkpoint: Checkpoint) -> AsyncGenerator[JournalBatch[Fact], None]:
        """Batches for ever, from each file's checkpoint; asking for the next says that the former is stored."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._open = {family: [] for family in self._families}
        try:
            with Inotify(sync_timeout=0) as inotify:
                inotify.add_watch(self._folder, _WATCHED)  # first watch, then look: nothing falls in between
                changed = {path.name for path in self._folder.iterdir()}
                while True:
                    for family in self._families:
                        for file in self._in_order(family, changed):
                            while await file.recognise(checkpoint) and (batch := file.take(self.node)):
                                yield batch
                                file.place = batch.end
                    changed = await self._changes(inotify)
        finally:
            for files in self._open.values():
                for file in files:
                    os.close(file.fd)
            self._open = {}

    def rotate(self, at: datetime) -> None:
        """Renames the files that hold something, so that new ones begin."""
        for family in self._families:
            live = self._folder / f"{family}.json"
            with suppress(FileNotFoundError):  # nothing was written yet: nothing to rename
                if live.stat().st_size:
                    live.rename(self._folder / f"{family}-{at:%Y%m%dT%H%M%S%fZ}.json")

    def _in_order(self, family: str, changed: set[str]) -> Iterator[_File[Fact]]:
        """The files of a family to be read now, the oldest first; those that are finished once more, then closed."""
        files = self._open[family]
        self._open_new(family, changed)
        yield from list(files)
        if not files or not files[-1].head or files[-1].inode != _inode(self._folder / f"{family}.json"):
            return
        while len(files) > 1:  # the live file has its first line, so nobody writes to these any more
            yield files[0]
            os.close(files.pop(0).fd)

    def _open_new(self, family: str, changed: set[str]) -> None:
        """Opens rotated files that changed, in order of name, and the live file when it is another one."""
        files = self._open[family]
        rotated = sorted(name for name in changed if name.startswith(f"{family}-") and name.endswith(".json"))
        for name in (*rotated, f"{family}.json"):
            with suppress(FileNotFoundError):  # renamed again meanwhile: its new name is told, or we still hold it open
                fd = os.open(self._folder / name, os.O_RDONLY | os.O_CLOEXEC)
                status = os.fstat(fd)
                inode = (status.st_dev, status.st_ino)
                if any(file.inode == inode for file in files):
                    os.close(fd)
                elif name in rotated and files and files[-1].inode == _inode(self._folder / f"{family}.json"):
                    files.insert(len(files) - 1, _File(fd, inode, self._read_line))
                else:
                    files.append(_File(fd, inode, self._read_line))

    async def _changes(self, inotify: Inotify) -> set[str]:
        """Waits until something happens to our files; the names of those that changed."""
        while True:
            event: Event | None = await inotify.get()
            await asyncio.sleep(self._gather_s)
            changed: set[str] = set()
            while event is not None:
                if event.mask & Mask.Q_OVERFLOW:
                    changed |= {path.name for path in self._folder.iterdir()}
                elif event.name is not None:
                    changed.add(event.name.name)
                event = inotify.sync_get()
            if not self._folder.is_dir():
                raise EngineError(f"The journal folder {self._folder} was removed or renamed; no event can be stored.")
            if any(name.startswith(self._families) for name in changed):
                return changed


class CelJournal(JournalFolder[CelEvent]):
    """`ports.Journal` over the folder that Asterisk writes its CEL to."""

    def __init__(self, folder: Path, node: str, *, gather_s: float = GATHER_S) -> None:
        super().__init__(folder, node, ("cel", "gateway"), read_line, gather_s=gather_s)

    async def append(self, facts: Sequence[Mapping[str, str]]) -> None:
        """Writes facts of our own down to the disk, each as a line that `follow` will give."""
        lines = "".join(json.dumps(fact, ensure_ascii=False, separators=(",", ":")) + "\n" for fact in facts)
        await asyncio.to_thread(_append, self._folder / "gateway.json", lines.encode())


def _head(fd: int) -> bytes:
    """The first line, lengthened to 64 bytes and the next line feed; empty while there is none."""
    data = os.pread(fd, 4096, 0)
    end = data.find(b"\n", SHORTEST_HEAD)
    if end < 0 and len(data) == 4096:
        data = os.pread(fd, LONGEST_HEAD, 0)
        end = data.find(b"\n", SHORTEST_HEAD)
        if end < 0 and len(data) == LONGEST_HEAD:
            return data
    return data[: end + 1] if end >= 0 else b""


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return (status.st_dev, status.st_ino)


def _append(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fdatasync(file.fileno())
