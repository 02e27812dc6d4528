"""The menus' callbacks, answered by whoever owns the queues: here, or elsewhere over the links.

One adapter, without a rule of its own. Without an owner that can be asked, nobody is promised anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from core.errors import AftercallError
from ivr.ports import CallbackRequest

Json = dict[str, Any]
Do = Callable[[Json], Awaitable[Json]]


class MenuCallbacks:
    """Satisfies `ivr.ports.CallbackDesk`. `do` is `routing.callbacks.service.Callbacks.do`, or the same asked elsewhere; None
    while nobody here owns the queues."""

    def __init__(self, do: Do | None = None) -> None:
        self.do = do

    async def refusal(self, request: CallbackRequest) -> str:
        return await self._ask({"what": "may", "number": request.number, "queue": request.queue})

    async def book(self, request: CallbackRequest) -> str:
        return await self._ask({
            "what": "request", "number": request.number, "queue": request.queue, "language": request.language,
            "problem": request.problem, "first_id": request.interaction_id, "by": "menu",
        })  # fmt: skip

    async def _ask(self, order: Json) -> str:
        if self.do is None:
            return "nobody here owns the queues"
        try:
            await self.do(order)
        except AftercallError as error:
            return error.message
        return ""
