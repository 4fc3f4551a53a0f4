"""Where log lines go: a stream that refuses one costs that line and nothing else.

A full disk under the log file, or a terminal that was closed, must not end the duty that wanted to say something.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TextIO


class LogStream:
    """`write` and `flush` of another stream, without its failures."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes the text, or not; gives its length as if it had."""
        with suppress(OSError, ValueError):  # ValueError: it is closed
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Passes on what can be passed on."""
        with suppress(OSError, ValueError):
            self._stream.flush()
