"""An operator's own menus: YAML files in `HOME/flows`, published as they are saved, by every controller for itself.

Does not judge a menu (`ivr` does). Invariants: a file with a fault is refused whole, with its line, and what was published
before stays; a refusal stands in the state of the house until the file is mended or taken away; calls in progress finish on
the version they began with.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from core.errors import AftercallError
from ivr.catalogue import FlowCatalogue
from ivr.check import CASES

LOOK_S = 1.0
MOST = 50


class MenuFolder:
    """`look()` once; `run()` for ever. `refused`: file → its faults, one line each."""

    def __init__(self, folder: Path, catalogue: FlowCatalogue) -> None:
        self._folder, self._catalogue = folder, catalogue
        self._seen: dict[Path, tuple[int, int]] = {}
        self._versions: list[str] = []
        self._published: dict[str, str] = {}
        self.refused: dict[str, str] = {}

    async def run(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Publishes what has changed since the last look. Menus may go through each other, in whatever order their files
        stand: all are read again until nothing new comes of it."""
        if not self._changed():
            return
        told = dict(self.refused)
        for _ in self._seen:
            versions = [self._publish(file) for file in self._seen]
            if versions == self._versions:
                break
            self._versions = versions
        for name, reason in self.refused.items():
            if told.get(name) != reason:
                structlog.get_logger().error("menu_refused", file=name, reason=reason)

    def _publish(self, file: Path) -> str:
        """The version that came of it, or why nothing did."""
        try:
            flow = self._catalogue.publish_file(file, actor=f"file:{file.name}")
        except AftercallError as error:
            self.refused[file.name] = str(error)
            return str(error)
        self.refused.pop(file.name, None)
        if self._published.get(file.name) != flow.version:
            self._published[file.name] = flow.version
            structlog.get_logger().info("menu_published", file=file.name, flow=flow.name, version=flow.version)
        return flow.version

    def _changed(self) -> bool:
        files = [file for file in sorted(self._folder.glob("*.yaml")) if not file.name.endswith(CASES)]
        there = {file: _mark(file) for file in files[:MOST]}
        for gone in self._seen.keys() - there.keys():
            self.refused.pop(gone.name, None)
        before, self._seen = self._seen, there
        return any(before.get(file) != mark for file, mark in there.items())


def _mark(file: Path) -> tuple[int, int]:
    try:
        told = file.stat()
    except OSError:
        return (0, 0)
    return (told.st_mtime_ns, told.st_size)
