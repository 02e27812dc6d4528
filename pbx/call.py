"""A call as the facts known of it, and what those facts mean: who rings, who talks, how it ended.

Pure. Decides from literal tables which AMI event adds which fact (`_MERGE`) and which domain event each fact deserves
(`_news`). Does not know Asterisk's lists, clocks or other calls.
Invariants: facts only grow, and of two moments for the same fact the earlier stands, so that events doubled, out of order
or told again by a list end in the same call; each domain event is told once (`told`); an event that says nothing new is
`Ignored`, never an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

from core.events import pbx as facts
from core.events.base import DomainEvent
from core.frozen import changed
from pbx.ami_events import (
    UNSEEN,
    AmiEvent,
    BridgeEntered,
    BridgeLeft,
    ChannelGone,
    ChannelSeen,
    ChannelState,
    HoldChanged,
    OriginateFailed,
    Told,
    clean_number,
)  # fmt: skip

# The id of a call to a customer is chosen by us, `cb.{made}.c`, and the legs that wait for it are `cb.{made}-{offer}`: Asterisk
# refuses an id with which that of a living channel begins.
CALLBACK, CUSTOMER = "cb.", ".c"
CALLBACK_ENTRY = "callback"
UNANSWERED = {0: "no_answer", 16: "no_answer", 18: "no_answer", 19: "no_answer", 26: "no_answer", 102: "no_answer",
              127: "no_answer", 17: "busy", 21: "refused"}  # fmt: skip
OUTSIDE = "out"  # what the offer id of a leg to somebody outside begins with
UNREACHABLE = 20
USUAL = frozenset({0, 16, 127})  # Asterisk gives 0 for a caller who hangs up while waiting
TICK = timedelta(microseconds=1)  # the finest difference Asterisk tells

Span = tuple[datetime, datetime | None]


@dataclass(frozen=True)
class Stay:
    """A channel's times in one bridge: the moments it entered and left, sorted."""

    bridge_id: str
    entered: tuple[datetime, ...] = ()
    left: tuple[datetime, ...] = ()

    @property
    def here(self) -> bool:
        """In the bridge now, as far as is known."""
        return bool(self.entered) and (not self.left or self.entered[-1] > self.left[-1])

    @property
    def last_left(self) -> datetime | None:
        return self.left[-1] if self.left and not self.here else None

    def spans(self) -> list[Span]:
        """From entering to leaving (None = still there)."""
        spans: list[Span] = []
        over: datetime | None = None
        for entered in self.entered:
            if spans and (over is None or entered < over):
                continue  # told twice, or the leaving in between was lost
            over = next((left for left in self.left if left >= entered), None)
            spans.append((entered, over))
        return spans


@dataclass(frozen=True)
class Leg:
    """A channel with a part to play: the caller's (`offer_id` ""), or an agent's of one offer."""

    leg_id: str
    offer_id: str = ""
    extension: str = ""
    channel: str = ""
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    cause: int | None = None
    failed: bool = False
    stays: tuple[Stay, ...] = ()

    @property
    def outside(self) -> bool:
        """A third party's, reached over the trunk; no agent's."""
        return self.offer_id.startswith(OUTSIDE)

    def stay(self, bridge_id: str) -> Stay | None:
        return next((stay for stay in self.stays if stay.bridge_id == bridge_id), None)


@dataclass(frozen=True)
class Visit:
    """One time the caller came into the wait context, at `came`; they have waited since `at`, whatever came between."""

    number: int
    channel: str
    queue: str
    at: datetime
    came: datetime
    language: str = ""
    priority: int = 0
    skills: tuple[tuple[str, int], ...] = ()
    ani: str = ""
    level: str = ""
    problem: str = ""
    facts: str = ""  # of the order and the customer, as `a=1&b=2`
    note: str = ""
    tier: str = ""
    told: str = ""  # what they have been told of their wait


