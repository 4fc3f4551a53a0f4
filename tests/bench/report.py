"""How figures are told: a line each, with its spread, its goal, and whether it was met in this run.

A figure is never a test: a busy machine must not fail anybody's change. What was doubtful is told below the lines.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.spread import Spread


@dataclass(slots=True)
class Report:
    """What was measured so far; `raw` is everything that the lines were made of."""

    lines: list[tuple[str, str, str, str]] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)

    def figure(self, name: str, spread: Spread, unit: str, *, at_most: float | None = None, digits: int = 2) -> None:
        """A figure over repeats, with a goal or without one."""
        value = f"{spread.median:.{digits}f}{unit}"
        if spread.count > 1:
            value += f"  ({spread.least:.{digits}f} to {spread.most:.{digits}f}, {spread.count} runs)"
        if at_most is None:
            self.line(name, value)
        else:
            self.line(name, value, f"≤ {at_most:g}{unit}", met=spread.median <= at_most)

    def line(self, name: str, value: str, goal: str = "", *, met: bool | None = None) -> None:
        """A figure in words; shown at once."""
        verdict = "" if met is None else "met" if met else "NOT MET"
        self.lines.append((name, value, goal, verdict))
        say(f"  {name:<58} {value:<44} {goal:<14} {verdict}".rstrip())

    def doubt(self, text: str) -> None:
        """Something that makes a figure less certain."""
        self.doubts.append(text)
        say(f"  doubtful: {text}")

    def keep(self, path: Path) -> None:
        """Writes everything as JSON."""
        told = {"figures": self.lines, "doubts": self.doubts, "raw": self.raw}
        path.write_text(json.dumps(told, ensure_ascii=False, indent=1, default=str), encoding="utf-8")


def say(text: str) -> None:
    """One line to standard output, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
