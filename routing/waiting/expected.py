"""How long somebody will wait, and how that is told: never as a figure, always as a band.

Pure. Does not know queues or callers (`service.py` counts) and says nothing (`plan.py` does).
Invariants: more callers before them, longer talks or fewer agents never give a shorter wait; without anybody at work, or
before any talk was seen, nothing is known and nothing is told; a wait that stays where it is never changes its band.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from core.phrases.model import Counted, Phrases, Prompt

SEEN = 50  # talks of a queue that count
OPEN = 1000  # talks whose after-call work is waited for
WORSE = 1.25  # a wait must be so far beyond its band before a longer one is told


def expected_wait_s(position: int, agents: int, handle_s: float) -> float | None:
    """Seconds until the caller at `position` (1 = next) is taken; None when it cannot be known.

    W = position × handle_s / agents: with all agents busy, contacts end at the rate agents / handle_s, and the caller is
    taken at the position-th end. Exact for exponential handling times and patience without end (Whitt, "Predicting Queueing
    Delays", Management Science 45(6), 1999: (k + 1) / (s·μ) with k ahead, s servers, rate μ); those ahead who give up make it
    shorter, agents who also serve other queues make it longer.
    """
    if position < 1 or agents < 1 or handle_s <= 0:
        return None
    return position * handle_s / agents


@dataclass(frozen=True)
class Band:
    """Waits up to `up_to_s`. `how`: under, about, over so many `minutes`."""

    how: str
    minutes: int
    up_to_s: float

    @property
    def name(self) -> str:
        return f"{self.how}-{self.minutes}"

    @property
    def phrases(self) -> Phrases:
        return (Prompt(f"queue-wait-{self.how}"), Counted(self.minutes, "minute"))


BANDS = (
    Band("under", 2, 120.0),
    Band("about", 5, 450.0),
    Band("about", 10, 750.0),
    Band("over", 10, 1800.0),
    Band("over", 30, float("inf")),
)
assert all(a.up_to_s < b.up_to_s for a, b in pairwise(BANDS))


def band_of(wait_s: float, before: str = "") -> Band:
    """The band of a wait. `before`: the name of the one that was told last; a better one is told at once, a worse one only
    when the wait is well beyond, so that a caller at an edge does not hear it swing."""
    told = next((band for band in BANDS if band.name == before), None)
    if told is not None and told.up_to_s < wait_s <= told.up_to_s * WORSE:
        return told
    return next(band for band in BANDS if wait_s <= band.up_to_s)


class Pace:
    """How long contacts of each queue take: the mean of the last ones, talk, hold and after-call work together."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[list[float]]] = {}
        self._open: OrderedDict[str, list[float]] = OrderedDict()

    def remember(self, contacts: Iterable[tuple[str, float]]) -> None:
        """Contacts of before, the oldest first: (queue, seconds)."""
        for queue, seconds in contacts:
            self.talk_ended("", queue, seconds)

    def talk_ended(self, offer_id: str, queue: str, seconds: float) -> None:
        if seconds <= 0:
            return  # they were never joined
        contact = [seconds]
        self._seen.setdefault(queue, deque(maxlen=SEEN)).append(contact)
        if offer_id:
            self._open[offer_id] = contact
        while len(self._open) > OPEN:
            self._open.popitem(last=False)

    def wrap_up_ended(self, offer_id: str, seconds: float) -> None:
        contact = self._open.pop(offer_id, None)
        if contact is not None:
            contact[0] += max(0.0, seconds)

    def handle_s(self, queue: str) -> float:
        """Seconds; 0 before any contact was seen."""
        seen = self._seen.get(queue)
        return sum(contact[0] for contact in seen) / len(seen) if seen else 0.0
