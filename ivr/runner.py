"""Runs flows on callers' lines: does what the engine asks for, tells the engine what came of it.

Decides nothing about menus. Invariants: events leave before the wait they tell of begins; every port has a deadline and a
failure of ours never leaves a caller in silence (they go to the fallback queue); typed digits are in no log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import structlog

from core.clock import Clock
from core.events.ivr import FlowEnded
from core.events.stream import EventSink
from core.hours.model import Calendar
from core.phrases.model import Phrases, Prompt
from core.phrases.render import LANGUAGES, render
from core.prompts.library import PromptLibrary, PromptMissing
from ivr import ports
from ivr.catalogue import FlowCatalogue
from ivr.cel import Expressions
from ivr.collect import collect
from ivr.flow import engine
from ivr.flow.model import Context, End, Flow, Remember, Step, Trigger
from ivr.flow.session import Session
from ivr.flow.waits import (
    CallBack,
    CallerGone,
    Collect,
    Done,
    HandOff,
    HangUp,
    LeaveVoicemail,
    LookedUp,
    LookUp,
    Outcome,
    Play,
    Played,
    Refused,
    Wait,
)

log = structlog.get_logger()
PORT_S = 0.5  # how long a queue or box may take to say whether it takes the caller
CALLBACK_S = 2.0  # how long a promise to call back may take to be made
VARIABLES = {"node": "AC_NODE", "language": "AC_LANG", "level": "AC_LEVEL"}


class Runner:
    """One for a process; each call has its own `run`. `fallback_queue` takes callers whom no flow can help."""

    def __init__(
        self,
        catalogue: FlowCatalogue,
        lookup: ports.OrderLookup,
        handoff: ports.Handoff,
        events: EventSink,
        clock: Clock,
        *,
        prompts: PromptLibrary | None = None,
        voicemail: ports.Voicemail | None = None,
        callbacks: ports.CallbackDesk | None = None,
        expressions: Expressions | None = None,
        calendars: Mapping[str, Calendar] | None = None,
        fallback_queue: str = "service",
    ) -> None:
        self._catalogue = catalogue
        self._lookup = lookup
        self._handoff = handoff
        self._events = events
        self._clock = clock
        self._prompts = prompts or PromptLibrary()
        self._voicemail = voicemail or ports.CommonBox()
        self._callbacks = callbacks or ports.NoCallbacks()
        self._expressions = expressions or Expressions()
        self._calendars = calendars or {}
        self._fallback_queue = fallback_queue

    async def run(
        self,
        line: ports.Line,
        *,
        did: str,
        ani: str,
        interaction_id: str,
        resume: Mapping[str, Any] | None = None,
        at_node: str = "",
        language: str = "",
    ) -> End:
        """Takes a call through its flow. `resume`: the journalled session of a call that fell out of a dead process;
        `at_node` and `language`: all that is known when there is none. Never raises for what callers or ports do."""
        call = Trigger(interaction_id, did, ani, language)
        try:
            if await line.answer() is not None:
                return End("caller_gone")
            flow = self._catalogue.for_did(did)
            if flow is None:
                log.warning("no_flow_for_number")
                return await self._fall_back(line, call, "no flow for this number")
            return await self._follow(line, flow, call, resume, at_node)
        except Exception as error:
            log.exception("flow_failed")
            return await self._fall_back(line, call, type(error).__name__)

    async def _follow(
        self, line: ports.Line, flow: Flow, call: Trigger, resume: Mapping[str, Any] | None, at_node: str
    ) -> End:
        session = _read(resume)
        if session is not None:
            flow = self._catalogue.version(session.flow, session.version) or flow
            step = engine.restore(flow, session, self._context())
        else:
            step = engine.start(flow, call, self._context(), at_node=at_node)
        while True:
            if not await self._carry_out(line, step):
                step = engine.resume(flow, step.session, CallerGone(), self._context())
                self._tell(step)
                return End("caller_gone")
            if isinstance(step.then, End):
                return await self._finish(line, step.session.language, step.then)
            outcome = await self._perform(line, step.then, step.session)
            step = engine.resume(flow, step.session, outcome, self._context())

    def _context(self) -> Context:
        return Context(self._clock.now(), self._expressions.evaluate, self._calendars)

    def _tell(self, step: Step) -> None:
        for event in step.events:
            self._events.emit(event)

    async def _carry_out(self, line: ports.Line, step: Step) -> bool:
        """Events and effects; False when the caller is gone and the flow does not know it yet."""
        self._tell(step)
        for effect in step.effects:
            if isinstance(effect, Remember):
                gone = await line.set_variable(VARIABLES[effect.what], effect.value)
                if gone is not None and not isinstance(step.then, End):
                    return False
            else:
                log.warning("flow_fault", flow=step.session.flow, node=effect.node, fault=effect.message)
        return True

    async def _perform(self, line: ports.Line, wait: Wait, session: Session) -> Outcome:
        match wait:
            case Play(phrases, language, keys):
                played = await line.play(self._paths(phrases, language), keys)
                return CallerGone() if isinstance(played, ports.HungUp) else Played(played.digit or "")
            case Collect():
                return await collect(line, wait, [] if wait.ahead else self._paths(wait.phrases, wait.language))
            case LookUp():
                return await self._look_up(line, wait, session)
            case HandOff():
                return await self._hand_off(line, wait, session)
            case LeaveVoicemail(box):
                why = await self._asked(self._voicemail.refusal(box))
                return Refused(why) if why else await self._mark(line, {"AC_NEXT": "voicemail", "AC_BOX": box})
            case CallBack():
                return await self._call_back(wait, session)
            case HangUp():
                return await self._mark(line, {"AC_NEXT": "hangup"})

    def _paths(self, phrases: Phrases, language: str) -> list[str]:
        found: list[str] = []
        for name in render(phrases, language):
            try:
                found += self._prompts.paths([name])
            except PromptMissing:
                log.error("prompt_missing", prompt=name)  # the rest is said all the same
        return found

    async def _look_up(self, line: ports.Line, wait: LookUp, session: Session) -> Outcome:
        request = ports.LookupRequest(
            session.interaction_id, wait.language, session.ani, wait.order_no, wait.second_factor
        )
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(self._ask(request, wait.deadline_s))
            await asyncio.wait({asked}, timeout=wait.filler_after_s)
            if not asked.done():
                played = await line.play(self._paths(wait.filler, wait.language), "")
                if isinstance(played, ports.HungUp):
                    asked.cancel()
                    return CallerGone()
            answer, took_ms = await asked
        first = answer.orders[0] if answer.orders else ports.OrderFacts("", "", "")
        facts = {"status": first.status, "count": len(answer.orders), **first.facts}
        return LookedUp(answer.kind, first.order_id, first.order_no, answer.level, answer.phrases, facts, took_ms)

    async def _ask(self, request: ports.LookupRequest, deadline_s: float) -> tuple[ports.LookupResult, float]:
        """The answer, whatever happens, and how many milliseconds it took."""
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(deadline_s):
                answer = await self._lookup.find(request, deadline_s)
        except TimeoutError:
            answer = ports.LookupResult("slow")
        except Exception:
            log.exception("order_lookup_failed")
            answer = ports.LookupResult("error")
        return answer, round((self._clock.monotonic() - began) * 1000, 1)

    async def _hand_off(self, line: ports.Line, wait: HandOff, session: Session) -> Outcome:
        request = ports.HandoffRequest(
            session.interaction_id,
            wait.queue,
            session.language,
            wait.skills,
            wait.priority,
            wait.problem,
            session.level,
        )
        why = await self._asked(self._handoff.refusal(request))
        if why:
            return Refused(why)
        marks = {
            "AC_QUEUE": wait.queue,
            "AC_LANG": session.language,
            "AC_PRIO": str(wait.priority),
            "AC_SKILLS": ",".join(f"{name}:{level}" for name, level in sorted(wait.skills.items())),
            "AC_PROBLEM": wait.problem,
            "AC_LEVEL": session.level,
            "AC_FACTS": _facts_of(session),
            "AC_NEXT": "queue",
        }
        if tier := session.facts()["vars"].get("tier"):
            marks["AC_TIER"] = str(tier)
        return await self._mark(line, marks)

    async def _call_back(self, wait: CallBack, session: Session) -> Outcome:
        """Unlike a queue, a promise that is not known to have been made was not."""
        request = ports.CallbackRequest(session.interaction_id, wait.queue, session.ani, session.language, wait.problem)
        ask = self._callbacks.refusal if wait.only_ask else self._callbacks.book
        try:
            async with asyncio.timeout(CALLBACK_S):
                why = await ask(request)
        except Exception as error:
            log.exception("port_failed")
            why = type(error).__name__
        return Refused(why) if why else Done()

    async def _asked(self, answer: Any) -> str:
        """A port's answer in time; a port that fails refuses nobody, because the dialplan can do without it."""
        try:
            async with asyncio.timeout(PORT_S):
                return str(await answer)
        except Exception:
            log.exception("port_failed")
            return ""

    async def _mark(self, line: ports.Line, marks: Mapping[str, str]) -> Done | CallerGone:
        for name, value in marks.items():
            if await line.set_variable(name, value) is not None:
                return CallerGone()
        return Done()

    async def _finish(self, line: ports.Line, language: str, end: End) -> End:
        if end.exit == "error":
            return await self._to_fallback(line, language, end)
        if end.exit != "caller_gone":
            await line.set_variable("AC_DONE", "1")
        return end

    async def _fall_back(self, line: ports.Line, call: Trigger, error: str) -> End:
        end = End("error", queue=self._fallback_queue, error=error)
        ended = FlowEnded(
            interaction_id=call.interaction_id, at=self._clock.now(), flow="", exit="error", queue=end.queue, error=error
        )  # fmt: skip
        self._events.emit(ended)
        return await self._to_fallback(line, call.language, end)

    async def _to_fallback(self, line: ports.Line, language: str, end: End) -> End:
        """Our fault: the caller hears so and gets a person."""
        said = (Prompt("system-error"), Prompt("connecting"))
        await line.play(self._paths(said, language if language in LANGUAGES else LANGUAGES[0]), "")
        queue = end.queue or self._fallback_queue
        await self._mark(line, {"AC_QUEUE": queue, "AC_NEXT": "queue", "AC_DONE": "1"})
        return End("error", queue=queue, error=end.error)


def _read(record: Mapping[str, Any] | None) -> Session | None:
    """The journalled session; one that cannot be read is as good as none."""
    try:
        return None if record is None else Session.from_json(record)
    except ValueError:
        log.exception("session_unreadable")
        return None


def _facts_of(session: Session) -> str:
    """What routing may weigh, for the caller's ticket: the order found, its value, and what the flow set as `owner`."""
    known = session.facts()
    order, said = known["order"], known["vars"]
    facts = {"order": order.get("id"), "value": order.get("total_minor"), "owner": said.get("owner")}
    return urlencode({name: value for name, value in facts.items() if value})
