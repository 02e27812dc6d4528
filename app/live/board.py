"""Decides what the wallboard shows: calls, agents, queues and alarms, from domain events alone.

Does not read a clock, send anything or hide anything from anybody (`views.py` does).

Invariants: `apply` is total (an event it has no use for changes nothing), idempotent for repeated facts, and what it
changed is exactly its patch: snapshot + patches == fresh snapshot. A call that has ended never comes back. A queue's
`waiting`, `ringing`, `talking` are counted from the calls, never kept beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from app.live.model import Board, BoardAgent, BoardAlert, BoardCall, BoardQueue, day_of, sections
from app.live.patch import EMPTY, Patch, between
from core.events import ivr, orders, pbx, recordings, routing
from core.events.base import DomainEvent
from core.frozen import changed

REMEMBER_ENDED = 500
IN_NO_HANDS = {"doing": "", "doing_by": "", "muted": False, "target_kind": "", "target": ""}
BUSY_STATES = frozenset({"RESERVED", "ENGAGED", "WRAP_UP"})


def apply(board: Board, event: DomainEvent) -> tuple[Board, Patch]:
    """The board after the event, and what became different by it."""
    rule = _RULES.get(type(event))
    if rule is None:
        return board, EMPTY
    after = _count_anew(board, rule(board, event), event.interaction_id)
    return (after, between(sections(board), sections(after))) if after is not board else (board, EMPTY)


def tally(board: Board, events: Iterable[DomainEvent]) -> Board:
    """The board with the day's figures of these earlier events, without the calls and states they tell of: after a
    restart the figures come from the past, what is true now comes from Asterisk."""
    told = board
    for event in events:
        told, _ = apply(told, event)
    zero: dict[str, Any] = {"waiting": 0, "ringing": 0, "talking": 0, "oldest_at": None}
    queues = {name: changed(queue, **zero) for name, queue in told.queues.items()}
    agents = dict(board.agents)
    for ext, agent in told.agents.items():
        kept = agents.get(ext, BoardAgent(ext, agent.name))
        agents[ext] = changed(kept, answered=agent.answered, missed=agent.missed, day=agent.day)
    return _count(changed(board, queues=queues, agents=agents), queues)


def redraw(board: Board, events: Iterable[DomainEvent]) -> Board:
    """The board drawn anew from all that still lives; the day's figures and the names stay as they stand."""
    zero: dict[str, Any] = {"waiting": 0, "ringing": 0, "talking": 0, "oldest_at": None}
    queues = {name: changed(queue, **zero) for name, queue in board.queues.items()}
    agents = {ext: BoardAgent(ext, agent.name) for ext, agent in board.agents.items()}
    told = changed(board, calls={}, alerts={}, queues=queues, agents=agents)
    for event in events:
        told, _ = apply(told, event)
    figures = {
        name: changed(
            queue, answered=was.answered, answered_in_t=was.answered_in_t, abandoned=was.abandoned,
            overflowed=was.overflowed, day=was.day,
        )
        for name, queue in told.queues.items()
        for was in [board.queues.get(name, BoardQueue(name, threshold_s=queue.threshold_s))]
    }  # fmt: skip
    people = {
        ext: changed(agent, answered=was.answered, missed=was.missed, day=was.day)
        for ext, agent in told.agents.items()
        for was in [board.agents.get(ext, BoardAgent(ext))]
    }
    return changed(told, queues=figures, agents=people)


def turn_day(board: Board, day: str) -> tuple[Board, Patch]:
    """Sets the day's figures to zero where they are of another day than `day` (ISO, in the board's zone)."""
    queues = {
        name: queue if queue.day in ("", day) else _fresh_queue(queue, day) for name, queue in board.queues.items()
    }
    agents = {
        ext: agent if agent.day in ("", day) else changed(agent, answered=0, missed=0, day=day)
        for ext, agent in board.agents.items()
    }
    after = changed(board, queues=queues, agents=agents)
    return after, between(sections(board), sections(after))


def name_agents(board: Board, names: Mapping[str, str]) -> tuple[Board, Patch]:
    """Adds agents and names that have become known since."""
    agents = dict(board.agents)
    for ext, name in names.items():
        agents[ext] = changed(agents[ext], name=name) if ext in agents else BoardAgent(ext, name)
    after = changed(board, agents=agents)
    return after, between(sections(board), sections(after))


# --- calls


def _put(board: Board, call: BoardCall) -> Board:
    return changed(board, calls={**board.calls, call.id: call})


def _known(board: Board, event: DomainEvent) -> BoardCall | None:
    return board.calls.get(event.interaction_id)


