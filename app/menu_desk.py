"""What menus ask of whoever owns the queues: here, or elsewhere over the links.

Adapters, without a rule of their own. Without an owner that can be asked, nobody is promised anything and nobody can say how a
queue stands.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from core.errors import AftercallError
from ivr.ports import CallbackRequest, QueueStanding

Json = dict[str, Any]
Ask = Callable[[str, Json], Awaitable[Json]]


class QueueOwner:
    """`ask(verb, order)` reaches them; None while nobody here owns the queues."""

    def __init__(self, ask: Ask | None = None) -> None:
        self.ask = ask


class MenuCallbacks:
    """Satisfies `ivr.ports.CallbackDesk`."""

    def __init__(self, owner: QueueOwner) -> None:
        self._owner = owner

    async def refusal(self, request: CallbackRequest) -> str:
        return await self._ask({"what": "may", "number": request.number, "queue": request.queue})

    async def book(self, request: CallbackRequest) -> str:
        return await self._ask({
            "what": "request", "number": request.number, "queue": request.queue, "language": request.language,
            "problem": request.problem, "first_id": request.interaction_id, "by": "menu",
        })  # fmt: skip

    async def _ask(self, order: Json) -> str:
        if self._owner.ask is None:
            return "nobody here owns the queues"
        try:
            await self._owner.ask("callback", order)
        except AftercallError as error:
            return error.message
        return ""


class MenuQueues:
    """Satisfies `ivr.ports.QueueDesk`."""

    def __init__(self, owner: QueueOwner) -> None:
        self._owner = owner

    async def standing(self, queue: str) -> QueueStanding | None:
        if self._owner.ask is None:
            return None
        told = await self._owner.ask("queue_now", {"queue": queue})
        return QueueStanding(told["waiting"], told["wait_s"], told["agents"])
