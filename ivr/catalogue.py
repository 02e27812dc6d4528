"""Which flow a number gets: published flows in memory, immutable, by name and version.

Decides what is current. Invariants: a flow with a fault never replaces a good one; versions that calls may still be on are
kept; publishing the same text twice is one version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from core.clock import Clock
from core.events.ivr import FlowPublished
from core.events.stream import EventSink
from ivr.check import known_here
from ivr.flow.model import Flow
from ivr.loader import FlowRefused, load
from ivr.nodes.form import Known
from ivr.tree import MAX_BYTES, Issue

VERSIONS_KEPT = 20
SAMPLE = Path(__file__).parent / "flows" / "sample.yaml"


class FlowCatalogue:
    """`dids`: number dialled → flow name. `default` serves numbers that are not listed ("" = none does)."""

    def __init__(
        self,
        dids: Mapping[str, str],
        events: EventSink,
        clock: Clock,
        *,
        known: Known | None = None,
        default: str = "",
    ) -> None:
        self._dids = dict(dids)
        self._events = events
        self._clock = clock
        self._known = known_here(known=replace(known or Known(), flow=self.current))
        self._default = default
        self._current: dict[str, Flow] = {}
        self._versions: dict[tuple[str, str], Flow] = {}

    def publish(self, text: str | bytes, source: str, *, actor: str = "") -> Flow:
        """Makes the text the current version of the flow it names. Raises FlowRefused; then nothing has changed."""
        flow = load(text, source, self._known)
        before = self._current.get(flow.name)
        self._current[flow.name] = flow
        self._versions.pop((flow.name, flow.version), None)
        self._versions[flow.name, flow.version] = flow
        self._forget(flow.name)
        if before is None or before.version != flow.version:
            self._events.emit(FlowPublished(at=self._clock.now(), flow=flow.name, version=flow.version, actor=actor))
        return flow

    def publish_file(self, file: Path, *, actor: str = "") -> Flow:
        """Raises FlowRefused, also when the file cannot be read."""
        try:
            with file.open("rb") as opened:
                text = opened.read(MAX_BYTES + 1)
        except OSError as error:
            raise FlowRefused([Issue(str(file), 0, f"the file cannot be read: {error.strerror}")]) from error
        return self.publish(text, file.name, actor=actor)

    def for_did(self, did: str) -> Flow | None:
        return self._current.get(self._dids.get(did, self._default))

    def current(self, name: str) -> Flow | None:
        return self._current.get(name)

    def version(self, name: str, version: str) -> Flow | None:
        return self._versions.get((name, version))

    def _forget(self, name: str) -> None:
        kept = [key for key in self._versions if key[0] == name]
        for key in kept[:-VERSIONS_KEPT]:
            del self._versions[key]
