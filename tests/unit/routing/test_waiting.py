"""What waiting callers are told by a whole owner, on virtual time: when, in which language, and never while a phone rings."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from core.phrases.model import Phrases, Prompt
from routing.policy.model import CallbackRules, Overflow, Policy, QueuePolicy, Waits
from routing.waiting.plan import Memory
from routing.waiting.service import AT_ONCE, LONGEST_LINE, announcement
from tests.unit.routing.house import House, house, queue, record
from tests.unit.routing.switch_parts import LinkDown
from tests.virtual import until, virtual_time

IX, IY, IZ = "n1-1.1", "n1-2.2", "n1-3.3"
POSITION = ["en/queue-position", "en/number-2", "en/queue-position-end"]


def waiting(name: str = "service", *, callback: CallbackRules | None = None, **rules: Any) -> QueuePolicy:
    return queue(name, wrap_up_s=0.0, waits=Waits(**rules), callback=callback or CallbackRules())


class Heard:
    """What was put down on callers' channels, in the order in which it was."""

    def __init__(self, it: House) -> None:
        self.said: list[tuple[str, list[str]]] = []
        self._set, self.fails = it.switch.set_variables, 0
        self.takes_s, self.in_hand, self.most = 0.0, 0, 0
        it.switch.set_variables = self._note  # type: ignore[method-assign]

    async def _note(self, channel: str, values: Any) -> None:
        if self.fails:
            self.fails -= 1
            raise LinkDown
        self.in_hand += 1
        self.most = max(self.most, self.in_hand)
        await asyncio.sleep(self.takes_s)
        self.in_hand -= 1
        await self._set(channel, values)
        if "AC_SAY" in values:
            assert list(values)[-1] == "AC_SAY", "what sets it going comes last"
            sounds = (values["AC_SAY_A"] + values["AC_SAY_B"]).split("&")
            self.said.append((channel.removeprefix("PJSIP/trunk-"), [path.partition("/sounds/")[2] for path in sounds]))

    def by(self, ix: str) -> list[str]:
        """All that was said to a caller, without the pauses."""
        return [name for who, names in self.said if who == ix for name in names if "silence" not in name]


@virtual_time
async def test_the_greeting_and_the_position_come_soon_and_the_position_again_only_when_it_is_better() -> None:
    rules = waiting(every_s=30, position=True, greeting="welcome", prompts=("queue-busy",))
    async with house(queues=[rules]) as it:
        heard = Heard(it)
        it.switch.arrive(IX)
        it.switch.arrive(IY, language="zh")
        await it.live(2)
        assert heard.by(IX) == ["en/welcome", "en/queue-position-next"]
        assert heard.by(IY) == ["zh/welcome", *(name.replace("en/", "zh/") for name in POSITION)]
        await it.live(60)
        assert heard.by(IY)[4:] == ["zh/queue-busy"] * 2
        it.switch.caller_hangs_up(IX)
        await it.live(30)
        assert heard.by(IY)[6:] == ["zh/queue-position-next", "zh/queue-busy"]


@virtual_time
async def test_who_is_taken_at_once_or_whose_phone_rings_hears_nothing() -> None:
    async with house("101", queues=[waiting(every_s=5, position=True, prompts=("queue-busy",))]) as it:
        heard = Heard(it)
        it.switch.arrive(IX)
        await it.live(14)
        assert it.switch.leg_of("101") is not None and heard.said == []
        await until(lambda: it.state("101") == "NOT_READY(rona)", within_s=5)
        await it.live(2)
        assert heard.by(IX) == ["en/queue-position-next"]
        it.ready("101")
        await it.live(1)
        it.switch.answer("101")
        await it.live(60)
        assert heard.by(IX) == ["en/queue-position-next"]


@virtual_time
async def test_what_could_not_be_put_down_was_not_said_and_is_said_when_it_can_be() -> None:
    async with house(queues=[waiting(every_s=30, position=True, music="piano")]) as it:
        heard = Heard(it)
        heard.fails = 3
        it.switch.arrive(IX)
        await it.live(1.5)
        it.switch.disconnect()
        await it.live(20)
        assert heard.said == []
        it.switch.connect()
        await it.live(2)
        assert heard.by(IX) == ["en/queue-position-next"]
        assert it.switch.marks[f"PJSIP/trunk-{IX}"]["AC_MUSIC"] == "piano"


