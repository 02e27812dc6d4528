"""What is whispered to an agent before a caller: only where the queue says so, and only what there is a sound for."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.prompts.library import PromptLibrary
from routing.model import WorkItem
from routing.whisper import Whisper
from tests.unit.routing.house import house
from tests.virtual import virtual_time

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def said(queue: str, tier: str = "", *, language: str = "en", says: bool = True) -> list[str]:
    whisper = Whisper(PromptLibrary(), lambda _queue: says, language)
    return [
        f"{Path(path).parent.name}/{Path(path).name}" for path in whisper(WorkItem("c1", queue, "ch", NOW, tier=tier))
    ]


@pytest.mark.parametrize(
    ("queue", "tier", "heard"),
    [
        ("service", "", ["en/whisper-queue-service"]),
        ("express", "gold", ["en/whisper-queue-express", "en/whisper-tier-gold"]),
        ("Service", "VIP", ["en/whisper-queue-service", "en/whisper-tier-vip"]),
        ("nowhere", "silver", ["en/whisper-tier-silver"]),
        ("../../etc/passwd", "x&y", []),
        ("", "", []),
    ],
)
def test_queue_and_tier_are_named_where_there_is_a_sound(queue: str, tier: str, heard: list[str]) -> None:
    assert said(queue, tier) == heard


def test_in_the_houses_language_and_not_at_all_where_the_queue_does_not_say_so() -> None:
    assert said("service", "gold", language="zh") == ["zh/whisper-queue-service", "zh/whisper-tier-gold"]
    assert said("service", "gold", says=False) == []


@virtual_time
async def test_the_order_to_ring_carries_it() -> None:
    async with house("101") as it:
        it.acd.whisper(lambda item: [f"/sounds/{item.queue}"])
        it.switch.arrive("c1")
        await it.live()
        assert it.switch.whispered == {"c1-o-1": ["/sounds/service"]}
