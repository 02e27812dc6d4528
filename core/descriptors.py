"""How many of its file descriptors this process uses: every caller, browser and file takes one, and there is an end to them.

Does not refuse anything; those who open something ask `crowded()` first.
"""

from __future__ import annotations

import os
import resource
import time

ALARM, FULL = 0.80, 0.90
FRESH_S = 0.02  # connections may come by the hundred a second


class Descriptors:
    """`share()` of the limit that is in use; looked up at most fifty times a second."""

    def __init__(self) -> None:
        self._looked_at = float("-inf")
        self.used = self.limit = 0

    def share(self) -> float:
        now = time.monotonic()
        if now - self._looked_at >= FRESH_S:
            self._looked_at = now
            self.used = len(os.listdir("/proc/self/fd"))
            self.limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return self.used / self.limit

    def crowded(self) -> bool:
        """New work is to be refused while there is room to say so."""
        return self.share() >= FULL
