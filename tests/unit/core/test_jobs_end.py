"""A process that is asked to end finishes the job in hand and begins no other."""

from __future__ import annotations

import asyncio

from core.jobs.store import Job
from core.jobs.worker import JobQueue
from tests.suites.core.place import Place


async def test_the_job_in_hand_is_done_and_the_next_is_left_to_others(place: Place) -> None:
    database = await place.open()
    queue = JobQueue(database, place.clock, place.ids)
    async with database.write() as conn:
        for number in (1, 2):
            await queue.enqueue(conn, "work", {"number": number}, key=f"work:{number}")
    begun, may_end, done = asyncio.Event(), asyncio.Event(), []

    async def work(job: Job) -> None:
        begun.set()
        await may_end.wait()
        done.append(job.payload["number"])

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(queue.run({"work": work}))
        await begun.wait()
        queue.close()
        ended = group.create_task(queue.idle())
        await asyncio.sleep(0)
        assert not ended.done()
        may_end.set()
    assert done == [1]
