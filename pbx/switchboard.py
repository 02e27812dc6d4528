"""All calls of one Asterisk as we believe them to be; tells what happened as domain events.

The shell around `call.py`: keeps one Call for each interaction, gives events to the right one, emits what it tells.
Does not act on calls (`control.py`) and does not decide who takes them (`routing`). Belief is put right by lists:
`take_list` makes Asterisk's word ours and tells each repair. Invariants: every call that was told to have arrived is
told to have ended exactly once; a list ends a call only when the end was told by no event in the time one needs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from core.clock import Clock
from core.events import DomainEvent
from core.events import pbx as facts
from core.events.stream import EventSink
from pbx.ami_events import (
    UNSEEN,
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
    clean_number,
)  # fmt: skip
from pbx.call import CALLBACK_ENTRY, Call, Leg, apply, extension_of, interaction_of, is_callback, leg_id_of


@dataclass(frozen=True)
class KnownCall:
    """A call as a process before us told it: when it arrived, and since when each leg (by id) talks to the caller."""

    arrived_at: datetime
    connected: Mapping[str, datetime] = field(default_factory=dict)


UNREACHABLE_STATES = frozenset({"UNAVAILABLE", "INVALID", "UNKNOWN"})
KEEP_ENDED = 500
OF_A_CHANNEL = (ChannelSeen, ChannelState, ChannelGone, BridgeEntered, BridgeLeft, HoldChanged)
CLOCK_MOVED_S = 2.0


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
        self._missing: set[str] = set()
        self._talks: dict[str, tuple[datetime, float]] = {}  # first joined to somebody, by both clocks
        self.repairs: dict[str, int] = {}

    # --- asking

    def calls(self) -> list[Call]:
        """The calls that are up, oldest first."""
        return [call for call in self._calls.values() if call.up]

    def recent(self) -> list[Call]:
        """All calls that are remembered: those that are up, and the last few hundred that ended."""
        return list(self._calls.values())

    def call(self, interaction_id: str) -> Call | None:
        return self._calls.get(interaction_id)

    @property
    def missing(self) -> frozenset[str]:
        """Channels we believe in that the last list did not have; the next one decides."""
        return frozenset(self._missing)

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
            self._give(interaction_of(event.action_id), event)
        elif isinstance(event, OF_A_CHANNEL):
            self._channel(event, event.uniqueid)

    def _channel(self, event: AmiEvent, unique: str) -> None:
        channel: str = getattr(event, "channel", "")
        interaction_id = self._interaction_of(unique)
        if interaction_id in self._calls or is_callback(interaction_id):
            self._give(interaction_id, event)
        elif channel.startswith(self._trunk):
            if not (isinstance(event, ChannelSeen) and self._other_end(event)):
                self._give(unique, event)
        else:
            self._own(event, unique, channel)

    def _other_end(self, seen: ChannelSeen) -> bool:
        """Whether a channel of the trunk is the far end of somebody's call, who was connected to a number, and no caller."""
        own = seen.variables.get("AC_IX") or seen.uniqueid
        return own != seen.uniqueid or (seen.linkedid != seen.uniqueid and seen.linkedid in self._calls)

    def _interaction_of(self, unique: str) -> str:
        """Whose channel it is: the call's that has this very id, or of which it is a leg."""
        return unique if unique in self._calls else interaction_of(unique)

    def _give(self, interaction_id: str, event: AmiEvent) -> None:
        call = self._calls.get(interaction_id)
        if call is None:
            if is_callback(interaction_id) and isinstance(event, ChannelSeen | OriginateFailed):
                call = Call(interaction_id, entry=CALLBACK_ENTRY)
            elif isinstance(event, ChannelSeen):
                call = Call(interaction_id, entry=self._entries.get(event.dialled, "other"))
            else:
                return  # of a call that we have forgotten, or that a list will tell us of
        was_over = _over(call)
        call, news = apply(call, event)
        self._calls[interaction_id] = call
        if isinstance(news, list):
            for told in news:
                self._events.emit(self._by_our_clock(told))
        if _over(call) and not was_over:
            self._ended.append(interaction_id)
            self._talks.pop(interaction_id, None)
            while len(self._ended) > KEEP_ENDED:  # late events of a call that just ended still find it
                self._forget(self._ended.pop(0))

    def _forget(self, interaction_id: str) -> None:
        call = self._calls.get(interaction_id)
        if call is not None and _over(call):  # a callback may live again: its next agent's phone rings
            del self._calls[interaction_id]

    def _by_our_clock(self, told: DomainEvent) -> DomainEvent:
        """The switch tells moments of the wall clock. When that was moved in mid talk, its length is what we measured."""
        now, measured = self._clock.now(), self._clock.monotonic()
        if isinstance(told, facts.CallConnected):
            self._talks.setdefault(told.interaction_id, (now, measured))
        elif isinstance(told, facts.CallEnded) and (began := self._talks.pop(told.interaction_id, None)) is not None:
            elapsed_s = measured - began[1]
            if abs((now - began[0]).total_seconds() - elapsed_s) > CLOCK_MOVED_S:
                return replace(told, talk_s=round(elapsed_s, 3))
        return told

    def _own(self, event: AmiEvent, unique: str, channel: str) -> None:
        """A channel of an agent's phone that is no leg of ours: the agent is on a call of their own."""
        uniques = self._own_channels.get(extension_of(channel))
        if uniques is None or is_leg(unique) or isinstance(event, BridgeEntered | BridgeLeft | HoldChanged):
            return
        if isinstance(event, ChannelGone):
            uniques.discard(unique)
        else:
            uniques.add(unique)
        self._tell_device(extension_of(channel))

    def _told(self, event: Told) -> None:
        said = event.fields
        if event.name == "AcWaiting":
            self._give(said.get("interaction", ""), event)
        elif event.name == "AcCallback":
            self._events.emit(facts.CallbackAsked(
                interaction_id=said.get("interaction", ""), at=event.at, channel=said.get("channel", ""),
                ani=clean_number(said.get("ani", ""))))  # fmt: skip
        elif event.name == "AcCalling":
            self._give(said.get("interaction", ""), event)
            self._callback_leg_ready(event)
        elif event.name == "AcFull":
            refused = facts.CallRefused(
                interaction_id=said.get("interaction", ""), at=event.at, reason=said.get("reason", "")
            )
            self._events.emit(refused)
        elif event.name == "AcHold":
            held = HoldChanged(at=event.at, uniqueid=said.get("leg", ""), on=said.get("on") == "1", by_order=True)
            self._give(said.get("interaction", ""), held)
        elif event.name == "AcSpy":
            self._supervised(event)
        elif event.name == "AcFeature" and said.get("extension") in self._own_channels:
            self._events.emit(facts.FeatureCodeDialled(
                at=event.at, extension=said["extension"], code=said.get("code", ""), argument=said.get("argument", "")
            ))  # fmt: skip

    def _callback_leg_ready(self, event: Told) -> None:
        interaction_id, offer_id = event.fields.get("interaction", ""), event.fields.get("offer", "")
        leg_id = leg_id_of(interaction_id, offer_id)
        call = self._calls.get(interaction_id)
        leg = call.legs.get(leg_id) if call is not None else None
        self._events.emit(facts.CallbackLegReady(
            interaction_id=interaction_id, at=event.at, leg_id=leg_id, offer_id=offer_id,
            extension=leg.extension if leg is not None else ""))  # fmt: skip

    def _supervised(self, event: Told) -> None:
        said = event.fields
        interaction_id, extension = said.get("interaction", ""), said.get("extension", "")
        if said.get("on") == "1":
            self._events.emit(facts.SupervisorJoined(
                interaction_id=interaction_id, at=event.at, extension=extension, agent=said.get("agent", ""),
                mode=said.get("mode", "")))  # fmt: skip
        else:
            self._events.emit(facts.PartyLeft(
                interaction_id=interaction_id, at=event.at, channel="", bridge_id="", role="supervisor",
                extension=extension))  # fmt: skip

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

    def take_devices(self, devices: Iterable[DeviceChanged]) -> None:
        """Makes what Asterisk lists of phones our belief."""
        for device in devices:
            self._device(device)

    def take_list(
        self, channels: Iterable[ChannelSeen], *, known: Mapping[str, KnownCall] | None = None, sure: bool = True
    ) -> int:
        """Makes what Asterisk lists our belief. `known`: calls that a process before us told of and not the end of.

        What is not listed has ended, unless not `sure`: then it has when two lists in a row lack it, because its last
        events may be on their way. Returns how many repairs were needed.
        """
        before, known = sum(self.repairs.values()), known or {}
        listed = {channel.uniqueid: channel for channel in channels}
        for seen in listed.values():
            if seen.uniqueid in known and seen.uniqueid not in self._calls:
                self._calls[seen.uniqueid] = self._told_before(seen, known[seen.uniqueid])
        joined = {leg_id: at for call in known.values() for leg_id, at in call.connected.items()}
        joined |= {key: min(call.connected.values()) for key, call in known.items() if call.connected}
        for unique, at in _joined_at(listed.values()):  # a talk of which nobody was told
            joined.setdefault(unique, at)
        for seen in sorted(listed.values(), key=lambda it: is_leg(it.uniqueid)):  # callers first
            self._list_one(replace(seen, at=joined.get(seen.uniqueid, seen.at)))
        for interaction_id, before_us in known.items():
            self._list_held(interaction_id, before_us, listed)
        for uniques in self._own_channels.values():
            uniques.intersection_update(listed)
        for extension in self._own_channels:
            self._tell_device(extension)
        missing = {unique for call in self.recent() for unique in _channels_of(call)} - listed.keys()
        gone = missing if sure else missing & self._missing
        for call in self.recent():
            self._end_gone(call, gone)
        self._missing = missing - gone
        for interaction_id, before_us in known.items():
            if interaction_id not in listed and interaction_id not in self._calls:
                self._repair(interaction_id, "call_ended", "the call ended while nobody of ours was there")
                self._events.emit(_ended_unseen(interaction_id, self._clock.now(), before_us.arrived_at))
        return sum(self.repairs.values()) - before

    def _told_before(self, seen: ChannelSeen, known: KnownCall) -> Call:
        """A call whose arrival the process before us told; everything after is told anew, under the same keys."""
        said = seen.variables
        return Call(
            seen.uniqueid, known.arrived_at, said.get("AC_ANI") or seen.number, seen.name, said.get("AC_DNIS", ""),
            said.get("AC_ENTRY", ""), seen.linkedid, caller=Leg(seen.uniqueid, channel=seen.channel),
            told=frozenset({"arrived", "answered"} if seen.up else {"arrived"}),
        )  # fmt: skip

    def _list_one(self, seen: ChannelSeen) -> None:
        unknown = seen.uniqueid not in self._calls
        if unknown and seen.channel.startswith(self._trunk) and not is_leg(seen.uniqueid):
            if self._other_end(seen):
                return
            entry = seen.variables.get("AC_ENTRY", "")
            ani = seen.variables.get("AC_ANI", "")
            self._calls[seen.uniqueid] = Call(
                seen.uniqueid, ani=ani, entry=entry, dnis=seen.variables.get("AC_DNIS", "")
            )
            self._repair(seen.uniqueid, "call_found", "Asterisk has this call and we did not know of it")
        self._channel(seen, seen.uniqueid)
        call = self._calls.get(self._interaction_of(seen.uniqueid))
        if call is None or call.ended:
            return
        self._list_bridge(call, seen)
        said = seen.variables
        if said.get("AC_STAGE") == "wait" and call.id == seen.uniqueid and _visit_no(said) not in call.visits:
            fields = {
                "interaction": call.id, "channel": seen.channel, "visit": said.get("AC_VISIT", "1"),
                "queue": said.get("AC_QUEUE", ""), "at": said.get("AC_AT", ""), "lang": said.get("AC_LANG", ""),
                "prio": said.get("AC_PRIO", ""), "skills": said.get("AC_SKILLS", ""), "problem": said.get("AC_PROBLEM", ""),
                "level": said.get("AC_LEVEL", ""), "note": said.get("AC_NOTE", ""), "tier": said.get("AC_TIER", ""),
                "ani": seen.number, "facts": said.get("AC_FACTS", ""), "said": said.get("AC_SAID", ""),
            }  # fmt: skip
            self._give(call.id, Told(at=seen.at, name="AcWaiting", fields=fields))

    def _list_held(self, interaction_id: str, known: KnownCall, listed: Mapping[str, ChannelSeen]) -> None:
        """Whose caller is on hold stands in no bridge with them, and has them all the same."""
        caller, call = listed.get(interaction_id), self._calls.get(interaction_id)
        if caller is None or call is None or caller.variables.get("AC_STAGE") != "hold":
            return
        for leg_id, at in known.connected.items():
            leg, key = call.legs.get(leg_id), f"connected:{leg_id}"
            if leg is None or leg_id not in listed or key in call.told or leg.outside:
                continue
            self._calls[interaction_id] = replace(call, told=call.told | {key})
            self._events.emit(facts.CallConnected(
                interaction_id=interaction_id, at=at, leg_id=leg_id, offer_id=leg.offer_id, extension=leg.extension,
                caller=caller.channel))  # fmt: skip
            held = HoldChanged(at=max(caller.at, at), uniqueid=leg_id, on=True, by_order=True)
            self._give(interaction_id, held)
            call = self._calls[interaction_id]

    def _list_bridge(self, call: Call, seen: ChannelSeen) -> None:
        """Ends stays in bridges that the channel is no longer in."""
        leg = call.caller if seen.uniqueid == call.id else call.legs.get(seen.uniqueid)
        for stay in leg.stays if leg is not None else ():
            if stay.here and stay.bridge_id != seen.bridge_id:
                self._repair(call.id, "bridge_left", f"{seen.channel} has left a bridge and we did not know of it")
                # No later than it may have come back, of which we shall hear.
                at = max(seen.at, stay.entered[-1])
                left = BridgeLeft(at=at, uniqueid=seen.uniqueid, channel=seen.channel, bridge_id=stay.bridge_id)
                self._give(call.id, left)

    def _end_gone(self, call: Call, gone: Collection[str]) -> None:
        """Ends what Asterisk no longer has: legs first, so that who hung up is not mistaken."""
        now = self._clock.now()
        for leg in _legs_up(call):
            if leg.leg_id in gone:
                self._repair(
                    call.id, "leg_ended", f"extension {leg.extension or '?'} no longer has its leg of this call"
                )
                self._give(call.id, ChannelGone(at=now, uniqueid=leg.leg_id, channel=leg.channel, cause=UNSEEN))
        if call.id in gone and call.up:
            self._repair(call.id, "call_ended", "Asterisk no longer has this call")
            self._give(call.id, ChannelGone(at=now, uniqueid=call.id, channel=call.caller.channel, cause=UNSEEN))

    def lost_node(self) -> None:
        """Asterisk itself was lost: every call and every leg in it is over."""
        now = self._clock.now()
        for call in self.recent():
            for leg in _legs_up(call):
                self._give(call.id, ChannelGone(at=now, uniqueid=leg.leg_id, channel=leg.channel, cause=UNSEEN))
        for call in self.calls():
            self._calls[call.id] = replace(call, told=call.told | {"ended"})
            self._give(call.id, ChannelGone(at=now, uniqueid=call.id, channel=call.caller.channel, cause=UNSEEN))
            self._events.emit(facts.CallEnded(interaction_id=call.id, at=now, reason="node_lost", cause=0))

    def note_orphan(self, leg_id: str) -> None:
        """A phone rang for an offer whose maker is gone; it was stopped."""
        self._repair(interaction_of(leg_id), "offer_orphaned", "a phone rang for an offer of a process that is gone")

    def _repair(self, interaction_id: str, what: str, reason: str) -> None:
        self.repairs[what] = self.repairs.get(what, 0) + 1
        self._events.emit(
            facts.StateRepaired(interaction_id=interaction_id, at=self._clock.now(), what=what, reason=reason)
        )


