"""Finds the sound of a prompt: the operator's folder first, then ours; says which prompts are still synthetic.

Does not render or play. A folder holds `{language}/{name}.wav`.

Invariants: a name that is not `[a-z0-9-]` is never looked up, so no name can leave the folders; a sound that exists in
no language asked for falls back to none: `find` says so instead of guessing another language.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.prompts.catalogue import LANGUAGES, NAME, SPOKEN

OURS = Path(__file__).parent / "sounds"


class PromptMissing(LookupError):
    """No folder has the prompt in this language."""

    def __init__(self, name: str, language: str) -> None:
        super().__init__(f"there is no sound for the prompt '{name}' in '{language}'")
        self.name = name
        self.language = language


@dataclass(frozen=True, slots=True)
class Sound:
    """One prompt in one language. `synthetic`: it is our rendered voice, not the operator's own recording."""

    name: str
    language: str
    path: Path
    synthetic: bool
    text: str


class PromptLibrary:
    """`folders` are searched in order; ours is added behind them. Paths once found are remembered until `refresh`."""

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self._folders: tuple[Path, ...] = (*folders, OURS)
        self._found: dict[tuple[str, str], str] = {}

    def find(self, name: str, language: str) -> str:
        """The absolute path without extension, as Asterisk wants it. Raises PromptMissing."""
        found = self._found.get((name, language))
        if found is None:
            path = self._path(name, language)
            if path is None:
                raise PromptMissing(name, language)
            found = self._found[name, language] = str(path.with_suffix("").absolute())
        return found

    def paths(self, names: Sequence[str]) -> list[str]:
        """Paths of rendered names such as `en/number-20`. Raises PromptMissing for the first that is not there."""
        return [self.find(name, language) for language, _, name in (full.partition("/") for full in names)]

    def has(self, name: str, language: str) -> bool:
        return (name, language) in self._found or self._path(name, language) is not None

    def refresh(self) -> None:
        """Forgets where sounds are, after the operator's folder changed."""
        self._found = {}

    def missing(self, name: str, languages: Iterable[str] = LANGUAGES) -> list[str]:
        """The languages in which the prompt does not exist."""
        return [language for language in languages if not self.has(name, language)]

    def sounds(self) -> list[Sound]:
        """Everything there is, by language and name; an operator's sound hides ours."""
        seen: dict[tuple[str, str], Sound] = {}
        for folder in self._folders:
            for language in LANGUAGES:
                for file in (folder / language).glob("*.wav"):
                    if NAME.fullmatch(file.stem) and (language, file.stem) not in seen:
                        seen[language, file.stem] = self._sound(file, language, synthetic=folder is OURS)
        return [seen[key] for key in sorted(seen)]

    def synthetic(self) -> list[Sound]:
        """The prompts with words that nobody has recorded yet."""
        return [sound for sound in self.sounds() if sound.synthetic and sound.text]

    def _path(self, name: str, language: str) -> Path | None:
        if language not in LANGUAGES or not NAME.fullmatch(name):
            return None
        files = (folder / language / f"{name}.wav" for folder in self._folders)
        return next((file for file in files if file.is_file()), None)

    @staticmethod
    def _sound(file: Path, language: str, *, synthetic: bool) -> Sound:
        wording = SPOKEN.get(file.stem)
        return Sound(file.stem, language, file, synthetic, str(getattr(wording, language)) if wording else "")
