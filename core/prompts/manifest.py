"""Which text, by which voice, each kept sound was made from.

Decides whether a sound is still that of its text. Does not render. One JSON file beside the sounds.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from core.prompts import level

RECIPE = "1"  # raised when the way of rendering changes, so that everything is rendered anew


@dataclass(frozen=True, slots=True)
class Entry:
    """One sound. `text_sha256` covers text, voice and recipe; `sound_sha256` the file as it was written."""

    text: str
    voice: str
    text_sha256: str
    sound_sha256: str


def text_hash(text: str, voice: str) -> str:
    recipe = f"{RECIPE}|{level.RATE}|{level.LEVEL_DBFS}|{voice}|{text}"
    return hashlib.sha256(recipe.encode()).hexdigest()


def load(folder: Path) -> dict[str, Entry]:
    """Entries by `en/welcome`; empty when there is no manifest."""
    file = folder / "manifest.json"
    if not file.exists():
        return {}
    return {name: Entry(**row) for name, row in json.loads(file.read_text(encoding="utf-8")).items()}


def save(folder: Path, entries: dict[str, Entry]) -> None:
    rows = {name: asdict(entries[name]) for name in sorted(entries)}
    text = json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")
