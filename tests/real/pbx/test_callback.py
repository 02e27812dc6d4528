"""A key while waiting, and the call to a customer for an agent who waits, on a real Asterisk: told by sound and by facts."""

from __future__ import annotations

import itertools

import pytest

from app.softphone import Call, listen
from core.events import DomainEvent
from core.events import pbx as facts
from core.prompts.library import PromptLibrary
from pbx.call import leg_id_of
from pbx.transfer import CallCustomer, RingForCallback
from tests.real.pbx.room import Room
from tests.real.pbx.test_transfer import CALLER_HZ, FIRST_HZ, has_music, hears, says, until

pytestmark = pytest.mark.asyncio(loop_scope="package")
CALLBACKS = itertools.count(1)
CUSTOMER = "13900001111"


async def ring_agent(room: Room) -> tuple[str, Call]:
    ix = f"cb.{next(CALLBACKS):012x}.c"
    await room.parts.control.carry_out(RingForCallback(
        interaction_id=ix, leg_id=leg_id_of(ix, "o1"), caller=ix, target=room.plan.agents[0].extension, ring_s=10, epoch=1,
        number=CUSTOMER,
    ))  # fmt: skip
    return ix, await room.agents[0].next_call()


async def call_customer(room: Room, ix: str, *, ring_s: float = 10) -> None:
    await room.parts.control.carry_out(CallCustomer(
        interaction_id=ix, leg_id=leg_id_of(ix, "o1"), number=CUSTOMER, ring_s=ring_s, trunk="trunk", caller_number="4008001000",
        ticket={"AC_QUEUE": "service", "AC_AT": "1795524743000", "AC_LANG": "en"},
    ))  # fmt: skip


def of(ix: str):
    return lambda event: event.interaction_id == ix


async def test_the_agent_hears_it_ring_and_the_two_are_joined_when_the_customer_answers(room: Room) -> None:
    async with room.serving() as parts, room.outside() as outside:
        ix, agent = await ring_agent(room)
        agent.answer()
        says(agent, FIRST_HZ)
        ready = await parts.heard.until("CallbackLegReady", of(ix))
        assert isinstance(ready, facts.CallbackLegReady)
        assert (ready.leg_id, ready.extension) == (leg_id_of(ix, "o1"), room.plan.agents[0].extension)
        assert parts.board.calls() == [], "nobody is called yet"
        await call_customer(room, ix)
        call = await outside.next_call()
        await until(lambda: hears(agent, 440.0) or hears(agent, 425.0) or has_music(agent))
        arrived = await parts.heard.until("CallArrived", of(ix))
        assert isinstance(arrived, facts.CallArrived) and (arrived.ani, arrived.entry) == (CUSTOMER, "callback")
        call.answer()
        says(call, CALLER_HZ)
        await until(lambda: hears(call, FIRST_HZ) and hears(agent, CALLER_HZ))
        await parts.heard.until("CallConnected", of(ix))
        agent.hang_up()
        await call.until("ended")
        ended = await parts.heard.until("CallEnded", of(ix))
        assert isinstance(ended, facts.CallEnded) and ended.reason == "agent_hangup" and ended.talk_s > 0


@pytest.mark.parametrize(
    ("answer", "reason"), [(486, "busy"), (603, "refused"), (404, "unreachable"), (0, "no_answer")]
)
async def test_a_customer_who_is_not_reached_leaves_the_agent_at_once_with_the_reason(
    room: Room, answer: int, reason: str
) -> None:
    async with room.serving() as parts, room.outside() as outside:
        ix, agent = await ring_agent(room)
        agent.answer()
        await parts.heard.until("CallbackLegReady", of(ix))
        await call_customer(room, ix, ring_s=2)
        call = await outside.next_call()
        if answer:
            call.reject(answer)
        ended = await parts.heard.until("CallEnded", of(ix))
        assert isinstance(ended, facts.CallEnded) and ended.reason == reason, ended
        await agent.until("ended")
        told: list[DomainEvent] = [e for e in parts.heard.events if e.interaction_id == ix]
        assert not [e for e in told if e.kind == "CallConnected"]