def _known_or_new(board: Board, event: DomainEvent) -> BoardCall | None:
    """The call of the event, made on the spot when we never saw it arrive; None when it has ended already."""
    ix = event.interaction_id
    if not ix or ix in board.ended:
        return None
    return board.calls.get(ix) or BoardCall(ix, "arrived", event.at, event.at)


def _into(call: BoardCall, state: str, at: datetime, **values: Any) -> BoardCall:
    """The call in `state`; its `since` moves only when the state is another one. Whoever waits is in nobody's hands."""
    if state == "waiting" and call.doing:
        values = {**IN_NO_HANDS, **values}
    return changed(call, state=state, since=call.since if call.state == state else at, **values)


def _arrived(board: Board, event: pbx.CallArrived) -> Board:
    call = _known_or_new(board, event)
    if call is None or event.entry == "agent":
        return board
    return _put(board, changed(call, ani=event.ani, caller_name=event.caller_name, dnis=event.dnis))


def _flow_started(board: Board, event: ivr.FlowStarted) -> Board:
    call = _known(board, event)
    if call is None or call.state not in ("arrived", "menu"):
        return board
    return _put(board, _into(call, "menu", event.at, language=event.language or call.language))


def _flow_waited(board: Board, event: ivr.FlowWaited) -> Board:
    call = _known(board, event)
    if call is None or call.state not in ("arrived", "menu"):
        return board
    return _put(board, _into(call, "menu", event.at, node=event.node))


def _looked_up(board: Board, event: ivr.OrderLookedUp) -> Board:
    call = _known(board, event)
    return _put(board, changed(call, order_no=event.order_no)) if call and event.order_no else board


def _identified(board: Board, event: ivr.CallerIdentified) -> Board:
    call = _known(board, event)
    return _put(board, changed(call, level=event.level)) if call else board


def _flow_ended(board: Board, event: ivr.FlowEnded) -> Board:
    call = _known(board, event)
    if call is None:
        return board
    problem, language = event.problem or call.problem, event.language or call.language
    return _put(board, changed(call, problem=problem, language=language, node=""))


def _waiting(board: Board, event: pbx.CallWaiting) -> Board:
    call = _known_or_new(board, event)
    if call is None:
        return board
    told: dict[str, Any] = {
        "queue": event.queue,
        "enqueued_at": event.enqueued_at,
        "ani": event.ani or call.ani,
        "language": event.language or call.language,
        "level": event.level or call.level,
        "problem": event.problem or call.problem,
        "priority": event.priority,
    }
    if call.state in ("offered", "ringing"):  # the caller hears music while a phone rings: both are true
        return _put(board, changed(call, **told))
    return _put(board, _into(call, "waiting", event.at, agent="", offer_id="", **told))


def _queued(board: Board, event: routing.ItemQueued) -> Board:
    call = _known_or_new(board, event)
    if call is None:
        return board
    return _put(
        board,
        _into(
            call, "waiting", event.at, queue=event.queue, enqueued_at=event.enqueued_at, agent="", offer_id="",
            ani=call.ani or event.ani, language=event.language or call.language, priority=event.priority,
        ),
    )  # fmt: skip


def _offered(board: Board, event: routing.OfferMade) -> Board:
    after = _agent(board, event.extension, call=event.interaction_id)
    if event.purpose == "consult":
        return after  # the caller is still the other agent's
    call = _known_or_new(board, event)
    if call is None:
        return board
    return _put(
        after,
        _into(
            call, "offered", event.at, agent=event.extension, offer_id=event.offer_id, queue=event.queue,
            attempts=event.attempt,
        ),
    )  # fmt: skip


def _ringing(board: Board, event: routing.OfferRinging | pbx.LegRinging) -> Board:
    call = _known(board, event)
    if call is None or call.offer_id != event.offer_id or call.state not in ("offered", "ringing"):
        return board
    return _put(board, _into(call, "ringing", event.at))


def _offer_failed(board: Board, event: routing.OfferDeclined | routing.OfferTimedOut | routing.OfferCancelled) -> Board:
    call = _known(board, event)
    after = board
    if isinstance(event, routing.OfferTimedOut):
        agent = _of_day(board, event.extension, event.at)
        after = _agent(after, event.extension, missed=agent.missed + 1, day=agent.day, answered=agent.answered)
    if call is not None and call.offer_id == event.offer_id and call.state in ("offered", "ringing"):
        after = _put(after, _into(call, "waiting", event.at, agent="", offer_id=""))
    return after


def _accepted(board: Board, event: routing.OfferAccepted) -> Board:
    agent = _of_day(board, event.extension, event.at)
    after = _agent(board, event.extension, answered=agent.answered + 1, missed=agent.missed, day=agent.day)
    if event.purpose:
        return after  # the queue's caller was answered before
    queue = _queue_of_day(after, event.queue, event.at)
    within = int(event.waited_s <= queue.threshold_s)
    return _put_queue(after, changed(queue, answered=queue.answered + 1, answered_in_t=queue.answered_in_t + within))


