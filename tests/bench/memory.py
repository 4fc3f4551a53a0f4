"""Memory of the gateway while thousands of calls go by: does it grow with the calls?

RSS is read each second beside the number of calls begun. After the first quarter (caches fill, the allocator settles)
the figure is its drift per 1,000 calls with the 95 % confidence interval (`spread.drift`). Flat means that the interval
admits no growth. Memory comes and goes by the MiB, so a leak of less than that over the run is not seen; what was held
at the end of the warm-up and at the end of the run is told too.
"""

from __future__ import annotations

import asyncio

from tests.bench.machine import rss_mb
from tests.bench.report import Report
from tests.bench.spread import drift
from tests.bench.traffic import Side, calls_begun

TALK_MS = 1000
EVERY_S = 1.0
WARM_UP = 0.25
LIMIT_MB = 200.0


async def measure(product: Side, report: Report, *, calls: int, rate_hz: float) -> None:
    """Runs the load once and reports the slope."""
    pid = product.subject.pids["gateway"]
    before_mb = rss_mb(pid)
    samples: list[tuple[float, float]] = []
    calling = await product.begin(calls=calls, rate_hz=rate_hz, talk_ms=TALK_MS)
    finishing = asyncio.create_task(product.finish(calling, calls / rate_hz + 60.0))
    while not (await asyncio.wait({finishing}, timeout=EVERY_S))[0]:
        samples.append((calls_begun(calling), rss_mb(pid)))
    outcome = finishing.result()
    if outcome.answered != calls:
        report.doubt(f"memory: {outcome.answered} of {calls} calls answered")
    report.raw["memory_mb"] = {"before": before_mb, "samples": samples}
    warm = [(each / 1000, mb) for each, mb in samples if each >= WARM_UP * calls]
    growth = drift(warm)
    report.line(
        f"gateway memory, growth per 1,000 calls over {calls} calls",
        f"{growth.value:+.2f} MB  (95 % CI {growth.low:+.2f} to {growth.high:+.2f})",
        "flat",
        met=growth.is_flat,
    )
    most = max(mb for _, mb in samples)
    told = f"{most:.0f} MB  ({before_mb:.1f} before, {warm[0][1]:.1f} warm, {samples[-1][1]:.1f} at the end)"
    report.line("gateway memory, most", told, f"≤ {LIMIT_MB:g} MB", met=most <= LIMIT_MB)
