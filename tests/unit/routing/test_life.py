"""Whatever happens outside, in whatever order: nobody has two calls, nobody is forgotten, everybody is served in the end.

A machine plays callers, agents, phones, a switch that loses facts, a link that breaks, a clock that is moved and a
controller that is killed; the oracles are asked after every step, and at the end of each life everything is put right and
everybody must come to rest.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.events import routing as told_events
from routing.agent import State
from routing.matcher import match
from tests.unit.routing.database import rebuilt
from tests.unit.routing.house import House, queue, record
from tests.unit.routing.switch_parts import LinkDown, Refused, Unclear
from tests.virtual import VirtualLoop

EXTENSIONS = ("101", "102", "103")
QUEUES = ("service", "express")
MOST_CALLERS = 12
STEP_S = 0.02
ends = (told_events.OfferDeclined, told_events.OfferTimedOut, told_events.OfferCancelled, told_events.SegmentEnded)
extensions = st.sampled_from(EXTENSIONS)


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.arrived = 0
        self.looked_at = 0
        self.open: dict[str, Any] = {}  # offers that were made and have not ended, by id
        self.refuses: set[str] = set()  # agents who last said that they want no call
        self.wraps_up_until: dict[str, float] = {}
        self.moved = False

    def do(self, act: Callable[[], object]) -> None:
        async def doing() -> None:
            act()
            await asyncio.sleep(STEP_S)

        self.loop.run_until_complete(doing())

    @initialize()
    def begin(self) -> None:
        async def building() -> None:
            agents = [record("101"), record("102", service=3, express=3), record("103", express=1)]
            self.house = House(agents, [queue(), queue("express", wrap_up_s=0, max_misses=2)])
            self.house.start()
            await asyncio.sleep(STEP_S)

        self.loop.run_until_complete(building())
        self.switch = self.house.switch
        self.do(self.switch.connect)
        for extension in EXTENSIONS:
            self.do(lambda extension=extension: self.house.ready(extension))  # type: ignore[misc]

    # --- what happens

    @precondition(lambda self: self.arrived < MOST_CALLERS)
    @rule(queue=st.sampled_from(QUEUES), priority=st.sampled_from([0, 0, 0, 5]))
    def a_caller_comes(self, queue: str, priority: int) -> None:
        self.arrived += 1
        self.do(lambda: self.switch.arrive(f"n1-{self.arrived}.{self.arrived}", queue, priority=priority))

    @rule(number=st.integers(1, MOST_CALLERS))
    def a_caller_hangs_up(self, number: int) -> None:
        if f"n1-{number}.{number}" in self.switch.callers:
            self.do(lambda: self.switch.caller_hangs_up(f"n1-{number}.{number}"))

    @rule(extension=extensions)
    def the_phone_is_answered(self, extension: str) -> None:
        self.do(lambda: self.switch.answer(extension))

    @rule(extension=extensions)
    def the_call_is_declined(self, extension: str) -> None:
        self.do(lambda: self.switch.decline(extension))

    @rule(extension=extensions)
    def the_agent_hangs_up(self, extension: str) -> None:
        self.do(lambda: self.switch.agent_hangs_up(extension))

    @rule(extension=extensions)
    def the_caller_is_sent_back(self, extension: str) -> None:
        self.do(lambda: self.switch.sent_back(extension))

    @rule(extension=extensions, on=st.booleans())
    def a_call_is_held(self, extension: str, on: bool) -> None:
        self.do(lambda: self.switch.hold(extension, on))

    @rule(extension=extensions, on=st.booleans())
    def an_own_call(self, extension: str, on: bool) -> None:
        self.do(lambda: self.switch.own_call(extension, on))

    @rule(extension=extensions)
    def a_phone_is_unplugged(self, extension: str) -> None:
        self.do(lambda: self.switch.unplug(extension))

    @rule(extension=extensions)
    def a_phone_is_plugged_in(self, extension: str) -> None:
        self.do(lambda: self.switch.plug_in(extension))

    @rule(extension=extensions, state=st.sampled_from(["READY", "READY", "NOT_READY", "OFFLINE"]))
    def an_agent_says(self, extension: str, state: str) -> None:
        self.heard()
        self.said(extension, state)
        self.do(lambda: self.house.say(extension, state, "lunch" if state == "NOT_READY" else ""))

    @rule(extension=extensions, code=st.sampled_from(["ready", "not_ready"]))
    def a_feature_code(self, extension: str, code: str) -> None:
        self.heard()
        self.said(extension, code.upper())
        self.do(lambda: self.switch.feature(extension, code))

    @rule(extension=extensions, more_s=st.sampled_from([0.0, 40.0]))
    def wrap_up_is_finished_or_extended(self, extension: str, more_s: float) -> None:
        if self.house.agent(extension).state is State.WRAP_UP:
            acd = self.house.acd
            self.wraps_up_until.pop(extension, None)
            if more_s:
                self.do(lambda: acd.extend_wrap_up(extension, more_s, actor="user:test"))
            else:
                self.do(lambda: acd.finish_wrap_up(extension, disposition="done", actor="user:test"))
            self.heard()

    @rule(deaf=st.booleans())
    def facts_are_lost_until_the_next_list(self, deaf: bool) -> None:
        self.switch.deaf = deaf

    @rule(up=st.booleans())
    def the_link(self, up: bool) -> None:
        if self.switch.link != up:
            self.do(self.switch.connect if up else self.switch.disconnect)

    @rule(fault=st.sampled_from([LinkDown, Unclear, lambda: Refused("no such context"), lambda: ValueError("cr")]))
    def the_next_order_is_not_taken(self, fault: Callable[[], Exception]) -> None:
        if self.switch.link:
            self.switch.fails.append(fault())

    @rule(mode=st.sampled_from(["shown", "shown", "hangs", "raises"]))
    def the_screen(self, mode: str) -> None:
        self.house.screen.mode = mode

    @rule(seconds=st.sampled_from([-3600, 3600, 60]))
    def somebody_moves_the_clock(self, seconds: int) -> None:
        self.house.clock.jump(seconds)
        self.moved = True

    @rule(seconds=st.sampled_from([0.3, 3, 12, 25, 60]))
    def time_goes_by(self, seconds: float) -> None:
        self.loop.live(seconds)

    @rule(down_s=st.sampled_from([0.5, 30]))
    def the_controller_is_killed(self, down_s: float) -> None:
        self.loop.run_until_complete(self.house.stop())
        self.switch.forget_what_was_told()
        if self.moved:  # the wall clock is all that a new process knows of a wrap-up's time
            self.wraps_up_until.clear()
        self.loop.live(down_s)
        said, unfinished = rebuilt(self.house.told.events, self.house.clock.now())
        self.house.acd = self.house.new_owner()
        self.do(lambda: self.house.acd.restore(said, unfinished))
        self.house.start_on(self.loop)
        self.do(self.switch.connect)

    # --- oracles

    def said(self, extension: str, state: str) -> None:
        if state == "READY":
            self.refuses.discard(extension)
            self.wraps_up_until.pop(extension, None)
        else:
            self.refuses.add(extension)

    @invariant()
    def heard(self) -> None:
        """Goes through what was told since: one offer after another; no offer to who wants none or is wrapping up."""
        told, begin = self.house.told, self.looked_at
        self.looked_at = len(told.events)
        for event, second in zip(told.events[begin:], told.seconds[begin:], strict=True):
            if isinstance(event, told_events.OfferMade):
                others = [made for made in self.open.values() if made.extension == event.extension]
                assert not others, f"{event.extension} is offered {event.offer_id} during {others[0].offer_id}"
                assert event.extension not in self.refuses, f"{event.extension} wanted no call"
                assert self.wraps_up_until.get(event.extension, 0.0) <= second + 0.01, f"{event.extension} wraps up"
                self.open[event.offer_id] = event
            elif isinstance(event, told_events.WrapUpStarted):
                self.wraps_up_until[event.extension] = second + event.seconds
            elif isinstance(event, told_events.OfferAccepted):
                self.wraps_up_until.pop(event.extension, None)  # found talking: the switch wins
            elif isinstance(event, ends):
                self.open.pop(event.offer_id, None)

    @invariant()
    def nobody_waits_while_somebody_who_may_take_it_is_free(self) -> None:
        acd = self.house.acd
        if acd.link_up:
            waiting = [item for ix, item in acd.book.waiting.items() if not acd._offers.rests(ix)]
            assert match(waiting, acd.book.agents.values(), acd.book.pool.policy, acd.book.clock.now()) == []

    @invariant()
    def nobody_has_two_and_nobody_is_between_two_stools(self) -> None:
        book = self.house.acd.book
        offered = [offer.item.interaction_id for offer in book.offers.values() if offer.answered_at is None]
        assert len(offered) == len(set(offered)), "a caller is offered twice at once"
        assert not set(offered) & set(book.waiting), "a caller waits and is offered"
        agents = [offer.extension for offer in book.offers.values()]
        assert len(agents) == len(set(agents)), "an agent has two"
        for extension, agent in book.agents.items():
            mine = [offer for offer in book.offers.values() if offer.extension == extension]
            if agent.state is State.RESERVED:
                assert [o.offer_id for o in mine] == [agent.offer_id] and mine[0].answered_at is None, (
                    "reserved for nothing"
                )
            elif agent.state is State.ENGAGED:
                assert [o.offer_id for o in mine] == [agent.offer_id] and mine[0].answered_at is not None, (
                    "engaged alone"
                )
            else:
                assert mine == [], f"{extension} is {agent.state} and has an offer"

    @invariant()
    def the_wait_is_never_reset(self) -> None:
        for ix, item in self.house.acd.book.waiting.items():
            assert item.enqueued_at == self.switch.callers[ix].visits[0]

    @invariant()
    def no_phone_rings_twice_and_no_talk_is_disturbed(self) -> None:
        for extension in EXTENSIONS:
            live = [leg for leg in self.switch.legs.values() if leg.extension == extension and leg.live]
            assert len(live) <= 1
        talking = [leg.ix for leg in self.switch.legs.values() if leg.live and leg.connected_at is not None]
        assert len(talking) == len(set(talking))

    # --- the end of a life: everything is put right

    def teardown(self) -> None:
        try:
            if hasattr(self, "house"):
                try:
                    self._everything_is_put_right()
                finally:
                    self.loop.run_until_complete(self.house.end())
        finally:
            self.loop.close()

    def _everything_is_put_right(self) -> None:
        self.switch.deaf = False
        self.switch.fails.clear()
        self.house.screen.mode = "shown"
        if not self.switch.link:
            self.do(self.switch.connect)
        self.do(lambda: [(self.switch.own_call(it, False), self.switch.plug_in(it)) for it in EXTENSIONS])
        self.loop.live(12)
        self._belief_is_truth()
        self.heard()
        waiting = [caller for caller in self.switch.callers.values() if caller.stage == "wait"]
        for _ in range(20 + 5 * len(waiting)):  # a good day: whoever is offered a call takes it, and talks for a moment
            for extension in EXTENSIONS:
                self.an_agent_says(extension, "READY")
            self.do(lambda: [self.switch.answer(it) for it in EXTENSIONS])
            self.loop.live(1)
            self.do(lambda: [self.switch.agent_hangs_up(it) for it in EXTENSIONS])
            self.loop.live(1)
            self.nobody_has_two_and_nobody_is_between_two_stools()
        self.loop.live(130)
        book = self.house.acd.book
        assert not book.offers and not book.waiting, "somebody was forgotten"
        assert [caller.ix for caller in self.switch.callers.values() if caller.stage != "gone"] == []
        assert {str(agent.state) for agent in book.agents.values()} == {"READY"}
        self.heard()
        assert not self.open, "an offer never ended"

    def _belief_is_truth(self) -> None:
        """A list after the last fault, we believe what is so."""
        book = self.house.acd.book
        waits = {caller.ix for caller in self.switch.callers.values() if caller.stage == "wait"}
        offered = {o.item.interaction_id for o in book.offers.values() if o.talking_since is None}
        assert set(book.waiting) | offered == waits
        talks = {leg.offer_id for leg in self.switch.legs.values() if leg.live and leg.connected_at is not None}
        assert {o.offer_id for o in book.offers.values() if o.talking_since is not None} == talks


LIVES = int(os.environ.get("LIVES", "20"))  # more, when somebody changes how things work here
TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=LIVES, stateful_step_count=40 if LIVES <= 40 else 80, deadline=None, report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
