"""The interpreter: from one wait to the next.

Decides which node comes next and when a flow is over. Does not know what the nodes do, and carries nothing out: it is a
pure function of flow, session, outcome and context.

Invariants: every step ends at a wait or at the end, whatever the flow says (named limits); the session alone is enough
to go on; a caller who is gone ends the flow at once; a fault of the flow's author leads to a person, not to silence.
"""

from __future__ import annotations

from dataclasses import replace

from core.events.base import DomainEvent
from core.events.ivr import FlowEnded, FlowStarted, FlowWaited
from ivr.flow.model import (
    Context,
    Effect,
    End,
    Flow,
    FlowFault,
    Leave,
    Limits,
    NotProved,
    Passage,
    Remember,
    Report,
    Step,
    Trigger,
    Turn,
)
from ivr.flow.session import Session
from ivr.flow.waits import CallerGone, Outcome

LIMITS = Limits()


def start(flow: Flow, trigger: Trigger, context: Context, *, at_node: str = "", limits: Limits = LIMITS) -> Step:
    """A new call. `at_node`: where a caller stood of whom nothing else is known (unknown node = from the start)."""
    language = trigger.language if trigger.language in flow.languages else flow.languages[0]
    session = Session(trigger.interaction_id, flow.name, flow.version, trigger.did, trigger.ani, language)
    begun = FlowStarted(
        interaction_id=session.interaction_id, at=context.at, flow=flow.name, version=flow.version, language=language
    )
    entry = _place_again(flow, session, at_node) if at_node else flow.start
    step = _sprint(flow, session, Leave(entry), context, limits, events=[begun], target=entry)
    return _asked_again(step) if at_node else step


def resume(flow: Flow, session: Session, outcome: Outcome, context: Context, *, limits: Limits = LIMITS) -> Step:
    """Goes on where the session waits. Raises ValueError for a session of another flow."""
    if session.flow != flow.name or session.version != flow.version or session.node not in flow.places:
        raise ValueError("the session belongs to another flow")
    if isinstance(outcome, CallerGone):
        return _finish(flow, session, End("caller_gone"), context, [], [])
    try:
        turn = flow.places[session.node].node.resume(session, outcome, context)
    except (FlowFault, NotProved) as fault:
        return _sprint(flow, session, Leave(""), context, limits, fault=fault)
    return _sprint(flow, session, turn, context, limits)


def restore(flow: Flow, session: Session, context: Context, *, limits: Limits = LIMITS) -> Step:
    """Picks a caller up whose engine died: the same node again, who they are is asked again.

    A node that must not be repeated leads to a person; a session of a flow version that is gone begins anew.
    """
    if session.flow != flow.name or session.version != flow.version or session.node not in flow.places:
        trigger = Trigger(session.interaction_id, session.did, session.ani, session.language)
        return start(flow, trigger, context, limits=limits)
    clean = replace(session, level="", proved={}, place={}, ahead="")
    return _asked_again(
        _sprint(flow, clean, Leave(""), context, limits, target=_place_again(flow, clean, session.node))
    )


def _asked_again(step: Step) -> Step:
    """The channel still carries what the caller had proved before."""
    return replace(step, effects=(*step.effects, Remember("level", step.session.level)))


def _place_again(flow: Flow, session: Session, node: str) -> str:
    place = flow.places.get(node)
    if place is None:
        return flow.start
    if place.never_repeat:
        return flow.person
    return session.asked_at if place.personal and session.asked_at in flow.places else node


def _sprint(
    flow: Flow,
    before: Session,
    turn: Turn | Leave,
    context: Context,
    limits: Limits,
    *,
    events: list[DomainEvent] | None = None,
    target: str = "",
    fault: FlowFault | NotProved | None = None,
) -> Step:
    events = events or []
    reports: list[Effect] = []
    session = before
    entered = 0
    trail: list[Passage] = []
    while True:
        by = ""
        if fault is not None:
            target = _after(fault, flow, session, reports)
            fault = None
        elif isinstance(turn, Turn):
            session = turn.session
            events += turn.events
            reports += [Report(session.node, message) for message in turn.reports]
            if isinstance(turn.then, End):
                return replace(_finish(flow, before, turn.then, context, events, reports, session), trail=tuple(trail))
            if not isinstance(turn.then, Leave):
                return replace(_wait(before, session, turn, context, events, reports), trail=tuple(trail))
            by = turn.then.exit
            target = flow.places[session.node].exits.get(by) or flow.person
        entered += 1
        visits = session.visits.get(target, 0) + 1
        if (
            entered > limits.nodes_without_wait
            or visits > limits.visits_of_a_node
            or session.steps >= limits.steps_of_a_call
        ):
            reports.append(Report(session.node, f"a limit was reached before node '{target}'"))
            if (
                target == flow.person
                or session.steps > limits.steps_of_a_call
                or entered > limits.nodes_without_wait + 3
            ):
                ended = _finish(flow, before, End("error", error="limit"), context, events, reports, session)
                return replace(ended, trail=tuple(trail))
            target, visits, by = flow.person, session.visits.get(flow.person, 0) + 1, ""
        trail.append(Passage(session.node, by, target))
        session = replace(
            session, node=target, place={}, steps=session.steps + 1, visits={**session.visits, target: visits}
        )
        try:
            turn = flow.places[target].node.enter(session, context)
        except (FlowFault, NotProved) as met:
            fault = met


def _after(fault: FlowFault | NotProved, flow: Flow, session: Session, reports: list[Effect]) -> str:
    if isinstance(fault, NotProved) and session.asked_at in flow.places and session.asked_at != session.node:
        return session.asked_at
    reports.append(Report(session.node, str(fault) or "the caller is not identified at this point"))
    return flow.person


def _wait(
    before: Session, session: Session, turn: Turn, context: Context, events: list[DomainEvent], reports: list[Effect]
) -> Step:
    assert not isinstance(turn.then, Leave | End)
    waited = FlowWaited(
        interaction_id=session.interaction_id,
        at=context.at,
        flow=session.flow,
        node=session.node,
        wait=type(turn.then).__name__,
        session=session.journal(),
    )
    return Step(session, turn.then, (*events, waited), (*reports, *_remembered(before, session)))


def _finish(
    flow: Flow,
    before: Session,
    end: End,
    context: Context,
    events: list[DomainEvent],
    reports: list[Effect],
    session: Session | None = None,
) -> Step:
    session = session or before
    ended = FlowEnded(
        interaction_id=session.interaction_id,
        at=context.at,
        flow=flow.name,
        exit=end.exit,
        node=session.node,
        queue=end.queue,
        language=session.language,
        problem=end.problem,
        error=end.error,
    )
    return Step(session, end, (*events, ended), (*reports, *_remembered(before, session)))


def _remembered(before: Session, after: Session) -> list[Effect]:
    """What the caller's channel must learn: only what changed."""
    changes: list[Effect] = []
    if after.node != before.node:
        changes.append(Remember("node", after.node))
    if after.language != before.language or not before.node:
        changes.append(Remember("language", after.language))
    if after.level != before.level:
        changes.append(Remember("level", after.level))
    return changes
