"""The few statistics a figure needs: quantiles, the spread of repeats, and a drift with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median, stdev

# Student's t, two-sided 95 %, by degrees of freedom; beyond the table the last one is near enough.
_T95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26, 10: 2.23, 12: 2.18, 15: 2.13}


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Spread:
    """Repeats of one measurement."""

    median: float
    least: float
    most: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        return cls(median(values), min(values), max(values), len(values))


@dataclass(frozen=True, slots=True)
class Slope:
    """How much y grows with x, and its 95 % confidence interval."""

    value: float
    low: float
    high: float

    @property
    def is_flat(self) -> bool:
        """Whether the interval admits no growth."""
        return self.low <= 0.0


def drift(points: Sequence[tuple[float, float]], groups: int = 12) -> Slope:
    """The mean growth between consecutive groups of points, per x.

    For what grows in steps and keeps what it has, such as the memory of a process: its noise adds up, and a line laid
    through it would take one step for a trend. The uncertainty comes from how much the growths differ from each other;
    steady growth, however small, has growths that are alike.
    """
    size = max(1, len(points) // groups)
    means = [
        (fmean(x for x, _ in part), fmean(y for _, y in part))
        for part in (points[first : first + size] for first in range(0, len(points) - size + 1, size))
    ]
    if len(means) < 4:
        raise ValueError(f"{len(points)} points are too few for a drift")
    growths = [(y - y0) / (x - x0) for (x0, y0), (x, y) in pairwise(means)]
    within = _t95(len(growths) - 1) * stdev(growths) / math.sqrt(len(growths))
    value = fmean(growths)
    return Slope(value, value - within, value + within)


def _t95(freedom: int) -> float:
    return _T95[max(known for known in _T95 if known <= freedom)]
