"""Following journal files through everything that happens to files."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.asterisk.cel_journal import CHUNK, CelJournal
from gateway.errors import EngineError
from gateway.ports import JournalBatch
from tests.asterisk.test_cel import written

AT = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


def line(number: int) -> bytes:
    return written(uniqueid=f"node1-1795410000.{number}", linkedid=f"node1-1795410000.{number}") + b"\n"


def number_of(uniqueid: str) -> int:
    return int(uniqueid.rpartition(".")[2])


class Reader:
    """Reads a journal like the ingester does, with checkpoints in a dictionary."""

    def __init__(self, folder: Path, places: dict[str, int]) -> None:
        self.places = places
        self.batches: list[JournalBatch] = []
        self._journal = CelJournal(folder, "node1", gather_s=0)

    async def checkpoint(self, file: str) -> int:
        return self.places.get(file, 0)

    @property
    def numbers(self) -> list[int]:
        return [number_of(event.uniqueid) for batch in self.batches for event, _ in batch.events]

    async def read_until(self, count: int) -> list[int]:
        """Reads until `count` events have come in all."""
        async with asyncio.timeout(10), aclosing(self._journal.follow(self.checkpoint)) as batches:
            if len(self.numbers) >= count:
                return self.numbers
            async for batch in batches:
                assert self.places.get(batch.file, 0) == batch.since
                self.places[batch.file] = batch.end
                self.batches.append(batch)
                if len(self.numbers) >= count:
                    break
        return self.numbers


@asynccontextmanager
async def following(folder: Path) -> AsyncIterator[asyncio.Queue[JournalBatch]]:
    """A journal that is followed in the background; its batches arrive in the queue."""
    queue: asyncio.Queue[JournalBatch] = asyncio.Queue()
    reader = Reader(folder, {})

    async def run() -> None:
        async with aclosing(reader._journal.follow(reader.checkpoint)) as batches:
            async for batch in batches:
                reader.places[batch.file] = batch.end
                await queue.put(batch)

    task = asyncio.create_task(run())
    try:
        async with asyncio.timeout(10):
            yield queue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


async def test_reads_old_files_in_order_then_the_live_one(tmp_path: Path) -> None:
    append(tmp_path / "cel.json", line(3))
    append(tmp_path / "cel-20261122T000000Z.json", line(1))
    append(tmp_path / "cel-20261123T000000Z.json", line(2))
    append(tmp_path / "celery.json", line(99))
    assert await Reader(tmp_path, {}).read_until(3) == [1, 2, 3]


async def test_goes_on_from_the_checkpoint(tmp_path: Path) -> None:
    places: dict[str, int] = {}
    append(tmp_path / "cel.json", line(1) + line(2))
    await Reader(tmp_path, places).read_until(2)
    append(tmp_path / "cel.json", line(3))
    assert await Reader(tmp_path, places).read_until(1) == [3]


async def test_a_line_is_read_when_it_is_whole(tmp_path: Path) -> None:
    live = tmp_path / "cel.json"
    async with following(tmp_path) as queue:
        append(live, line(1))
        assert len((await queue.get()).events) == 1
        append(live, line(2)[:50])
        append(tmp_path / "gateway.json", line(7))
        assert number_of((await queue.get()).events[0][0].uniqueid) == 7  # so the half line was looked at, and left
        append(live, line(2)[50:])
        batch = await queue.get()
        assert [number_of(event.uniqueid) for event, _ in batch.events] == [2]


async def test_rotation_keeps_the_identity_and_finishes_the_old_file(tmp_path: Path) -> None:
    live, old = tmp_path / "cel.json", tmp_path / "cel-1.json"
    async with following(tmp_path) as queue:
        append(live, line(1))
        first = await queue.get()
        live.rename(old)
        append(old, line(2))  # Asterisk had it open before the rename
        late = await queue.get()
        assert (late.file, late.since) == (first.file, first.end)
        append(live, line(3))
        new = await queue.get()
        assert new.file != first.file
        assert new.since == 0
        append(old, line(4))  # nobody does this; still it is not lost
        assert (await queue.get()).since == late.end


async def test_a_file_renamed_and_deleted_is_still_finished(tmp_path: Path) -> None:
    live = tmp_path / "cel.json"
    async with following(tmp_path) as queue:
        append(live, line(1))
        await queue.get()
        with live.open("ab") as held:
            live.unlink()
            held.write(line(2))
        append(live, line(3))
        found = [number_of((await queue.get()).events[0][0].uniqueid) for _ in range(2)]
        assert found == [2, 3]


async def test_rotation_while_another_thread_writes_loses_nothing(tmp_path: Path) -> None:
    live, journal = tmp_path / "cel.json", CelJournal(tmp_path, "node1")
    total = 3000
    rotate_now = threading.Event()

    def write() -> None:
        for number in range(total):
            append(live, line(number))  # open, append, close: as Asterisk does
            if number % 100 == 50:
                rotate_now.set()

    async with following(tmp_path) as queue:
        writer = threading.Thread(target=write)
        writer.start()
        found: list[int] = []
        rotations = 0
        while len(found) < total:
            batch = await queue.get()
            found += [number_of(event.uniqueid) for event, _ in batch.events]
            if rotate_now.is_set():
                rotate_now.clear()
                journal.rotate(datetime.now(UTC))
                rotations += 1
        writer.join()
        assert rotations > 2
        assert sorted(found) == list(range(total))
        assert queue.empty()


async def test_a_copy_is_the_same_file(tmp_path: Path) -> None:
    places: dict[str, int] = {}
    append(tmp_path / "cel.json", line(1) + line(2))
    await Reader(tmp_path, places).read_until(2)
    shutil.copy(tmp_path / "cel.json", tmp_path / "cel-copy.json")
    append(tmp_path / "cel.json", line(3))
    assert await Reader(tmp_path, places).read_until(1) == [3]


async def test_copy_and_truncate_begins_a_new_file(tmp_path: Path) -> None:
    live = tmp_path / "cel.json"
    async with following(tmp_path) as queue:
        append(live, line(1) + line(2))
        first = await queue.get()
        os.truncate(live, 0)
        append(live, line(3))
        second = await queue.get()
        assert second.file != first.file
        assert not second.reread


@pytest.mark.parametrize("cut", [len(line(1)), len(line(1)) + 20])
async def test_a_file_cut_short_is_read_again_under_a_new_key(tmp_path: Path, cut: int) -> None:
    places: dict[str, int] = {}
    live = tmp_path / "cel.json"
    append(live, line(1) + line(2) + line(3))
    before = Reader(tmp_path, places)
    await before.read_until(3)
    os.truncate(live, cut)  # a power cut: the disk lost what the database knows
    after = Reader(tmp_path, places)
    append(live, b"\n" + line(4) if cut > len(line(1)) else line(4))
    assert await after.read_until(2) == [1, 4]
    assert all(batch.reread for batch in after.batches)
    assert after.batches[0].file == f"{before.batches[0].file}~1"
    append(live, line(5))
    again = Reader(tmp_path, places)
    assert await again.read_until(1) == [5]
    assert again.batches[0].file == after.batches[0].file


async def test_bad_lines_are_told_and_the_next_are_read(tmp_path: Path) -> None:
    append(tmp_path / "cel.json", line(1) + b"rubbish\n" + line(2).replace(b"s", b"\xff", 1) + line(3))
    reader = Reader(tmp_path, {})
    assert 3 in await reader.read_until(2)
    spoiled = [bad for batch in reader.batches for bad in batch.spoiled]
    assert (spoiled[0].raw, spoiled[0].offset) == (b"rubbish", len(line(1)))


async def test_an_over_long_line_is_skipped_wherever_it_ends(tmp_path: Path) -> None:
    live = tmp_path / "cel.json"
    monster = b"x" * (CHUNK * 2)
    async with following(tmp_path) as queue:
        append(live, line(1))
        await queue.get()
        append(live, monster)
        append(tmp_path / "gateway.json", line(7))
        await queue.get()  # the monster was looked at and has no end yet
        append(live, monster + b"\n" + line(2))
        bad = await queue.get()
        assert bad.end == len(line(1)) + 2 * len(monster) + 1
        assert "longer" in bad.spoiled[0].reason
        assert number_of((await queue.get()).events[0][0].uniqueid) == 2


async def test_a_file_of_nothing_but_an_empty_line_is_nobody(tmp_path: Path) -> None:
    append(tmp_path / "cel-1.json", b"\n")
    append(tmp_path / "cel.json", b"\n" + line(1))
    reader = Reader(tmp_path, {})
    assert await reader.read_until(1) == [1]


async def test_our_own_facts_are_read_back(tmp_path: Path) -> None:
    reader = Reader(tmp_path, {})
    fact = {"eventtype": "CHAN_END", "eventtime": AT.isoformat(), "uniqueid": "n.1", "linkedid": "n.1"}
    await reader._journal.append([fact | {"eventextra": '{"synthetic":"engine_lost"}'}])
    assert await reader.read_until(1) == [1]
    event = reader.batches[0].events[0][0]
    assert (event.type, event.fact("synthetic")) == ("CHAN_END", "engine_lost")


async def test_a_folder_that_vanishes_is_an_engine_error(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    append(folder / "cel.json", line(1))
    reader = Reader(folder, {})

    async def read_and_lose_the_folder() -> None:
        async for _ in reader._journal.follow(reader.checkpoint):
            shutil.rmtree(folder)

    async with asyncio.timeout(10):
        with pytest.raises(EngineError, match="removed"):
            await read_and_lose_the_folder()