async def test_one_turn_calls_a_customer_once_whatever_is_asked(room: Room) -> None:
    async with room.serving() as parts, room.outside() as outside:
        ix, agent = await ring_agent(room)
        agent.answer()
        await parts.heard.until("CallbackLegReady", of(ix))
        for _ in range(3):
            await call_customer(room, ix)
        call = await outside.next_call()
        await call.media.more(1) if call.state == "talking" else None
        agent.hang_up()
        await parts.heard.until("LegEnded", of(ix))
        assert outside.incoming.empty()
        assert sum(seen.uniqueid == ix for seen in await room.channels()) == 1


async def test_a_customer_whose_agent_went_away_waits_at_their_place(room: Room) -> None:
    async with room.serving() as parts, room.outside() as outside:
        ix, agent = await ring_agent(room)
        agent.answer()
        await parts.heard.until("CallbackLegReady", of(ix))
        await call_customer(room, ix)
        call = await outside.next_call()
        agent.hang_up()
        await parts.heard.until("LegEnded", of(ix))
        call.answer()
        says(call, CALLER_HZ)
        waits = await parts.heard.until("CallWaiting", of(ix))
        assert isinstance(waits, facts.CallWaiting)
        assert (waits.queue, waits.ani, waits.enqueued_at.timestamp()) == ("service", CUSTOMER, 1795524743.0)


async def test_a_phone_that_cannot_be_rung_is_told_as_any_other(room: Room) -> None:
    async with room.serving() as parts:
        ix = f"cb.{next(CALLBACKS):012x}.c"
        nobody = room.plan.agents[3].extension
        await parts.control.carry_out(RingForCallback(
            interaction_id=ix, leg_id=leg_id_of(ix, "o1"), caller=ix, target=nobody, ring_s=10, epoch=1, number=CUSTOMER,
        ))  # fmt: skip
        ended = await parts.heard.until("LegEnded", of(ix))
        assert isinstance(ended, facts.LegEnded) and not ended.answered
        await parts.resync.now()
        assert parts.board.calls() == [] and not [e for e in parts.heard.events if e.kind == "StateRepaired"]


async def test_a_waiting_caller_asks_with_a_key_keeps_the_music_and_hears_the_promise_only_when_it_is_made(
    room: Room,
) -> None:
    async with room.serving() as parts:
        call, item = await room.waits()
        await until(lambda: has_music(call))
        await parts.control.set_variables(item.channel, {"AC_CALLBACK": "offer"})
        known = listen.read_wav(f"{PromptLibrary().find('callback-offer', 'en')}.wav")
        await listen.hear(call, known, timeout_s=15)
        await until(lambda: has_music(call))
        began = room.caller.loop.time()
        await call.media.more(150)  # three seconds of key-listening
        assert call.media.longest_gap_s(since=began) < 0.1
        call.media.send_digits("5")
        await call.media.more(50)
        assert (await room.ticket(item))["AC_STAGE"] == "wait", "any other key changes nothing"
        call.media.send_digits("1")
        asked = await parts.heard.until("CallbackAsked", of(item.interaction_id))
        assert isinstance(asked, facts.CallbackAsked) and asked.ani == item.ani
        again = await parts.heard.until(
            "CallWaiting", lambda e: e.interaction_id == item.interaction_id and e.at > item.at
        )
        assert again.enqueued_at == item.enqueued_at  # type: ignore[attr-defined]
        await until(lambda: has_music(call))
        call.media.send_digits("1")
        await parts.heard.until("CallbackAsked", lambda e: e.interaction_id == item.interaction_id and e.at > asked.at)
        await parts.control.set_variables(item.channel, {"AC_PROMISED": "1"})
        promised = listen.read_wav(f"{PromptLibrary().find('callback-promised', 'en')}.wav")
        await listen.hear(call, promised, timeout_s=15)
        await call.until("ended")


async def test_a_waiting_caller_is_sent_to_be_asked_and_waits_on_when_nobody_promises(room: Room) -> None:
    async with room.serving() as parts:
        call, item = await room.waits()
        await parts.control.send_away(item.channel, "callback")
        await parts.heard.until("CallbackAsked", of(item.interaction_id))
        again = await parts.heard.until(
            "CallWaiting", lambda e: e.interaction_id == item.interaction_id and e.at > item.at, timeout_s=15
        )
        assert again.enqueued_at == item.enqueued_at  # type: ignore[attr-defined]
        assert call.state == "talking"
