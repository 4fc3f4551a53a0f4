"""`make bench`: the product against a bare Asterisk doing the least of the same, in one session on one machine.

    python -m tests.bench [--quick] [--only FIGURE …] [--raw FILE]

Ratios and differences are between blocks that ran by turns, never against a number from elsewhere. A goal that is not
met is told and is no failure; the exit code is 1 only when the bench itself could not run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from gateway.asterisk import install
from gateway.config import Config, load
from gateway.errors import DutylineError
from tests.bench import event_lag, memory, post_dial, recorded_calls
from tests.bench.city import bare, product
from tests.bench.report import Report, say
from tests.bench.traffic import Side, side

FIGURES = ("event-lag", "post-dial", "recorded-calls", "memory")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="The figures, as ratios in one session.")
    parser.add_argument("--quick", action="store_true", help="a short look at each figure, under two minutes")
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=FIGURES, help="only these figures")
    parser.add_argument("--raw", type=Path, help="write every measured value to this file, as JSON")
    return parser.parse_args()


async def _measure(engine: install.Engine, arguments: argparse.Namespace, report: Report) -> None:
    with tempfile.TemporaryDirectory(prefix="dutyline-bench-") as name:
        folder = Path(name)
        for each in ("product", "product-sipp", "bare-sipp"):
            (folder / each).mkdir()
        async with product(folder / "product") as ours:
            like = load(folder / "product/dutyline.toml", {})
            async with (
                bare(folder / "bare", engine, like) as theirs,
                side(ours, engine, folder / "product-sipp") as our_side,
                side(theirs, engine, folder / "bare-sipp") as their_side,
            ):
                await _figures(arguments, report, our_side, their_side)


async def _figures(arguments: argparse.Namespace, report: Report, ours: Side, theirs: Side) -> None:
    quick, only = arguments.quick, arguments.only
    if "event-lag" in only:
        say("\nEvent lag, 20 calls a second")
        await event_lag.measure(ours, report, calls=120 if quick else 600, rate_hz=20)
    if "post-dial" in only:
        say("\nPost-dial delay, 5 calls a second")
        pairs, calls = (1, 30) if quick else (5, 50)
        await post_dial.measure(ours, theirs, report, pairs=pairs, calls=calls, rate_hz=5)
    if "recorded-calls" in only:
        say("\nRecorded calls, 60 at once, 20 s each")
        await recorded_calls.measure(ours, theirs, report, pairs=1 if quick else 5, calls=60, talk_s=20)
    if "memory" in only:
        say("\nMemory, 20 calls a second")
        await memory.measure(ours, report, calls=200 if quick else 2000, rate_hz=20)


def main() -> int:
    """Measures and tells."""
    arguments, report, began_s = _arguments(), Report(), time.monotonic()
    cores, code = os.cpu_count(), 0
    say(f"{platform.system()} {platform.release()}, {cores} cores, Python {platform.python_version()}, {time.ctime()}")
    try:
        engine = install.ensure(Path(Config().asterisk.cache_dir).expanduser(), say)
        asyncio.run(_measure(engine, arguments, report))
    except* (DutylineError, OSError) as errors:
        for error in errors.exceptions:
            sys.stderr.write(f"the bench could not run: {error}\n")
            code = 1
    finally:
        if arguments.raw:
            report.keep(arguments.raw)
    say(f"\n{len(report.doubts)} doubts, {time.monotonic() - began_s:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
