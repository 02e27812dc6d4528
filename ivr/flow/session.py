"""Where one caller stands in a flow: a plain value that can be written down between any two steps.

What the caller proved, and what hangs on it (typed numbers, the order's phrases and facts), is kept apart in `proved`: the
journal gets the session without it (`journal`), so that a caller who is picked up after a crash is asked again.

Invariant: `from_json(json.loads(json.dumps(s.to_json()))) == s`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

Value = str | int | bool | float
Json = dict[str, Any]
QUEUE = ("name", "waiting", "wait_s", "agents")  # what a flow may know of a queue it asked about


@dataclass(frozen=True, slots=True)
class Session:
    """`place` is the current node's own state; `ahead` a key pressed before anybody asked for it; `asked_at` the node that
    first asked who the caller is; `failed` counts orders asked for and not found."""

    interaction_id: str
    flow: str
    version: str
    did: str
    ani: str
    language: str
    node: str = ""
    level: str = ""
    place: Mapping[str, int] = field(default_factory=dict)
    variables: Mapping[str, Value] = field(default_factory=dict)
    proved: Json = field(default_factory=dict)
    visits: Mapping[str, int] = field(default_factory=dict)
    steps: int = 0
    failed: int = 0
    asked_at: str = ""
    ahead: str = ""

    def to_json(self) -> Json:
        """Everything. Not for the journal: see `journal`."""
        values = [(name, getattr(self, name)) for name in _SAMPLES]
        return {name: value if isinstance(value, str | int) else dict(value) for name, value in values}

    def journal(self) -> Json:
        """What may be kept: nothing that the caller typed to prove something, and nothing learned by it."""
        return {**self.to_json(), "proved": {}, "level": "", "ahead": ""}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Session:
        """Raises ValueError for what is not a session. Unknown fields of a newer release are dropped."""
        known = {f.name: f for f in fields(cls)}
        values = {name: value for name, value in record.items() if name in known}
        for name, value in values.items():
            sample = _SAMPLES[name]
            if not isinstance(value, Mapping if isinstance(sample, Mapping) else type(sample)):
                raise ValueError(f"not a session: {name} is {type(value).__name__}")
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"not a session: {error}") from error

    def holding(self, name: str) -> Value | None:
        """A variable, what the caller typed under this name, or a fact of the order that was found."""
        order = self.proved.get("order", {})
        found = self.proved.get(name, self.variables.get(name, order.get(name)))
        return found if isinstance(found, str | int | bool | float) else None

    def facts(self) -> Json:
        """What expressions may ask about. `order` is empty until one was found, `queue` until one was asked."""
        queue = {name: self.variables[f"queue_{name}"] for name in QUEUE if f"queue_{name}" in self.variables}
        caller = {
            "number": self.ani, "level": self.level, "known": bool(self.variables.get("known", False)),
            "tier": str(self.variables.get("tier", "")),
        }  # fmt: skip
        return {
            "call": {"did": self.did, "language": self.language, "failed": self.failed, "steps": self.steps},
            "caller": caller,
            "queue": queue,
            "language": self.language,
            "level": self.level,
            "did": self.did,
            "vars": dict(self.variables),
            "order": dict(self.proved.get("order", {})),
            "failed": self.failed,
        }


_EMPTY = Session("", "", "", "", "", "")
_SAMPLES: Mapping[str, object] = {it.name: getattr(_EMPTY, it.name) for it in fields(Session)}
