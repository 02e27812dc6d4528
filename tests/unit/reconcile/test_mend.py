"""What the switch's book knows better is told as events, once, and rows follow: afterwards nothing differs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from app.reconcile.compare import compare_calls
from app.reconcile.mend import Mender
from core.db.outbox import EventLog
from core.db.upsert import upsert
from core.events.pbx import CallArrived, CallEndCorrected, CallEnded
from core.journal.flusher import mark_table
from core.lease import OWNER, lease_table
from pbx.cel import calls_in
from pbx.store import InteractionProjector
from tests.suites.core.place import Place
from tests.unit.reconcile.desk import PROJECTORS, UNTIL, Desk, at, lines_of, segment, told_of, unseen, without


@pytest.fixture
async def desk(place: Place, tmp_path: Path) -> AsyncIterator[Desk]:
    yield await Desk.open(place, tmp_path)


async def owned(desk: Desk, holder: str = "another machine/boot/1/1") -> None:
    async with desk.database.write() as conn:
        await upsert(conn, lease_table, [{"name": OWNER, "holder": holder, "epoch": 1, "beat": 1}], ["name"])


async def kinds_of(desk: Desk, interaction_id: str) -> list[str]:
    return [event.record["kind"] for event in await EventLog(desk.database).for_interaction(interaction_id)]


async def play_unseen(desk: Desk, story: str) -> str:
    """The call ended in the moment of a takeover."""
    desk.write(*lines_of(story))
    (call,) = calls_in(desk.places.new_book(), lines_of(story))
    await desk.tell(*unseen(told_of(story)), *(segment(call, talk.offer_id) for talk in call.talks))
    return call.id


async def test_an_end_that_nobody_saw_is_corrected_to_what_the_switch_saw(desk: Desk) -> None:
    ended = {}
    for story in ("agent_hangs_up", "caller_hangs_up", "not_answered"):
        call = await play_unseen(desk, story)
        ended[call] = next(event for event in told_of(story) if isinstance(event, CallEnded))
    report = await desk.compare(repair=True)
    assert [str(it.kind) for it in report.differences] == ["reason_unseen"] * 3
    assert report.left == 0
    for call, live in ended.items():
        row = await desk.row(call)
        assert (row["end_reason"], row["end_cause"]) == (live.reason, live.cause)
        assert row["talk_s"] == pytest.approx(live.talk_s, abs=0.05)
        assert abs(row["ended_at"] - live.at) < timedelta(seconds=0.05)
        kinds = await kinds_of(desk, call)
        assert (kinds.count("CallEnded"), kinds.count("CallEndCorrected"), kinds.count("StateRepaired")) == (1, 1, 1)
    assert (await desk.compare()).differences == []


async def test_what_two_mend_at_the_same_time_is_told_once(desk: Desk) -> None:
    call = await play_unseen(desk, "agent_hangs_up")
    (book,) = calls_in(desk.places.new_book(), lines_of("agent_hangs_up"))
    other = await desk.place.open()
    seen = [await compare_calls(database, [book]) for database in (desk.database, other)]
    desk.place.clock.advance(1.5)
    async with asyncio.TaskGroup() as group:
        for database, truths in zip((desk.database, other), seen, strict=True):
            group.create_task(Mender(database, PROJECTORS).mend(truths, owned=True))
    assert (await kinds_of(desk, call)).count("CallEndCorrected") == 1
    assert (await kinds_of(desk, call)).count("StateRepaired") == 1


async def test_a_row_that_is_spoilt_again_is_mended_again_and_the_same_truth_not_told_again(desk: Desk) -> None:
    call = await play_unseen(desk, "agent_hangs_up")
    for _ in range(3):
        assert (await desk.compare(repair=True)).left == 0
        assert (await desk.row(call))["end_reason"] == "agent_hangup"
        await desk.change(call, end_reason="unseen")
    assert (await kinds_of(desk, call)).count("CallEndCorrected") == 1


async def test_the_end_that_a_late_journal_brings_does_not_undo_the_correction(desk: Desk) -> None:
    (book,) = calls_in(desk.places.new_book(), lines_of("agent_hangs_up"))
    late = unseen(told_of("agent_hangs_up"))
    correction = CallEndCorrected(interaction_id=book.id, at=at(0), reason="agent_hangup", was="unseen", talk_s=9.0)
    orders = [[*late, correction], [correction, *late], [*late[:3], correction, *late[3:]]]
    for number, events in enumerate(orders):
        renamed = [type(it)(**{**vars(it), "interaction_id": f"n1-9.{number}"}) for it in events]
        if number:
            await desk.tell(*renamed)
        else:
            for event in renamed:
                await desk.tell(event)
        row = await desk.row(f"n1-9.{number}")
        assert (row["end_reason"], row["talk_s"], row["ended_at"], row["end_cause"]) == ("agent_hangup", 9.0, at(0), 16)
        assert row["arrived_at"] is not None


async def test_of_two_ends_the_first_stands_as_a_whole(desk: Desk) -> None:
    first = CallEnded(interaction_id="n1-9.9", at=at(1), reason="caller_hangup", cause=16, talk_s=7.0)
    second = CallEnded(interaction_id="n1-9.9", at=at(9), reason="vanished", cause=0, talk_s=0.0)
    await desk.tell(first, second)
    await desk.tell(second)
    row = await desk.row("n1-9.9")
    assert (row["ended_at"], row["end_reason"], row["end_cause"], row["talk_s"]) == (at(1), "caller_hangup", 16, 7.0)


async def test_a_call_that_nobody_of_ours_heard_is_told_whole(desk: Desk) -> None:
    await desk.play("agent_hangs_up")
    desk.write(*lines_of("not_answered"))
    live = next(event for event in told_of("not_answered") if isinstance(event, CallArrived))
    report = await desk.compare(repair=True)
    assert [(str(it.kind), it.mended) for it in report.differences] == [("call_unknown_to_us", True)]
    row = await desk.row(live.interaction_id)
    assert (row["ani"], row["dnis"], row["entry"], row["end_reason"]) == (live.ani, live.dnis, "queue", "caller_hangup")
    assert (await desk.compare()).differences == []


async def test_a_talk_nobody_of_ours_heard_is_told_and_its_missing_segment_is_listed(desk: Desk) -> None:
    desk.write(*lines_of("agent_hangs_up"))
    report = await desk.compare(repair=True)
    assert [(str(it.kind), it.mended) for it in report.differences] == [
        ("call_unknown_to_us", True), ("talk_without_segment", False),
    ]  # fmt: skip
    assert report.left == 1


@pytest.mark.parametrize("somebody_owns", [True, False])
async def test_a_missing_end_is_told_as_an_end_only_where_nobody_else_may_tell_it(
    desk: Desk, somebody_owns: bool
) -> None:
    desk.write(*lines_of("not_answered"))
    await desk.tell(*without(told_of("not_answered"), "CallEnded"))
    call = told_of("not_answered")[0].interaction_id
    if somebody_owns:
        await owned(desk)
    assert (await desk.compare(repair=True)).left == 0
    kinds = await kinds_of(desk, call)
    assert (kinds.count("CallEnded"), kinds.count("CallEndCorrected")) == ((0, 1) if somebody_owns else (1, 0))
    await desk.tell(*unseen(told_of("not_answered"))[-1:])  # the owner tells it after all
    assert (await desk.row(call))["end_reason"] == "caller_hangup"


async def test_a_lost_switch_is_told_as_what_it_is(desk: Desk) -> None:
    texts = [text for text in lines_of("agent_hangs_up") if '"HANGUP"' not in text and '"CHAN_END"' not in text]
    stamp = f"{(UNTIL - timedelta(hours=1)).timestamp():.6f}"
    watchdog = f'"CHAN_START","{stamp}","n1-1.0","n1-1.0","Local/s@ac-watchdog-00000000;1","","",""\n'
    desk.write(*texts, watchdog)
    (book,) = [call for call in calls_in(desk.places.new_book(), [*texts, watchdog]) if call.lost_at]
    whole = calls_in(desk.places.new_book(), lines_of("agent_hangs_up"))[0]
    await desk.tell(*unseen(told_of("agent_hangs_up")), *(segment(whole, talk.offer_id) for talk in book.talks))
    before = await desk.row(book.id)
    assert (await desk.compare(repair=True)).left == 0
    row = await desk.row(book.id)
    assert (row["end_reason"], row["ended_at"]) == ("node_lost", before["ended_at"])


async def test_what_cannot_be_mended_is_left_and_said(desk: Desk) -> None:
    call = await desk.play("agent_hangs_up")
    await desk.tell(*told_of("caller_hangs_up"))
    file = await desk.record(call.id)
    file.unlink()
    await desk.change(call.id, end_reason="unseen")
    report = await desk.compare(repair=True)
    assert {(str(it.kind), it.mended) for it in report.differences} == {
        ("call_unknown_to_switch", False), ("recording_without_file", False), ("reason_unseen", True),
    }  # fmt: skip
    assert report.kinds() == {"call_unknown_to_switch": 1, "recording_without_file": 1}


async def test_facts_of_a_process_that_is_gone_are_copied_first_and_told_once(desk: Desk) -> None:
    desk.write(*lines_of("not_answered"))
    events = told_of("not_answered")
    desk.leave_behind(*events)
    assert sorted(await desk.kinds()) == ["call_unknown_to_us", "facts_not_copied"]
    report = await desk.compare(repair=True)
    assert [(str(it.kind), it.mended) for it in report.differences] == [("facts_not_copied", True)]
    assert (await kinds_of(desk, events[0].interaction_id)).count("CallArrived") == 1
    assert (await desk.compare(repair=True)).differences == []
    async with desk.database.read() as conn:
        assert (await conn.execute(select(mark_table.c.seq))).scalars().all() == [len(events)]


async def test_what_settles_by_itself_while_we_wait_is_no_difference(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await owned(desk)
    desk.write(*lines_of("not_answered"))

    async def the_owner_copies(_seconds: float) -> None:
        await desk.tell(*told_of("not_answered"))

    monkeypatch.setattr("app.reconcile.run.asyncio.sleep", the_owner_copies)
    assert (await desk.compare(repair=True)).differences == []
    assert (await kinds_of(desk, told_of("not_answered")[0].interaction_id)).count("CallArrived") == 1


async def test_finished_days_of_the_book_are_moved_aside_only_when_asked(desk: Desk) -> None:
    await desk.play("agent_hangs_up")
    await desk.compare(repair=True)
    assert [file.name for file in desk.places.book.iterdir()] == ["Master.csv"]
    await desk.compare(rotate=True)
    assert [file.name for file in desk.places.book.iterdir()] == [f"Master-{UNTIL:%Y%m%d}T000000Z.csv"]
    assert (await desk.compare()).differences == []


async def test_a_correction_alone_makes_its_row(desk: Desk) -> None:
    correction = CallEndCorrected(interaction_id="n1-9.7", at=at(3), reason="system", cause=34)
    async with desk.database.write() as conn:
        await InteractionProjector().project(conn, [correction])
    assert (await desk.row("n1-9.7"))["end_reason"] == "system"
