"""Whatever customers, agents and a killed owner do: no place is lost, a number has one entry, a turn is one call."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.errors import AftercallError
from routing.agent import State as Agent
from routing.callbacks.model import State
from tests.unit.routing.database import rebuilt
from tests.unit.routing.house import House, queue, record
from tests.unit.routing.test_callback_restart import read
from tests.unit.routing.test_callbacks import RULES, prepare
from tests.virtual import VirtualLoop

EXTENSIONS = ("101", "102")
NUMBERS = tuple(f"1390000000{digit}" for digit in range(4))
STEP_S = 0.02
extensions, numbers = st.sampled_from(EXTENSIONS), st.sampled_from(NUMBERS)
ways = st.sampled_from(["busy", "refused", "no_answer", "unreachable"])


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.arrived = 0
        self.places: dict[str, datetime] = {}  # of entries that have not ended

    def do(self, act: Callable[[], object], then_s: float = STEP_S) -> None:
        async def doing() -> None:
            act()
            await asyncio.sleep(then_s)

        self.loop.run_until_complete(doing())

    @initialize()
    def begin(self) -> None:
        async def building() -> None:
            self.house = House([record(extension) for extension in EXTENSIONS], [queue(callback=RULES, wrap_up_s=0)])
            prepare(self.house)
            self.house.start()

        self.loop.run_until_complete(building())
        self.switch = self.house.switch
        self.do(self.switch.connect)
        self.do(lambda: self.house.ready(*EXTENSIONS))

    @rule(number=numbers)
    def somebody_asks_for_them(self, number: str) -> None:
        self.do(lambda: self.house.acd.callbacks.request(number, "service", by="user:anna"))

    @precondition(lambda self: self.arrived < 12)
    @rule(number=numbers)
    def they_call_in(self, number: str) -> None:
        self.arrived += 1
        self.do(lambda: self.switch.arrive(f"n1-{self.arrived}.{self.arrived}", ani=number))

    @rule(number=st.integers(1, 12))
    def they_press_the_key(self, number: int) -> None:
        caller = self.switch.callers.get(f"n1-{number}.{number}")
        if caller is not None and caller.stage == "wait":
            self.do(lambda: self.switch.press(caller.ix))

    @rule(number=st.integers(1, 12))
    def they_hang_up(self, number: int) -> None:
        if f"n1-{number}.{number}" in self.switch.callers:
            self.do(lambda: self.switch.caller_hangs_up(f"n1-{number}.{number}"))

    @rule(extension=extensions)
    def the_agent_answers(self, extension: str) -> None:
        self.do(lambda: self.switch.answer(extension))

    @rule(extension=extensions)
    def the_agent_hangs_up(self, extension: str) -> None:
        self.do(lambda: self.switch.agent_hangs_up(extension))

    @rule(extension=extensions)
    def the_agent_is_ready(self, extension: str) -> None:
        self.do(lambda: self.house.ready(extension))

    @precondition(lambda self: self.switch.calls())
    @rule()
    def the_customer_answers(self) -> None:
        self.do(lambda: self.switch.customer_answers(self.switch.calls()[0].ix))

    @precondition(lambda self: self.switch.calls())
    @rule(reason=ways)
    def the_customer_is_not_reached(self, reason: str) -> None:
        self.do(lambda: self.switch.customer_hangs_up(self.switch.calls()[0].ix, reason))

    @precondition(lambda self: self.house.acd.callbacks.entries())
    @rule()
    def somebody_withdraws(self) -> None:
        first = self.house.acd.callbacks.entries()[0]

        def withdraw() -> None:
            try:
                self.house.acd.callbacks.do({"what": "withdraw", "callback_id": first.callback_id})
            except AftercallError:
                assert first.state is not State.WAITING

        self.do(withdraw)

    @rule(deaf=st.booleans())
    def facts_are_lost_until_the_next_list(self, deaf: bool) -> None:
        self.switch.deaf = deaf

    @rule(reaches=st.booleans())
    def the_trunk(self, reaches: bool) -> None:
        self.switch.reaches = reaches

    @rule(seconds=st.sampled_from([0.5, 5.0, 40.0, 700.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.do(lambda: None, seconds)

    @rule()
    def the_owner_is_killed_and_comes_back(self) -> None:
        it = self.house
        self.loop.run_until_complete(it.stop())
        self.switch.deaf = False
        self.switch.forget_what_was_told()
        said, unfinished = rebuilt(it.told.events, it.clock.now())
        pending, _ = read(it.told.events)
        it.acd = it.new_owner()
        prepare(it)

        def restoring() -> None:
            it.acd.restore(said, unfinished)
            it.acd.callbacks.restore(pending.entries, up=pending.up, over=pending.over)

        self.do(restoring)
        it.start_on(self.loop)
        self.do(self.switch.connect)

    # --- always

    @invariant()
    def a_number_has_one_entry(self) -> None:
        entries = self.house.acd.callbacks.entries()
        assert len({(it.item.queue, it.number) for it in entries}) == len(entries)

    @invariant()
    def no_place_is_lost(self) -> None:
        now = {it.callback_id: it.item.enqueued_at for it in self.house.acd.callbacks.entries()}
        for callback_id, place in now.items():
            assert place <= self.places.get(callback_id, place)
        ended = Counter(event.callback_id for event in self.house.told.all("CallbackEnded"))
        assert all(count == 1 for count in ended.values()), "each ends once"
        assert self.places.keys() <= now.keys() | ended.keys(), "and nobody is forgotten"
        assert not now.keys() & ended.keys()
        self.places = now

    @invariant()
    def an_entry_that_waits_is_in_the_queue_or_offered_or_kept_for_later(self) -> None:
        book, now = self.house.acd.book, self.house.clock.now()
        for it in self.house.acd.callbacks.entries():
            stands = it.call_id in book.waiting or bool(book.offers_for(it.call_id))
            assert stands or it.state is not State.WAITING or (it.next_at is not None and it.next_at >= now), it
        calls = {it.call_id for it in self.house.acd.callbacks.entries()}
        assert all(it.interaction_id in calls for it in book.waiting.values() if it.callback)

    @invariant()
    def a_turn_is_one_call(self) -> None:
        called = Counter(event.interaction_id for event in self.house.told.all("CallbackCalled"))
        assert all(count == 1 for count in called.values())
        assert self.switch.customers.keys() <= called.keys(), "what is done was told before"

    def teardown(self) -> None:
        """Everything is put right: everybody comes to rest."""
        if not hasattr(self, "house"):
            self.loop.close()
            return
        self.switch.deaf, self.switch.reaches = False, True
        for _ in range(60):
            for extension in EXTENSIONS:
                self.do(lambda extension=extension: self.house.ready(extension))  # type: ignore[misc]
                self.do(lambda extension=extension: self.switch.answer(extension), 1)  # type: ignore[misc]
            for customer in self.switch.calls():
                self.do(lambda ix=customer.ix: self.switch.customer_answers(ix), 1)  # type: ignore[misc]
            for extension in EXTENSIONS:
                self.do(lambda extension=extension: self.switch.agent_hangs_up(extension), 30)  # type: ignore[misc]
        assert not self.house.acd.callbacks.entries(), self.house.acd.callbacks.entries()
        assert all(agent.state is not Agent.ENGAGED for agent in self.house.acd.book.agents.values())
        self.no_place_is_lost()
        self.loop.run_until_complete(self.house.end())
        self.loop.close()


LIVES = int(os.environ.get("LIVES", "3"))  # more, when somebody changes how things work here
TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=LIVES, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
