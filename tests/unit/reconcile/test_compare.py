"""A whole comparison over a real database, a real book and real files: zero for the same, and each falsification by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, update

from app.reconcile.compare import Comparison
from core.events import routing, to_record
from core.events.pbx import CallEnded
from core.journal.flusher import quarantine_table
from pbx.store import interaction_table
from recordings.store import recording_table
from routing.store import segment_table
from tests.suites.core.place import Place
from tests.unit.pbx.test_cel import STORIES
from tests.unit.reconcile.desk import SINCE, UNTIL, Desk, at, lines_of, told_of, wrote


@pytest.fixture
async def desk(place: Place, tmp_path: Path) -> AsyncIterator[Desk]:
    yield await Desk.open(place, tmp_path)


async def test_the_same_on_both_sides_is_no_difference(desk: Desk) -> None:
    calls = await desk.play_all()
    await desk.record(calls["agent_hangs_up"].id)
    report = await desk.compare()
    assert report.differences == []
    assert (report.calls, report.recordings, report.unreadable) == (len(STORIES), 1, 0)


async def test_a_call_that_only_the_switch_knows(desk: Desk) -> None:
    await desk.play("agent_hangs_up")
    desk.write(*lines_of("not_answered"))
    assert await desk.kinds() == ["call_unknown_to_us"]


async def test_a_call_that_only_we_know(desk: Desk) -> None:
    await desk.play("agent_hangs_up")
    await desk.tell(*told_of("caller_hangs_up"))
    assert await desk.kinds() == ["call_unknown_to_switch"]


async def test_without_a_book_it_is_said_once_how_many_calls_cannot_be_compared(desk: Desk) -> None:
    for story in STORIES:
        await desk.tell(*told_of(story))
    (difference,) = (await desk.compare()).differences
    assert (difference.kind, difference.ours) == ("book_missing", f"{len(STORIES)} calls that cannot be compared")


async def test_a_call_that_is_up_is_left_out_and_so_is_one_that_just_ended(desk: Desk) -> None:
    story = lines_of("agent_hangs_up")
    desk.write(*(text for text in story if '"HANGUP"' not in text and '"CHAN_END"' not in text))
    await desk.tell(*(event for event in told_of("agent_hangs_up") if event.kind not in ("CallEnded", "LegEnded")))
    assert await desk.kinds() == []
    desk.write(*(text for text in story if '"HANGUP"' in text or '"CHAN_END"' in text))
    ended_at = told_of("agent_hangs_up")[-1].at
    report = await desk.compare(until=ended_at - timedelta(seconds=1))
    assert (report.differences, report.calls) == ([], 0)


async def test_what_ended_before_or_after_the_time_is_not_looked_at(desk: Desk) -> None:
    call = await desk.play("agent_hangs_up")
    await desk.change(call.id, end_reason="system")
    assert call.ended_at is not None
    assert await desk.kinds() == ["reason_differs"]
    for since, until in ((SINCE, call.ended_at), (call.ended_at + timedelta(milliseconds=1), UNTIL)):
        assert (await Comparison(desk.database, desk.places, since, until).run()).differences == []


async def test_rows_that_were_changed_by_hand(desk: Desk) -> None:
    calls = await desk.play_all()
    row = calls["agent_hangs_up"]
    assert row.ended_at is not None
    await desk.change(row.id, ended_at=row.ended_at + timedelta(seconds=10))
    await desk.change(calls["caller_hangs_up"].id, end_reason="agent_hangup")
    await desk.change(calls["held_and_resumed"].id, talk_s=90.0)
    await desk.change(calls["not_answered"].id, ended_at=None, end_reason=None)
    await desk.change(calls["abandoned_while_ringing"].id, end_reason="vanished")
    async with desk.database.write() as conn:
        story = calls["declined_then_answered"].id
        await conn.execute(delete(segment_table).where(segment_table.c.interaction_id == story))
    assert await desk.kinds() == [
        "end_differs", "end_missing", "reason_differs", "reason_unseen", "talk_differs", "talk_without_segment",
    ]  # fmt: skip


async def test_recordings_and_files_that_were_changed_by_hand(desk: Desk) -> None:
    calls = list((await desk.play_all()).values())
    files = [await desk.record(call.id, name=f"r{number}") for number, call in enumerate(calls[:4])]
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:-4] + b"abcd")
    files[2].write_bytes(files[2].read_bytes()[:8000])
    async with desk.database.write() as conn:
        await conn.execute(delete(recording_table).where(recording_table.c.id == "r3"))
    found = {(str(it.kind), it.ids["path"][-6:-4]) for it in (await desk.compare()).differences}
    assert found == {
        ("recording_without_file", "r0"), ("hash_differs", "r1"), ("hash_differs", "r2"), ("length_differs", "r2"),
        ("file_without_recording", "r3"),
    }  # fmt: skip


async def test_a_link_in_the_place_of_a_recording_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    file = await desk.record((await desk.play("agent_hangs_up")).id)
    file.rename(tmp_path / "elsewhere.wav")
    file.symlink_to(tmp_path / "elsewhere.wav")
    differences = (await desk.compare()).differences
    assert {str(it.kind) for it in differences} == {"hash_differs", "length_differs"}
    assert "cannot be read" in differences[-1].theirs


async def test_a_recording_that_came_to_nothing_and_sound_that_was_left_lying(desk: Desk) -> None:
    call = await desk.play("agent_hangs_up")
    file = await desk.record(call.id)
    file.unlink()
    async with desk.database.write() as conn:
        await conn.execute(update(recording_table).values(state="recording", path="", stored_at=None))
    incoming = desk.places.recordings / "incoming"
    for name in (f"{call.id}-rx.wav", "n1-77.7-tx.wav", "notes.txt"):
        (incoming / name).write_bytes(b"x")
        wrote(incoming / name, UNTIL - timedelta(seconds=20))
    assert await desk.kinds() == ["recording_unfinished"], "sound that was written just now may yet be joined"
    for one in incoming.iterdir():
        wrote(one, UNTIL - timedelta(seconds=400))
    assert await desk.kinds() == ["file_without_recording"] * 2 + ["recording_unfinished"]
    await desk.change(call.id, ended_at=None, end_reason=None)
    lying = [it.interaction_id for it in (await desk.compare()).differences if it.kind == "file_without_recording"]
    assert lying == ["n1-77.7"], "whose call has not ended as far as we know, is not joined yet"


async def test_an_offer_nothing_became_of(desk: Desk) -> None:
    call = await desk.play("not_answered")
    made = routing.OfferMade(
        interaction_id=call.id, at=call.arrived_at, offer_id="o1", extension="101", queue="service", attempt=1, epoch=0,
        leg_id=f"{call.id}-o1",
    )  # fmt: skip
    await desk.tell(made)
    assert await desk.kinds() == ["offer_without_outcome"]
    ended = routing.OfferTimedOut(interaction_id=call.id, at=call.arrived_at, offer_id="o1", extension="101", rang_s=1)
    await desk.tell(ended)
    assert await desk.kinds() == []
    await desk.tell(replace(made, interaction_id="n1-7.7", offer_id="o2", at=UNTIL - timedelta(seconds=20)))
    assert await desk.kinds() == [], "its phone may be ringing"
    await desk.tell(replace(made, interaction_id="n1-7.7", offer_id="o3", at=UNTIL - timedelta(seconds=200)))
    assert await desk.kinds() == ["offer_without_outcome"]


async def test_facts_that_were_set_aside_or_not_copied(desk: Desk) -> None:
    call = await desk.play("agent_hangs_up")
    fact = CallEnded(interaction_id=call.id, at=at(0), reason="system")
    async with desk.database.write() as conn:
        aside = {"journal_id": "j", "seq": 7, "at": at(0), "record": to_record(fact), "reason": "ValueError"}
        await conn.execute(insert(quarantine_table).values(aside))
    desk.leave_behind(fact, replace(fact, at=UNTIL))
    (desk.places.journals / "controller-3.sqlite").write_bytes(b"no database")
    report = await desk.compare()
    assert [str(it.kind) for it in report.differences] == ["fact_set_aside", "facts_not_copied"]
    assert report.differences[1].theirs == "1 facts in controller-2.sqlite"


async def test_a_comparison_changes_nothing(desk: Desk) -> None:
    calls = await desk.play_all()
    await desk.change(calls["agent_hangs_up"].id, end_reason="unseen")
    before = desk.everything()
    assert (await desk.compare()).left == 1
    assert desk.everything() == before


async def test_calls_of_other_channels_are_not_asked_of_the_switch(desk: Desk) -> None:
    await desk.play("agent_hangs_up")
    async with desk.database.write() as conn:
        chat = {"id": "chat-1", "channel_kind": "chat", "arrived_at": at(0), "ended_at": at(9)}
        await conn.execute(insert(interaction_table).values(chat))
    assert await desk.kinds() == []
