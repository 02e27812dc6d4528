"""What the cardboard switch is made of: callers, customers who are called, legs, phones, and how orders fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.errors import Unavailable

NORMAL, BUSY, NO_ANSWER, NOT_THERE, REJECTED, CANCELLED = 16, 17, 19, 20, 21, 26


class LinkDown(Unavailable):
    def __init__(self) -> None:
        super().__init__("switch")


class Refused(Exception):
    """Asterisk said no to an action."""


class Unclear(LinkDown):
    """The link broke before the answer came; the phone rings all the same."""


@dataclass
class Caller:
    """`stage`: wait, talk, gone. One moment for each visit to the wait context; the first is `enqueued_at`."""

    ix: str
    queue: str
    visits: list[datetime]
    skills: dict[str, int] = field(default_factory=dict)
    priority: int = 0
    stage: str = "wait"
    note: str = ""
    ended_at: datetime | None = None
    ticket: dict[str, Any] = field(default_factory=dict)  # what else `CallWaiting` says of them

    @property
    def channel(self) -> str:
        return f"PJSIP/trunk-{self.ix}"


@dataclass
class Customer:
    """Somebody outside who is called, in the channel with the interaction's id, for the agent's leg that waits."""

    ix: str
    number: str
    leg_id: str
    called_at: datetime
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str = ""


@dataclass
class Leg:
    leg_id: str
    offer_id: str
    ix: str
    extension: str
    epoch: int
    made_at: datetime
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    connected_at: datetime | None = None
    ended_at: datetime | None = None
    cause: int = 0
    only_from: str = ""  # "" = an offer of the matcher's, to a caller who waits
    with_leg: str = "-"
    number: str = ""  # of a callback: the customer's

    @property
    def live(self) -> bool:
        return self.ended_at is None


@dataclass
class Phone:
    """`dead`: gone without a word; Asterisk finds out by and by."""

    extension: str
    reachable: bool = True
    in_use: bool = False
    dead: bool = False
