"""What this process does once it owns what only one may do: its roles, joined directly where both ends are here.

Joins the roles; holds no rule of any of them. Order of `begin`: the database (what other processes had written down was
copied there before the lease was taken), then Asterisk's own lists (Asterisk wins about who is connected); only then is
anything offered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.house import House
from app.roles import ACD, ALL, TELEPHONY, TRANSCRIBER, WEB, WORKER, speech
from app.roles.acd import AcdRole
from app.roles.transcriber import TranscriberRole
from app.roles.web import WebRole
from app.roles.worker import WorkerRole
from core.db.outbox import StoredEvent
from core.db.relay import Relay

TICK_S = 1.0  # so often others hear that something happened: each time is a transaction


class Owner:
    """`await begin(epoch)`, then `parts()` are its tasks, until the lease is lost or given back."""

    def __init__(self, house: House) -> None:
        self.house, roles = house, house.roles
        self.telephony = house.telephony if TELEPHONY in roles else None
        self.acd = AcdRole(house) if ACD in roles else None
        self.web = WebRole(house) if WEB in roles else None
        self.worker = WorkerRole(house) if WORKER in roles else None
        self.speech = (
            speech.transcription(house, here=TRANSCRIBER in roles) if roles & {WEB, WORKER, TRANSCRIBER} else None
        )
        self.transcriber = (
            TranscriberRole(house, self.speech) if TRANSCRIBER in roles and self.speech is not None else None
        )

    async def begin(self, epoch: int) -> None:
        house = self.house
        names = await house.agents()
        if house.roles == ALL:
            self.ticks = Relay(house.database, "ticks", self._tick, gather_s=TICK_S)
            house.flusher.on_flush.append(self.ticks.wake)
        if self.web is not None:
            self.web.make_screens(names)
        if self.acd is not None:
            await self.acd.make(epoch, self.web.screen_pop if self.web is not None else None)
        if self.telephony is not None:
            await self.telephony.own(names)
        if self.worker is not None:
            assert self.speech is not None
            await self.worker.make(self.speech)
        if self.web is not None:
            assert self.speech is not None
            self.web.make_web(self.acd.acd if self.acd is not None else None, self.speech)
        if self.acd is not None:
            await self.acd.begin(epoch)
        if self.telephony is not None:
            self.telephony.take_events()

    def parts(self) -> list[Any]:
        house = self.house
        parts: list[Any] = []
        if house.roles == ALL:
            parts += [house.bus.run(), self.ticks.run()]
        if self.acd is not None or self.web is not None:
            parts.append(house.policies.run())
        if self.acd is not None:
            parts.append(house.crew.run())
        for role in (self.web, self.acd, self.telephony, self.worker):
            if role is not None:
                parts += role.parts()
        if self.transcriber is not None:
            parts += self.transcriber.parts(watch_models=self.worker is None)
        elif self.web is not None and self.worker is None:
            assert self.speech is not None
            parts.append(self.speech.run())  # only looks which models are there
        return parts

    async def serves(self) -> None:
        """Returns when what calls wait for works."""
        if self.telephony is not None:
            await self.telephony.serving.wait()
        if self.acd is not None:
            await self.acd.serves()
        if self.web is not None and self.house.roles != ALL:
            await self.web.up.wait()

    def retire(self) -> None:
        """Somebody else's from now on: no fact is told and nobody is moved by us any more."""
        if self.telephony is not None:
            self.telephony.retire()

    async def _tick(self, _conn: AsyncConnection, events: Sequence[StoredEvent]) -> None:
        """Live ticks for other processes, over Redis: what they can read at this position of the event table now."""
        for stored in events:
            place = {"position": stored.position, "interaction_id": stored.interaction_id}
            self.house.bus.publish("live", {"kind": stored.kind, **place})
