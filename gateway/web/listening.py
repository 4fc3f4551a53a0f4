"""When is a request for sound somebody starting to listen, and when is it the same listening going on?

Every listening is one row of the access log. A player asks for many ranges while it plays and seeks; a log with a row
for each would bury the truth, a log that trusts the player could be dodged. So a request opens a listening when it

    has no Range, or begins in the first hundredth of the file    a play, or a play from the start again
    or belongs to no listening opened before                       no hiding by starting at byte 1, nor after a restart
    or comes later than the sound could last at half speed + 60 s  no hiding behind this morning's row

counted per (session or token, recording, format, side, play or download). Everything else goes on with that listening.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

SLACK_S = 60.0
SLOWEST_SPEED = 0.5
REMEMBERED = 20_000


class Listenings:
    """Listenings opened of late, by monotonic seconds."""

    def __init__(self) -> None:
        self._opened_s: OrderedDict[Hashable, float] = OrderedDict()

    def opens(self, key: Hashable, first_byte: int, size: int, length_s: float, now_s: float) -> bool:
        """Whether this request opens a listening of a sound of `size` bytes and `length_s` seconds."""
        opened_s = self._opened_s.get(key)
        if opened_s is not None and first_byte > size // 100:
            return now_s - opened_s > length_s / SLOWEST_SPEED + SLACK_S
        return True

    def opened(self, key: Hashable, now_s: float) -> None:
        """Remembers that a row was written for it."""
        self._opened_s[key] = now_s
        self._opened_s.move_to_end(key)
        while len(self._opened_s) > REMEMBERED:
            self._opened_s.popitem(last=False)
