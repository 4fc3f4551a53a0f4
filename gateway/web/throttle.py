"""Slows down guessing of passwords without ever locking anybody out.

Failures are counted per (name, address) and per address. After a few free ones each further failure doubles the wait,
up to a minute; a quarter of an hour without failures forgets them. A stranger elsewhere cannot lock a clerk out by
failing in the clerk's name, because the count belongs to the stranger's address too.

    failures  1 … 5   6    7    8   …  11+
    wait      0       2 s  4 s  8 s    60 s
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

FREE_FAILURES = 5
FREE_FAILURES_OF_ADDRESS = 30  # an office may share one address
LONGEST_WAIT_S = 60.0
FORGET_AFTER_S = 900.0
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class _Failures:
    count: int
    last_s: float


class LoginThrottle:
    """Failed logins of the recent past."""

    def __init__(self) -> None:
        self._failures: OrderedDict[Hashable, _Failures] = OrderedDict()

    def wait_s(self, name: str, address: str, now_s: float) -> float:
        """Seconds until the next try is allowed; 0.0 when it is allowed now."""
        return max(
            self._wait_s((name, address), FREE_FAILURES, now_s),
            self._wait_s(address, FREE_FAILURES_OF_ADDRESS, now_s),
        )

    def tried(self, name: str, address: str, now_s: float) -> None:
        """Counts a try as failed until it succeeds, so that many at once do not all slip through."""
        for key in ((name, address), address):
            known = self._recent(key, now_s)
            self._failures[key] = _Failures((known.count if known else 0) + 1, now_s)
            self._failures.move_to_end(key)
        while len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """Forgets the failures of this name at this address, and this try at the address."""
        self._failures.pop((name, address), None)
        known = self._failures.get(address)
        if known is not None:
            self._failures[address] = _Failures(known.count - 1, known.last_s)

    def _recent(self, key: Hashable, now_s: float) -> _Failures | None:
        known = self._failures.get(key)
        return known if known and now_s - known.last_s < FORGET_AFTER_S else None

    def _wait_s(self, key: Hashable, free: int, now_s: float) -> float:
        known = self._recent(key, now_s)
        if known is None or known.count < free + 1:
            return 0.0
        wait_s = min(LONGEST_WAIT_S, 2.0 ** min(known.count - free, 10))
        return max(0.0, known.last_s + wait_s - now_s)
