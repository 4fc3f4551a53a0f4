"""What an audit of a configuration finds: one setting, what it opens, what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.asterisk.conf_reader import Conf, Section, Setting

Severity = Literal["fault", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One open way. `line` 0: the file as a whole."""

    severity: Severity
    file: Path
    line: int
    setting: str
    opens: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        return f"{place}: {self.setting}: {self.opens}; {self.remedy}"


def present(setting: Setting, opens: str, remedy: str, severity: Severity = "fault") -> Finding:
    """A setting that is there and should not be."""
    return Finding(severity, setting.file, setting.line, str(setting), opens, remedy)


def absent(place: Section | Conf, name: str, opens: str, remedy: str, severity: Severity = "fault") -> Finding:
    """A setting that should be in a section, or a section that should be in a file, and is not."""
    if isinstance(place, Section):
        return Finding(severity, place.file, place.line, f"[{place.name}] without {name}", opens, remedy)
    return Finding(severity, place.path, 0, f"no {name}", opens, remedy)
