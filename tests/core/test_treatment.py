"""What an inbound call gets: the line's own values, else the configured ones."""

from __future__ import annotations

import pytest

from gateway.core.inventory import Line, Unit
from gateway.core.treatment import SHOWN_NAME_MAX, Treatment, TreatmentRules, treat

RULES = TreatmentRules(announce_recording=True, ring_timeout_s=60)
HEPING = Unit("HP", "和平区人民政府", "district", "CITY")


def line(ring_timeout_s: int | None = None, announce_recording: bool | None = None) -> Line:
    return Line("02283000000", "CITY", "ours", ring_timeout_s=ring_timeout_s, announce_recording=announce_recording)


@pytest.mark.parametrize(
    ("called", "caller", "treatment"),
    [
        (line(), None, Treatment(True, 60, "")),
        (line(), HEPING, Treatment(True, 60, "和平区人民政府")),
        (line(25), None, Treatment(True, 25, "")),
        (line(None, False), None, Treatment(False, 60, "")),
        (line(25, True), HEPING, Treatment(True, 25, "和平区人民政府")),
        (None, None, Treatment(True, 60, "")),
        (None, HEPING, Treatment(True, 60, "和平区人民政府")),
    ],
)
def test_treatment(called: Line | None, caller: Unit | None, treatment: Treatment) -> None:
    assert treat(called, caller, RULES) == treatment


def test_a_long_name_is_cut_for_the_display() -> None:
    caller = Unit("X", "值" * 99, "department")
    assert treat(None, caller, RULES).known_as == "值" * SHOWN_NAME_MAX
