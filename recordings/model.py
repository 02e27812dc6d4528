"""What a recording is in our books, and the states it goes through.

Decides names and shapes only. A recording belongs to exactly one interaction: it begins when an agent answers, is kept
through transfers, and ends with the caller's channel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,94}")
_LEG = re.compile(r"(?P<interaction>[A-Za-z0-9][A-Za-z0-9._-]{0,94})-(?P<side>rx|tx)\.wav")
LEG_SIDES = {"rx": "caller", "tx": "agent"}  # Asterisk's "received" is what came from the caller


class State(StrEnum):
    RECORDING = "recording"
    STORED = "stored"
    DAMAGED = "damaged"  # there was sound to keep and we have none; the reason says why
    EXPIRED = "expired"  # its time was over; the row stays, the sound is gone


class Speech(StrEnum):
    """What became of the transcript."""

    NONE = ""  # not asked for yet
    QUEUED = "queued"
    WAITING = "waiting"  # for a model
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Recording:
    """One row. `path` is relative to the recordings folder, "" until stored; `reason` is for people."""

    id: str
    interaction_id: str
    state: State
    language: str
    extensions: tuple[str, ...]
    created_at: datetime
    path: str = ""
    sha256: str = ""
    seconds: float = 0.0
    channels: int = 0
    sample_rate: int = 0
    size: int = 0
    reason: str = ""
    stored_at: datetime | None = None
    legal_hold: bool = False
    speech: Speech = Speech.NONE
    speech_reason: str = ""


@dataclass(frozen=True)
class Transcript:
    """One row: the newest transcript of a recording; `turns` as `transcript.to_json` writes them."""

    id: str
    recording_id: str
    model: str
    model_sha256: str
    language: str
    turns: list[dict[str, Any]]
    text: str
    created_at: datetime


def safe_id(interaction_id: str) -> bool:
    """True when the id can stand in a file's name; ids minted by our dialplan always can."""
    return _SAFE_ID.fullmatch(interaction_id) is not None


def leg_of(file_name: str) -> tuple[str, str] | None:
    """Interaction and side ("rx", "tx") of a leg's file name; None for any other file."""
    found = _LEG.fullmatch(file_name)
    return (found["interaction"], found["side"]) if found else None


def place_of(recording_id: str, created_at: datetime) -> PurePosixPath:
    """Where the recording lies below the recordings folder: by day, under a name nobody can guess."""
    return PurePosixPath(f"{created_at:%Y/%m/%d}/{recording_id}.wav")
