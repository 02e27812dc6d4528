"""The folder where Asterisk writes the two legs of a call, as files.

Decides which files belong together, whether Asterisk is done with them, and what of them can be used. All of it is file
work: call it off the loop. Invariant: nothing is removed here but by `remove` and `set_aside`, for one interaction.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from recordings import wav
from recordings.model import LEG_SIDES, leg_of


@dataclass(frozen=True)
class Look:
    """One look at an interaction's files: (size, mtime) by side; `whole` when both have all their header promises."""

    sizes: dict[str, tuple[int, int]]
    whole: bool

    @property
    def any(self) -> bool:
        return bool(self.sizes)


@dataclass(frozen=True)
class Legs:
    """What can be used of an interaction's files, and in words what cannot."""

    caller: wav.Sound | None
    agent: wav.Sound | None
    faults: tuple[str, ...]


class Incoming:
    """`folder` is where the dialplan's MixMonitor writes `{interaction}-rx.wav` and `-tx.wav`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def interactions(self, quiet_s: float = 0.0) -> list[str]:
        """Interactions with files here that nobody wrote to for `quiet_s` seconds."""
        youngest: dict[str, float] = {}
        try:
            entries = list(os.scandir(self.folder))
        except FileNotFoundError:
            return []
        for entry in entries:
            found = leg_of(entry.name)
            if found is not None:
                try:
                    written = entry.stat(follow_symlinks=False).st_mtime
                except FileNotFoundError:
                    continue  # closed and removed meanwhile
                youngest[found[0]] = max(youngest.get(found[0], 0.0), written)
        now = time.time()  # against the file system's own times
        return sorted(ix for ix, written in youngest.items() if now - written >= quiet_s)

    def look(self, interaction_id: str) -> Look:
        sizes: dict[str, tuple[int, int]] = {}
        whole = True
        for side in LEG_SIDES:
            path = self._path(interaction_id, side)
            try:
                facts = path.lstat()
                sizes[side] = (facts.st_size, facts.st_mtime_ns)
                sound = wav.inspect(path)
                whole = whole and sound.complete and sound.frames > 0
            except (FileNotFoundError, wav.BadAudio):
                whole = False
        return Look(sizes, whole)

    def take(self, interaction_id: str) -> Legs:
        """Both legs, mended where needed. A leg that is not there is silence only when the other one is."""
        sounds: dict[str, wav.Sound | None] = {}
        faults: list[str] = []
        for side, who in LEG_SIDES.items():
            try:
                sounds[side] = wav.inspect(self._path(interaction_id, side))
            except FileNotFoundError:
                sounds[side] = None
                faults.append(f"the {who}'s leg is missing")
            except wav.BadAudio as error:
                sounds[side] = None
                faults.append(f"the {who}'s leg cannot be used: {error.message.rstrip('.')}")
        return Legs(sounds["rx"], sounds["tx"], tuple(faults))

    def remove(self, interaction_id: str) -> None:
        for path in self._all(interaction_id):
            path.unlink(missing_ok=True)

    def set_aside(self, interaction_id: str, folder: Path) -> None:
        """Moves what could not be used where nobody trips over it; a link is moved, not followed."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in self._all(interaction_id):
            if os.path.lexists(path):
                path.rename(folder / path.name)

    def _all(self, interaction_id: str) -> list[Path]:
        mixed = self.folder / f"{interaction_id}.wav"  # in case MixMonitor was given a file of its own
        return [*(self._path(interaction_id, side) for side in LEG_SIDES), mixed]

    def _path(self, interaction_id: str, side: str) -> Path:
        return self.folder / f"{interaction_id}-{side}.wav"
