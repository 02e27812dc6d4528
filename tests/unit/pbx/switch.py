"""A switch as our verbs see it: takes actions, answers lists. In the place of `AmiLink`; no sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pbx.ami import ActionRefused, LinkDown
from pbx.ami_actions import Headers
from pbx.ami_wire import Block, encode


def status(unique: str, channel: str, *, state: str = "Up", bridge: str = "", **variables: str) -> Block:
    """An item of Asterisk's answer to `Status`."""
    return {
        "event": "Status", "uniqueid": unique, "channel": channel, "channelstatedesc": state, "bridgeid": bridge,
        "calleridnum": "138", "calleridname": "Li Na", "exten": "s", "context": "x", "linkedid": unique,
        "variable": [f"{name}={value or '(null)'}" for name, value in variables.items()],
    }  # fmt: skip


class FakeLink:
    """`sent` has every action in order as (name, headers); `refuse` answers some with an error."""

    def __init__(self) -> None:
        self.up, self.restarted, self.reconnects = True, False, 0
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.ids: list[str] = []
        self.globals: dict[str, str] = {}
        self.channels: list[Block] = []
        self.devices: list[Block] = []
        self.refuse: Callable[[str, dict[str, Any]], str | None] = lambda _name, _headers: None
        self.on_list: Callable[[], None] = lambda: None

    def names(self) -> list[str]:
        return [name for name, _ in self.sent]

    def of(self, name: str) -> list[dict[str, Any]]:
        return [headers for sent, headers in self.sent if sent == name]

    async def send(
        self, name: str, headers: Headers | None = None, *, deadline_s: float = 3.0, action_id: str = ""
    ) -> Block:
        self._take(name, headers, action_id)
        said = dict(headers or {})
        if name == "Setvar" and "Channel" not in said:
            self.globals[str(said["Variable"])] = str(said["Value"])
        if name == "Getvar":
            return {"response": "Success", "value": self.globals.get(str(said["Variable"]), "")}
        return {"response": "Success"}

    async def ask_list(
        self, name: str, headers: Headers | None = None, *, take: Callable[[list[Block]], Any], deadline_s: float = 3.0
    ) -> Any:
        self._take(name, headers, "")
        self.on_list()
        return take(list(self.channels if name == "Status" else self.devices))

    def _take(self, name: str, headers: Headers | None, action_id: str) -> None:
        if not self.up:
            raise LinkDown("no link")
        encode(action_id or "ac-1", name, headers or {})  # what the real one would refuse, this one refuses
        self.sent.append((name, dict(headers or {})))
        self.ids.append(action_id)
        reason = self.refuse(name, dict(headers or {}))
        if reason is not None:
            raise ActionRefused(name, reason)
