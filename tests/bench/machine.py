"""What the kernel says a process cost: CPU time and memory from /proc, and how busy the whole machine was.

Asterisk runs many threads; /proc/PID/stat sums them all, the ended ones too. A block in which the machine was busier
than BUSY_LIMIT says more about the machine than about what was measured, so it is marked.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BUSY_LIMIT = 0.85
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, all its threads, and the children it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) * _TICK_S


def rss_mb(pid: int) -> float:
    """Memory that a process holds now."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1024


def _machine_s() -> tuple[float, float]:
    """(busy, all) CPU seconds of all cores since boot."""
    times = [int(each) for each in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    return (sum(times) - times[3] - times[4]) * _TICK_S, sum(times) * _TICK_S


@dataclass(frozen=True, slots=True)
class Spent:
    """What a block cost: CPU seconds by part, and the share of the machine that was busy."""

    parts_s: Mapping[str, float]
    busy: float

    @property
    def saturated(self) -> bool:
        """Whether the machine itself was in the way."""
        return self.busy > BUSY_LIMIT


class Meter:
    """Reads the CPU time of named processes, and of children of ours that end, from its making on."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._before = {name: cpu_s(pid) for name, pid in pids.items()}
        self._children_s = _children_s()
        self._machine = _machine_s()

    def read(self) -> Spent:
        """What was spent since."""
        parts = {name: cpu_s(pid) - self._before[name] for name, pid in self._pids.items()}
        busy, total = (after - before for after, before in zip(_machine_s(), self._machine, strict=True))
        return Spent({**parts, "callers": _children_s() - self._children_s}, busy / total if total else 0.0)


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
