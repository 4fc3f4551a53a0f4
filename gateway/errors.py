"""Errors by blame. Nothing else is raised on purpose, and nothing is swallowed.

    DutylineError
    ├── ConfigError      the configuration is wrong: say which key, what is wrong, what to do
    ├── RequestError     the request was wrong
    │   ├── NotFoundError      no such thing, or not yours to see
    │   ├── ForbiddenError     known, but not allowed
    │   └── InventoryError     an import with faults: carries all of them
    └── PeerError        a peer misbehaved
        ├── EngineError        Asterisk
        ├── StoreError         the database
        │   └── StoreRefusedError  it answered, and the data do not fit: trying again will not help
        └── SoundError         a recording or a synthesizer

The message of an error is a sentence for the person who can mend it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class DutylineError(Exception):
    """The root of the tree; never raised itself."""


class ConfigError(DutylineError):
    """The configuration is wrong."""


class RequestError(DutylineError):
    """The request was wrong."""


class NotFoundError(RequestError):
    """There is no such thing, or it is not yours to see."""


class ForbiddenError(RequestError):
    """Known, but not allowed."""


class InventoryError(RequestError):
    """An inventory file has faults; nothing of it was imported."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class PeerError(DutylineError):
    """A peer misbehaved."""


class EngineError(PeerError):
    """Asterisk did not do what it was asked."""


class StoreError(PeerError):
    """The database did not do what it was asked."""


class StoreRefusedError(StoreError):
    """The database answered, and refused what it was given."""


class SoundError(PeerError):
    """A recording or a synthesizer did not give usable sound."""
