"""What happened to the sound of a call."""

from __future__ import annotations

from dataclasses import dataclass

from core.events.base import DomainEvent


@dataclass(frozen=True, kw_only=True)
class RecordingStarted(DomainEvent):
    """The agent `extension` has answered: from here on the caller and whoever speaks with them is recorded."""

    recording_id: str
    language: str = ""
    extension: str = ""


@dataclass(frozen=True, kw_only=True)
class RecordingStored(DomainEvent):
    """`path` is relative to the recordings folder; left channel = caller, right = agent."""

    recording_id: str
    path: str
    sha256: str
    seconds: float
    channels: int = 2
    sample_rate: int = 8000


@dataclass(frozen=True, kw_only=True)
class RecordingDamaged(DomainEvent):
    recording_id: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class TranscriptReady(DomainEvent):
    recording_id: str
    transcript_id: str
    model: str
    turns: int
    language: str = ""


@dataclass(frozen=True, kw_only=True)
class TranscriptSkipped(DomainEvent):
    recording_id: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RecordingExpired(DomainEvent):
    """Its time was over: sound and transcript are deleted, the row stays."""

    recording_id: str