def _connected(board: Board, event: pbx.CallConnected) -> Board:
    call = _known_or_new(board, event)
    if call is None:
        return board
    if call.state in ("talking", "held") and call.agent == event.extension and call.doing != "parked":
        return board  # told again after a resync
    return _put(
        _agent(board, event.extension, call=event.interaction_id),
        changed(
            call,
            state="talking",
            since=event.at,
            agent=event.extension,
            offer_id=event.offer_id or call.offer_id,
            **(IN_NO_HANDS if call.doing == "parked" else {}),
        ),
    )


def _held(board: Board, event: pbx.CallHeld) -> Board:
    call = _known(board, event)
    return _put(board, _into(call, "held", event.at)) if call and call.state == "talking" else board


def _resumed(board: Board, event: pbx.CallResumed) -> Board:
    call = _known(board, event)
    return _put(board, _into(call, "talking", event.at)) if call and call.state == "held" else board


def _handled(board: Board, event: routing.CallHandled) -> Board:
    """Of two who have the call in hand, the one who began counts; a parked caller is in nobody's."""
    call = _known(board, event)
    if call is None or (call.doing_by not in ("", event.extension) and event.doing != "parked"):
        return board
    if event.doing in ("", "gone"):
        return _put(board, changed(call, **IN_NO_HANDS)) if call.doing != "parked" else board
    return _put(board, changed(
        call, doing=event.doing, doing_by=event.extension, muted=event.muted, target_kind=event.target_kind,
        target=event.target,
    ))  # fmt: skip


def _segment_ended(board: Board, event: routing.SegmentEnded) -> Board:
    call = _known(board, event)
    if call is None or call.agent != event.extension or call.state not in ("talking", "held"):
        return board
    return _put(board, _into(call, "after", event.at, agent="", offer_id=""))


def _callback_over(board: Board, event: routing.CallbackMissed | routing.CallbackEnded) -> Board:
    """The entry does not stand there any more: it was called under this id, or nobody will be."""
    ix = event.call_id if isinstance(event, routing.CallbackEnded) else event.interaction_id
    call = board.calls.get(ix)
    return _gone(board, ix) if call is not None and call.state in ("waiting", "offered", "ringing") else board


def _recording(board: Board, event: recordings.RecordingStarted) -> Board:
    call = _known(board, event)
    return _put(board, changed(call, recording=True)) if call else board


def _ended(board: Board, event: pbx.CallEnded) -> Board:
    return _gone(board, event.interaction_id)


def _gone(board: Board, ix: str) -> Board:
    if not ix or ix in board.ended:
        return board
    calls = {key: call for key, call in board.calls.items() if key != ix}
    return changed(board, calls=calls, ended=(*board.ended[-(REMEMBER_ENDED - 1) :], ix))


# --- agents


def _agent(board: Board, extension: str, **values: Any) -> Board:
    agent = changed(board.agents.get(extension) or BoardAgent(extension), **values)
    return changed(board, agents={**board.agents, extension: agent})


def _of_day(board: Board, extension: str, at: datetime) -> BoardAgent:
    agent = board.agents.get(extension) or BoardAgent(extension)
    day = day_of(board, at)
    return agent if agent.day == day else changed(agent, answered=0, missed=0, day=day)


def _agent_state(board: Board, event: routing.AgentStateChanged) -> Board:
    agent = board.agents.get(event.extension) or BoardAgent(event.extension)
    same = (agent.state, agent.reason) == (event.state, event.reason) and agent.since is not None
    call = (event.interaction_id or agent.call) if event.state in BUSY_STATES else ""
    return _agent(
        board, event.extension, state=event.state, reason=event.reason, since=agent.since if same else event.at,
        until=event.until, call=call,
    )  # fmt: skip


def _agent_device(board: Board, event: pbx.AgentDeviceChanged) -> Board:
    return _agent(board, event.extension, reachable=event.reachable, in_use=event.in_use)


def _wrap_up(board: Board, event: routing.WrapUpStarted) -> Board:
    until = event.at + timedelta(seconds=event.seconds)
    return _agent(board, event.extension, until=until, call=event.interaction_id)


def _wrapped_up(board: Board, event: routing.WrapUpEnded) -> Board:
    agent = board.agents.get(event.extension)
    if agent is None or agent.call != event.interaction_id:
        return board
    return _agent(board, event.extension, until=None, call="")


# --- queues and alarms


def _put_queue(board: Board, queue: BoardQueue) -> Board:
    return changed(board, queues={**board.queues, queue.id: queue})


def _fresh_queue(queue: BoardQueue, day: str) -> BoardQueue:
    return changed(queue, answered=0, answered_in_t=0, abandoned=0, overflowed=0, day=day)


