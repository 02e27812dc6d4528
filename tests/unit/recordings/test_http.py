"""Who may hear and read what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core.audit import audit_table
from core.errors import AftercallError, NotFound
from core.http.routes import Caller, FileAnswer, Request, Role
from recordings.http import RecordingDesk, RecordingsQuery, routes
from tests.unit.recordings.room import IX, Room, room

SUPERVISOR = Caller("u-1", "susan", frozenset({Role.SUPERVISOR}))
AGENT = Caller("u-2", "anna", frozenset({Role.AGENT}), extension="1001")
OTHER = Caller("u-3", "otto", frozenset({Role.AGENT}), extension="1002")


def ask(caller: Caller, recording_id: str = "", **query: Any) -> Request:
    return Request(caller=caller, path={"id": recording_id}, query=RecordingsQuery(**query), body=None)


async def stored(r: Room, interaction_id: str = IX) -> str:
    r.recordings._make_folders()
    from core.events.pbx import CallConnected

    connected = CallConnected(
        interaction_id=interaction_id, at=r.clock.now(), leg_id="l", offer_id="o", extension="1001"
    )
    await r.recordings._note(connected)
    r.legs(interaction_id)
    await r.recordings.close(interaction_id)
    row = await r.row(interaction_id)
    assert row is not None
    return row.id


def desk(r: Room) -> RecordingDesk:
    return RecordingDesk(r.database, r.folder, r.clock, r.transcription)


async def played(r: Room) -> list[tuple[str, str]]:
    async with r.database.read() as conn:
        rows = await conn.execute(select(audit_table).where(audit_table.c.action == "recordings:play"))
        return [(row.actor, row.subject) for row in rows]


async def test_the_one_who_talked_and_a_supervisor_hear_it_and_each_playback_is_audited(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        recording_id, d = await stored(r), desk(r)
        for caller in (AGENT, SUPERVISOR):
            answer = await d.audio(ask(caller, recording_id))
            assert isinstance(answer, FileAnswer)
            assert Path(answer.path).is_file()
            assert answer.content_type == "audio/wav"
        subject = f"recording:{recording_id}"
        assert await played(r) == [("user:anna", subject), ("user:susan", subject)]


async def test_the_pieces_of_one_playback_are_one_audit_row(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        recording_id, d = await stored(r), desk(r)
        for _ in range(5):
            await d.audio(ask(AGENT, recording_id))
        assert len(await played(r)) == 1


async def test_for_another_agent_the_recording_does_not_exist(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        recording_id, d = await stored(r), desk(r)
        for verb in (d.one, d.audio, d.transcript):
            with pytest.raises(NotFound):
                await verb(ask(OTHER, recording_id))
        assert (await d.several(ask(OTHER))).items == []
        assert await played(r) == []


async def test_the_transcript_is_served_by_turns_and_words_with_its_model(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        recording_id, d = await stored(r), desk(r)
        with pytest.raises(AftercallError, match="it is being made"):
            await d.transcript(ask(AGENT, recording_id))
        await r.work()
        answer = await d.transcript(ask(AGENT, recording_id))
        assert answer.model == "fake-en"
        assert [(t.side, t.text, t.words[0].start_s) for t in answer.turns] == [
            ("caller", "hello", 0.1),
            ("agent", "yes", 1.0),
        ]
        assert (await d.one(ask(AGENT, recording_id))).transcript == "done"


async def test_a_recording_without_sound_says_why(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        recording_id, d = await stored(r), desk(r)
        r.clock.advance(181 * 86400)
        await r.recordings.expire()
        with pytest.raises(AftercallError, match="kept for its time") as refused:
            await d.audio(ask(SUPERVISOR, recording_id))
        assert refused.value.status == 409
        assert (await d.one(ask(SUPERVISOR, recording_id))).audio_url == ""


async def test_lists_go_on_where_they_stopped(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        d = desk(r)
        ids = []
        for n in range(5):
            ids.append(await stored(r, f"n1-7.{n}"))
            if n % 2:
                r.clock.advance(1)
        seen, after = [], ""
        while True:
            page = await d.several(ask(SUPERVISOR, limit=2, after=after))
            seen += [item.id for item in page.items]
            if page.next is None:
                break
            after = page.next
        assert sorted(seen) == sorted(ids)
        found = await d.several(ask(SUPERVISOR, interaction_id="n1-7.3"))
        assert [item.interaction_id for item in found.items] == ["n1-7.3"]
        for bad in ("nonsense", "W10", "WyJub3cgIiwieCJd"):
            with pytest.raises(AftercallError, match="place in the list"):
                await d.several(ask(SUPERVISOR, after=bad))


async def test_what_is_transcribed_by_which_model_is_told(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        await r.transcription.look()
        answer = await desk(r).models(ask(AGENT))
        assert [(m.language, m.on, m.model) for m in answer.items] == [("en", True, "fake-en"), ("zh", False, "")]
        assert answer.items[1].reason == "transcription off: no speech model for 'zh'"


async def test_no_operation_is_public(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        declared = routes(desk(r))
        assert {route.path for route in declared} >= {"/api/recordings/{id}/audio", "/api/recordings/{id}/transcript"}
        assert not any(route.public for route in declared)
