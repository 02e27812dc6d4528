"""The controller is killed and comes back: journal, then database, then the switch. Each wins about what it knows best."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from routing.model import Unfinished
from tests.unit.routing.database import rebuilt
from tests.unit.routing.house import AGENTS, WRAP_UP_S, House, queue, record
from tests.unit.routing.test_talks import IX
from tests.virtual import VirtualLoop

DOWN_S = 2.0


class Box:
    """A house whose controller can be killed, lived in from outside the loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.it: House

    def do(self, act: Callable[[House], object], then_s: float = 0.05) -> None:
        async def doing() -> None:
            act(self.it)

        self.loop.run_until_complete(doing())
        self.loop.live(then_s)

    def open(self, *ready: str) -> None:
        async def building() -> None:
            self.it = House([record(extension) for extension in AGENTS], [queue()])
            self.it.start()

        self.loop.run_until_complete(building())
        self.do(lambda it: it.switch.connect())
        for extension in ready:
            self.do(lambda it, extension=extension: it.ready(extension), 1)  # type: ignore[misc]

    def talk(self) -> None:
        self.do(lambda it: it.switch.arrive(IX), 1)
        self.do(lambda it: it.switch.answer("101"))
        assert self.it.state("101") == "ENGAGED"

    def kill(self) -> None:
        self.loop.run_until_complete(self.it.stop())

    def come_back(self, *, after_s: float = DOWN_S, connect: bool = True) -> Unfinished:
        self.loop.live(after_s)
        self.it.switch.forget_what_was_told()
        said, unfinished = rebuilt(self.it.told.events, self.it.clock.now())
        self.it.acd = self.it.new_owner()
        self.do(lambda it: it.acd.restore(said, unfinished))
        self.it.start_on(self.loop)
        if connect:
            self.do(lambda it: it.switch.connect())
        return unfinished


@pytest.fixture
def box() -> Iterator[Box]:
    loop = VirtualLoop()
    it = Box(loop)
    try:
        yield it
    finally:
        loop.run_until_complete(it.it.end())
        loop.close()


@pytest.mark.parametrize(("state", "reason"), [("READY", ""), ("NOT_READY", "lunch"), ("OFFLINE", "")])
def test_what_people_said_stands(box: Box, state: str, reason: str) -> None:
    box.open("101", "102", "103")
    box.do(lambda it: it.say("101", state, reason))
    before = [box.it.state(extension) for extension in AGENTS]
    box.kill()
    box.come_back()
    assert [box.it.state(extension) for extension in AGENTS] == before


def test_without_anything_under_way_only_words_are_restored(box: Box) -> None:
    box.open()
    box.do(lambda it: it.acd.restore({"101": ("NOT_READY", "lunch"), "102": ("nonsense", "")}))
    assert [box.it.state(extension) for extension in AGENTS] == ["NOT_READY(lunch)", "OFFLINE", "OFFLINE"]


def test_who_was_taken_out_by_a_rule_stays_out(box: Box) -> None:
    box.open("101")
    box.do(lambda it: it.switch.arrive(IX), 20)
    assert box.it.state("101") == "NOT_READY(rona)"
    box.kill()
    box.come_back()
    assert box.it.state("101") == "NOT_READY(rona)"


def test_what_was_asked_for_during_a_call_outlives_us(box: Box) -> None:
    box.open("101")
    box.talk()
    box.do(lambda it: it.say("101", "NOT_READY", "lunch"))
    box.kill()
    box.come_back()
    assert box.it.state("101") == "ENGAGED"
    box.do(lambda it: it.switch.agent_hangs_up("101"), WRAP_UP_S + 1)
    assert box.it.state("101") == "NOT_READY(lunch)"


def test_who_came_back_ready_after_a_call_is_ready(box: Box) -> None:
    box.open("101")
    box.talk()
    box.do(lambda it: it.say("101", "NOT_READY", "lunch"))
    box.do(lambda it: it.say("101", "READY"))
    box.do(lambda it: it.switch.agent_hangs_up("101"), WRAP_UP_S + 1)
    box.kill()
    box.come_back()
    assert box.it.state("101") == "READY"


def test_a_talk_goes_on_is_counted_from_its_beginning_and_is_wrapped_up(box: Box) -> None:
    box.open("101")
    box.talk()
    box.loop.live(30)
    box.kill()
    box.come_back(after_s=10)
    assert box.it.state("101") == "ENGAGED" and len(box.it.told.all("OfferAccepted")) == 1
    box.do(lambda it: it.switch.caller_hangs_up(IX))
    (segment,) = box.it.told.all("SegmentEnded")
    assert (segment.queue, segment.offer_id) == ("service", "o-1")
    assert segment.talk_s == pytest.approx(40, abs=1) and segment.ring_s == pytest.approx(1, abs=0.2)
    assert box.it.state("101") == "WRAP_UP"
    box.loop.live(WRAP_UP_S + 1)
    assert box.it.state("101") == "READY" and box.it.told.last("WrapUpEnded").interaction_id == IX


