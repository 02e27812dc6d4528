"""One rehearsed call on the real engine: what was heard, which way it went, where it stands. Pure.

Invariant: the session is written down and read again before every step, so that every scenario proves that too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from core.phrases.model import Phrases
from core.phrases.render import render
from core.prompts.catalogue import text_of
from ivr.flow import engine
from ivr.flow.keys import Typed, begin, press, timed_out
from ivr.flow.model import Context, End, Evaluate, Flow, Passage, Report, Step, Trigger
from ivr.flow.session import Session
from ivr.flow.waits import CallerGone, Collect, HandOff, Keys, LeaveVoicemail, NoInput, Outcome, Play, Played
from ivr.rehearsal.model import World
from ivr.rehearsal.stage import answer

MOST_STEPS = 1000


class CannotDo(Exception):
    """The caller cannot do this now; the text says why."""


@dataclass(frozen=True, slots=True)
class Said:
    """One sound: the prompt's name, its words ("" = silence, or a sound of the operator's own), at which node."""

    name: str
    text: str
    language: str
    node: str


@dataclass(frozen=True, slots=True)
class Call:
    """Where a rehearsed call stands, and its story so far."""

    flow: Flow
    world: World
    evaluate: Evaluate
    step: Step
    said: tuple[Said, ...] = ()
    trail: tuple[Passage, ...] = ()
    reports: tuple[Report, ...] = ()
    handed: HandOff | None = None
    box: str | None = None
    steps: int = 0

    @property
    def asking(self) -> Collect | None:
        return self.step.then if isinstance(self.step.then, Collect) else None

    @property
    def over(self) -> End | None:
        return self.step.then if isinstance(self.step.then, End) else None

    @property
    def node(self) -> str:
        return self.step.session.node

    def goes_on(self) -> Call:
        """Carries out one wait that needs no caller. Raises CannotDo at a question or at the end."""
        wait = self.step.then
        if isinstance(wait, Collect | End):
            raise CannotDo("nothing happens without the caller here")
        outcome, meanwhile = answer(self.world, wait, self.world.caller)
        heard = self._hearing(meanwhile, self.step.session.language)
        return heard._resumed(outcome)

    def to_question(self) -> Call:
        """Goes on until the caller is asked something or the flow is over."""
        call = self
        while not isinstance(call.step.then, Collect | End):
            call = call.goes_on()
        return call

    def presses(self, keys: str) -> Call:
        """Keys at the question that comes next. Raises CannotDo when there is none, or when keys are left over."""
        call = self.to_question()
        wait = call._question()
        typed: Typed | Keys = begin(wait)
        for at, key in enumerate(keys):
            if isinstance(typed, Keys):
                raise CannotDo(f"the input was complete before the key '{keys[at]}' (number {at + 1} of '{keys}')")
            typed = press(typed, key, wait)
        return call._resumed(timed_out(typed, wait) if isinstance(typed, Typed) else typed)

    def interrupts(self, key: str) -> Call:
        """A key while something is being said. Raises CannotDo when it cannot be stopped."""
        wait = self.step.then
        if isinstance(wait, Play) and key in wait.keys:
            return self._resumed(Played(key))
        if isinstance(wait, Collect):
            return self.presses(key)
        raise CannotDo(f"no key is taken at node '{self.node}' now ({type(wait).__name__})")

    def is_silent(self) -> Call:
        """No key at the question that comes next."""
        call = self.to_question()
        wait = call._question()
        typed = begin(wait)
        return call._resumed(timed_out(typed, wait) if isinstance(typed, Typed) else NoInput())

    def hangs_up(self) -> Call:
        if self.over is not None:
            raise CannotDo(f"the flow is over already ({self.over.exit})")
        return self._resumed(CallerGone())

    def falls(self) -> Call:
        """Our process dies; another picks the caller up from the journal."""
        session = Session.from_json(json.loads(json.dumps(self.step.session.journal())))
        return self._took(engine.restore(self.flow, session, self._context()))

    def _question(self) -> Collect:
        if isinstance(self.step.then, Collect):
            return self.step.then
        raise CannotDo(f"nobody asks any more: the flow ended with '{self.over.exit if self.over else ''}'")

    def _context(self) -> Context:
        return Context(self.world.at, self.evaluate, self.world.calendars, self.world.zone)

    def _resumed(self, outcome: Outcome) -> Call:
        read_again = Session.from_json(json.loads(json.dumps(self.step.session.to_json())))
        if read_again != self.step.session:
            raise ValueError(f"the session changed on its way to disk and back at node '{self.node}'")
        return self._took(engine.resume(self.flow, read_again, outcome, self._context()))

    def _took(self, step: Step) -> Call:
        if self.steps >= MOST_STEPS:
            raise CannotDo("the call has no end")
        wait = step.then
        call = replace(
            self,
            step=step,
            trail=(*self.trail, *step.trail),
            reports=(*self.reports, *(effect for effect in step.effects if isinstance(effect, Report))),
            handed=wait if isinstance(wait, HandOff) else self.handed,
            box=wait.box if isinstance(wait, LeaveVoicemail) else self.box,
            steps=self.steps + 1,
        )
        if isinstance(wait, Play) or (isinstance(wait, Collect) and not wait.ahead):
            return call._hearing(wait.phrases, wait.language)
        return call

    def _hearing(self, phrases: Phrases, language: str) -> Call:
        names = [full.partition("/")[2] for full in render(phrases, language)]
        more = [Said(name, _words(name, language), language, self.node) for name in names]
        return replace(self, said=(*self.said, *more))


def _words(name: str, language: str) -> str:
    try:
        return text_of(name, language)
    except KeyError:
        return ""


def calls(flow: Flow, world: World, evaluate: Evaluate) -> Call:
    """A new call, answered."""
    trigger = Trigger(world.interaction_id, world.did, world.caller, world.language)
    step = engine.start(flow, trigger, Context(world.at, evaluate, world.calendars, world.zone))
    return Call(flow, world, evaluate, step)._took(step)
