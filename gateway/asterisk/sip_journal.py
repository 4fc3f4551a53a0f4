"""The keeper's journal of raw SIP, followed like the CEL journal: through rotation and restart, each line once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.asterisk.cel import LONGEST_LINE
from gateway.asterisk.cel_journal import JournalFolder
from gateway.core import sip

GATHER_S = 0.25  # evidence is in no hurry


def read_message(line: bytes, *, node: str, file: str, offset: int) -> tuple[sip.SipMessage, Mapping[str, Any], str]:
    """The message of a line. Raises ValueError with the reason when it is none."""
    if len(line) > LONGEST_LINE:
        raise ValueError(f"the line is longer than {LONGEST_LINE} bytes")
    try:
        told = json.loads(line)
        at = datetime.fromisoformat(told["at"])
        message = sip.parse(at, str(told["source"]), str(told["target"]), str(told["text"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"the line lacks {error}") from error
    return message, told, ""


class SipJournal(JournalFolder[sip.SipMessage]):
    """`ports.FollowedJournal` of raw SIP messages."""

    def __init__(self, folder: Path, node: str) -> None:
        super().__init__(folder, node, ("sip",), read_message, gather_s=GATHER_S)
