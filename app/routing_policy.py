"""The rules of routing while none were ever published: what the settings say of the queues; and what rules may name here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from app.world.music import classes_of_music
from core.settings import Settings
from routing.policy.desk import known_here
from routing.policy.document import Document, Known
from routing.policy.model import Overflow, Policy, QueuePolicy


def policy_of(settings: Settings) -> Policy:
    return Policy({
        name: QueuePolicy(
            name, {name: 1}, settings.asterisk.ring_s, rules.wrap_up_s, rules.max_misses, rules.max_wait_s,
            {"timeout": Overflow(rules.overflow_to)}, whisper=rules.whisper,
        )
        for name, rules in settings.queues.items()
    })  # fmt: skip


def document_of(settings: Settings) -> Document:
    """The same as a document, so that it can be shown as a text; each queue's own skill is declared in it."""
    return Document(policy_of(settings), skills=frozenset(settings.queues))


def known_to(home: Path, settings: Settings) -> Callable[[AsyncConnection], Awaitable[Known]]:
    """What a text may name in this house: also its calendars and its music."""

    async def known(conn: AsyncConnection) -> Known:
        calendars, music = frozenset(settings.calendars), frozenset(classes_of_music(home))
        return replace(await known_here(conn), calendars=calendars, music=music)

    return known
