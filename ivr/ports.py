"""What the menus need from others, as small protocols owned here; `app/wiring.py` joins them with whoever can do it.

Nothing here decides anything. Every method may be slow or fail: the runner gives it a deadline and a way out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.phrases.model import Phrases

# --- the caller's line


@dataclass(frozen=True, slots=True)
class Played:
    """Said to the end (`digit` None), or stopped by a key."""

    digit: str | None = None


@dataclass(frozen=True, slots=True)
class Digit:
    digit: str


@dataclass(frozen=True, slots=True)
class NoDigit:
    """Nothing was pressed in time."""


@dataclass(frozen=True, slots=True)
class HungUp:
    """The caller is gone, or the line cannot be used any more. Every later verb answers this, too."""


class Line(Protocol):
    """One caller's channel. Verbs never raise for what the caller does."""

    async def answer(self) -> HungUp | None: ...
    async def play(self, paths: Sequence[str], escape_digits: str) -> Played | HungUp:
        """Sounds one after the other, paths without extension; a key out of `escape_digits` stops all of it."""
        ...

    async def digit(self, timeout_s: float) -> Digit | NoDigit | HungUp: ...
    async def set_variable(self, name: str, value: str) -> HungUp | None: ...
    async def get_variable(self, name: str) -> str:
        """ "" when it is not set or the caller is gone."""
        ...

    async def hang_up(self) -> None: ...


# --- orders


@dataclass(frozen=True, slots=True)
class LookupRequest:
    """`order_no` "" = by the caller's number (`ani`) alone."""

    interaction_id: str
    language: str
    ani: str
    order_no: str = ""
    second_factor: str = ""


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What branches may ask about an order: `status` and whatever else is in `facts`. No personal data."""

    order_id: str
    order_no: str
    status: str
    facts: Mapping[str, str | int | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LookupResult:
    """`kind`: found, several, none, slow, error, refused. `phrases` may be said to this caller; `level` is what they have
    proved: "", ani, order_no, second_factor."""

    kind: str
    orders: tuple[OrderFacts, ...] = ()
    phrases: Phrases = ()
    level: str = ""


class OrderLookup(Protocol):
    async def find(self, request: LookupRequest, deadline_s: float) -> LookupResult: ...


# --- people


@dataclass(frozen=True, slots=True)
class HandoffRequest:
    interaction_id: str
    queue: str
    language: str
    skills: Mapping[str, int] = field(default_factory=dict)
    priority: int = 0
    problem: str = ""
    level: str = ""


class Handoff(Protocol):
    async def refusal(self, request: HandoffRequest) -> str:
        """ "" when the queue takes the caller, else why not, in words. The caller then waits in the dialplan, not here."""
        ...


class Voicemail(Protocol):
    async def refusal(self, box: str) -> str:
        """ "" when a message can be left in `box` ("" = the common one)."""
        ...


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """`number`: the caller's own, as it came."""

    interaction_id: str
    queue: str
    number: str
    language: str
    problem: str = ""


class CallbackDesk(Protocol):
    """Both answer "" for yes, else why not, in words. What fails or is late is a no: a promise is spoken only when it was
    made."""

    async def refusal(self, request: CallbackRequest) -> str:
        """Whether this caller could be called back."""
        ...

    async def book(self, request: CallbackRequest) -> str:
        """They will be called back, with a place in the queue from now."""
        ...


class Sessions(Protocol):
    async def last(self, interaction_id: str) -> Mapping[str, Any] | None:
        """The session of the last FlowWaited of this interaction, as the journal has it."""
        ...


# --- plain implementations


class KnownQueues:
    """Takes callers for the queues that exist."""

    def __init__(self, queues: frozenset[str]) -> None:
        self._queues = queues

    async def refusal(self, request: HandoffRequest) -> str:
        return "" if request.queue in self._queues else f"there is no queue '{request.queue}'"


class CommonBox:
    """One message box for everybody."""

    async def refusal(self, box: str) -> str:
        return ""


class NoCallbacks:
    """Nobody is called back."""

    async def refusal(self, request: CallbackRequest) -> str:
        return "nobody calls back here"

    async def book(self, request: CallbackRequest) -> str:
        return "nobody calls back here"


class NoSessions:
    """Nothing is remembered: whoever falls out starts at their node without what they had typed."""

    async def last(self, interaction_id: str) -> Mapping[str, Any] | None:
        return None
