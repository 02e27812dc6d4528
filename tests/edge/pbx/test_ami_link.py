"""The link to Asterisk: up or honestly down, each action at most once ever, events and lists in their order."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from pbx import ami
from pbx.ami import ACTION_S, BACKOFF_S, BOOT_S, DEAD_S, PING_S, STEADY_S, ActionRefused, LinkDown
from pbx.ami_events import AmiEvent, ChannelGone, ChannelState, Told
from pbx.ami_wire import Block, UnsafeValue, first
from tests.edge.pbx.manager import (
    SECRET,
    Manager,
    Ours,
    answered,
    block,
    error_of,
    hangup,
    linked,
    refused,
    until,
)
from tests.unit.pbx.truth import Desk
from tests.virtual import now, virtual_time


def ids(blocks: list[Block]) -> list[str]:
    return [first(item, "uniqueid") for item in blocks]


# --- getting in


@virtual_time
async def test_a_link_logs_in_waits_for_the_boot_and_tells_that_it_is_up() -> None:
    async with linked() as (manager, ours):
        assert manager.names() == ["Login", "Getvar", "Setvar"] and (ours.ups, ours.downs) == (1, [])
        assert ours.link.up and not ours.link.restarted
        assert await ours.link.send("Ping") == {"response": "Success", "actionid": "ac-4"}


@pytest.mark.parametrize(
    "banner", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\r\n", b"\xff\xfe\r\n", b"x" * 100_000 + b"\r\n"],
    ids=["ssh", "http", "empty", "no text", "endless"],
)  # fmt: skip
@virtual_time
async def test_the_secret_is_never_told_to_somebody_who_is_no_asterisk(banner: bytes) -> None:
    async with Manager().listening() as manager:
        manager.banner = banner
        async with Ours(manager).running(up=False) as ours:
            await until(lambda: manager.connections >= 3)
            assert manager.raw == b"" and not ours.link.up and ours.downs == []
            manager.banner = b"Asterisk Call Manager/9.0.0\r\n"
            await ours.is_up()


@virtual_time
async def test_who_says_nothing_at_all_is_given_up_after_five_seconds() -> None:
    async with Manager().listening() as manager:
        manager.banner = b""
        async with Ours(manager).running(up=False):
            await until(lambda: manager.connections == 2, step_s=0.2)
            assert DEAD_S < manager.connected_at[1] - manager.connected_at[0] < DEAD_S + 1


@virtual_time
async def test_a_secret_that_has_become_another_is_taken_at_the_next_login_and_a_link_that_stands_goes_on() -> None:
    async with linked() as (manager, ours):
        ours.address = replace(ours.address, secret="another-secret-altogether")
        assert (await ours.link.send("Ping"))["response"] == "Success" and manager.connections == 1
        manager.drop()
        await until(lambda: ours.ups == 2 and ours.link.up)
        assert b"another-secret-altogether" in manager.raw


@virtual_time
async def test_a_refused_login_is_tried_again_ever_more_seldom_and_the_secret_is_in_no_log() -> None:
    with capture_logs() as logs:
        async with Manager().listening() as manager:
            manager.answers["Login"] = refused("Authentication failed")
            async with Ours(manager).running(up=False) as ours:
                await until(lambda: manager.connections >= 12, step_s=1)
                assert ours.ups == 0 and (await error_of(ours.link.send("Ping"))).__class__ is LinkDown
                pauses = [b - a for a, b in zip(manager.connected_at, manager.connected_at[1:], strict=False)]
                assert pauses[-1] > 5 * pauses[0] and max(pauses) < BACKOFF_S[-1] * 1.5
                del manager.answers["Login"]
                await ours.is_up()
    assert SECRET not in str(logs)


@virtual_time
async def test_an_asterisk_that_is_not_fully_booted_is_waited_for_and_then_given_up() -> None:
    async with Manager().listening() as manager:
        manager.boots = False
        async with Ours(manager).running(up=False) as ours:
            await until(lambda: manager.names() == ["Login"])
            await asyncio.sleep(BOOT_S / 2)
            assert ours.ups == 0 and manager.connections == 1
            manager.tell(block("Event: FullyBooted", "Status: Fully Booted"))
            await ours.is_up()
        async with Ours(manager).running(up=False):
            begun, before = now(), manager.connections
            await until(lambda: manager.connections == before + 2, step_s=1)
            assert now() - begun == pytest.approx(BOOT_S, abs=2)


@virtual_time
async def test_a_link_whose_first_list_fails_was_never_up_and_is_made_anew() -> None:
    async with Manager().listening() as manager:
        ours = Ours(manager)
        outcomes: list[Exception | None] = [LinkDown("gone"), ActionRefused("Status", "no"), None]

        def on_up() -> None:
            outcome = outcomes.pop(0)
            if outcome is not None:
                raise outcome

        ours.on_up = on_up
        async with ours.running():
            assert manager.connections == 3 and (ours.ups, ours.downs) == (1, [])


# --- losing it


@virtual_time
async def test_a_half_open_link_is_dead_after_five_seconds_and_is_made_anew() -> None:
    async with linked() as (manager, ours):
        await asyncio.sleep(PING_S / 2)
        manager.frozen, begun = True, now()
        action = asyncio.ensure_future(error_of(ours.link.send("Setvar", deadline_s=60)))  # noqa: TID251
        await until(lambda: ours.downs != [])
        assert now() - begun <= DEAD_S and isinstance(await action, LinkDown)
        assert len(ours.downs) == 1 and not ours.link.up
        manager.frozen = False
        await ours.is_up()
        assert (ours.ups, ours.link.reconnects) == (2, 1)


@virtual_time
async def test_a_link_on_which_nothing_happens_stays_up() -> None:
    async with linked() as (manager, ours):
        await asyncio.sleep(200)
        assert manager.connections == 1 and ours.downs == [] and manager.names().count("Ping") >= 60


@virtual_time
async def test_a_flapping_link_backs_off_with_jitter_and_no_handler_is_ever_doubled() -> None:
    async with Manager().listening() as manager:
        ours = Ours(manager)
        ours.on_up = lambda: asyncio.get_running_loop().call_soon(manager.drop) if manager.connections < 25 else None
        tasks: set[int] = set()
        async with ours.running():
            begun = now()
            while manager.connections < 25:
                tasks.add(len(asyncio.all_tasks()))
                await asyncio.sleep(0.5)
            pauses = [b - a for a, b in zip(manager.connected_at, manager.connected_at[1:], strict=False)]
            assert pauses[0] < 1 and max(pauses) < BACKOFF_S[-1] * 1.4, pauses
            assert now() - begun > 20, "not hammered"
            assert len({round(pause, 2) for pause in pauses[-8:]}) >= 3, "nobody who waits does so in step"
            await until(lambda: ours.link.up)
            await asyncio.sleep(STEADY_S)
            manager.tell(hangup(7))
            await until(lambda: ours.events != [])
            await asyncio.sleep(1)
            assert ours.causes() == [7] and max(tasks) < 12
            assert len(ours.downs) == ours.ups - 1


@virtual_time
async def test_after_a_long_life_a_lost_link_is_back_at_once() -> None:
    async with linked() as (manager, ours):
        for _ in range(5):
            await asyncio.sleep(STEADY_S + 1)
            manager.drop()
            begun = now()
            await until(lambda: not ours.link.up)
            await ours.is_up()
            assert now() - begun < BACKOFF_S[0] * 2
        assert ours.link.reconnects == 5


@virtual_time
async def test_every_action_under_way_ends_when_the_link_does_and_says_that_the_outcome_is_not_known() -> None:
    async with linked() as (manager, ours):
        manager.answers = {"Setvar": lambda _a: None, "Status": lambda _a: None, "Originate": lambda _a: None}
        async with asyncio.TaskGroup() as group:
            waiting = [
                group.create_task(error_of(ours.link.send("Setvar"))),
                group.create_task(error_of(ours.link.send("Originate", {"Channel": "x"}))),
                group.create_task(error_of(ours.link.ask_list("Status", take=ids))),
            ]
            await until(lambda: {"Setvar", "Originate", "Status"} <= set(manager.names()))
            manager.drop()
        assert [type(task.result()) for task in waiting] == [LinkDown] * 3


@virtual_time
async def test_an_action_is_sent_at_most_once_ever() -> None:
    async with linked() as (manager, ours):
        manager.drop_after = lambda action: first(action, "action") == "Originate"
        for number in range(5):
            error = await error_of(
                ours.link.send("Originate", {"Channel": f"PJSIP/{number}"}, action_id=f"leg-{number}")
            )
            assert isinstance(error, LinkDown)
            assert isinstance(await error_of(ours.link.send("Originate", {"Channel": "x"})), LinkDown), (
                "no link, not kept"
            )
            await ours.is_up()
        await asyncio.sleep(30)
        sent = [first(action, "actionid") for _, action in manager.got if first(action, "action") == "Originate"]
        assert sent == [f"leg-{number}" for number in range(5)]


@virtual_time
async def test_what_could_not_be_sent_before_the_link_broke_is_never_sent() -> None:
    """The peer reads nothing, so most of it waits in our own buffer."""
    async with linked() as (manager, ours):
        manager.frozen = True
        big = {"Variable": ["x" * 60_000] * 10}
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(error_of(ours.link.send("Setvar", big, deadline_s=60))) for _ in range(20)]
            await asyncio.sleep(0)
            manager.drop()
        assert all(isinstance(task.result(), LinkDown) for task in waiting)
        manager.frozen = False
        await ours.is_up()
        await asyncio.sleep(5)
        assert manager.names(2) == ["Login", "Getvar", "Ping", "Ping"]


@virtual_time
async def test_a_link_that_is_ended_lets_go_of_everything() -> None:
    async with Manager().listening() as manager:
        ours = Ours(manager)
        async with ours.running():
            assert len(asyncio.all_tasks()) > 4
        await asyncio.sleep(0.1)
        assert ours.downs == ["we end"] and not ours.link.up
        assert len(asyncio.all_tasks()) == 1 and manager.connections == 1
        assert isinstance(await error_of(ours.link.send("Ping")), LinkDown)


# --- actions


@virtual_time
async def test_an_action_without_an_answer_ends_at_its_deadline_and_the_link_lives() -> None:
    async with linked() as (manager, ours):
        manager.answers["Hangup"] = lambda _action: None
        begun = now()
        error = await error_of(ours.link.send("Hangup", {"Channel": "c"}))
        assert isinstance(error, LinkDown) and now() - begun == pytest.approx(ACTION_S, abs=0.1)
        late = next(first(action, "actionid") for _, action in manager.got if first(action, "action") == "Hangup")
        manager.tell(block("Response: Success", f"ActionID: {late}"), hangup(1))
        await until(lambda: ours.causes() == [1])
        assert ours.link.up and await ours.link.send("Ping")


@virtual_time
async def test_a_refusal_is_told_in_asterisks_words() -> None:
    async with linked() as (manager, ours):
        manager.answers["Hangup"] = refused("No such channel")
        error = await error_of(ours.link.send("Hangup", {"Channel": "c"}))
        assert isinstance(error, ActionRefused) and error.reason == "No such channel" and ours.link.up


@pytest.mark.parametrize("bad", ["c\r\nAction: Originate\r\nChannel: Local/x", "c\n", "c\0"])
@virtual_time
async def test_a_value_that_would_be_a_second_action_is_refused_and_nothing_is_on_the_wire(bad: str) -> None:
    async with linked() as (manager, ours):
        before = manager.raw
        with pytest.raises(UnsafeValue):
            await ours.link.send("Hangup", {"Channel": bad})
        with pytest.raises(UnsafeValue):
            await ours.link.send("Hangup", {"Channel": "c"}, action_id=bad)
        assert manager.raw == before
        await ours.link.send("Hangup", {"Channel": "c"})
        assert manager.names().count("Hangup") == 1 and "Originate" not in manager.names()


@virtual_time
async def test_two_actions_of_one_id_are_not_under_way_at_once() -> None:
    async with linked() as (manager, ours):
        manager.answers["Originate"] = lambda _action: None
        async with asyncio.TaskGroup() as group:
            group.create_task(error_of(ours.link.send("Originate", action_id="leg")))
            await until(lambda: "Originate" in manager.names())
            with pytest.raises(ValueError, match="under way"):
                await ours.link.send("Originate", action_id="leg")
        assert manager.names().count("Originate") == 1


@virtual_time
async def test_answers_find_their_questions_in_any_order() -> None:
    async with linked() as (manager, ours):
        manager.answers["Redirect"] = lambda _action: None
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(ours.link.send("Redirect", {"Channel": str(n)})) for n in range(20)]
            await until(lambda: manager.names().count("Redirect") == 20)
            for _, action in reversed(manager.got):
                if first(action, "action") == "Redirect":
                    value = first(action, "channel")
                    manager.tell(
                        block("Response: Success", f"ActionID: {first(action, 'actionid')}", f"Value: {value}")
                    )
        assert [first(task.result(), "value") for task in asked] == [str(n) for n in range(20)]


# --- events


@virtual_time
async def test_an_exception_in_a_handler_costs_one_event_and_not_the_link() -> None:
    async with linked() as (manager, ours):

        def handle(event: AmiEvent) -> None:
            if getattr(event, "cause", 0) == 2:
                raise KeyError("a fault of ours")
            ours.events.append(event)

        ours.handle = handle
        with capture_logs() as logs:
            manager.tell(*(hangup(number) for number in range(5)))
            await until(lambda: len(ours.events) == 4)
        assert ours.causes() == [0, 1, 3, 4] and ours.link.handled == 5
        assert [(entry["event"], entry["event_kind"]) for entry in logs] == [("ami_event_failed", "ChannelGone")]
        await asyncio.sleep(10)
        assert manager.connections == 1 and ours.link.up


@virtual_time
async def test_events_come_in_order_one_at_a_time_however_the_bytes_arrive() -> None:
    async with linked() as (manager, ours):
        data = "".join(hangup(number) for number in range(300)).encode()
        for at in range(0, len(data), 77):
            manager.tell(data[at : at + 77])
            await asyncio.sleep(0)
        await until(lambda: len(ours.events) == 300)
        assert [event.uniqueid for event in ours.events if isinstance(event, ChannelGone)] == [
            f"n1-{n}.1" for n in range(300)
        ]


@virtual_time
async def test_what_is_odd_in_the_stream_costs_nothing_but_itself() -> None:
    odd = [
        b"Event: VarSet\r\nValue: " + b"x" * (1 << 20) + b"\r\n\r\n",
        b"Event: Newchannel\r\nChannel: PJSIP/trunk-1\r\n\r\n",
        b"Event: UserEvent\r\nUserEvent: AcWaiting\r\nAcQueue: a\r\nUserEvent: AcFeature\r\nAcQueue: b\r\n\r\n",
        b"Event: UserEvent\r\nUserEvent: \xff\xfe\r\n\r\n",
        b"Response: Success\r\nActionID: nobody-asked\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"no colon at all\r\n\r\n",
        b"Event: Hangup\r\nUniqueid: 1\r\nCause: many\r\n\r\n",
        b"Event: UserEvent\r\nUserEvent: AcX\r\nAcProblem: y\r\nEvent: Hangup\r\nUniqueid: n1-9.1\r\nCause: 99\r\n\r\n",
    ]
    async with linked() as (manager, ours):
        for number, data in enumerate(odd):
            manager.tell(data, hangup(number))
        await until(lambda: ours.causes().count(len(odd) - 1) == 1)
        assert [cause for cause in ours.causes() if cause >= 0] == list(range(len(odd)))
        told = [(e.name, e.fields) for e in ours.events if isinstance(e, Told)]
        assert told == [("AcWaiting", {"queue": "a"}), ("��", {}), ("AcX", {"problem": "y"})]
        assert ours.link.up and manager.connections == 1


@virtual_time
async def test_more_events_than_can_be_kept_make_a_new_link_and_a_fresh_list_instead_of_memory_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ami, "EVENTS_BOUND", 1000)
    async with linked() as (manager, ours):
        manager.tell(*(hangup(number) for number in range(1500)))
        await until(lambda: ours.ups == 2)
        assert ours.link.flooded == 1 and ours.downs == ["more events than can be handled"]
        count = len(ours.events)
        manager.tell(hangup(5))
        await until(lambda: len(ours.events) == count + 1)
        assert count <= 1000


async def test_of_five_thousand_events_a_second_none_lies_unread_for_long() -> None:
    """In real time, for one second: from the moment it was written until our handler had it (pass line 0.1 s, fuse 0.3)."""
    late: list[float] = []
    desk = Desk()

    def handle(event: AmiEvent) -> None:
        desk.board.on_event(event)
        if isinstance(event, ChannelState):
            late.append(time.perf_counter() - float(event.uniqueid.partition("-")[2]))

    async with linked() as (manager, ours):
        ours.handle = handle
        begun = time.perf_counter()
        for batch in range(100):
            stamp = f"n-{time.perf_counter():.6f}"
            told = block("Event: Newstate", f"Uniqueid: {stamp}", "Channel: PJSIP/trunk-1", "ChannelStateDesc: Up")
            manager.tell(*([told] * 50))
            await asyncio.sleep(max(0.0, begun + (batch + 1) * 0.01 - time.perf_counter()))
        async with asyncio.timeout(10):
            while len(late) < 5000:
                await asyncio.sleep(0.01)
        assert sorted(late)[int(len(late) * 0.99)] < 0.3, f"worst {max(late):.3f} s"
        assert ours.link.flooded == 0 and ours.downs == [] and len(late) == 5000


# --- another run of Asterisk


@virtual_time
async def test_a_restarted_asterisk_is_told_from_a_lost_link_whatever_its_clock_says() -> None:
    async with linked() as (manager, ours):
        manager.answers["Login"] = answered(  # as if its clock had been set, back or forth
            block("Response: Success", "ActionID: {id}") + block("Event: FullyBooted", "Uptime: 1", "Timestamp: 7.0")
        )
        manager.drop()
        await until(lambda: ours.ups == 2)
        assert not ours.link.restarted, "the same run"
        manager.globals.clear()
        manager.drop()
        await until(lambda: ours.ups == 3)
        assert ours.link.restarted
        manager.drop()
        await until(lambda: ours.ups == 4)
        assert not ours.link.restarted, "it was told once"


@virtual_time
async def test_a_restart_is_not_forgotten_when_the_first_link_to_it_breaks_before_it_is_up() -> None:
    async with linked() as (manager, ours):
        outcomes: list[bool] = []

        def on_up() -> None:
            outcomes.append(ours.link.restarted)
            if len(outcomes) < 3:
                raise LinkDown("broken again")

        ours.on_up = on_up
        manager.globals.clear()
        manager.drop()
        await until(lambda: ours.ups == 2)
        assert outcomes == [True, True, True]
