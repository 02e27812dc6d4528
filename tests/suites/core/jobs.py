"""Jobs are done: by one worker at a time, in bounded attempts, and none holds up those behind it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.clock import ManualClock, SystemClock
from core.db.engine import Database
from core.errors import NotFound, Unavailable
from core.events.orders import AlertCleared
from core.jobs import store, worker
from core.jobs.store import Job, job_table
from core.jobs.worker import Handler, JobQueue
from tests.suites.core import children
from tests.suites.core.place import QUICK_S, Place

NO_HANDLERS: dict[str, Handler] = {}


async def queue(place: Place, database: Database | None = None, **bounds: float) -> JobQueue:
    return JobQueue(database or await place.open(), place.clock, place.ids, **bounds)


async def add(jobs: JobQueue, *keys: str, kind: str = "k") -> None:
    for key in keys:
        async with jobs._database.write() as conn:
            assert await jobs.enqueue(conn, kind, {"for": key}, key=key)


async def claimed(place: Place, owner: str, lease_s: float = 30) -> Job | None:
    database = await place.open()
    async with database.write() as conn:
        return await store.claim(conn, owner=owner, kinds=["k"], now=place.clock.now(), lease_s=lease_s)


async def states(place: Place) -> dict[str, str]:
    return {key: state for key, state in await place.rows(job_table, "key", "state")}


class Hands:
    """A handler that writes down what it does and fails for keys it was told of."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.fails: set[str] = set()
        self.handlers: dict[str, Handler] = {"k": self}

    async def __call__(self, job: Job) -> None:
        self.did.append(job.key)
        if job.key in self.fails:
            raise RuntimeError(f"no {job.key}")


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.01)