def test_a_talk_that_ended_meanwhile_is_told_to_have_ended_and_is_wrapped_up(box: Box) -> None:
    box.open("101")
    box.talk()
    box.kill()
    box.do(lambda it: it.switch.agent_hangs_up("101"))
    box.do(lambda it: it.switch.arrive("n1-2.2"))
    box.come_back(after_s=5, connect=False)
    assert box.it.state("101") == "ENGAGED", "nobody has said anything else yet"
    box.do(lambda it: it.switch.connect())
    assert box.it.state("101") == "WRAP_UP"
    assert [s.reason for s in box.it.told.all("SegmentEnded")] == ["unseen"]
    assert "n1-2.2" in box.it.acd.book.waiting, "not during the work"
    box.loop.live(WRAP_UP_S + 1)
    assert box.it.state("101") == "RESERVED"


def test_a_caller_who_was_sent_back_meanwhile_waits(box: Box) -> None:
    box.open("101", "102")
    box.talk()
    came = box.it.switch.callers[IX].visits[0]
    box.kill()
    box.do(lambda it: it.switch.sent_back("101"))
    box.come_back()
    box.loop.live(1)
    assert box.it.state("101") == "WRAP_UP" and box.it.state("102") == "RESERVED"
    assert next(iter(box.it.acd.book.offers.values())).item.enqueued_at == came


def test_a_ring_is_given_up_and_its_caller_is_offered_anew_with_the_original_wait(box: Box) -> None:
    box.open("101")
    box.do(lambda it: it.switch.arrive(IX), 3)
    came = box.it.switch.callers[IX].visits[0]
    assert box.it.state("101") == "RESERVED"
    box.kill()
    box.come_back()
    box.loop.live(1)
    assert [e.reason for e in box.it.told.all("OfferCancelled")] == ["restart"]
    made = box.it.told.last("OfferMade")
    assert made.interaction_id == IX and box.it.state("101") == "RESERVED"
    assert next(iter(box.it.acd.book.offers.values())).item.enqueued_at == came


def test_a_phone_that_was_answered_while_we_were_away_talks(box: Box) -> None:
    box.open("101")
    box.do(lambda it: it.switch.arrive(IX), 3)
    box.kill()
    box.do(lambda it: it.switch.answer("101"))  # the dialplan joins the two without us
    box.come_back()
    assert box.it.state("101") == "ENGAGED" and not box.it.acd.book.waiting
    assert box.it.told.kinds(of=IX).count("OfferAccepted") == 1


def test_a_talk_that_began_while_we_were_away_is_counted_from_its_own_beginning(box: Box) -> None:
    box.open("101")
    box.do(lambda it: it.switch.arrive(IX), 3)
    box.kill()
    box.do(lambda it: it.switch.answer("101"))
    box.come_back(after_s=30)
    box.do(lambda it: it.switch.agent_hangs_up("101"), 1)
    assert box.it.told.last("SegmentEnded").talk_s == pytest.approx(30, abs=1)


def test_a_talk_goes_on_hold_and_back_after_a_restart(box: Box) -> None:
    box.open("101")
    box.talk()
    box.kill()
    box.come_back()
    for verb, doing in (("hold", "held"), ("resume", "talking")):
        order = {
            "what": "act",
            "verb": verb,
            "interaction_id": IX,
            "by": "101",
            "supervisor": False,
            "actor": "user:li",
        }
        said = box.loop.run_until_complete(box.it.acd.calls.do(order))
        assert said["doing"] == doing
    assert [(type(it).__name__, it.caller) for it in box.it.switch.done] == [
        ("HoldCaller", f"PJSIP/trunk-{IX}"), ("JoinCaller", f"PJSIP/trunk-{IX}")
    ]  # fmt: skip


def test_after_call_work_goes_on_for_what_is_left_of_it(box: Box) -> None:
    box.open("101")
    box.talk()
    box.do(lambda it: it.switch.agent_hangs_up("101"), 5)
    until = box.it.agent("101").wrap_up_until
    box.kill()
    box.come_back(after_s=5)
    assert box.it.state("101") == "WRAP_UP" and box.it.agent("101").wrap_up_until == until
    box.do(lambda it: it.switch.arrive("n1-2.2"), WRAP_UP_S - 5 - 5 - 1)
    assert box.it.state("101") == "WRAP_UP" and not box.it.acd.book.offers
    box.loop.live(2)
    assert box.it.state("101") == "RESERVED"
    ended = box.it.told.last("WrapUpEnded")
    assert (ended.interaction_id, ended.wrap_up_s) == (IX, pytest.approx(WRAP_UP_S, abs=0.2))


