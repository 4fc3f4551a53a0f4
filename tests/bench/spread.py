"""The few statistics a figure needs: quantiles, the spread of repeats, and a slope with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

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


def slope(points: Sequence[tuple[float, float]], groups: int = 12) -> Slope:
    """Least squares over the means of consecutive groups: neighbours in time are alike, their groups less so."""
    size = max(1, len(points) // groups)
    means = [
        (fmean(x for x, _ in part), fmean(y for _, y in part))
        for part in (points[first : first + size] for first in range(0, len(points) - size + 1, size))
    ]
    if len(means) < 3:
        raise ValueError(f"{len(points)} points are too few for a slope")
    middle_x, middle_y = fmean(x for x, _ in means), fmean(y for _, y in means)
    width = sum((x - middle_x) ** 2 for x, _ in means)
    value = sum((x - middle_x) * (y - middle_y) for x, y in means) / width
    rest = sum((y - middle_y - value * (x - middle_x)) ** 2 for x, y in means)
    freedom = len(means) - 2
    within = _t95(freedom) * math.sqrt(rest / freedom / width)
    return Slope(value, value - within, value + within)


def _t95(freedom: int) -> float:
    return _T95[max(known for known in _T95 if known <= freedom)]
