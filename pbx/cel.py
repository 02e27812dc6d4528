"""Asterisk's own book of calls (CEL), line by line, as the same facts that AMI tells us: what it says of each caller's call.

Pure. A line becomes an AMI event and `call.apply` says what it means, so that who hung up is found by the very rule that
finds it live. Does not open files (`cel_files.py`) and does not compare (`app/reconcile`).
Invariants: a line that is half, doubled, glued to another or somebody else's never hurts; a call is given out once, when
its caller and all its legs are gone; memory holds the calls that are up and the ids of those that were.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from core.events.base import DomainEvent
from core.events.pbx import CallEnded
from pbx.ami_events import (
    UNSEEN,
    AmiEvent,
    BridgeEntered,
    BridgeLeft,
    ChannelGone,
    ChannelSeen,
    ChannelState,
    clean_number,
)
from pbx.call import CALLBACK_ENTRY, Call, Leg, Stay, apply, extension_of, interaction_of, is_callback

LONGEST_LINE = 4096
WATCHDOG_STARTS = "Local/s@ac-watchdog-00000000;1"  # the first channel of every life of a switch
# Not anchored at the beginning: behind a line that was cut off in the middle the next one goes on without a break.
_LINE = re.compile(
    r'"(?P<kind>[A-Z_]+)","(?P<at>\d{1,12}\.\d{6})","(?P<unique>[^"]+)","(?P<linked>[^"]*)","(?P<channel>[^"]*)",'
    r'"(?P<extra>(?:[^"]|"")*)","(?P<number>[^"]*)","(?P<dialled>[^"]*)"\s*$'
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line as `asterisk-conf/cel_custom.conf.j2` has it written. `extra` is JSON or ""."""

    kind: str
    at: datetime
    uniqueid: str
    linkedid: str
    channel: str
    extra: str = ""
    number: str = ""
    dialled: str = ""

    def said(self, name: str) -> Any:
        """A value of `extra`; None when it is not there."""
        try:
            extra = json.loads(self.extra) if self.extra else {}
        except ValueError:
            return None
        return extra.get(name) if isinstance(extra, dict) else None


def read_line(text: str) -> Line | None:
    """The line, or the whole one at the end of a text that was glued together; None when there is none."""
    found = _LINE.search(text) if len(text) <= LONGEST_LINE else None
    if found is None:
        return None
    try:
        at = moment_of(found["at"])
    except (ValueError, OverflowError, OSError):
        return None
    return Line(
        found["kind"], at, found["unique"], found["linked"], found["channel"], found["extra"].replace('""', '"'),
        found["number"], found["dialled"],
    )  # fmt: skip


def moment_of(stamp: str) -> datetime:
    """`1795524743.380619` → the moment, to the microsecond: a float would lose the last digit."""
    seconds, _, micros = stamp.partition(".")
    return datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(micros))


def event_of(line: Line) -> AmiEvent | None:
    """What AMI would have told of it."""
    at, unique, channel = line.at, line.uniqueid, line.channel
    match line.kind:
        case "CHAN_START":
            return ChannelSeen(
                at=at, uniqueid=unique, channel=channel, linkedid=line.linkedid, number=clean_number(line.number),
                dialled=line.dialled,
            )  # fmt: skip
        case "ANSWER":
            return ChannelState(at=at, uniqueid=unique, channel=channel, state="Up")
        case "HANGUP":
            cause = line.said("hangupcause")
            cause = cause if isinstance(cause, int) else 0
            return ChannelGone(at=at, uniqueid=unique, channel=channel, cause=cause)
        case "CHAN_END":  # says something only where the line before it is lost: gone, and nobody knows why
            return ChannelGone(at=at, uniqueid=unique, channel=channel, cause=UNSEEN)
        case "BRIDGE_ENTER" | "BRIDGE_EXIT":
            bridge_id = line.said("bridge_id")
            if not isinstance(bridge_id, str) or not bridge_id:
                return None
            kind = BridgeEntered if line.kind == "BRIDGE_ENTER" else BridgeLeft
            return kind(at=at, uniqueid=unique, channel=channel, bridge_id=bridge_id)
    return None


@dataclass(frozen=True)
class Talk:
    """The caller and one agent in one bridge. `offer_id` "" = out of the switch's static queue, without an offer of ours."""

    offer_id: str
    extension: str


@dataclass(frozen=True)
class BookCall:
    """A caller's call as the book has it. `ended_at` None: no end stands there; `lost_at`: another life of the switch began.

    `reason` as `CallEnded` has it, "" when the book does not tell; `told` is everything that `call.apply` made of it.
    """

    id: str
    arrived_at: datetime
    ended_at: datetime | None = None
    reason: str = ""
    cause: int = 0
    talk_s: float = 0.0
    talks: tuple[Talk, ...] = ()
    lost_at: datetime | None = None
    told: tuple[DomainEvent, ...] = ()

    @property
    def over_at(self) -> datetime | None:
        """When it was over at the latest; None while it may be up."""
        return self.ended_at or self.lost_at


