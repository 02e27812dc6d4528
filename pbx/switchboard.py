"""All calls of one Asterisk as we believe them to be; tells what happened as domain events.

The shell around `call.py`: keeps one Call for each interaction, gives events to the right one, emits what it tells.
Does not act on calls (`control.py`) and does not decide who takes them (`routing`). Belief is put right by lists:
`take_list` makes Asterisk's word ours and tells each repair. Invariant: every call that was told to have arrived is
told to have ended exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.clock import Clock
from core.events import DomainEvent
from core.events import pbx as facts
from core.events.stream import EventSink
from pbx.ami_events import (
    AmiEvent,
    BridgeEntered,
    BridgeLeft,
    ChannelGone,
    ChannelSeen,
    ChannelState,
    DeviceChanged,
    HoldChanged,
    OriginateFailed,
    Told,
)  # fmt: skip
from pbx.call import Call, Leg, apply, extension_of


@dataclass(frozen=True)
class KnownCall:
    """A call as a process before us told it: when it arrived, and since when each leg (by id) talks to the caller."""

    arrived_at: datetime
    connected: Mapping[str, datetime] = field(default_factory=dict)


UNREACHABLE_STATES = frozenset({"UNAVAILABLE", "INVALID", "UNKNOWN"})
KEEP_ENDED = 500


class Switchboard:
    """`on_event` for each AMI event, `take_list` for each list. `trunk` is the SIP account callers come from."""

    def __init__(
        self,
        *,
        node: str,
        trunk: str,
        entries: Mapping[str, str],
        extensions: Iterable[str],
        events: EventSink,
        clock: Clock,
    ) -> None:
        self.node = node
        self._trunk = f"PJSIP/{trunk}-"
        self._entries = dict(entries)
        self._events = events
        self._clock = clock
        self._calls: dict[str, Call] = {}
        self._ended: list[str] = []
        self._own_channels: dict[str, set[str]] = {extension: set() for extension in extensions}
        self._devices: dict[str, tuple[bool, bool]] = {}
        self._reachable: dict[str, bool] = {}
        self.repairs: dict[str, int] = {}
        self.on_fresh: list[
            Callable[[str, str, datetime], None]
        ] = []  # (interaction, channel, enqueued_at) to write back

    # --- asking

    def calls(self) -> list[Call]:
        """The calls that are up, oldest first."""
        return [call for call in self._calls.values() if not call.ended]

    def call(self, interaction_id: str) -> Call | None:
        return self._calls.get(interaction_id)

    def add_extension(self, extension: str) -> None:
        """An agent's phone that was configured while we run."""
        self._own_channels.setdefault(extension, set())

    # --- events

    def on_event(self, event: AmiEvent) -> None:
        if isinstance(event, DeviceChanged):
            self._device(event)
        elif isinstance(event, Told):
            self._told(event)
        elif isinstance(event, OriginateFailed):
            self._give(event.action_id.rpartition("-")[0], event)
        elif isinstance(event, ChannelSeen | ChannelState | ChannelGone | BridgeEntered | BridgeLeft | HoldChanged):
            self._channel(event, event.uniqueid)

    def _channel(self, event: AmiEvent, unique: str) -> None:
        channel: str = getattr(event, "channel", "")
        interaction_id = unique if unique in self._calls else unique.rpartition("-")[0]
        if interaction_id in self._calls:
            self._give(interaction_id, event)
        elif channel.startswith(self._trunk):
            self._give(unique, event)
        else:
            self._own(event, unique, channel)

    def _give(self, interaction_id: str, event: AmiEvent) -> None:
        call = self._calls.get(interaction_id)
        if call is None:
            if not isinstance(event, ChannelSeen):
                return  # of a call that we have forgotten, or that a list will tell us of
            call = Call(interaction_id, entry=self._entries.get(event.dialled, "other"))
        was_ended = call.ended
        call, news = apply(call, event)
        self._calls[interaction_id] = call
        if isinstance(news, list):
            for told in news:
                self._events.emit(told)
        if call.ended and not was_ended:
            self._ended.append(interaction_id)
            while len(self._ended) > KEEP_ENDED:  # late events of a call that just ended still find it
                self._calls.pop(self._ended.pop(0), None)

    def _own(self, event: AmiEvent, unique: str, channel: str) -> None:
        """A channel of an agent's phone that is no leg of ours: the agent is on a call of their own."""
        extension = extension_of(channel)
        uniques = self._own_channels.get(extension)
        if uniques is None or isinstance(event, BridgeEntered | BridgeLeft | HoldChanged):
            return
        if isinstance(event, ChannelGone):
            uniques.discard(unique)
        else:
            uniques.add(unique)
        self._tell_device(extension)

    def _told(self, event: Told) -> None:
        said = event.fields
        if event.name == "AcWaiting":
            interaction_id = said.get("interaction", "")
            self._give(interaction_id, event)
            if said.get("fresh") == "1" and interaction_id in self._calls:
                for call in self.on_fresh:
                    call(interaction_id, said.get("channel", ""), event.at)
        elif event.name == "AcFeature" and said.get("extension") in self._own_channels:
            self._events.emit(facts.FeatureCodeDialled(
                at=event.at, extension=said["extension"], code=said.get("code", ""), argument=said.get("argument", "")
            ))  # fmt: skip

    def _device(self, event: DeviceChanged) -> None:
        if event.extension in self._own_channels:
            self._reachable[event.extension] = event.state not in UNREACHABLE_STATES
            self._tell_device(event.extension)

    def _tell_device(self, extension: str) -> None:
        now = (self._reachable.get(extension, False), bool(self._own_channels[extension]))
        if self._devices.get(extension) != now:
            self._devices[extension] = now
            at = self._clock.now()
            self._events.emit(facts.AgentDeviceChanged(at=at, extension=extension, reachable=now[0], in_use=now[1]))

    # --- lists

    def take_list(
        self, channels: list[ChannelSeen], devices: list[DeviceChanged], *, known: Mapping[str, KnownCall]
    ) -> int:
        """Makes what Asterisk lists our belief. `known`: calls that a process before us told of and not the end of.
        Returns how many repairs were needed."""
        before = sum(self.repairs.values())
        listed = {channel.uniqueid: channel for channel in channels}
        for device in devices:
            self._device(device)
        for seen in channels:
            if seen.uniqueid in known and seen.uniqueid not in self._calls:
                # Its arrival was told by the process before us; everything after is told anew, under the same keys.
                self._calls[seen.uniqueid] = Call(
                    seen.uniqueid, known[seen.uniqueid].arrived_at, seen.number, seen.name, seen.variables.get("AC_DNIS", ""),
                    caller=Leg(seen.uniqueid), told=frozenset({"arrived", "answered"}),
                )  # fmt: skip
        joined = {leg_id: at for call in known.values() for leg_id, at in call.connected.items()}
        joined |= {key: min(call.connected.values()) for key, call in known.items() if call.connected}
        for seen in channels:
            self._list_one(replace(seen, at=joined.get(seen.uniqueid, seen.at)))
        for call in list(self._calls.values()):
            if not call.ended:
                self._list_call(call, listed)
        for interaction_id, before_us in known.items():
            if interaction_id not in listed and interaction_id not in self._calls:
                self._repair(interaction_id, "call_ended", "the call ended while nobody of ours was there")
                self._events.emit(_ended_unseen(interaction_id, self._clock.now(), before_us.arrived_at))
        return sum(self.repairs.values()) - before

    def _list_one(self, seen: ChannelSeen) -> None:
        unknown = seen.uniqueid not in self._calls
        if unknown and seen.channel.startswith(self._trunk):
            if seen.variables.get("AC_IX", seen.uniqueid) != seen.uniqueid:
                return
            entry = seen.variables.get("AC_ENTRY", "")
            self._calls[seen.uniqueid] = Call(seen.uniqueid, entry=entry, dnis=seen.variables.get("AC_DNIS", ""))
            self._repair(seen.uniqueid, "call_found", "Asterisk has this call and we did not know of it")
        self._channel(seen, seen.uniqueid)
        call = self._calls.get(seen.uniqueid)
        if call is None or call.ended:
            return
        said = seen.variables
        if said.get("AC_STAGE") == "wait" and not call.waiting:
            fields = {
                "interaction": call.id, "channel": seen.channel, "visit": said.get("AC_VISIT", "1"),
                "queue": said.get("AC_QUEUE", ""), "at": said.get("AC_AT", ""), "fresh": "0", "lang": said.get("AC_LANG", ""),
                "prio": said.get("AC_PRIO", ""), "skills": said.get("AC_SKILLS", ""), "problem": said.get("AC_PROBLEM", ""),
                "level": said.get("AC_LEVEL", ""), "ani": seen.number,
            }  # fmt: skip
            self._give(call.id, Told(at=seen.at, name="AcWaiting", fields=fields))

    def _list_call(self, call: Call, listed: Mapping[str, ChannelSeen]) -> None:
        """Ends what Asterisk no longer has: legs first, so that who hung up is not mistaken."""
        now = self._clock.now()
        for leg in call.legs.values():
            if leg.leg_id not in listed and leg.ended_at is None and not leg.failed:
                self._repair(
                    call.id, "leg_ended", f"extension {leg.extension or '?'} no longer has its leg of this call"
                )
                self._give(call.id, ChannelGone(at=now, uniqueid=leg.leg_id, channel=leg.channel, cause=0))
        if call.id not in listed:
            self._repair(call.id, "call_ended", "Asterisk no longer has this call")
            self._give(call.id, ChannelGone(at=now, uniqueid=call.id, channel=call.caller.channel, cause=0))

    def lost_node(self) -> None:
        """Asterisk itself was lost: every call in it is over."""
        now = self._clock.now()
        for call in self.calls():
            self._calls[call.id] = replace(call, told=call.told | {"ended"})
            self._give(call.id, ChannelGone(at=now, uniqueid=call.id, channel=call.caller.channel, cause=0))
            self._events.emit(facts.CallEnded(interaction_id=call.id, at=now, reason="node_lost", cause=0))

    def _repair(self, interaction_id: str, what: str, reason: str) -> None:
        self.repairs[what] = self.repairs.get(what, 0) + 1
        self._events.emit(
            facts.StateRepaired(interaction_id=interaction_id, at=self._clock.now(), what=what, reason=reason)
        )


def _ended_unseen(interaction_id: str, now: datetime, arrived_at: datetime) -> DomainEvent:
    return facts.CallEnded(interaction_id=interaction_id, at=max(now, arrived_at), reason="unseen", cause=0)
