"""Which share of their time at work agents spend on contacts: handling / (handling + ready), since they came.

Pure: `now` is given, in seconds. Does not decide anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from routing.agent import State

HANDLING = frozenset({State.RESERVED, State.ENGAGED, State.WRAP_UP})


@dataclass(slots=True)
class _Time:
    state: State
    since: float
    handling_s: float = 0.0
    ready_s: float = 0.0


class Occupancy:
    def __init__(self) -> None:
        self._times: dict[str, _Time] = {}

    def note(self, extension: str, state: State, now: float) -> None:
        """The agent is in this state from now on. Who goes OFFLINE begins anew when they come again."""
        time = self._times.get(extension)
        if time is not None and time.state is state:
            return
        if state is State.OFFLINE:
            self._times.pop(extension, None)
        elif time is None:
            self._times[extension] = _Time(state, now)
        else:
            self._count(time, now)
            time.state = state

    def share(self, extension: str, now: float) -> float:
        """0–1; 0 for who has not been at work."""
        time = self._times.get(extension)
        if time is None:
            return 0.0
        self._count(time, now)
        whole_s = time.handling_s + time.ready_s
        return time.handling_s / whole_s if whole_s > 0 else 0.0

    def _count(self, time: _Time, now: float) -> None:
        spent_s, time.since = max(0.0, now - time.since), now
        if time.state in HANDLING:
            time.handling_s += spent_s
        elif time.state is State.READY:
            time.ready_s += spent_s
