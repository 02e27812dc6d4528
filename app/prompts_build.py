"""`python -m app.prompts_build [FOLDER]` (`make prompts`): the product's own prompts rendered anew.

Brings the voices (the host's, else from the cache, else fetched); `core/prompts/render.py` does the rest.
"""

from __future__ import annotations

import sys
from pathlib import Path

from app.world.bundle import ensure
from app.world.debian import FetchError
from core.errors import AftercallError
from core.prompts.catalogue import SOUNDS
from core.prompts.render import SOUNDS_FOLDER, render_all
from core.prompts.voices import Voice, voices


def find_voices() -> dict[str, Voice]:
    """Raises FetchError when they are neither installed nor to be had."""
    found = ensure("voices")
    return voices(str(found.programs["flite"]), str(found.programs["espeak-ng"]), dict(found.environment))


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]) if arguments else SOUNDS_FOLDER
    try:
        rendered, removed = render_all(folder, find_voices)
    except (AftercallError, FetchError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    size = sum(file.stat().st_size for file in folder.glob("*/*.wav"))
    sys.stdout.write(
        f"{len(rendered)} prompts rendered, {len(removed)} removed, "
        f"{2 * len(SOUNDS) - len(rendered)} unchanged; {size / 1e6:.1f} MB in {folder}\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
