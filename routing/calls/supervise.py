"""Supervisors beside a talk: monitor, whisper, barge, from their own phone.

Decides whom a supervisor may stand beside. Carries nothing out but by the sender it is given. Invariants: a supervisor stands
beside one talk at most, and their phone is theirs alone: while they listen, they are offered nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from core.errors import AftercallError, BadInput, NotFound, Refused
from core.events import DomainEvent, pbx
from core.ids import IdMaker
from pbx.transfer import MODES, CallOrder, ChangeMode, EndLeg, Supervise
from routing.book import Book

Json = dict[str, Any]
RING_S = 20.0
LEAVE = "leave"


@dataclass(frozen=True)
class Beside:
    interaction_id: str
    spy_id: str
    agent: str
    mode: str
    there: bool = False


class Supervision:
    def __init__(self, book: Book, send: Callable[[CallOrder], Awaitable[None]], ids: IdMaker) -> None:
        self._book, self._send, self._ids = book, send, ids
        self._beside: dict[str, Beside] = {}  # by the supervisor's extension

    async def supervise(self, order: Json) -> Json:
        """`mode`: monitor, whisper, barge, leave."""
        ix, by, mode = order["interaction_id"], order["by"], order["mode"]
        if not order["supervisor"]:
            raise Refused("Only supervisors may listen.", error_id="routing:supervisors-only")
        if mode == LEAVE:
            await self.leave(ix, by)
            return _view(ix, by, "", LEAVE)
        if mode not in MODES:
            raise BadInput("routing:mode", f"There is no mode '{mode}'.", hint=f"{', '.join(MODES)}, {LEAVE}.")
        if not by:
            raise BadInput("routing:no-phone", "You have no telephone here.", hint="Ask for an extension.")
        now = self._beside.get(by)
        if now is not None and now.interaction_id == ix:
            if now.mode != mode:
                if not now.there:
                    raise AftercallError(
                        "routing:not-now", "Your telephone still rings.", hint="Answer it first.", status=409
                    )
                await self._send(ChangeMode(spy_id=now.spy_id, mode=mode))
                self._beside[by] = replace(now, mode=mode)
            return _view(ix, by, now.agent, mode)
        talk = self._book.talk_of(ix)
        if talk is None:
            raise NotFound("talk", ix)
        agent = self._book.agent(by)
        if talk.extension == by or now is not None or agent.in_use or agent.busy or not agent.reachable:
            raise AftercallError(
                "routing:own-phone", "Your telephone is busy, or not registered.", hint="End what you do there first.",
                status=409,
            )  # fmt: skip
        spy_id = f"spy-{self._ids()}.1"  # no offer's leg: the phone counts as in use
        self._beside[by] = Beside(ix, spy_id, talk.extension, mode)
        try:
            await self._send(Supervise(
                interaction_id=ix, spy_id=spy_id, extension=by, agent=talk.extension, leg_id=talk.leg_id, mode=mode,
                ring_s=RING_S, headers={"X-Aftercall-Supervise": mode},
            ))  # fmt: skip
        except Exception:
            del self._beside[by]
            raise
        return _view(ix, by, talk.extension, mode)

    async def leave(self, ix: str, by: str) -> None:
        """Nothing happens when they are not there."""
        now = self._beside.get(by)
        if now is not None and now.interaction_id == ix:
            await self._send(EndLeg(leg_id=now.spy_id))
            self._beside.pop(by, None)

    def note(self, fact: DomainEvent) -> None:
        match fact:
            case pbx.SupervisorJoined(extension=by) if by in self._beside:
                self._beside[by] = replace(self._beside[by], there=True)
            case pbx.PartyLeft(role="supervisor", extension=by):
                self._beside.pop(by, None)
            case pbx.AgentDeviceChanged(extension=by, in_use=False):
                self._beside.pop(by, None)  # it was not answered, or its end was not told


def _view(ix: str, by: str, agent: str, mode: str) -> Json:
    return {"interaction_id": ix, "extension": by, "agent": agent, "mode": mode}
