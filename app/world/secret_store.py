"""The secrets of one world, made once and kept in `HOME/secrets.json`.

Decides nothing about their use. Invariants: the file is 0600 and refused when others may read it; a secret has at
least 16 characters; one that was made is changed by `renew` alone (others rotate by taking their line out, before a start).
"""

from __future__ import annotations

import json
import secrets
import stat
from pathlib import Path

from app.world.plan import write_private
from core.ids import new_secret
from core.settings import SettingsError

LEAST = 16


class SecretStore:
    """`store["trunk.password"]` is the kept secret, or a new one; `save` writes what is new."""

    def __init__(self, file: Path, kept: dict[str, str]) -> None:
        self.file = file
        self._secrets = kept
        self._changed = False

    @classmethod
    def open(cls, home: Path) -> SecretStore:
        """The secrets of `home` as far as there are any. Raises SettingsError, one line for each fault."""
        file = home / "secrets.json"
        try:
            mode = stat.S_IMODE(file.stat().st_mode)
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls(file, {})
        except OSError as error:
            raise SettingsError([f"{file}: {error.strerror}"]) from error
        if mode & 0o077:
            raise SettingsError([f"{file}: others may read the secrets; chmod 600 {file}"])
        try:
            kept = json.loads(text)
        except ValueError as error:
            raise SettingsError([f"{file}: not JSON: {error}"]) from error
        if not isinstance(kept, dict) or not all(isinstance(value, str) for value in kept.values()):
            raise SettingsError([f"{file}: an object of texts is expected"])
        if weak := [name for name, value in kept.items() if len(value) < LEAST]:
            raise SettingsError(
                [f"{file}: {name}: shorter than {LEAST} characters; take the line out" for name in weak]
            )
        return cls(file, kept)

    def __getitem__(self, name: str) -> str:
        if name not in self._secrets:
            self._secrets[name] = new_secret()
            self._changed = True
        return self._secrets[name]

    def digits(self, name: str) -> str:
        """A secret that can be typed on a phone."""
        if name not in self._secrets:
            self._secrets[name] = "".join(str(secrets.randbelow(10)) for _ in range(LEAST))
            self._changed = True
        return self._secrets[name]

    def renew(self, name: str) -> None:
        """Another one from now on; whoever relies on it must be told."""
        self._secrets[name] = new_secret()
        self._changed = True

    def save(self) -> None:
        if self._changed:
            write_private(self.file, json.dumps(self._secrets, indent=1, sort_keys=True) + "\n")
            self._changed = False
