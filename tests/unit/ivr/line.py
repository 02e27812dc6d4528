"""A caller made of keys and ears: hears prompts by name, presses keys when a certain prompt comes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ivr.ports import Digit, HungUp, NoDigit, Played


class VirtualLine:
    """`script`: (prompt to wait for, keys to press) in order; keys "hangup" = the caller goes. Time does not pass."""

    def __init__(self, *script: tuple[str, str]) -> None:
        self.script = list(script)
        self.heard: list[str] = []
        self.spoken_in: list[str] = []
        self.variables: dict[str, str] = {}
        self.order: list[str] = []  # what was done to the line, verb by verb
        self.waits: list[float] = []
        self.gone = False
        self._keys: list[str] = []

    async def answer(self) -> HungUp | None:
        return HungUp() if self.gone else None

    async def play(self, paths: Sequence[str], escape_digits: str) -> Played | HungUp:
        if self.gone:
            return HungUp()
        names = [Path(path).name for path in paths]
        assert all(Path(f"{path}.wav").exists() for path in paths), paths
        self.order.append("play " + " ".join(names))
        self.heard += names
        self.spoken_in += [Path(path).parent.name for path in paths]
        self._keys = []  # keys nobody asked for are lost
        if self.script and self.script[0][0] in names:
            _, keys = self.script.pop(0)
            if keys == "hangup":
                self.gone = True
                return HungUp()
            self._keys = list(keys)
            if self._keys and self._keys[0] in escape_digits:
                return Played(self._keys.pop(0))
            if not escape_digits:
                self._keys = []
        return Played()

    async def digit(self, timeout_s: float) -> Digit | NoDigit | HungUp:
        self.waits.append(timeout_s)
        if self.gone:
            return HungUp()
        return Digit(self._keys.pop(0)) if self._keys else NoDigit()

    async def set_variable(self, name: str, value: str) -> HungUp | None:
        if self.gone:
            return HungUp()
        self.order.append(f"set {name}={value}")
        self.variables[name] = value
        return None

    async def get_variable(self, name: str) -> str:
        return self.variables.get(name, "")

    async def hang_up(self) -> None:
        self.gone = True