@dataclass(frozen=True)
class Call:
    """All that is known of the call whose interaction id is `id`."""

    id: str
    arrived_at: datetime | None = None
    ani: str = ""
    caller_name: str = ""
    dnis: str = ""
    entry: str = ""
    linkedid: str = ""
    caller: Leg = Leg("")
    legs: Mapping[str, Leg] = field(default_factory=dict)
    visits: Mapping[int, Visit] = field(default_factory=dict)
    holds: frozenset[tuple[datetime, bool, str, bool]] = frozenset()
    told: frozenset[str] = frozenset()

    @property
    def ended(self) -> bool:
        return self.caller.ended_at is not None

    @property
    def up(self) -> bool:
        """Its caller is on the line. A callback whose customer was not called yet has legs only."""
        return not self.ended and (self.arrived_at is not None or not is_callback(self.id))

    @property
    def talking(self) -> Leg | None:
        """The agent's leg that stands in a bridge with the caller now."""
        return next((leg for leg in self.legs.values() if _together(self.caller, leg, now_only=True)), None)

    @property
    def waiting(self) -> bool:
        """The caller has come into the wait context and has not talked to anybody since the last time."""
        if not self.visits or self.ended:
            return False
        came = max(visit.came for visit in self.visits.values())
        return not any(joined >= came for leg in self.legs.values() for joined, _ in _joins(self.caller, leg))

    @property
    def talk_s(self) -> float:
        """Seconds the caller and agents were together in bridges."""
        return sum((_talked_s(self.caller, leg) for leg in self.legs.values()), 0.0)


@dataclass(frozen=True)
class Ignored:
    """Why an event changed nothing."""

    reason: str


def apply(call: Call, event: AmiEvent) -> tuple[Call, list[DomainEvent] | Ignored]:
    """The call with the event's facts in it, and what is to be told. Events about other calls are Ignored."""
    merge = _MERGE.get(type(event))
    if merge is None:
        return call, Ignored(f"{type(event).__name__} says nothing about a call")
    after = merge(call, event)
    if after == call:
        return call, Ignored("nothing new")
    news = _news(after, event.at)
    if news:
        after = changed(after, told=call.told.union(key for key, _ in news))
    return after, [told for _, told in news]


def _ms(moment: datetime) -> datetime:
    """Events are told in milliseconds; the facts keep the microseconds in which two channels leave a bridge."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


# --- facts


def _on_leg(change: Callable[[Leg, AmiEvent], Leg]) -> Callable[[Call, AmiEvent], Call]:
    def merge(call: Call, event: AmiEvent) -> Call:
        unique: str = event.uniqueid  # type: ignore[attr-defined]
        if unique == call.id:
            return changed(call, caller=change(call.caller, event))
        leg = call.legs.get(unique)
        if leg is None:
            offer_id = offer_of(unique, call.id)
            if not offer_id:
                return call
            leg = Leg(unique, offer_id)
        return changed(call, legs={**call.legs, unique: change(leg, event)})

    return merge


def is_callback(interaction_id: str) -> bool:
    """Whether it is a call to a customer, made for an agent who waits for it."""
    return interaction_id.startswith(CALLBACK)


def leg_id_of(interaction_id: str, offer_id: str) -> str:
    return f"{interaction_id.removesuffix(CUSTOMER) if is_callback(interaction_id) else interaction_id}-{offer_id}"


def interaction_of(leg_id: str) -> str:
    """The interaction that a leg of ours belongs to; "" when it is no leg."""
    head = leg_id.rpartition("-")[0]
    return head + CUSTOMER if is_callback(head) and not head.endswith(CUSTOMER) else head


def offer_of(unique: str, interaction_id: str) -> str:
    """The offer id in a leg's id; "" when it is no leg of that interaction."""
    offer_id = unique.rpartition("-")[2]
    return offer_id if offer_id != unique and interaction_of(unique) == interaction_id else ""


def extension_of(channel: str) -> str:
    """`PJSIP/1001-0000002a` → `1001`."""
    return channel.removeprefix("PJSIP/").rpartition("-")[0] if channel.startswith("PJSIP/") else ""


def _known(leg: Leg, channel: str) -> Leg:
    if leg.channel or not channel:
        return leg
    return changed(leg, channel=channel, extension=leg.extension or extension_of(channel))


