"""Random but plausible days: any event about a few calls, agents and queues, in any order, also twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from core.events import DomainEvent, ivr, orders, pbx, recordings, routing

START = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
IX = st.sampled_from(["n1-1.1", "n1-2.1", "n1-3.1", "n1-4.1"])
EXT = st.sampled_from(["101", "102", "103"])
QUEUE = st.sampled_from(["service", "express"])
OFFER = st.sampled_from(["o1", "o2", "o3"])
AT = st.integers(0, 3 * 86_400_000).map(lambda ms: START + timedelta(milliseconds=ms))
STATE = st.sampled_from(["READY", "NOT_READY", "RESERVED", "ENGAGED", "WRAP_UP", "OFFLINE"])
SECONDS = st.floats(0, 100)


def _of(kind: type[DomainEvent], **fields: st.SearchStrategy) -> st.SearchStrategy[DomainEvent]:
    return st.builds(kind, at=AT, **fields)


EVENTS: st.SearchStrategy[DomainEvent] = st.one_of(
    _of(pbx.CallArrived, interaction_id=IX, ani=st.sampled_from(["+8613812345678", "", "anonymous"]),
        dnis=st.just("800"), channel=st.just("c"), entry=st.sampled_from(["menu", "queue", "agent"])),
    _of(pbx.CallWaiting, interaction_id=IX, channel=st.just("c"), queue=QUEUE, enqueued_at=AT,
        ani=st.just("+8613912345678")),
    _of(pbx.LegRinging, interaction_id=IX, leg_id=st.just("l"), offer_id=OFFER, extension=EXT),
    _of(pbx.CallConnected, interaction_id=IX, leg_id=st.just("l"), offer_id=OFFER, extension=EXT),
    _of(pbx.CallHeld, interaction_id=IX, extension=EXT),
    _of(pbx.CallResumed, interaction_id=IX, extension=EXT),
    _of(pbx.CallEnded, interaction_id=IX, reason=st.just("caller_hangup")),
    _of(pbx.AgentDeviceChanged, extension=EXT, reachable=st.booleans(), in_use=st.booleans()),
    _of(pbx.SwitchLinkChanged, node=st.just("n1"), up=st.booleans()),
    _of(pbx.StateRepaired, what=st.just("x"), reason=st.just("y")),
    _of(ivr.FlowStarted, interaction_id=IX, flow=st.just("main"), version=st.just("1"), language=st.just("zh")),
    _of(ivr.FlowWaited, interaction_id=IX, flow=st.just("main"), node=st.just("menu"), wait=st.just("digits")),
    _of(ivr.OrderLookedUp, interaction_id=IX, node=st.just("n"), outcome=st.just("found"), order_no=st.just("A1001")),
    _of(ivr.CallerIdentified, interaction_id=IX, level=st.just("order_no")),
    _of(ivr.FlowEnded, interaction_id=IX, flow=st.just("main"), exit=st.just("handoff")),
    _of(routing.ItemQueued, interaction_id=IX, queue=QUEUE, enqueued_at=AT, channel=st.just("c"),
        returned=st.booleans()),
    _of(routing.ItemAbandoned, interaction_id=IX, queue=QUEUE, waited_s=SECONDS),
    _of(routing.ItemOverflowed, interaction_id=IX, queue=QUEUE, reason=st.just("full")),
    _of(routing.AgentStateChanged, interaction_id=st.one_of(IX, st.just("")), extension=EXT, state=STATE,
        reason=st.sampled_from(["", "rona", "break"]), until=st.one_of(st.none(), AT)),
    _of(routing.OfferMade, interaction_id=IX, offer_id=OFFER, extension=EXT, queue=QUEUE, attempt=st.integers(1, 3),
        epoch=st.just(1), leg_id=st.just("l")),
    _of(routing.OfferRinging, interaction_id=IX, offer_id=OFFER, extension=EXT),
    _of(routing.OfferAccepted, interaction_id=IX, offer_id=OFFER, extension=EXT, queue=QUEUE, waited_s=SECONDS),
    _of(routing.OfferDeclined, interaction_id=IX, offer_id=OFFER, extension=EXT, cause=st.just(21)),
    _of(routing.OfferTimedOut, interaction_id=IX, offer_id=OFFER, extension=EXT, rang_s=SECONDS),
    _of(routing.OfferCancelled, interaction_id=IX, offer_id=OFFER, extension=EXT, reason=st.just("gone")),
    _of(routing.SegmentEnded, interaction_id=IX, offer_id=OFFER, extension=EXT, queue=QUEUE, ring_s=SECONDS,
        talk_s=SECONDS, hold_s=SECONDS, reason=st.just("x")),
    _of(routing.WrapUpStarted, interaction_id=IX, extension=EXT, offer_id=OFFER, seconds=SECONDS),
    _of(routing.WrapUpEnded, interaction_id=IX, extension=EXT, offer_id=OFFER, wrap_up_s=SECONDS),
    _of(recordings.RecordingStarted, interaction_id=IX, recording_id=st.just("r")),
    _of(orders.AlertRaised, what=st.sampled_from(["shop", "redis"]), message=st.just("m")),
    _of(orders.AlertCleared, what=st.sampled_from(["shop", "redis"])),
)  # fmt: skip
DAYS = st.lists(EVENTS, max_size=60)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)
