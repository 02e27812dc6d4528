"""What a waiting caller is told next, and when: from the queue's rules, what they have been told, and how they stand now.

Pure. Does not know how the words reach them (`service.py`). Invariants: a position is told only when it is better than the
best that was told; a band only when it is another one; the word about an order only when it is news; the memory is written
down on the caller's own channel, so that a process which begins with nothing repeats nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.phrases.model import Number, Pause, Phrase, Phrases, Prompt
from routing.policy.model import Waits
from routing.waiting.expected import band_of

FIRST_S = 1.0  # whom an agent takes at once is told nothing
LEAST_S = 1.0  # between two announcements, whatever the queue says
PAUSE = Pause(200)
_FIELDS = 6


@dataclass(frozen=True)
class Memory:
    """What a caller has been told in `queue`: `turns` announcements, the best position (0: none), the last band, the state of
    their order, and how many of the queue's prompts."""

    queue: str = ""
    turns: int = 0
    position: int = 0
    band: str = ""
    order: str = ""
    prompts: int = 0

    @property
    def text(self) -> str:
        """For the caller's ticket."""
        return f"{self.queue}/{self.turns}/{self.position}/{self.band}/{self.order}/{self.prompts}"

    @classmethod
    def of(cls, text: str, queue: str) -> Memory:
        """From a ticket; of another queue only the word about the order counts. A strange text is no memory."""
        parts = text.split("/")
        if len(parts) != _FIELDS or not all(parts[n].isascii() and parts[n].isdecimal() for n in (1, 2, 5)):
            return cls(queue)
        numbers = [int(parts[n][:6]) for n in (1, 2, 5)]
        told = cls(parts[0], numbers[0], numbers[1], parts[3], parts[4], numbers[2])
        return told.moved_to(queue)

    def moved_to(self, queue: str) -> Memory:
        return self if queue == self.queue else Memory(queue, order=self.order)


@dataclass(frozen=True)
class Standing:
    """How a caller stands now: `position` 1 = next, 0 = not known; `wait_s` None = not known; `order`: what may be said to
    them of their order."""

    position: int = 0
    wait_s: float | None = None
    order: Phrases = ()


def due_at(waits: Waits, memory: Memory, came_at: float, last_at: float) -> float | None:
    """When something is to be said next, in seconds of the clock of `came_at` (when this wait began) and `last_at` (when
    something was said last); None: never."""
    if memory.turns == 0:
        if waits.greeting:
            return came_at + FIRST_S
        if not _talks(waits):
            return None
        return came_at + (FIRST_S if _has_news(waits) else waits.every_s)
    return last_at + max(LEAST_S, waits.every_s) if _talks(waits) else None


def _talks(waits: Waits) -> bool:
    return waits.every_s > 0 and (_has_news(waits) or waits.order_status or bool(waits.prompts))


def _has_news(waits: Waits) -> bool:
    return waits.position or waits.expected_wait or bool(waits.expected_wait_prompt)


def say(waits: Waits, memory: Memory, now: Standing) -> tuple[Phrases, Memory]:
    """The next announcement (() = nothing is worth an interruption) and what the caller will have been told then.

    The first one is the greeting with how they stand; each later one how they stand, if that is news, and one comforting
    word: about their order when there is news of it, else the queue's next prompt.
    """
    first = memory.turns == 0
    memory = replace(memory, turns=memory.turns + 1)
    parts: list[Phrases] = [(Prompt(waits.greeting),)] if first and waits.greeting else []
    news, memory = _news(waits, memory, now)
    parts += news
    if not (first and parts):
        comfort, memory = _comfort(waits, memory, now)
        parts += comfort
    said: list[Phrase] = []
    for part in parts:
        said += [*([PAUSE] if said else []), *part]
    return tuple(said), memory


def _news(waits: Waits, memory: Memory, now: Standing) -> tuple[list[Phrases], Memory]:
    parts: list[Phrases] = []
    if waits.position and now.position > 0 and (memory.position == 0 or now.position < memory.position):
        parts.append(position_phrases(now.position))
        memory = replace(memory, position=now.position)
    if waits.expected_wait_prompt:
        name = f"={waits.expected_wait_prompt}"
        if memory.band != name:
            parts.append((Prompt(waits.expected_wait_prompt),))
            memory = replace(memory, band=name)
    elif waits.expected_wait and now.wait_s is not None:
        band = band_of(now.wait_s, memory.band)
        if memory.band != band.name:
            parts.append(band.phrases)
            memory = replace(memory, band=band.name)
    return parts, memory


def position_phrases(position: int) -> Phrases:
    if position == 1:
        return (Prompt("queue-position-next"),)
    return (Prompt("queue-position"), Number(position), Prompt("queue-position-end"))


def _comfort(waits: Waits, memory: Memory, now: Standing) -> tuple[list[Phrases], Memory]:
    state = next((phrase.name for phrase in reversed(now.order) if isinstance(phrase, Prompt)), "")
    if waits.order_status and state and state != memory.order:
        return [now.order], replace(memory, order=state)
    if waits.prompts:
        name = waits.prompts[memory.prompts % len(waits.prompts)]
        return [(Prompt(name),)], replace(memory, prompts=memory.prompts + 1)
    return [], memory
