"""Post-dial delay: from the caller's INVITE leaving SIPp to the phone's INVITE arriving at SIPp, per call.

Both times come from the message logs of SIPp on the same clock; an INVITE is known again by the caller's number.
"""

from __future__ import annotations

from tests.bench.report import Report
from tests.bench.spread import Spread, quantile
from tests.bench.traffic import Side, invites

TALK_MS = 500


async def measure(product: Side, bare: Side, report: Report, *, pairs: int, calls: int, rate_hz: float) -> None:
    """Runs the blocks by turns and reports the delays."""
    delays: dict[str, list[list[float]]] = {"product": [], "bare": []}
    for pair in range(pairs):
        for side in (product, bare) if pair % 2 else (bare, product):
            found = await _block(side, calls, rate_hz)
            if len(found) != calls:
                report.doubt(f"{side.subject.name}: {len(found)} of {calls} INVITEs reached a phone")
            delays[side.subject.name].append(found)
    report.raw["post_dial_ms"] = delays
    whole = {name: [each for block in blocks for each in block] for name, blocks in delays.items()}
    for name in ("bare", "product"):
        p50, p99 = quantile(whole[name], 0.5), quantile(whole[name], 0.99)
        report.line(f"{name}, post-dial delay", f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, {len(whole[name])} calls")
    by_pair = [
        quantile(ours, 0.99) - quantile(theirs, 0.99)
        for ours, theirs in zip(delays["product"], delays["bare"], strict=True)
    ]
    p99_more = quantile(whole["product"], 0.99) - quantile(whole["bare"], 0.99)
    spread = Spread.of(by_pair)
    report.line(
        "product p99 − bare p99",
        f"{p99_more:.1f} ms  ({spread.least:.1f} to {spread.most:.1f}, {spread.count} runs)",
        "≤ 20 ms",
        met=p99_more <= 20.0,
    )


async def _block(side: Side, calls: int, rate_hz: float) -> list[float]:
    """Milliseconds from INVITE to INVITE, one for each call that reached a phone."""
    outcome = await side.call(calls=calls, rate_hz=rate_hz, talk_ms=TALK_MS, logged=True)
    sent, received = invites(outcome.folder, "sent"), invites(side.phones.folder, "received")
    return [(received[number] - sent[number]).total_seconds() * 1000 for number in sent if number in received]
