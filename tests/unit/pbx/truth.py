"""The truth about a switch: what its lists would say after a number of its own events, and what a board believes.

Used to mangle recorded calls: whatever was lost, doubled or late, a list has to bring belief and truth together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from core.clock import ManualClock
from core.events import DomainEvent
from pbx.ami_events import AmiEvent, ChannelSeen, device_in_list, read, seen_in_status
from pbx.ami_wire import Block, first
from pbx.switchboard import Switchboard
from tests.unit.pbx.told import Heard

ENTRIES = {"4008001000": "menu", "4008002000": "queue"}
EXTENSIONS = ("101", "102", "103")


@dataclass
class Channel:
    uniqueid: str
    name: str
    block: Block
    state: str
    bridge: str = ""
    variables: dict[str, str] = field(default_factory=dict)


class Truth:
    """Fold in raw events with `tell`; `channels()` is the list Asterisk would give now, `devices()` that of phones."""

    def __init__(self) -> None:
        self.up: dict[str, Channel] = {}
        self._devices: dict[str, Block] = {}
        self._failed: set[str] = set()

    def tell(self, block: Block) -> None:
        unique, event = first(block, "uniqueid"), first(block, "event")
        if event == "Newchannel":
            channel = self.up[unique] = Channel(
                unique, first(block, "channel"), block, first(block, "channelstatedesc")
            )
            if channel.name.startswith("PJSIP/trunk-"):
                dialled = first(block, "exten")
                channel.variables |= {"AC_IX": unique, "AC_DNIS": dialled, "AC_ENTRY": ENTRIES.get(dialled, "")}
        elif event == "DeviceStateChange":
            self._devices[first(block, "device")] = block
        elif event == "OriginateResponse" and first(block, "response") == "Failure":
            self._failed.add(first(block, "actionid"))
        elif (known := self.up.get(unique)) is not None:
            self._change(known, event, block)

    def _change(self, channel: Channel, event: str, block: Block) -> None:
        if event == "Hangup":
            del self.up[channel.uniqueid]
        elif event == "Newstate":
            channel.state = first(block, "channelstatedesc")
        elif event == "BridgeEnter":
            channel.bridge = first(block, "bridgeuniqueid")
            channel.variables["AC_STAGE"] = "talk"
        elif event == "BridgeLeave":
            channel.bridge = ""
            channel.variables["AC_STAGE"] = "after"
        elif event == "UserEvent" and first(block, "userevent") == "AcWaiting":
            said = {"AC_STAGE": "wait", "AC_VISIT": first(block, "acvisit"), "AC_QUEUE": first(block, "acqueue")}
            channel.variables |= {**said, "AC_AT": first(block, "acat")}

    @property
    def failed(self) -> frozenset[str]:
        """Legs whose Originate has failed."""
        return frozenset(self._failed)

    def channels(self, asked_at: datetime) -> list[ChannelSeen]:
        listed = [seen_in_status(self._status(channel), asked_at) for channel in self.up.values()]
        return [seen for seen in listed if seen is not None]

    @staticmethod
    def _status(channel: Channel) -> Block:
        kept = {key: channel.block[key] for key in ("calleridnum", "calleridname", "linkedid", "exten", "context")}
        return {
            **kept, "event": "Status", "uniqueid": channel.uniqueid, "channel": channel.name,
            "channelstatedesc": channel.state, "bridgeid": channel.bridge,
            "variable": [f"{key}={value or '(null)'}" for key, value in channel.variables.items()],
        }  # fmt: skip

    def show(self, board: Switchboard, asked_at: datetime, *, sure: bool) -> None:
        """Lists, as `Resync` does it."""
        board.take_devices([d for d in map(device_in_list, self._devices.values()) if d is not None])
        board.take_list(self.channels(asked_at), sure=sure)
        if board.missing:
            board.take_list(self.channels(asked_at), sure=False)


class Desk:
    """A switchboard, its clock, and what it tells."""

    def __init__(self) -> None:
        self.clock, self.heard = ManualClock(), Heard()
        self.board = Switchboard(
            node="n1", trunk="trunk", entries=ENTRIES, extensions=EXTENSIONS, events=self.heard, clock=self.clock
        )

    def take(self, events: Iterable[AmiEvent | None]) -> None:
        for event in events:
            if event is not None:
                self.board.on_event(event)


def moment(block: Block) -> datetime:
    return datetime.fromtimestamp(float(first(block, "timestamp")), UTC)


def typed(blocks: Iterable[Block]) -> list[AmiEvent]:
    return [event for event in map(read, blocks) if event is not None]


def belief(board: Switchboard, truth: Truth) -> dict[str, object]:
    """What is believed to be up now, without times and without what is over; of who waits only what a list can say."""
    told: dict[str, object] = {}
    for call in board.calls():
        legs = {
            leg.leg_id: (leg.extension, leg.answered_at is not None)
            for leg in call.legs.values()
            if leg.ended_at is None and (leg.channel or not leg.failed)
        }
        listed = call.id in truth.up and truth.up[call.id].variables.get("AC_STAGE") == "wait"
        newest = max(call.visits.values(), key=lambda visit: visit.number, default=None)
        talking = call.talking.leg_id if call.talking is not None else ""
        told[call.id] = (
            call.ani, call.caller_name, call.dnis, call.entry, call.caller.channel, call.caller.answered_at is not None,
            legs, talking, (call.waiting, newest and (newest.number, newest.queue, newest.at)) if listed else None,
        )  # fmt: skip
    return told


def check_told(events: list[DomainEvent], up: set[str], failed: frozenset[str] = frozenset()) -> None:
    """Every call and leg told of begins and ends once, and has ended exactly when it is not `up` (ids of channels).

    `failed`: legs whose Originate has failed; they are over, though their channel may be there a moment longer.
    """
    keys = Counter((e.kind, e.interaction_id, getattr(e, "leg_id", "")) for e in events if e.kind in _ONCE)
    assert not [key for key, times in keys.items() if times > 1]
    arrived = {e.interaction_id for e in events if e.kind == "CallArrived"}
    ended = {e.interaction_id for e in events if e.kind == "CallEnded"}
    assert ended <= arrived and arrived - ended == arrived & up
    begun = {e.leg_id for e in events if e.kind in ("LegRinging", "LegAnswered", "CallConnected")}  # type: ignore[attr-defined]
    over = {e.leg_id for e in events if e.kind == "LegEnded"}  # type: ignore[attr-defined]
    assert (begun - over) - failed == (begun & up) - failed and not (over & up) - failed


_ONCE = frozenset(
    {"CallArrived", "CallAnswered", "CallEnded", "LegRinging", "LegAnswered", "LegEnded", "CallConnected"}
)
