"""The operator's own music for those who wait: each folder in `HOME/music` is a class of music that a queue can name.

Does not play or convert it: the sounds are 8 kHz, as Asterisk wants them. A folder that comes later is known to the switch
when it is started anew.
"""

from __future__ import annotations

import re
from pathlib import Path

from routing.policy.form import NAME

OURS = "default"  # what everybody hears whose queue names nothing
_NAME = re.compile(NAME)


def music_folder(home: Path) -> Path:
    return home / "music"


def classes_of_music(home: Path) -> list[str]:
    """Names of folders in which there is something; ours is always there."""
    folder = music_folder(home)
    found = [it.name for it in folder.glob("*/") if _NAME.fullmatch(it.name) and any(it.iterdir())]
    return sorted({OURS, *(name for name in found if name != "general")})
