"""The half of transcription that several roles need: what is transcribed, where its sound lies, how it is asked for.

Only the transcriber runs it; the worker asks for transcripts, and the web says what can be transcribed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from core.ids import new_id
from recordings.speech import LOOK_S, SpeechChoice, Transcription
from recordings.transcriber import Transcriber

if TYPE_CHECKING:
    from app.house import House


def choice(house: House) -> SpeechChoice:
    speech = house.settings.speech
    paths = {"en": speech.model_en, "zh": speech.model_zh}
    return SpeechChoice(enabled=speech.enabled, paths={k: v for k, v in paths.items() if v is not None})


def transcription(house: House, *, here: bool) -> Transcription:
    """`here`: this process does the work; else it only knows of it."""
    chosen = choice(house)
    kind = Transcription if here else TranscribedElsewhere
    return kind(
        folder=house.plan.folders.recordings, database=house.database, jobs=house.jobs, events=house.stream,
        clock=house.clock, ids=new_id, transcriber=Transcriber(chosen.resolver(), workers=house.settings.speech.workers),
        choice=chosen, language=house.settings.language,
    )  # fmt: skip


class TranscribedElsewhere(Transcription):
    """Says which models are there by their files alone: whoever transcribes has proved them."""

    async def run(self) -> None:
        find = self._choice.resolver()
        while True:
            for language in dict.fromkeys((self._language, *self._choice.languages)):
                self.status[language] = await asyncio.to_thread(find, language)
            await asyncio.sleep(LOOK_S)