@dataclass
class _Page:
    """What is known so far of a call that is not over."""

    call: Call
    told: list[DomainEvent] = field(default_factory=list)
    strangers: dict[str, tuple[str, Stay]] = field(default_factory=dict)  # channel's id → extension, its stay
    lost_at: datetime | None = None


class Book:
    """`take(line)` gives the calls that it completes; `rest()` those that are not complete. `trunk` is the account callers
    come from, `entries` the door of each number."""

    def __init__(self, *, trunk: str, entries: Mapping[str, str]) -> None:
        self._trunk = f"PJSIP/{trunk}-"
        self._entries = dict(entries)
        self._open: dict[str, _Page] = {}
        self._lives: set[str] = set()
        self.over: set[str] = set()
        self.unreadable = 0
        self.begins_at: datetime | None = None

    def take_text(self, text: str) -> list[BookCall]:
        line = read_line(text)
        if line is None:
            self.unreadable += bool(text.strip())
            return []
        return self.take(line)

    def take(self, line: Line) -> list[BookCall]:
        if self.begins_at is None:
            self.begins_at = line.at
        if line.channel == WATCHDOG_STARTS and line.kind == "CHAN_START":
            self._switch_started(line)
            return []
        page = self._page_of(line)
        if page is None:
            return []
        event = event_of(line)
        if event is None:
            return []
        page.call, news = apply(page.call, event)
        if isinstance(news, list):
            page.told += news
        self._note_stranger(page, event)
        if not _complete(page.call):
            return []
        del self._open[page.call.id]
        self.over.add(page.call.id)
        return [_told(page)]

    def rest(self) -> list[BookCall]:
        """The calls without an end in the book: still up, or lost with the switch, or their last lines are missing."""
        return [_told(page) for page in self._open.values()]

    @property
    def known(self) -> set[str]:
        """The ids of all calls that stand in the book."""
        return self.over | self._open.keys()

    def _page_of(self, line: Line) -> _Page | None:
        unique = line.uniqueid
        for interaction_id in (unique, interaction_of(unique), line.linkedid):
            if interaction_id in self._open:
                return self._open[interaction_id]
        if line.kind != "CHAN_START" or unique in self.over or not line.channel.startswith(self._trunk):
            return None
        entry = CALLBACK_ENTRY if is_callback(unique) else self._entries.get(line.dialled, "other")
        call = Call(unique, entry=entry, caller=Leg(unique))
        self._open[unique] = _Page(call)
        return self._open[unique]

    def _switch_started(self, line: Line) -> None:
        """What was up before this is over. Whoever called before the watchdog did still ends by a line of their own."""
        if line.uniqueid not in self._lives:
            self._lives.add(line.uniqueid)
            for page in self._open.values():
                page.lost_at = page.lost_at or line.at

    @staticmethod
    def _note_stranger(page: _Page, event: AmiEvent) -> None:
        """A phone that is no leg of ours and stands in a bridge on this caller's account: the static queue rang it."""
        if not isinstance(event, BridgeEntered | BridgeLeft) or event.uniqueid == page.call.id:
            return
        if event.uniqueid in page.call.legs or not (extension := extension_of(event.channel)):
            return
        stay = page.strangers.get(event.uniqueid, (extension, Stay(event.bridge_id)))[1]
        if isinstance(event, BridgeEntered):
            stay = replace(stay, entered=(*stay.entered, event.at))
        else:
            stay = replace(stay, left=(*stay.left, event.at))
        page.strangers[event.uniqueid] = (extension, stay)


def calls_in(book: Book, lines: Iterable[str]) -> list[BookCall]:
    """Everything in these lines, those that are not over at the end."""
    found = [call for text in lines for call in book.take_text(text)]
    return [*found, *book.rest()]


def _complete(call: Call) -> bool:
    return call.ended and all(leg.ended_at is not None for leg in call.legs.values())


def _told(page: _Page) -> BookCall:
    call = page.call
    ended = next((event for event in page.told if isinstance(event, CallEnded)), None)
    assert call.arrived_at is not None
    return BookCall(
        call.id, call.arrived_at, lost_at=page.lost_at, told=tuple(page.told), talks=tuple(_talks(page)),
        talk_s=round(call.talk_s, 3), ended_at=ended.at if ended else None, cause=ended.cause if ended else 0,
        reason=ended.reason if ended and call.caller.cause != UNSEEN else "",
    )  # fmt: skip


def _talks(page: _Page) -> list[Talk]:
    """Whom the caller stood in a bridge with."""
    connected = [event for event in page.told if event.kind == "CallConnected"]
    talks = [Talk(event.offer_id, event.extension) for event in connected]  # type: ignore[attr-defined]
    for extension, stay in page.strangers.values():
        mine = page.call.caller.stay(stay.bridge_id)
        if mine is not None and mine.entered and stay.entered:
            talks.append(Talk("", extension))
    return talks