def _seen(call: Call, event: AmiEvent) -> Call:
    assert isinstance(event, ChannelSeen)
    if event.uniqueid == call.id and call.arrived_at is None:
        call = changed(
            call, arrived_at=event.at, ani=call.ani or event.number, caller_name=event.name, dnis=call.dnis or event.dialled,
            linkedid=event.linkedid, caller=changed(call.caller, leg_id=call.id),
        )  # fmt: skip
    return _on_leg(_leg_seen)(call, event)


def _leg_seen(leg: Leg, event: AmiEvent) -> Leg:
    assert isinstance(event, ChannelSeen)
    leg = _known(leg, event.channel)
    if event.ringing and leg.ringing_at is None:
        leg = changed(leg, ringing_at=event.at)
    if event.up and leg.answered_at is None:
        leg = changed(leg, answered_at=event.at)
    stay = leg.stay(event.bridge_id) or Stay(event.bridge_id)
    if event.bridge_id and not stay.here:
        # It is there again, though the list was asked for before we heard that it had left.
        entered = max([event.at, *(left + TICK for left in stay.left[-1:])])
        leg = _stayed(leg, event.bridge_id, entered=entered)
    return leg


def _state(leg: Leg, event: AmiEvent) -> Leg:
    assert isinstance(event, ChannelState)
    leg = _known(leg, event.channel)
    if event.state == "Ringing":
        return changed(leg, ringing_at=_earlier(leg.ringing_at, event.at))
    if event.state == "Up":
        return changed(leg, answered_at=_earlier(leg.answered_at, event.at))
    return leg


def _earlier(known: datetime | None, at: datetime) -> datetime:
    return at if known is None else min(known, at)


def _gone(leg: Leg, event: AmiEvent) -> Leg:
    assert isinstance(event, ChannelGone)
    leg = _known(leg, event.channel)
    if leg.ended_at is not None and leg.ended_at <= event.at:
        return leg
    return changed(leg, ended_at=event.at, cause=event.cause)


def _entered(leg: Leg, event: AmiEvent) -> Leg:
    assert isinstance(event, BridgeEntered)
    return _stayed(_known(leg, event.channel), event.bridge_id, entered=event.at)


def _left(leg: Leg, event: AmiEvent) -> Leg:
    assert isinstance(event, BridgeLeft)
    return _stayed(_known(leg, event.channel), event.bridge_id, left=event.at)


def _stayed(leg: Leg, bridge_id: str, *, entered: datetime | None = None, left: datetime | None = None) -> Leg:
    before = leg.stay(bridge_id) or Stay(bridge_id)
    after = Stay(bridge_id, _with(before.entered, entered), _with(before.left, left))
    others = [stay for stay in leg.stays if stay.bridge_id != bridge_id]
    return changed(leg, stays=tuple(sorted([*others, after], key=lambda stay: stay.bridge_id)))


def _with(moments: tuple[datetime, ...], moment: datetime | None) -> tuple[datetime, ...]:
    return moments if moment is None else tuple(sorted({*moments, moment}))


def _held(call: Call, event: AmiEvent) -> Call:
    assert isinstance(event, HoldChanged)
    if event.uniqueid != call.id and not offer_of(event.uniqueid, call.id):
        return call
    return changed(call, holds=call.holds | {(event.at, event.on, event.uniqueid, event.by_order)})


def _originate_failed(call: Call, event: AmiEvent) -> Call:
    assert isinstance(event, OriginateFailed)
    leg = call.legs.get(event.action_id) or Leg(event.action_id, offer_of(event.action_id, call.id))
    if not leg.offer_id:
        return call
    return replace(call, legs={**call.legs, event.action_id: replace(leg, failed=True)})


def _told(call: Call, event: AmiEvent) -> Call:
    assert isinstance(event, Told)
    if event.name == "AcCalling" and event.fields.get("interaction") == call.id:
        return changed(call, ani=clean_number(event.fields.get("ani", "")))
    if event.name != "AcWaiting" or event.fields.get("interaction") != call.id:
        return call
    visit = visit_of(event)
    if visit is None or visit.number in call.visits:
        return call
    return changed(call, visits={**call.visits, visit.number: visit})


