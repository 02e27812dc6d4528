"""A flow tried by hand: what is typed in a terminal goes in, what a caller would hear comes out. Pure.

Runs on the same engine as live calls and scenarios. Every step can be taken back, because a call is a value. What was done
can be printed as a scenario, to be kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from ivr.flow.model import Evaluate, Flow, Report
from ivr.flow.waits import Collect, Play
from ivr.rehearsal.call import Call, CannotDo, calls
from ivr.rehearsal.model import FakeOrder, FakeQueue, Shop, World
from ivr.rehearsal.play import outcome

KEYS = re.compile(r"[0-9*#A-D]{1,64}")
HELP = """\
KEYS               press them (at a question, or while something is said that a key stops)
Enter              say nothing; listen to the end
back               one step back
hangup, crash      the caller goes; our process dies and another picks the caller up
again              call anew, in the world as it is now
caller NUMBER      (then `again`)
at 2026-11-24 22:00    what time it is, in the shop's zone
shop ok | slow | error | SECONDS    how the order system answers
order NO FACTOR STATUS [PHONE]      one more order
queue NAME ok | REASON              whether a queue takes callers
where              node, way, variables
cases              what was done so far, as a scenario
quit"""


class Simulator:
    """`say(line)` → what to show. `over` when nothing more can be done with this call."""

    def __init__(self, flow: Flow, world: World, evaluate: Evaluate) -> None:
        self._flow = flow
        self._evaluate = evaluate
        self._past: list[tuple[Call, list[str]]] = []
        self._done: list[str] = []
        self._shown = 0
        self.call = calls(flow, world, evaluate)

    def begin(self) -> list[str]:
        """What the caller hears first."""
        self._shown, self._done, self._past = 0, [], []
        return self._settle()

    def say(self, line: str) -> list[str]:
        """Does what was typed; never raises for it."""
        word, _, rest = line.strip().partition(" ")
        known: dict[str, Callable[[str], list[str]]] = {
            "back": self._back, "again": self._again, "caller": self._caller, "at": self._at, "shop": self._shop,
            "order": self._order, "queue": self._queue, "where": self._where, "cases": self._cases,
            "help": lambda _: HELP.splitlines(),
        }  # fmt: skip
        if word in known:
            return known[word](rest.strip())
        try:
            return self._act(word)
        except CannotDo as error:
            return [f"! {error}"]

    def _act(self, word: str) -> list[str]:
        match word:
            case "":
                wait = self.call.step.then
                if isinstance(wait, Play):
                    return self._did(self.call.goes_on(), "")
                return self._did(self.call.is_silent(), "silence")
            case "hangup":
                return self._did(self.call.hangs_up(), "hang-up")
            case "crash":
                return self._did(self.call.falls(), "crash")
            case _ if KEYS.fullmatch(word):
                if isinstance(self.call.step.then, Play):
                    return self._did(self.call.interrupts(word), f'interrupt: "{word}"')
                return self._did(self.call.presses(word), f'press: "{word}"')
        return [f"! '{word[:40]}' is neither keys nor a command; `help` lists them"]

    def _did(self, call: Call, act: str) -> list[str]:
        self._past.append((self.call, list(self._done)))
        self.call = call
        if act:
            self._done.append(act)
        return self._settle()

    def _settle(self) -> list[str]:
        """On to where the caller can do something, and what was heard on the way."""
        while not isinstance(self.call.step.then, Collect) and self.call.over is None:
            wait = self.call.step.then
            if isinstance(wait, Play) and wait.keys:
                break
            self.call = self.call.goes_on()
        said, self._shown = self.call.said[self._shown :], len(self.call.said)
        rows = [f"  [{one.node}] {one.text or '(' + one.name + ')'}" for one in said if not _silent(one.name)]
        rows += [f"  ! {report.node}: {report.message}" for report in self._new_reports()]
        return [*rows, self._state()]

    def _new_reports(self) -> list[Report]:
        before = self._past[-1][0].reports if self._past else ()
        return list(self.call.reports[len(before) :])

    def _state(self) -> str:
        if self.call.over is not None:
            facts = ", ".join(f"{name} {value}" for name, value in outcome(self.call).items() if value)
            return f"= the end: {self.call.over.exit}" + (f" ({facts})" if facts else "")
        wait = self.call.step.then
        if isinstance(wait, Collect):
            what = (
                "one key"
                if wait.longest == 1
                else f"up to {wait.longest} keys" + (f", then {wait.finish}" if wait.finish else "")
            )
            return f"? {self.call.node}: {what}"
        return f"… {self.call.node}: a key stops this, Enter hears it to the end"

    def _back(self, _: str) -> list[str]:
        if not self._past:
            return ["! this is the beginning"]
        self.call, self._done = self._past.pop()
        self._shown = len(self.call.said)
        return [self._state()]

    def _again(self, _: str) -> list[str]:
        self.call = calls(self._flow, self.call.world, self._evaluate)
        return self.begin()

    def _world(self, world: World, told: str) -> list[str]:
        self.call = replace(self.call, world=world)
        return [f"  {told}"]

    def _caller(self, rest: str) -> list[str]:
        return self._world(replace(self.call.world, caller=rest), f"the caller is {rest}, from the next call on")

    def _at(self, rest: str) -> list[str]:
        try:
            at = datetime.fromisoformat(rest)
        except ValueError:
            return ["! write a time like 2026-11-24 22:00"]
        world = self.call.world
        return self._world(replace(world, at=at if at.tzinfo else at.replace(tzinfo=world.zone)), f"it is {at}")

    def _shop(self, rest: str) -> list[str]:
        world = self.call.world
        if rest in ("ok", "slow", "error"):
            return self._world(replace(world, shop=Shop(fault="" if rest == "ok" else rest)), f"the shop: {rest}")
        try:
            after_s = float(rest)
        except ValueError:
            return ["! write ok, slow, error, or a number of seconds"]
        return self._world(replace(world, shop=Shop(after_s)), f"the shop answers after {after_s:g} s")

    def _order(self, rest: str) -> list[str]:
        parts = rest.split()
        if not 3 <= len(parts) <= 4:
            return ["! write order NO FACTOR STATUS [PHONE]"]
        order = FakeOrder(parts[0], parts[1], parts[3] if len(parts) > 3 else "", parts[2])
        world = self.call.world
        return self._world(replace(world, orders=(*world.orders, order)), f"there is an order {order.no}")

    def _queue(self, rest: str) -> list[str]:
        name, _, why = rest.partition(" ")
        if not name or not why:
            return ["! write queue NAME ok, or queue NAME and why it takes nobody"]
        world = self.call.world
        queues = {**world.queues, name: FakeQueue("" if why == "ok" else why)}
        return self._world(replace(world, queues=queues), f"the queue {name}: {why}")

    def _where(self, _: str) -> list[str]:
        session = self.call.step.session
        return [
            "  " + " → ".join(passage.to for passage in self.call.trail),
            f"  language {session.language}, level {session.level or 'none'}, variables {dict(session.variables)}",
        ]

    def _cases(self, _: str) -> list[str]:
        end = self.call.over.exit if self.call.over else "…"
        way = ", ".join(passage.to for passage in self.call.trail)
        acts = [f"      - {act}" for act in self._done] or ["      []"]
        return ["  - name: …", "    call:", *acts, f"    expect: {{end: {end}, path: [{way}]}}"]


def _silent(name: str) -> bool:
    return name.startswith("silence-")
