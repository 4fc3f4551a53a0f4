"""What `dutyline check` says: one line for each thing it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that was looked at, what was found, and what to do about it."""

    severity: Severity
    subject: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.severity:<7} {self.subject}: {self.text}" + (f"; {self.remedy}" if self.remedy else "")


def ok(subject: str, text: str) -> Remark:
    """It is as it should be."""
    return Remark("ok", subject, text)


def warning(subject: str, text: str, remedy: str) -> Remark:
    """It works, and could be better."""
    return Remark("warning", subject, text, remedy)


def fault(subject: str, text: str, remedy: str = "") -> Remark:
    """It would keep a duty line from working, or open it."""
    return Remark("fault", subject, text, remedy)
