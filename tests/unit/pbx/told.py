"""What a real Asterisk told of real calls (`python -m tests.real.pbx.record` writes it anew)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from core.events import DomainEvent
from pbx.ami_events import AmiEvent, read
from pbx.ami_wire import Block

TRACES = Path(__file__).parent / "traces"
STORIES = sorted(file.stem for file in TRACES.glob("*.json"))


@cache
def blocks(story: str) -> tuple[Block, ...]:
    return tuple(json.loads((TRACES / f"{story}.json").read_text(encoding="utf-8")))


@cache
def events(story: str) -> tuple[AmiEvent, ...]:
    """The typed events of the story, from its caller's first on."""
    typed = [event for event in map(read, blocks(story)) if event is not None]
    began = next(i for i, event in enumerate(typed) if getattr(event, "channel", "").startswith("PJSIP/trunk-"))
    return tuple(typed[began:])


def interaction(story: str) -> str:
    return next(event.uniqueid for event in events(story))  # type: ignore[attr-defined]


@dataclass
class Heard:
    """Keeps what is emitted."""

    events: list[DomainEvent] = field(default_factory=list)

    def emit(self, event: DomainEvent) -> None:
        self.events.append(event)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def of(self, kind: str) -> list[DomainEvent]:
        return [event for event in self.events if event.kind == kind]
