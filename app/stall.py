"""Logs what holds the loop: a thread looks whether the loop has beaten, and writes down where it stands when it is late.

Does not kill (the launcher does, by the beat file) and does not measure (`core/metrics.watch_loop`). Invariants: one entry for
each stall; a process that slept as a whole (stopped, suspended) is not said to be blocked.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback

import structlog

LATE_S, LOOK_S = 1.0, 0.25
DEEPEST = 12


class StallWatch:
    """To be made in the loop's thread. `beat()` from the loop, more often than `late_s`; `start()`, `stop()`."""

    def __init__(self, *, late_s: float = LATE_S, look_s: float = LOOK_S) -> None:
        self._late_s, self._look_s = late_s, look_s
        self._thread_id = threading.get_ident()
        self._beaten = time.monotonic()
        self._ended = threading.Event()
        self._told = False
        self.stalls = 0
        self._thread = threading.Thread(target=self._watch, name="stall-watch", daemon=True)

    def beat(self) -> None:
        self._beaten = time.monotonic()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(1.0)

    def _watch(self) -> None:
        looked = time.monotonic()
        while not self._ended.wait(self._look_s):
            now = time.monotonic()
            if now - looked > self._look_s + self._late_s:
                self._beaten = now  # we slept, too
            looked = now
            late = now - self._beaten
            if late < self._late_s:
                self._told = False
            elif not self._told:
                self._told = True
                self.stalls += 1
                structlog.get_logger().error("loop_blocked", late_s=round(late, 2), where=self._where())

    def _where(self) -> list[str]:
        """The stack of the loop's thread, innermost last."""
        frame = sys._current_frames().get(self._thread_id)
        stack = traceback.extract_stack(frame, limit=None) if frame is not None else []
        return [f"{entry.filename.rpartition('/')[2]}:{entry.lineno} {entry.name}" for entry in stack[-DEEPEST:]]