def _ended_unseen(interaction_id: str, now: datetime, arrived_at: datetime) -> DomainEvent:
    return facts.CallEnded(interaction_id=interaction_id, at=max(now, arrived_at), reason="unseen", cause=0)


def is_leg(unique: str) -> bool:
    """Whether a channel's id is one that we chose, `{interaction}-{offer}`, and not one that Asterisk counted out."""
    return "-" in unique.rpartition(".")[2]


def _over(call: Call) -> bool:
    """It has ended; of a callback whose customer was not called: no agent's phone rings for it."""
    return call.ended or not (call.up or _legs_up(call))


def _legs_up(call: Call) -> list[Leg]:
    """The legs that are up as far as we know. One that failed without a channel never was."""
    return [leg for leg in call.legs.values() if leg.ended_at is None and (leg.channel or not leg.failed)]


def _channels_of(call: Call) -> list[str]:
    """The channels of a call that are up as far as we know; its legs may outlive it."""
    return [*([call.id] if call.up else []), *(leg.leg_id for leg in _legs_up(call))]


def _joined_at(listed: Iterable[ChannelSeen]) -> Iterator[tuple[str, datetime]]:
    """Since when callers and the legs that joined them talk, as the dialplan wrote it on the callers' channels."""
    for seen in listed:
        said = seen.variables
        if said.get("AC_STAGE") == "talk" and seen.bridge_id and said.get("AC_SINCE", "").isdecimal():
            at = min(seen.at, datetime.fromtimestamp(int(said["AC_SINCE"]) / 1000, UTC))
            yield seen.uniqueid, at
            yield leg_id_of(seen.uniqueid, said.get("AC_OFFER", "")), at


def _visit_no(said: Mapping[str, str]) -> int:
    text = said.get("AC_VISIT", "")
    return int(text) if text.isdecimal() else 1