def visit_of(event: Told) -> Visit | None:
    """What the wait context says of a caller; None when it cannot be read."""
    said = event.fields
    try:
        at = datetime.fromtimestamp(int(said["at"]) / 1000, UTC)
        skills = [part.partition(":") for part in said.get("skills", "").split(",") if part]
        return Visit(
            number=int(said.get("visit") or 1), channel=said["channel"], queue=said.get("queue", ""), at=at, came=event.at,
            language=said.get("lang", ""), priority=int(said.get("prio") or 0),
            skills=tuple(sorted((name, int(least or 1)) for name, _, least in skills)),
            ani=said.get("ani", ""), level=said.get("level", ""), problem=said.get("problem", ""),
            note=said.get("note", ""), tier=said.get("tier", ""), facts=said.get("facts", ""),
            told=said.get("said", ""),
        )  # fmt: skip
    except (KeyError, ValueError, OverflowError):
        return None


_MERGE: Mapping[type[AmiEvent], Callable[[Call, AmiEvent], Call]] = {
    ChannelSeen: _seen,
    ChannelState: _on_leg(_state),
    ChannelGone: _on_leg(_gone),
    BridgeEntered: _on_leg(_entered),
    BridgeLeft: _on_leg(_left),
    HoldChanged: _held,
    OriginateFailed: _originate_failed,
    Told: _told,
}


# --- what the facts mean


def _together(caller: Leg, leg: Leg, *, now_only: bool = False) -> str:
    """The bridge in which both have stood (`now_only`: stand now); ""."""
    for stay in leg.stays:
        mine = caller.stay(stay.bridge_id)
        if mine is None or not stay.entered or not mine.entered:
            continue
        if not now_only or (stay.here and mine.here and leg.ended_at is None and caller.ended_at is None):
            return stay.bridge_id
    return ""


def _joins(caller: Leg, leg: Leg) -> list[tuple[datetime, str]]:
    """When, and in which bridge, they last came together; each bridge in which both have stood."""
    joins = []
    for stay in leg.stays:
        mine = caller.stay(stay.bridge_id)
        if mine is not None and stay.entered and mine.entered:
            joins.append((max(stay.entered[-1], mine.entered[-1]), stay.bridge_id))
    return joins


def _talked_s(caller: Leg, leg: Leg) -> float:
    total = 0.0
    for stay in leg.stays:
        mine = caller.stay(stay.bridge_id)
        for began, ended in stay.spans():
            for my_began, my_ended in mine.spans() if mine is not None else ():
                ends = [moment for moment in (ended, my_ended, leg.ended_at, caller.ended_at) if moment is not None]
                if ends:
                    total += max(0.0, (min(ends) - max(began, my_began)).total_seconds())
    return total


def _end_reason(call: Call) -> str:
    """Who ended the call: whoever left the last common bridge first; without a talk, the caller or the system."""
    if call.caller.cause == UNSEEN:
        return "vanished"
    if is_callback(call.id) and call.caller.answered_at is None:
        return UNANSWERED.get(call.caller.cause or 0, "unreachable")
    talks = [(*join, leg) for leg in call.legs.values() for join in _joins(call.caller, leg)]
    if talks:
        _, bridge, leg = max(talks, key=lambda talk: talk[:2])
        theirs, mine = ((who.stay(bridge) or Stay(bridge)).last_left for who in (leg, call.caller))
        if theirs is not None and (mine is None or theirs <= mine):
            return "agent_hangup"
    return "caller_hangup" if call.caller.cause in USUAL else "system"


