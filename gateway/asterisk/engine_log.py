"""Asterisk's own log of warnings, as JSON lines, followed like a journal: what no event and no SIP copy tells.

A packet that pjproject cannot parse never becomes a message: no HEP copy, no CEL event, no answer. Its only trace is a
line here. Asterisk keeps this file open, so it is not rotated by rename; it only holds what went wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.asterisk.cel import LONGEST_LINE
from gateway.asterisk.cel_journal import JournalFolder
from gateway.core.forwarding import LogLine

GATHER_S = 0.5


def read_log_line(line: bytes, *, node: str, file: str, offset: int) -> tuple[LogLine, Mapping[str, Any], str]:
    """One line of the log. Raises ValueError with the reason when it is none."""
    if len(line) > LONGEST_LINE:
        raise ValueError(f"the line is longer than {LONGEST_LINE} bytes")
    try:
        told = json.loads(line)
        message = str(told["logmsg"]["message"]).strip()
        return LogLine(datetime.fromisoformat(told["timestamp"]), str(told["logmsg"]["level"]), message), told, ""
    except (KeyError, TypeError) as error:
        raise ValueError(f"the line lacks {error}") from error


class EngineLog(JournalFolder[LogLine]):
    """`ports.FollowedJournal` of the engine's warnings."""

    def __init__(self, folder: Path, node: str) -> None:
        super().__init__(folder, node, ("warnings",), read_log_line, gather_s=GATHER_S)