class JobPromises:
    async def test_a_job_is_there_when_and_only_when_its_decision_is_committed(self, place: Place) -> None:
        database = await place.open()
        jobs = await queue(place, database)
        with pytest.raises(ZeroDivisionError):
            async with database.unit("x") as unit:
                await jobs.enqueue(unit.conn, "k", {}, key="never")
                raise ZeroDivisionError
        assert await place.count(job_table) == 0
        async with database.unit("x") as unit:
            assert await jobs.enqueue(unit.conn, "k", {"a": [1]}, key="a")
            assert await place.count(job_table) == 0
        hands = Hands()
        assert await jobs.work_once(hands.handlers, "w")
        assert (hands.did, await states(place)) == (["a"], {"a": "done"})

    async def test_there_is_one_job_per_key_for_ever(self, place: Place) -> None:
        jobs, hands = await queue(place), Hands()
        await add(jobs, "a")
        for _ in range(2):
            async with jobs._database.write() as conn:
                assert not await jobs.enqueue(conn, "k", {"other": 1}, key="a")
            await jobs.work_once(hands.handlers, "w")
        assert hands.did == ["a"]
        assert await place.rows(job_table, "payload") == [({"for": "a"},)]

    async def test_the_oldest_due_comes_first_and_only_kinds_somebody_can_do(self, place: Place) -> None:
        jobs, hands = await queue(place), Hands()
        for key in ("a", "b", "c"):
            await add(jobs, key)
            place.clock.advance(1)
        await add(jobs, "other", kind="unknown")
        while await jobs.work_once(hands.handlers, "w"):
            continue
        assert hands.did == ["a", "b", "c"]
        assert (await states(place))["other"] == "waiting"
        assert not await jobs.work_once(NO_HANDLERS, "w")

    async def test_many_workers_never_hold_one_job_at_the_same_time_and_leave_none(self, place: Place) -> None:
        held: set[str] = set()
        done: list[str] = []

        async def handle(job: Job) -> None:
            assert job.id not in held
            held.add(job.id)
            await asyncio.sleep(0)
            held.remove(job.id)
            done.append(job.key)

        crews = [await queue(place) for _ in range(3)]
        keys = [f"j{n}" for n in range(30)]
        await add(crews[0], *keys)

        async def work(jobs: JobQueue, owner: str) -> None:
            while await jobs.work_once({"k": handle}, owner):
                continue

        async with asyncio.timeout(60):
            await asyncio.gather(*(work(jobs, f"{n}-{hand}") for n, jobs in enumerate(crews) for hand in range(2)))
        assert sorted(done) == sorted(keys)
        assert set((await states(place)).values()) == {"done"}

    async def test_a_worker_that_died_keeps_its_job_until_the_lease_is_over_and_not_longer(self, place: Place) -> None:
        jobs, hands = await queue(place), Hands()
        await add(jobs, "a", "b")
        assert (await claimed(place, "dead")) is not None
        while await jobs.work_once(hands.handlers, "w"):
            continue
        assert hands.did == ["b"]
        place.clock.advance(30.001)
        assert await jobs.work_once(hands.handlers, "w")
        assert hands.did == ["b", "a"]
        assert [attempts for _, attempts in sorted(await place.rows(job_table, "key", "attempts"))] == [2, 1]

    @pytest.mark.parametrize("verb", ["extend", "finish", "postpone", "quarantine"])
    async def test_who_has_lost_the_job_can_write_nothing_about_it_any_more(self, place: Place, verb: str) -> None:
        jobs = await queue(place)
        await add(jobs, "a")
        stale = await claimed(place, "frozen")
        place.clock.advance(31)
        held = await claimed(place, "other")
        assert stale is not None
        assert held is not None
        before = await place.rows(job_table)
        at = place.clock.now()
        how: dict[str, Any] = {
            "extend": {"until": at + timedelta(hours=1)}, "finish": {"now": at},
            "postpone": {"due_at": at, "reason": "x"}, "quarantine": {"now": at, "reason": "x"},
        }[verb]  # fmt: skip
        async with jobs._database.write() as conn:
            assert not await getattr(store, verb)(conn, stale, **how)
        assert await place.rows(job_table) == before
        async with jobs._database.write() as conn:
            assert await getattr(store, verb)(conn, held, **how)
            if verb != "extend":
                assert not await getattr(store, verb)(conn, held, **how), "it is over"

    async def test_a_job_is_tried_three_times_with_pauses_then_set_aside_and_told(self, place: Place) -> None:
        jobs, hands, told = await queue(place), Hands(), []

        async def tell(job: Job, reason: str) -> None:
            told.append((job.key, job.attempts, reason))

        jobs.on_quarantine.append(tell)
        hands.fails = {"bad"}
        await add(jobs, "bad")
        for pause, done in ((0, 1), (1.9, 1), (0.2, 2), (14.9, 2), (0.2, 3), (3600, 3)):
            place.clock.advance(pause)
            with capture_logs():
                await jobs.work_once(hands.handlers, "w")
            assert hands.did == ["bad"] * done
        assert told == [("bad", 3, "RuntimeError: no bad")]
        [job] = await jobs.quarantined()
        assert (job.key, job.attempts, job.reason) == ("bad", 3, "RuntimeError: no bad")

    async def test_the_jobs_behind_a_bad_one_are_done_while_it_is_tried_again(self, place: Place) -> None:
        jobs, hands = await queue(place), Hands()
        hands.fails = {"bad"}
        await add(jobs, "bad", "a", "b")
        with capture_logs():
            for _ in range(6):
                while await jobs.work_once(hands.handlers, "w"):
                    continue
                place.clock.advance(5)
        assert hands.did[:3] == ["bad", "a", "b"]
        assert await states(place) == {"bad": "quarantined", "a": "done", "b": "done"}

    async def test_a_job_that_kills_its_worker_every_time_is_given_up_too(self, place: Place) -> None:
        jobs, hands, told = await queue(place), Hands(), []

        async def tell(job: Job, reason: str) -> None:
            told.append((job.key, job.attempts, reason))

        jobs.on_quarantine.append(tell)
        await add(jobs, "deadly")
        for _ in range(3):
            assert await claimed(place, "dies") is not None
            place.clock.advance(31)
        await add(jobs, "behind")
        while await jobs.work_once(hands.handlers, "w"):
            continue
        assert hands.did == ["behind"]
        assert told == [("deadly", 3, "its worker died at every attempt")]
        assert await states(place) == {"deadly": "quarantined", "behind": "done"}

    async def test_a_handler_that_hangs_has_failed(self, place: Place) -> None:
        jobs = await queue(place, longest_s=0.05)
        await add(jobs, "a")

        async def hang(_job: Job) -> None:
            await asyncio.Event().wait()

        with capture_logs():
            async with asyncio.timeout(60):
                assert await jobs.work_once({"k": hang}, "w")
        assert await place.rows(job_table, "state", "reason") == [
            ("waiting", "TimeoutError: it took longer than 0.05 s")
        ]

    @pytest.mark.parametrize(
        "fault", [asyncio.CancelledError(), ExceptionGroup("g", [ValueError("x")]), TimeoutError()]
    )
    async def test_whatever_a_handler_raises_its_worker_goes_on(self, place: Place, fault: BaseException) -> None:
        jobs = await queue(place)
        await add(jobs, "a")

        async def fail(_job: Job) -> None:
            raise fault

        with capture_logs():
            assert await jobs.work_once({"k": fail}, "w")
        assert await place.rows(job_table, "state", "attempts") == [("waiting", 1)]

    async def test_a_cancelled_worker_leaves_its_job_to_the_lease(self, place: Place) -> None:
        jobs, begun = await queue(place), asyncio.Event()
        await add(jobs, "a")

        async def hang(_job: Job) -> None:
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.get_running_loop().create_task(jobs.work_once({"k": hang}, "w"))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await claimed_nothing(place)
        place.clock.advance(31)
        assert await claimed(place, "next") is not None

    async def test_the_lease_is_kept_while_the_handler_works(self, place: Place) -> None:
        jobs = await queue(place, lease_s=1.5)
        await add(jobs, "a")

        async def lease_moved() -> bool:
            [(until_at,)] = await place.rows(job_table, "lease_until")
            return bool(until_at == place.clock.now() + timedelta(seconds=1.5))

        async def work(_job: Job) -> None:
            for _ in range(2):
                place.clock.advance(1.4)
                assert await claimed_nothing(place)
                await until(lease_moved)

        assert await jobs.work_once({"k": work}, "w")
        assert await states(place) == {"a": "done"}

    async def test_a_handler_whose_job_is_taken_by_another_is_stopped_and_nothing_of_it_is_written(
        self, place: Place
    ) -> None:
        jobs = await queue(place, lease_s=0.6)
        await add(jobs, "a")
        stopped = asyncio.Event()

        async def work(_job: Job) -> None:
            place.clock.advance(1)  # as if we had been frozen for so long
            assert await claimed(place, "other") is not None
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

        with capture_logs() as logs:
            async with asyncio.timeout(60):
                assert await jobs.work_once({"k": work}, "w")
        assert stopped.is_set()
        assert await place.rows(job_table, "state", "owner", "attempts", "reason") == [("running", "other", 2, None)]
        assert [(entry["event"], entry["reason"]) for entry in logs] == [("job_lease_lost", "another worker has it")]

    async def test_a_handler_whose_lease_cannot_be_kept_is_stopped_before_another_can_have_the_job(
        self, place: Place
    ) -> None:
        """The database does not answer; the one who holds the job must think that it does for others."""
        jobs = JobQueue(await place.open(statement_s=QUICK_S), place.clock, place.ids, lease_s=1.2)
        await add(jobs, "a")
        stopped = 0.0
        loop = asyncio.get_running_loop()
        begun = loop.time()

        async def work(_job: Job) -> None:
            nonlocal stopped
            try:
                async with place.locked("job"):
                    await asyncio.Event().wait()
            finally:
                stopped = loop.time() - begun

        with capture_logs() as logs:
            async with asyncio.timeout(60):
                assert await jobs.work_once({"k": work}, "w")
        assert 1.0 < stopped < 1.2 * 3
        assert [(entry["event"], entry["reason"]) for entry in logs] == [
            ("job_lease_lost", "it could not be extended in time")
        ]

    async def test_a_listener_that_fails_does_not_keep_a_job_from_being_given_up(self, place: Place) -> None:
        jobs, hands, told, away = await queue(place), Hands(), [], [True]

        async def break_(_job: Job, _reason: str) -> None:
            raise KeyError("recording_id")

        async def tell(job: Job, _reason: str) -> None:
            if away[0]:
                raise Unavailable("database")
            told.append(job.key)

        jobs.on_quarantine += [break_, tell]
        hands.fails = {"bad"}
        await add(jobs, "bad")
        with capture_logs():
            for _ in range(2):
                await jobs.work_once(hands.handlers, "w")
                place.clock.advance(20)
            with pytest.raises(Unavailable):
                await jobs.work_once(hands.handlers, "w")
            assert (await states(place), told) == ({"bad": "running"}, []), "not yet: nobody knows of it"
            away[0] = False
            place.clock.advance(31)
            assert await jobs.work_once(hands.handlers, "w")
        assert (await states(place), told) == ({"bad": "quarantined"}, ["bad"])
        assert hands.did == ["bad"] * 3

    async def test_a_quarantined_job_gets_its_attempts_anew_and_an_unknown_one_is_told(self, place: Place) -> None:
        jobs, hands = await queue(place), Hands()
        hands.fails = {"bad"}
        await add(jobs, "bad")
        with capture_logs():
            for _ in range(3):
                await jobs.work_once(hands.handlers, "w")
                place.clock.advance(20)
        [job] = await jobs.quarantined()
        hands.fails = set()
        await jobs.retry(job.id)
        assert await jobs.work_once(hands.handlers, "w")
        assert (await states(place), await jobs.quarantined()) == ({"bad": "done"}, [])
        for gone in (job.id, "nobody"):
            with pytest.raises(NotFound) as told:
                await jobs.retry(gone)
            assert told.value.error_id == "core:quarantined-job-not-found"

    async def test_running_workers_are_woken_by_a_commit_and_outlive_a_database_that_is_away(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(worker, "POLL_S", 120)
        database = await place.open(statement_s=QUICK_S)
        jobs, hands, work_once, away = await queue(place, database), Hands(), JobQueue.work_once, 0

        async def watched(handlers: Mapping[str, Handler], owner: str) -> bool:
            nonlocal away
            try:
                return await work_once(jobs, handlers, owner)
            except Unavailable:
                away += 1
                raise

        async def all_wait() -> bool:
            return len(jobs._news._waiters) == 2  # type: ignore[attr-defined]

        async def both_were_told() -> bool:
            return away >= 2

        jobs.work_once = watched  # type: ignore[method-assign]
        async with asyncio.timeout(90), asyncio.TaskGroup() as group:
            crew = [group.create_task(jobs.run(hands.handlers)) for _ in range(2)]
            await until(all_wait)
            async with database.unit("x") as unit:
                await jobs.enqueue(unit.conn, "k", {}, key="a")
                unit.emit(AlertCleared(at=place.clock.now(), what="decided"))
            await until(lambda: done(place, "a"))
            await until(all_wait)
            async with place.locked("job"):
                jobs.wake()
                await until(both_were_told)
            await add(jobs, "b")
            jobs.wake()
            await until(lambda: done(place, "b"))
            for member in crew:
                member.cancel()
        assert hands.did == ["a", "b"]

    async def test_a_worker_killed_in_the_midst_of_it_loses_the_job_to_the_next(self, place: Place) -> None:
        """A real process, a real kill."""
        jobs = await queue(place)
        place.clock = ManualClock(SystemClock().now())
        await add(jobs, "a")
        reading, writing = children.pipe()
        process = children.start(children.work_for_ever, place.url, writing)
        assert await asyncio.to_thread(reading.poll, 60)
        assert reading.recv() == "a"
        process.kill()
        assert await children.ended(process) == -signal.SIGKILL
        hands = Hands()
        again = await queue(place)
        assert not await again.work_once(hands.handlers, "w")
        place.clock.advance((SystemClock().now() - place.clock.now()).total_seconds() + 31)
        assert await again.work_once(hands.handlers, "w")
        assert hands.did == ["a"]


async def claimed_nothing(place: Place) -> bool:
    return await claimed(place, "somebody else") is None


async def done(place: Place, key: str) -> bool:
    return (await states(place)).get(key) == "done"