@virtual_time
async def test_a_process_that_begins_with_nothing_repeats_nothing() -> None:
    async with house(queues=[waiting(every_s=10, position=True, greeting="welcome")]) as it:
        heard = Heard(it)
        it.switch.arrive(IX)
        it.switch.arrive(IY)
        await it.live(5)
        before = list(heard.said)
        await it.stop()
        it.switch.forget_what_was_told()
        it.acd = it.new_owner()
        it.start()
        it.switch.connect()
        await it.live(25)
        assert heard.said == before and len(before) == 2
        it.switch.caller_hangs_up(IX)
        await it.live(10)
        assert heard.said[2:] == [(IY, ["en/queue-position-next"])]


@virtual_time
async def test_a_surge_changes_what_those_who_wait_already_are_told_and_offered() -> None:
    calm = waiting(every_s=30, expected_wait=True, music="piano")
    busy = waiting(
        every_s=30, expected_wait=True, expected_wait_prompt="queue-many-callers", greeting="lines-busy",
        callback=CallbackRules(offer_after_s=50),
    )  # fmt: skip
    async with house(queues=[calm]) as it:
        it.acd.calls.outside = it.acd.calls.outside.__class__(("1390",), 100, 30.0)
        heard = Heard(it)
        it.switch.arrive(IX, ani="13900000001")
        await it.live(40)
        marks = it.switch.marks[f"PJSIP/trunk-{IX}"]
        assert heard.said == [] and marks == {"AC_MUSIC": "piano"}
        it.acd.set_policy(Policy({"service": busy}))
        it.switch.arrive(IY)
        await it.live(25)
        assert heard.by(IX) == ["en/queue-many-callers"], "the greeting is for who begins to wait"
        assert heard.by(IY) == ["en/lines-busy", "en/queue-many-callers"]
        assert marks["AC_MUSIC"] == "default" and marks["AC_CALLBACK"] == "offer"
        it.switch.arrive(IZ, ani="13900000002")
        await it.live(10)
        it.acd.set_policy(Policy({"service": calm}))
        await it.live(100)
        assert "AC_CALLBACK" not in it.switch.marks[f"PJSIP/trunk-{IZ}"], "the surge is over"


@virtual_time
async def test_a_hundred_announcements_at_once_do_not_stand_before_an_offer() -> None:
    async with house(queues=[waiting(every_s=30, position=True)]) as it:
        heard = Heard(it)
        heard.takes_s = 0.01
        for n in range(100):
            it.switch.arrive(f"n1-{n}.1")
        await it.live(3)
        assert len(heard.said) == 100 and 1 < heard.most <= AT_ONCE
        for n in range(100):
            assert it.acd.announcer._told[f"n1-{n}.1"].memory.turns == 1


@virtual_time
async def test_a_fault_in_an_announcement_costs_that_caller_a_word_and_nobody_a_call() -> None:
    async with house(queues=[waiting(every_s=10, position=True)]) as it:
        heard, words_of = Heard(it), it.acd.announcer._sounds

        def faulty(phrases: Phrases, language: str) -> list[str]:
            if language == "zh":
                raise ValueError("a fault of ours")
            return words_of(phrases, language)

        it.acd.announcer._sounds = faulty  # type: ignore[method-assign]
        it.switch.arrive(IX, language="zh")
        it.switch.arrive(IY)
        await it.live(2)
        assert heard.by(IX) == [] and heard.by(IY) == POSITION
        it.ready("101")
        await until(lambda: it.switch.leg_of("101") is not None, within_s=1)