def _queue_of_day(board: Board, name: str, at: datetime) -> BoardQueue:
    queue = board.queues.get(name) or BoardQueue(name, threshold_s=board.threshold_s)
    day = day_of(board, at)
    return queue if queue.day == day else _fresh_queue(queue, day)


def _abandoned(board: Board, event: routing.ItemAbandoned) -> Board:
    queue = _queue_of_day(board, event.queue, event.at)
    return _put_queue(board, changed(queue, abandoned=queue.abandoned + 1))


def _overflowed(board: Board, event: routing.ItemOverflowed) -> Board:
    queue = _queue_of_day(board, event.queue, event.at)
    board = _put_queue(board, changed(queue, overflowed=queue.overflowed + 1))
    call = board.calls.get(event.interaction_id)
    if call is None or call.state != "waiting":
        return board
    return _put(board, _into(call, "after", event.at))


def _raised(board: Board, event: orders.AlertRaised) -> Board:
    since = board.alerts[event.what].since if event.what in board.alerts else event.at
    return changed(board, alerts={**board.alerts, event.what: BoardAlert(event.what, event.message, since)})


def _cleared(board: Board, event: orders.AlertCleared) -> Board:
    if event.what not in board.alerts:
        return board
    return changed(board, alerts={what: alert for what, alert in board.alerts.items() if what != event.what})


def _link(board: Board, event: pbx.SwitchLinkChanged) -> Board:
    what = f"switch-link-{event.node}"
    if event.up:
        return _cleared(board, orders.AlertCleared(at=event.at, what=what))
    message = "The link to the telephone switch is down: no new calls reach agents; menus and conversations go on."
    return _raised(board, orders.AlertRaised(at=event.at, what=what, message=message))


def _count_anew(before: Board, after: Board, ix: str) -> Board:
    """The board with those queues counted anew that the call of an event is, or was, in: no event changes another call."""
    if after.calls is before.calls:
        return after
    was, now = before.calls.get(ix), after.calls.get(ix)
    if was is not None and now is not None and _counted(was) == _counted(now):
        return after
    return _count(after, {call.queue for call in (was, now) if call is not None} - {""})


def _counted(call: BoardCall) -> tuple[Any, ...]:
    """All that a queue's figures come from."""
    return call.queue, call.state, call.enqueued_at, call.since


def _count(board: Board, names: Iterable[str]) -> Board:
    """The board with these queues counted anew."""
    names = frozenset(names)
    if not names:
        return board
    queues = dict(board.queues)
    for name in names:
        calls = [call for call in board.calls.values() if call.queue == name]
        queued = [call for call in calls if call.state in ("waiting", "offered", "ringing")]
        queues[name] = changed(
            queues.get(name) or BoardQueue(name, threshold_s=board.threshold_s),
            waiting=len(queued),
            ringing=sum(call.state == "ringing" for call in calls),
            talking=sum(call.state in ("talking", "held") for call in calls),
            oldest_at=min((call.enqueued_at or call.since for call in queued), default=None),
        )
    return changed(board, queues=queues)


def _rules() -> Mapping[type[DomainEvent], Callable[[Board, Any], Board]]:
    return {
        pbx.CallArrived: _arrived,
        pbx.CallWaiting: _waiting,
        pbx.LegRinging: _ringing,
        pbx.CallConnected: _connected,
        pbx.CallHeld: _held,
        pbx.CallResumed: _resumed,
        pbx.CallEnded: _ended,
        pbx.AgentDeviceChanged: _agent_device,
        pbx.SwitchLinkChanged: _link,
        ivr.FlowStarted: _flow_started,
        ivr.FlowWaited: _flow_waited,
        ivr.OrderLookedUp: _looked_up,
        ivr.CallerIdentified: _identified,
        ivr.FlowEnded: _flow_ended,
        routing.ItemQueued: _queued,
        routing.ItemAbandoned: _abandoned,
        routing.ItemOverflowed: _overflowed,
        routing.CallbackMissed: _callback_over,
        routing.CallbackEnded: _callback_over,
        routing.AgentStateChanged: _agent_state,
        routing.OfferMade: _offered,
        routing.OfferRinging: _ringing,
        routing.OfferAccepted: _accepted,
        routing.OfferDeclined: _offer_failed,
        routing.OfferTimedOut: _offer_failed,
        routing.OfferCancelled: _offer_failed,
        routing.SegmentEnded: _segment_ended,
        routing.CallHandled: _handled,
        routing.WrapUpStarted: _wrap_up,
        routing.WrapUpEnded: _wrapped_up,
        recordings.RecordingStarted: _recording,
        orders.AlertRaised: _raised,
        orders.AlertCleared: _cleared,
    }


_RULES = _rules()