def test_extended_work_is_as_long_as_it_was_given(box: Box) -> None:
    box.open("101")
    box.talk()
    box.do(lambda it: it.switch.agent_hangs_up("101"), 5)
    box.do(lambda it: it.acd.extend_wrap_up("101", 300, actor="user:li"), 10)
    box.kill()
    box.come_back(after_s=30)
    assert box.it.state("101") == "WRAP_UP"
    box.loop.live(300 - 10 - 30 - 1)
    assert box.it.state("101") == "WRAP_UP"
    box.loop.live(2)
    assert box.it.state("101") == "READY" and box.it.told.last("WrapUpEnded").wrap_up_s == pytest.approx(305, abs=0.5)


def test_after_call_work_whose_time_is_over_has_ended(box: Box) -> None:
    box.open("101")
    box.talk()
    box.do(lambda it: it.switch.agent_hangs_up("101"), 5)
    box.kill()
    box.come_back(after_s=500)
    assert box.it.state("101") == "READY"
    (ended,) = box.it.told.all("WrapUpEnded")
    assert (ended.interaction_id, ended.wrap_up_s) == (IX, pytest.approx(WRAP_UP_S, abs=0.2))
    box.kill()
    assert box.come_back() == Unfinished(), "it is told once"


def test_work_that_is_finished_after_the_restart_is_told_with_its_call(box: Box) -> None:
    box.open("101")
    box.talk()
    box.do(lambda it: it.switch.agent_hangs_up("101"), 5)
    box.kill()
    box.come_back()
    box.do(lambda it: it.acd.finish_wrap_up("101", disposition="refund", actor="user:li"))
    ended = box.it.told.last("WrapUpEnded")
    assert (ended.interaction_id, ended.disposition, ended.wrap_up_s) == (IX, "refund", pytest.approx(7, abs=0.5))


def test_a_clock_that_was_moved_back_meanwhile_keeps_nobody_in_after_call_work_for_an_hour(box: Box) -> None:
    box.open("101")
    box.talk()
    box.do(lambda it: it.switch.agent_hangs_up("101"), 5)
    box.kill()
    box.it.clock.jump(-3600)
    box.come_back()
    box.loop.live(WRAP_UP_S + 1)
    assert box.it.state("101") == "READY"


def test_who_was_away_and_in_after_call_work_is_away_afterwards(box: Box) -> None:
    box.open("101")
    box.talk()
    box.do(lambda it: it.say("101", "OFFLINE"))
    box.do(lambda it: it.switch.agent_hangs_up("101"), 5)
    box.kill()
    box.come_back()
    assert box.it.state("101") == "WRAP_UP"
    box.loop.live(WRAP_UP_S)
    assert box.it.state("101") == "OFFLINE"


def test_waiting_callers_keep_their_order_and_the_next_offer_comes_at_once(box: Box) -> None:
    box.open()
    for n in range(5):
        box.do(lambda it, n=n: it.switch.arrive(f"n1-{n}.{n}"), 2)  # type: ignore[misc]
    order = list(box.it.acd.book.waiting)
    box.do(lambda it: it.ready("101"))
    box.do(lambda it: it.switch.decline("101"))
    box.kill()
    box.come_back()
    waiting = sorted(box.it.acd.book.waiting.values(), key=lambda item: item.order)
    assert [item.interaction_id for item in waiting] == order
    box.do(lambda it: it.ready("102"), 0.5)
    assert next(iter(box.it.acd.book.offers.values())).item.interaction_id == order[0]


def test_a_second_kill_in_the_same_talk_changes_nothing(box: Box) -> None:
    box.open("101")
    box.talk()
    for _ in range(3):
        box.kill()
        box.come_back(after_s=10)
    box.do(lambda it: it.switch.agent_hangs_up("101"))
    (segment,) = box.it.told.all("SegmentEnded")
    assert segment.talk_s == pytest.approx(30, abs=1) and box.it.state("101") == "WRAP_UP"


def test_a_consult_goes_on_and_both_agents_stay_engaged_until_their_legs_end(box: Box) -> None:
    box.open("101", "102")
    box.talk()
    order = {"what": "act", "verb": "consult", "interaction_id": IX, "by": "101", "supervisor": False, "actor": "user:x",
             "target": {"kind": "agent", "name": "102"}}  # fmt: skip

    async def asks() -> None:
        await box.it.acd.calls.do(order)

    box.loop.run_until_complete(asks())
    box.do(lambda it: it.switch.answer("102"), 1)
    box.kill()
    box.come_back()
    assert (box.it.state("101"), box.it.state("102")) == ("ENGAGED", "ENGAGED")
    box.loop.live(60)
    assert (box.it.state("101"), box.it.state("102")) == ("ENGAGED", "ENGAGED")
    box.do(lambda it: it.switch.agent_hangs_up("101"), 1)
    assert (box.it.state("101"), box.it.state("102")) == ("WRAP_UP", "ENGAGED")
    box.do(lambda it: it.switch.caller_hangs_up(IX), 1)
    assert box.it.state("102") == "WRAP_UP"
