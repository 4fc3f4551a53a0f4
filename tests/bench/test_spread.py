"""The bench's statistics: what they must find, and what they must not take for a finding."""

from __future__ import annotations

import random

import pytest

from tests.bench.spread import Spread, drift, quantile


def test_quantile_is_a_measured_value() -> None:
    values = [float(each) for each in range(1, 101)]
    random.Random(1).shuffle(values)
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile(values, 1.0)) == (50.0, 99.0, 100.0)
    assert quantile([7.0], 0.99) == 7.0


def test_spread() -> None:
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0, 3)


def test_steady_growth_is_found_however_small() -> None:
    noise = random.Random(1)
    growth = drift([(x / 100, 100 + 0.005 * x + noise.gauss(0, 0.01)) for x in range(120)])
    assert not growth.is_flat
    assert growth.low < 0.5 < growth.high


def test_one_step_is_no_growth() -> None:
    assert drift([(x / 100, 100.0 if x < 60 else 102.0) for x in range(120)]).is_flat


def test_noise_is_no_growth() -> None:
    noise = random.Random(2)
    assert drift([(x / 100, 100 + noise.gauss(0, 1)) for x in range(120)]).is_flat


def test_too_few_points() -> None:
    with pytest.raises(ValueError, match="too few"):
        drift([(0.0, 1.0), (1.0, 1.0)])
