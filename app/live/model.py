"""The board as values: calls, agents, queues, alarms at one moment.

Does not change them (`board.py`) and hides nothing (`views.py`). Times are UTC; a day is a calendar day in the zone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class BoardCall:
    """`state`: arrived, menu, waiting, offered, ringing, talking, held, after; `since` = when it came into it. `doing`: what the
    agent `doing_by` does with it, where that says more (asking, asked, swapped, conference, parked; see `routing`)."""

    id: str
    state: str
    since: datetime
    arrived_at: datetime
    ani: str = ""
    caller_name: str = ""
    dnis: str = ""
    queue: str = ""
    enqueued_at: datetime | None = None
    agent: str = ""
    offer_id: str = ""
    language: str = ""
    level: str = ""
    problem: str = ""
    priority: int = 0
    attempts: int = 0
    order_no: str = ""
    node: str = ""
    recording: bool = False
    doing: str = ""
    doing_by: str = ""
    muted: bool = False
    target_kind: str = ""
    target: str = ""


@dataclass(frozen=True)
class BoardAgent:
    """`state` as in `routing`; `reachable` is the phone's own truth beside it; `until` = the end of wrap-up."""

    id: str
    name: str = ""
    state: str = "OFFLINE"
    reason: str = ""
    since: datetime | None = None
    until: datetime | None = None
    reachable: bool = False
    in_use: bool = False
    call: str = ""
    answered: int = 0
    missed: int = 0
    day: str = ""


@dataclass(frozen=True)
class BoardQueue:
    """Counts of now, and of `day` (answered, of those within the threshold, abandoned, overflowed)."""

    id: str
    waiting: int = 0
    ringing: int = 0
    talking: int = 0
    oldest_at: datetime | None = None
    answered: int = 0
    answered_in_t: int = 0
    abandoned: int = 0
    overflowed: int = 0
    threshold_s: float = 20.0
    day: str = ""


@dataclass(frozen=True, slots=True)
class BoardAlert:
    id: str
    message: str
    since: datetime


@dataclass(frozen=True)
class Board:
    """The whole picture at one moment. `zone` says where a day begins; `ended` remembers the last calls that ended."""

    calls: Mapping[str, BoardCall] = field(default_factory=dict)
    agents: Mapping[str, BoardAgent] = field(default_factory=dict)
    queues: Mapping[str, BoardQueue] = field(default_factory=dict)
    alerts: Mapping[str, BoardAlert] = field(default_factory=dict)
    ended: tuple[str, ...] = ()
    zone: str = "UTC"
    threshold_s: float = 20.0


def new_board(
    *, agents: Mapping[str, str] | None = None, queues: Iterable[str] = (), zone: str = "UTC", threshold_s: float = 20.0
) -> Board:
    """A board before the first event. `agents`: name by extension; `threshold_s` of the service level in seconds."""
    return Board(
        agents={ext: BoardAgent(ext, name) for ext, name in (agents or {}).items()},
        queues={name: BoardQueue(name, threshold_s=threshold_s) for name in queues},
        zone=zone,
        threshold_s=threshold_s,
    )


def sections(board: Board) -> dict[str, Mapping[str, Any]]:
    """The parts of the board that are shown, by the names they have in patches and snapshots."""
    return {"calls": board.calls, "agents": board.agents, "queues": board.queues, "alerts": board.alerts}


def day_of(board: Board, at: datetime) -> str:
    """The calendar day of a moment where the board stands, as 2026-11-24."""
    return at.astimezone(ZoneInfo(board.zone)).date().isoformat()
