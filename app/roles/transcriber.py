"""The role `transcriber`: turns recordings into transcripts, in child processes; as many as there are cores to spare.

Joins the job queue with the room's handlers. Jobs are claimed in the database, so that any number of transcribers share
them; asked to end, it ends the job in hand first.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from app.roles import ALL
from core.events.recordings import RecordingStored
from recordings.speech import Transcription

if TYPE_CHECKING:
    from app.house import House


class TranscriberRole:
    """`parts(…)`; `watch_models`: whether nobody else in this process runs the transcription itself."""

    def __init__(self, house: House, transcription: Transcription) -> None:
        self.house, self.transcription = house, transcription

    def parts(self, *, watch_models: bool) -> list[Any]:
        house = self.house
        hands = [house.jobs.run(self.transcription.handlers) for _ in range(house.settings.speech.workers)]
        if watch_models:
            hands.append(self.transcription.run())
        if house.roles != ALL:
            hands.append(self._wake())
        return hands

    async def _wake(self) -> None:
        """A recording was stored by a worker elsewhere: there is a job, and it need not be looked for."""
        feed = self.house.stream.subscribe("transcriber", asyncio.Event(), only=(RecordingStored.kind,))
        async for _ in feed:
            self.house.jobs.wake()
