"""Jobs on SQLite; and, whatever workers do, what can never be."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from core.jobs import store
from core.jobs.store import Job, job_table
from tests.suites.core.jobs import JobPromises, add, queue
from tests.suites.core.place import Place


class TestJobs(JobPromises): ...


STEP = st.tuples(
    st.sampled_from(["claim", "finish", "fail", "extend", "time"]), st.integers(0, 2), st.sampled_from([1, 10, 31])
)


@settings(max_examples=20)
@given(steps=st.lists(STEP, min_size=10, max_size=40))
def test_whatever_workers_do_a_lease_has_one_holder_and_no_job_more_than_three_attempts(
    newest_sqlite: Path, steps: list[tuple[str, int, int]]
) -> None:
    async def play(place: Place) -> None:
        jobs = await queue(place)
        await add(jobs, "a", "b")
        hands: dict[int, Job | None] = {}
        tries: Counter[str] = Counter()
        holds: dict[str, tuple[int, float]] = {}  # job → who holds it, until when
        for verb, who, seconds in steps:
            now = place.clock.monotonic()
            if verb == "time":
                place.clock.advance(seconds)
                continue
            if verb == "claim":
                async with jobs._database.write() as conn:
                    job = await store.claim(conn, owner=f"w{who}", kinds=["k"], now=place.clock.now(), lease_s=30)
                hands[who] = job
                if job is not None:
                    tries[job.id] += job.attempts <= store.MAX_ATTEMPTS  # beyond, it is claimed to be given up
                    assert tries[job.id] <= store.MAX_ATTEMPTS
                    assert job.id not in holds or holds[job.id][1] < now, "it was held"
                    holds[job.id] = (who, now + 30)
                continue
            job, at = hands.get(who), place.clock.now()
            if job is None:
                continue
            async with jobs._database.write() as conn:
                if job.attempts > store.MAX_ATTEMPTS:  # what the worker does with such a one
                    verb, wrote = "fail", await store.quarantine(conn, job, now=at, reason="x")
                elif verb == "finish":
                    wrote = await store.finish(conn, job, at)
                elif verb == "fail":
                    wrote = await (
                        store.quarantine(conn, job, now=at, reason="x") if job.attempts >= store.MAX_ATTEMPTS
                        else store.postpone(conn, job, due_at=at, reason="x")
                    )  # fmt: skip
                else:
                    wrote = await store.extend(conn, job, at.fromtimestamp(at.timestamp() + 30, at.tzinfo))
            assert wrote <= (holds.get(job.id, (None,))[0] == who), "it was another's"
            if wrote and verb == "extend":
                holds[job.id] = (who, now + 30)
            elif wrote:
                del holds[job.id]
                hands[who] = None
        for state, attempts in await place.rows(job_table, "state", "attempts"):
            assert state in ("waiting", "running", "done", "quarantined")
            assert attempts <= store.MAX_ATTEMPTS or state == "running"

    async def fresh() -> None:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(newest_sqlite, f"{folder}/a.sqlite")
            async with Place(f"sqlite:///{folder}/a.sqlite") as place:
                await play(place)

    asyncio.run(fresh())
