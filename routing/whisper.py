"""What an agent hears before they are joined with a caller: the queue's name and the customer's tier, when the queue says so.

Decides which prompts, in the house's language. Does not play them: the agent's leg carries their names, and the dialplan plays
them before the two are joined, so that queues without it pay nothing. A queue or tier without a sound is passed over in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from core.prompts.library import PromptLibrary
from routing.model import WorkItem


class Whisper:
    """`whisper(item)` → paths as Asterisk wants them; empty for a queue for which `says` does not say so."""

    def __init__(self, prompts: PromptLibrary, says: Callable[[str], bool], language: str) -> None:
        self._prompts, self._says, self._language = prompts, says, language

    def __call__(self, item: WorkItem) -> list[str]:
        if not self._says(item.queue):
            return []
        names = [f"whisper-queue-{_name(item.queue)}", f"whisper-tier-{_name(item.tier)}" if item.tier else ""]
        return [self._prompts.find(name, self._language) for name in names if name and self._has(name)]

    def _has(self, name: str) -> bool:
        return self._prompts.has(name, self._language)


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