class Words:
    """A word about an order, for some; `asked` for whom."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.hangs = False

    async def words(self, order_id: str, level: str) -> Phrases:
        self.asked.append((order_id, level))
        if self.hangs:
            await asyncio.Event().wait()
        return (Prompt("order-your-order"), Prompt("order-state-shipped")) if level else ()


@virtual_time
async def test_the_word_about_an_order_is_asked_for_at_the_callers_own_level_and_nobody_waits_for_it() -> None:
    async with house(queues=[waiting(every_s=10, order_status=True, prompts=("queue-busy",))]) as it:
        heard, words = Heard(it), Words()
        it.acd.announcer.words = words
        it.switch.arrive(IX, level="ani", facts={"order": "77"})
        it.switch.arrive(IY, facts={"order": "88"})
        it.switch.arrive(IZ)
        await it.live(11)
        assert sorted(words.asked) == [("77", "ani"), ("88", "")]
        assert heard.by(IX) == ["en/order-your-order", "en/order-state-shipped"]
        assert heard.by(IY) == heard.by(IZ) == ["en/queue-busy"]
        words.hangs = True
        await it.live(12)
        assert heard.by(IX)[2:] == ["en/queue-busy"]


@virtual_time
async def test_who_is_moved_is_told_their_place_in_the_other_queue() -> None:
    rules = [waiting(every_s=30, position=True), waiting("other", every_s=30, position=True, music="piano")]
    async with house(queues=rules) as it:
        heard = Heard(it)
        it.switch.arrive(IZ, queue="other")
        await it.live(1)
        it.switch.arrive(IX)
        await it.live(2)
        it.acd.move(IX, "other", actor="user:test")
        await it.live(2)
        assert heard.by(IX) == ["en/queue-position-next", *POSITION]
        assert it.switch.marks[f"PJSIP/trunk-{IX}"]["AC_MUSIC"] == "piano"


@virtual_time
async def test_who_finds_a_queue_closed_and_is_sent_on_hears_the_other_queue_alone() -> None:
    closed = replace(
        waiting(every_s=30, position=True, greeting="closed", music="tone"), hours="shop",
        overflow={"closed": Overflow("queue", "other")},
    )  # fmt: skip
    other = waiting("other", every_s=30, position=True, music="piano")
    opened = datetime(2026, 11, 24, 10, tzinfo=UTC)
    async with house("101", queues=[closed, other], is_open=lambda _name, at: at < opened) as it:
        heard = Heard(it)
        it.switch.arrive(IX, language="zh")
        await it.live(2)
        assert it.switch.leg_of("101") is not None, "who came while it was open is served"
        it.clock.jump(7200)
        it.switch.arrive(IY)
        await it.live(2)
        assert heard.by(IY) == ["en/queue-position-next"]
        assert it.switch.marks[f"PJSIP/trunk-{IY}"]["AC_MUSIC"] == "piano"
        assert it.told.last("ItemOverflowed").to == "queue:other"


def test_sounds_that_do_not_fit_into_one_line_go_into_two_and_never_into_a_line_that_is_too_long() -> None:
    sounds = [f"/a/rather/long/folder/of/somebody/sounds/en/prompt-{n:03}" for n in range(60)]
    for many in (1, 3, 20, 30, 60):
        values = announcement(sounds[:many], Memory("service", 1))
        whole = (values["AC_SAY_A"] + values["AC_SAY_B"]).split("&")
        assert whole == sounds[: len(whole)] and (len(whole) == many or many == 60)
        assert all(len(values[key]) <= LONGEST_LINE for key in ("AC_SAY_A", "AC_SAY_B"))


@virtual_time
async def test_an_expected_wait_is_told_from_talks_that_were_seen_and_agents_who_are_at_work() -> None:
    async with house("101", queues=[waiting(every_s=30, expected_wait=True)], agents=[record("101")]) as it:
        heard = Heard(it)
        it.switch.arrive(IX)
        await until(lambda: it.switch.leg_of("101") is not None, within_s=1)
        it.switch.answer("101")
        it.switch.arrive(IY)
        await it.live(100)
        assert heard.said == [], "no talk was seen yet"
        it.switch.agent_hangs_up("101")
        await until(lambda: it.switch.leg_of("101") is not None, within_s=1)
        it.switch.answer("101")
        it.switch.arrive(IZ)
        await it.live(2)
        assert heard.by(IZ) == ["en/queue-wait-under", "en/number-2", "en/noun-minute-many"]
        it.switch.arrive("n1-4.4")
        await it.live(2)
        assert heard.by("n1-4.4") == ["en/queue-wait-about", "en/number-5", "en/noun-minute-many"]
