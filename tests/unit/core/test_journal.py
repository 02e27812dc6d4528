"""The journal: whoever emits waits for nothing, what was synced is safe, what cannot be taken is told."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.events.ivr import FlowWaited
from core.events.orders import AlertCleared
from core.events.routing import CardPushed
from core.journal import store
from core.journal.journal import Journal
from core.journal.store import Fact, JournalFile, JournalInUse, Line

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def told(what: object) -> AlertCleared:
    return AlertCleared(at=NOW, what=str(what))


def until(holds: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Waits for the writer's thread."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.002)


def whats(journal: Journal, after: int = 0) -> list[tuple[int, str]]:
    return [(fact.seq, json.loads(fact.text)["what"]) for fact in asyncio.run(journal.read(after, 100_000))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "controller.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    it = Journal(path, "j-1")
    yield it
    it.close()


def set_room(journal: Journal, pages: int) -> None:
    """A disk with room for so many pages: SQLite's own way of being full."""
    with journal._lock:
        journal._file._db.execute(f"PRAGMA max_page_count = {pages}")


class TestTaking:
    def test_order_of_emission_is_order_of_sequence_and_what_is_synced_outlives_us(
        self, journal: Journal, path: Path
    ) -> None:
        for n in range(1000):
            journal.emit(told(n))
        assert (journal.last_seq, journal.behind) == (1000, 1000)
        until(lambda: journal.synced == 1000)
        assert whats(journal) == [(n + 1, str(n)) for n in range(1000)]
        journal.close()
        again = Journal(path, "j-2")
        assert (again.journal_id, again.last_seq, again.synced) == ("j-1", 1000, 1000), "the id stays with the file"
        again.emit(told("next"))
        until(lambda: again.synced == 1001)
        assert whats(again, after=999) == [(1000, "999"), (1001, "next")]
        again.close()

    def test_a_sequence_is_never_given_out_twice_also_when_all_is_flushed(self, path: Path) -> None:
        for life in range(3):
            journal = Journal(path, "j")
            assert journal.last_seq == journal.flushed == life
            journal.emit(told(life))
            until(lambda it=journal: it.synced == it.last_seq)
            asyncio.run(journal.forget_until(journal.last_seq))
            assert (journal.behind, whats(journal)) == (0, [])
            journal.close()

    def test_what_a_fact_says_is_fixed_when_it_is_emitted(self, journal: Journal) -> None:
        session = {"node": "main", "vars": {"did": "1"}}
        with journal._lock:  # the writer cannot get at it yet
            journal.emit(FlowWaited(at=NOW, flow="f", node="main", wait="key", session=session))
            session["vars"]["did"] = "2"  # type: ignore[index]
            session["later"] = "x"
        until(lambda: journal.synced == 1)
        [fact] = asyncio.run(journal.read(0, 10))
        assert json.loads(fact.text)["session"] == {"node": "main", "vars": {"did": "1"}}

    def test_odd_texts_come_back_as_they_were(self, journal: Journal) -> None:
        odd = ["", "\x00", "张伟", "😀", "\u2028", "\ud800", "'; DROP TABLE fact; --", "x" * 100_000]
        for text in odd:
            journal.emit(told(text))
        until(lambda: journal.synced == len(odd))
        assert [what for _, what in whats(journal)] == odd

    def test_a_fact_that_is_no_json_is_refused_and_told_and_the_others_are_taken(self, journal: Journal) -> None:
        ring: dict[str, object] = {}
        ring["ring"] = ring
        with capture_logs() as logs:
            journal.emit(told("before"))
            for card in ({"x": object()}, ring, {("a", "b"): 1}):
                journal.emit(CardPushed(at=NOW, offer_id="o", extension="1", feeds=1, card=card))  # type: ignore[arg-type]
            journal.emit(told("after"))
        until(lambda: journal.synced == 2)
        assert [what for _, what in whats(journal)] == ["before", "after"]
        assert journal.refused == 3
        assert {(entry["event"], entry["kind"]) for entry in logs} == {("fact_refused", "CardPushed")}

    def test_facts_are_read_from_memory_or_from_the_file_and_nobody_sees_the_difference(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("core.journal.journal.AT_HAND", 10)
        journal = Journal(path, "j")
        for n in range(25):
            journal.emit(told(n))
        until(lambda: journal.synced == 25)
        assert [n for n, _ in whats(journal)] == list(range(1, 26)), "the oldest are in the file alone"
        assert whats(journal, after=18) == [(n + 1, str(n)) for n in range(18, 25)]
        assert [fact.seq for fact in asyncio.run(journal.read(16, 3))] == [17, 18, 19]
        assert [fact.event for fact in asyncio.run(journal.read(16, 2))] == [told(16), told(17)]
        asyncio.run(journal.forget_until(20))
        assert [n for n, _ in whats(journal)] == list(range(21, 26)), "what stands in the database is not read again"
        journal.close()

    def test_only_what_is_synced_is_read(self, journal: Journal) -> None:
        journal.emit(told(0))
        until(lambda: journal.synced == 1)
        with journal._lock:
            journal.emit(told(1))
            assert [fact.seq for fact in asyncio.run(journal.read(0, 10))] == [1]

    def test_the_file_forgets_a_minute_later_or_when_it_is_closed(
        self, journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The database does not sync each commit: what the power takes from it is still here."""
        seconds = 0.0
        monkeypatch.setattr("core.journal.journal.time.monotonic", lambda: seconds)

        def in_file() -> list[int]:
            with journal._lock:
                return [fact.seq for fact in journal._file.after(0, 100)]

        for n in range(4):
            journal.emit(told(n))
            until(lambda: journal.synced == journal.last_seq)
            asyncio.run(journal.forget_until(n + 1))
            seconds += 40.0
        assert in_file() == [2, 3, 4]
        journal.close()
        again = Journal(path, "j")
        assert (again.flushed, again.last_seq) == (4, 4)
        assert again._file.after(0, 100) == []
        again.close()


class TestBounds:
    def test_at_its_bound_the_newest_are_refused_counted_and_told_until_there_is_room(self, path: Path) -> None:
        journal = Journal(path, "j", bound=5)
        with capture_logs() as logs:
            for n in range(8):
                journal.emit(told(n))
        assert (journal.refused, journal.behind) == (3, 5)
        assert [entry["event"] for entry in logs] == ["fact_refused"], "once, not for each"
        assert logs[0]["log_level"] == "error"
        until(lambda: journal.synced == 5)
        asyncio.run(journal.forget_until(2))
        for n in range(8, 11):
            journal.emit(told(n))
        until(lambda: journal.synced == 7)
        assert whats(journal) == [(3, "2"), (4, "3"), (5, "4"), (6, "8"), (7, "9")], "no gap in the sequence"
        assert journal.refused == 4
        journal.close()

    def test_a_disk_that_hangs_holds_up_nobody_and_fills_no_more_memory_than_was_given(self, path: Path) -> None:
        journal = Journal(path, "j", memory_bound=50)
        asked, go, append = threading.Event(), threading.Event(), journal._file.append

        def hang(lines: object) -> None:
            asked.set()
            go.wait(30)
            append(lines)  # type: ignore[arg-type]

        journal._file.append = hang  # type: ignore[method-assign,assignment]
        journal.emit(told(0))
        assert asked.wait(10)
        begun = time.perf_counter()
        for n in range(1, 10_000):
            journal.emit(told(n))
        assert time.perf_counter() - begun < 3.0
        assert (journal.last_seq, journal.refused) == (50, 9950)
        go.set()
        until(lambda: journal.synced == 50)
        journal.emit(told("again"))
        until(lambda: journal.synced == 51)
        assert [what for _, what in whats(journal)] == [*map(str, range(50)), "again"]
        journal.close()

    async def test_the_loop_turns_while_the_disk_hangs(self, path: Path) -> None:
        journal = Journal(path, "j")
        asked, go, turns = threading.Event(), threading.Event(), 0

        def hang(_lines: object) -> None:
            asked.set()
            go.wait(30)

        journal._file.append = hang  # type: ignore[method-assign,assignment]
        journal.emit(told(0))
        await asyncio.to_thread(asked.wait, 30)
        journal._at_hand.clear()  # as when so many wait that the oldest are in the file alone
        reading = asyncio.get_running_loop().create_task(journal.read(0, 1))
        for _ in range(100):
            journal.emit(told(1))
            await asyncio.sleep(0)
            turns += 1
        assert turns == 100
        assert not reading.done(), "who reads waits for the disk, in a thread of its own"
        go.set()
        assert await reading == []
        await asyncio.to_thread(journal.close)

    async def test_who_waits_until_it_is_written_goes_on_when_it_is_and_is_told_when_the_disk_hangs(
        self, path: Path
    ) -> None:
        journal, go = Journal(path, "j"), threading.Event()
        append, written = journal._file.append, list[int]()

        def slowly(lines: Sequence[Line]) -> None:
            go.wait(30)
            append(lines)
            written.extend(seq for seq, _ in lines)

        journal._file.append = slowly  # type: ignore[method-assign]
        await journal.written(30)  # nothing was told
        journal.emit(told(0))
        with pytest.raises(TimeoutError):
            await journal.written(0.01)
        go.set()
        await journal.written(30)
        assert written == [1]
        assert journal.on_sync == []
        await asyncio.to_thread(journal.close)

    async def test_a_reader_of_a_disk_that_hangs_is_told_in_time(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("core.journal.journal.STUCK_S", 0.05)
        journal = Journal(path, "j")
        with journal._lock, pytest.raises(sqlite3.OperationalError, match="does not answer"):
            await journal.read(0, 1)
        await asyncio.to_thread(journal.close)


class TestDisk:
    def test_a_full_disk_is_told_and_nothing_is_lost_when_there_is_room_again(
        self, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("core.journal.journal.RETRY_S", 0.01)
        journal.emit(told("first"))
        until(lambda: journal.synced == 1)
        set_room(journal, 1)
        with capture_logs() as logs:
            for n in range(2000):
                journal.emit(told(f"{n:0100}"))
            until(lambda: "full" in journal.fault)
            journal.emit(told("while it is full"))
            assert journal.synced < journal.last_seq == 2002
            set_room(journal, 1_000_000)
            until(lambda: journal.synced == 2002)
        assert journal.fault == ""
        assert [what for _, what in whats(journal)] == [
            "first",
            *(f"{n:0100}" for n in range(2000)),
            "while it is full",
        ]
        assert [entry["event"] for entry in logs] == ["journal_write_failed", "journal_writes_again"]

    def test_a_commit_whose_answer_was_lost_is_not_written_twice(
        self, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("core.journal.journal.RETRY_S", 0.01)
        append = journal._file.append

        def lose(lines: object) -> None:
            append(lines)  # type: ignore[arg-type]
            journal._file.append = append  # type: ignore[method-assign]
            raise sqlite3.OperationalError("disk I/O error")

        journal._file.append = lose  # type: ignore[method-assign,assignment]
        journal.emit(told("x"))
        until(lambda: journal.synced == 1)
        assert whats(journal) == [(1, "x")]

    def test_closing_syncs_what_is_left_and_takes_nothing_more(self, path: Path) -> None:
        journal = Journal(path, "j")
        for n in range(300):
            journal.emit(told(n))
        journal.close()
        with capture_logs() as logs:
            journal.emit(told("too late"))
        assert (journal.refused, [entry["event"] for entry in logs]) == (1, ["fact_refused"])
        again = JournalFile(path, "j")
        assert again.last_seq() == 300
        again.close()

    def test_what_closing_could_not_sync_is_told(self, path: Path) -> None:
        journal = Journal(path, "j")
        set_room(journal, 1)
        with capture_logs() as logs:
            for n in range(1000):
                journal.emit(told(f"{n:0100}"))
            journal.close()
        lost = [entry for entry in logs if entry["event"] == "journal_closed_with_facts_lost"]
        assert lost
        assert lost[0]["lost"] + journal.synced == 1000

    def test_closing_takes_seconds_at_most_when_the_disk_hangs(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("core.journal.journal.CLOSE_S", 0.1)
        journal = Journal(path, "j")
        go = threading.Event()
        journal._file.append = lambda _lines: go.wait(30)  # type: ignore[method-assign,assignment]
        journal.emit(told(0))
        begun = time.monotonic()
        with capture_logs() as logs:
            journal.close()
        assert time.monotonic() - begun < 5
        assert [entry["event"] for entry in logs] == ["journal_closed_with_facts_lost"]
        go.set()

    def test_a_listener_whose_loop_is_gone_does_not_end_the_writing(self, journal: Journal) -> None:
        loop = asyncio.new_event_loop()
        loop.close()
        journal.on_sync.append(lambda: loop.call_soon_threadsafe(print))
        with capture_logs() as logs:
            for n in (1, 2):
                journal.emit(told(n))
                until(lambda wanted=n: journal.synced == wanted)
            until(lambda: len(logs) == 2)
        assert [entry["event"] for entry in logs] == ["journal_listener_gone"] * 2

    def test_two_processes_never_write_the_same_journal(
        self, journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store, "BUSY_MS", 50)
        with pytest.raises(JournalInUse) as refused:
            Journal(path, "other")
        assert refused.value.error_id == "core:journal-in-use"
        journal.close()
        Journal(path, "other").close()

    def test_a_damaged_file_is_put_beside_and_told_and_a_new_one_is_begun(self, path: Path) -> None:
        path.parent.mkdir()
        for number in (1, 2):
            path.write_bytes(b"no journal at all, but long enough to be looked at " * 100)
            with capture_logs() as logs:
                journal = Journal(path, f"j-{number}")
            journal.emit(told("x"))
            journal.close()
            assert (journal.journal_id, journal.synced) == (f"j-{number}", 1)
            assert [entry["event"] for entry in logs] == ["journal_damaged"]
            assert path.with_name(f"{path.name}.damaged-{number}").read_bytes().startswith(b"no journal")


class TestFile:
    def test_a_group_is_in_it_whole_or_not_at_all_and_a_failed_one_is_in_nobodys_way(self, tmp_path: Path) -> None:
        file = JournalFile(tmp_path / "j.sqlite", "j")
        with pytest.raises(sqlite3.Error):
            file.append([(1, "{}"), (2, object())])  # type: ignore[list-item]
        assert file.after(0, 10) == []
        file.append([(1, "{}")])
        with pytest.raises(sqlite3.Error):
            file.append([(2, "{}"), (3, object())])  # type: ignore[list-item]
        file.forget_until(0)
        assert file.after(0, 10) == [Fact(1, "{}")]
        file.close()

    def test_reading_is_bounded_and_forgetting_keeps_what_is_newer(self, tmp_path: Path) -> None:
        file = JournalFile(tmp_path / "j.sqlite", "j")
        file.append([(n, "{}") for n in range(1, 11)])
        assert [fact.seq for fact in file.after(3, 4)] == [4, 5, 6, 7]
        file.forget_until(8)
        assert [fact.seq for fact in file.after(0, 100)] == [9, 10]
        assert (file.flushed(), file.last_seq()) == (8, 10)
        file.close()

    def test_a_synced_group_is_synced_to_the_disk_itself(self, tmp_path: Path) -> None:
        file = JournalFile(tmp_path / "j.sqlite", "j")
        said = {name: file._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")}
        assert said == {"synchronous": 2, "journal_mode": "wal"}
        file.close()
