"""CPU seconds of a recorded call: the product against the bare Asterisk, in blocks by turns.

block   60 calls, 20 s each, RTP both ways, until every recording is closed (the product: sealed, with its SHA-256)
ratio   CPU of the product's processes / CPU of the bare Asterisk in the block beside it, per answered call
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from tests.bench.city import Subject
from tests.bench.machine import Meter, Spent
from tests.bench.report import Report
from tests.bench.spread import Spread
from tests.bench.traffic import Outcome, Side

BYTES_PER_S = 16_000  # 16-bit samples at 8 kHz
SETTLED_S = 1.0
SEALED_WITHIN_S = 30.0
LOOK_S = 0.2
SHORTER_S = 0.3
OURS = ("gateway", "keeper")


@dataclass(frozen=True, slots=True)
class Block:
    """One block of calls at one subject."""

    subject: str
    outcome: Outcome
    spent: Spent
    recordings: int
    shortest_s: float

    def per_call_s(self, *parts: str) -> float:
        """CPU seconds of these parts per answered call."""
        return sum(self.spent.parts_s[part] for part in parts) / max(1, self.outcome.answered)

    @property
    def whole_s(self) -> float:
        """CPU seconds of everything that carries the call, per answered call."""
        return self.per_call_s(*(part for part in ("asterisk", *OURS) if part in self.spent.parts_s))


async def measure(product: Side, bare: Side, report: Report, *, pairs: int, calls: int, talk_s: int) -> None:
    """Runs the blocks and reports the ratios."""
    blocks: list[tuple[Block, Block]] = []
    for pair in range(pairs):
        found = {}
        for side in (product, bare) if pair % 2 else (bare, product):
            block = await _block(side, calls, talk_s)
            _doubts(block, report, calls, talk_s)
            found[block.subject] = block
        blocks.append((found["product"], found["bare"]))
    _tell(blocks, report)


async def _block(side: Side, calls: int, talk_s: int) -> Block:
    subject = side.subject
    before = _recordings(subject)
    meter = Meter({**subject.pids, "phones": side.phones.process.pid})
    outcome = await side.call(calls=calls, rate_hz=20, talk_ms=talk_s * 1000)
    await _settled(subject)
    spent = meter.read()
    made = _recordings(subject) - before
    sizes = [path.stat().st_size for path in made]
    return Block(subject.name, outcome, spent, len(made), min(sizes, default=0) / BYTES_PER_S)


def _recordings(subject: Subject) -> set[Path]:
    """Recordings in their final place: for the product filed by day, for the bare one where it wrote them."""
    if subject.name == "product":
        return set(subject.live_dir.parent.glob("[0-9]*/*/*/*.wav"))
    return set(subject.live_dir.glob("*.wav"))


async def _settled(subject: Subject) -> None:
    """Until the product has sealed everything; the bare one gets the same least time."""
    await asyncio.sleep(SETTLED_S)
    deadline_s = asyncio.get_running_loop().time() + SEALED_WITHIN_S
    while subject.name == "product" and any(subject.live_dir.iterdir()):
        if asyncio.get_running_loop().time() > deadline_s:
            return  # what is missing is told as missing
        await asyncio.sleep(LOOK_S)


def _doubts(block: Block, report: Report, calls: int, talk_s: int) -> None:
    outcome = block.outcome
    if outcome.answered != calls or outcome.retransmissions:
        report.doubt(
            f"{block.subject}: {outcome.answered} of {calls} calls answered, {outcome.retransmissions} retransmissions"
        )
    if block.recordings != 2 * calls or block.shortest_s < talk_s - SHORTER_S:
        report.doubt(
            f"{block.subject}: {block.recordings} of {2 * calls} recordings, the shortest {block.shortest_s:.1f} s"
        )
    if block.spent.saturated:
        report.doubt(f"{block.subject}: the machine was busy to {block.spent.busy:.0%}")


def _tell(blocks: list[tuple[Block, Block]], report: Report) -> None:
    report.raw["recorded_calls"] = [
        {block.subject: {**block.spent.parts_s, "busy": block.spent.busy, "answered": block.outcome.answered}
         for block in pair} for pair in blocks
    ]  # fmt: skip
    bare = [bare.whole_s for _, bare in blocks]
    product = [ours.whole_s for ours, _ in blocks]
    report.figure("bare Asterisk, CPU per recorded call", Spread.of([1000 * each for each in bare]), " ms", digits=1)
    report.figure("product, CPU per recorded call", Spread.of([1000 * each for each in product]), " ms", digits=1)
    ratios = [ours / theirs for ours, theirs in zip(product, bare, strict=True)]
    report.figure("product / bare", Spread.of(ratios), "", at_most=1.25)
    alone = [ours.per_call_s(*OURS) / theirs.whole_s for ours, theirs in blocks]
    report.figure("gateway, its database and the keeper / bare", Spread.of(alone), "", at_most=0.20)
    for part in ("asterisk", *OURS):
        shares = [ours.per_call_s(part) / theirs.whole_s for ours, theirs in blocks]
        report.figure(f"  of it {part} / bare", Spread.of(shares), "")
    load = [block.spent.parts_s["callers"] + block.spent.parts_s["phones"] for pair in blocks for block in pair]
    report.figure("SIPp beside it, CPU per block", Spread.of(load), " s", digits=1)
    busy = [100 * block.spent.busy for pair in blocks for block in pair]
    report.figure("machine busy", Spread.of(busy), " %", digits=0)