def _news(call: Call, at: datetime) -> list[tuple[str, DomainEvent]]:
    """What the facts deserve to have told and was not told yet, each under its key; in the order of a usual call."""
    ix, told = call.id, call.told
    news: list[tuple[str, DomainEvent]] = []
    if call.arrived_at is not None and "arrived" not in told:
        news.append(("arrived", facts.CallArrived(
            interaction_id=ix, at=_ms(call.arrived_at), ani=call.ani, dnis=call.dnis, channel=call.caller.channel,
            linkedid=call.linkedid, caller_name=call.caller_name, entry=call.entry)))  # fmt: skip
    if call.caller.answered_at is not None and "answered" not in told:
        answered_at, channel = _ms(call.caller.answered_at), call.caller.channel
        news.append(("answered", facts.CallAnswered(interaction_id=ix, at=answered_at, channel=channel)))
    for visit in call.visits.values():
        if not call.ended and (key := f"waiting:{visit.number}") not in told:
            first_at = min(visit.at for visit in call.visits.values())
            news.append((key, facts.CallWaiting(
                interaction_id=ix, at=_ms(at), channel=visit.channel, queue=visit.queue, enqueued_at=first_at,
                language=visit.language, priority=visit.priority, skills=dict(visit.skills), ani=visit.ani or call.ani,
                level=visit.level, problem=visit.problem, note=visit.note, tier=visit.tier,
                facts=dict(parse_qsl(visit.facts)), told=visit.told)))  # fmt: skip
    for leg in call.legs.values():
        news += _leg_news(call, leg, at)
    for moment, on, unique, by_order in sorted(call.holds):
        if (key := f"hold:{moment.isoformat()}:{on}") not in told:
            extension = call.legs[unique].extension if unique in call.legs else ""
            kind = facts.CallHeld if on else facts.CallResumed
            news.append((key, kind(interaction_id=ix, at=_ms(moment), extension=extension, by_order=by_order)))
    if call.caller.ended_at is not None and call.arrived_at is not None and "ended" not in told:
        news.append(("ended", facts.CallEnded(
            interaction_id=ix, at=_ms(call.caller.ended_at), reason=_end_reason(call), cause=max(0, call.caller.cause or 0),
            talk_s=round(call.talk_s, 3))))  # fmt: skip
    return news


def _leg_news(call: Call, leg: Leg, at: datetime) -> list[tuple[str, DomainEvent]]:
    ids = {"interaction_id": call.id, "leg_id": leg.leg_id, "offer_id": leg.offer_id, "extension": leg.extension}
    told = call.told
    news: list[tuple[str, DomainEvent]] = []
    if leg.ringing_at is not None and (key := f"ringing:{leg.leg_id}") not in told:
        news.append((key, facts.LegRinging(at=_ms(leg.ringing_at), **ids)))
    if leg.answered_at is not None and (key := f"answered:{leg.leg_id}") not in told:
        news.append((key, facts.LegAnswered(at=_ms(leg.answered_at), **ids)))
    if (key := f"connected:{leg.leg_id}") not in told and (bridge := _together(call.caller, leg)):
        entered = max((who.stay(bridge) or Stay(bridge, (at,))).entered[0] for who in (leg, call.caller))
        if leg.outside:
            news.append((key, facts.PartyJoined(
                interaction_id=call.id, at=_ms(entered), channel=leg.channel, bridge_id=bridge, role="third",
                leg_id=leg.leg_id)))  # fmt: skip
        else:
            news.append(
                (key, facts.CallConnected(at=_ms(entered), bridge_id=bridge, caller=call.caller.channel, **ids))
            )
    # A failed Originate with a channel is told by that channel's own end, which knows the cause.
    if (leg.ended_at is not None or (leg.failed and not leg.channel)) and (key := f"ended:{leg.leg_id}") not in told:
        cause = UNREACHABLE if leg.cause is None else max(0, leg.cause)
        ended_at, answered = _ms(leg.ended_at or at), leg.answered_at is not None
        news.append((key, facts.LegEnded(at=ended_at, cause=cause, answered=answered, **ids)))
        if leg.outside and (bridge := _together(call.caller, leg)):
            news.append((f"left:{leg.leg_id}", facts.PartyLeft(
                interaction_id=call.id, at=ended_at, channel=leg.channel, bridge_id=bridge, role="third",
                leg_id=leg.leg_id)))  # fmt: skip
    return news
