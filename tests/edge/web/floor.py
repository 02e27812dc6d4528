"""A floor: the real owner of queues and agents, real rules as text, the real live feed and console, before a switch of cardboard.

`python -m tests.edge.web.floor 8098` plays it on that port: anna, li.na, wang.fang, emma (agents), chen (supervisor, with a
phone), root (admin), all with the password `stage-password`. Nothing here is used by the product.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from app.live.hub import Hub
from app.live.model import new_board
from app.web import auth_http, calls_http
from app.web.health import Health
from app.web.server import build_app
from core.clock import SystemClock
from core.db import migrate
from core.db.engine import Database
from core.events import pbx
from core.events.routing import OfferMade
from core.events.stream import EventStream
from core.http.routes import Caller, Role
from core.http.server import serve
from core.ids import new_id
from core.metrics import Metrics
from pbx import transfer
from routing import http as routing_http
from routing.acd import Acd
from routing.calls import http as controls_http
from routing.calls.model import OutsideRules
from routing.crew import http as crew_http
from routing.crew.desk import CrewDesk
from routing.model import AgentRecord, WorkItem
from routing.policy import http as policy_http
from routing.policy.desk import PolicyDesk
from routing.policy.document import Document
from routing.policy.dry_run import Situation
from routing.policy.model import Policy, QueuePolicy, Ring
from routing.store import set_skills
from tests.edge.web.stage import Doors, Past
from tests.unit.routing.switch import Switch
from tests.unit.routing.switch_parts import Caller as Waiter
from tests.unit.routing.switch_parts import Leg

ANNA, LI, WANG, EMMA, CHEN = "101", "102", "103", "104", "109"
AGENTS = {ANNA: "Anna Berg", LI: "李娜 Li Na", WANG: "Wang Fang", EMMA: "Emma Brown", CHEN: "Chen Wei"}
SKILLS: Mapping[str, Mapping[str, int]] = {
    ANNA: {"service": 3},
    LI: {"service": 5, "express": 4},
    WANG: {"service": 1},
    EMMA: {"express": 2},
}
RULES = Policy({
    "service": QueuePolicy("service", {"service": 2}, 30, 20, 1, 900, rings=(Ring(60, {"service": 1}),)),
    "express": QueuePolicy("express", {"express": 3}, 30, 20, 1, 900),
})  # fmt: skip


def _short() -> str:
    return new_id().replace("-", "")[-12:]


class People(Doors):
    def __init__(self) -> None:
        super().__init__()
        agent, boss = frozenset({Role.AGENT}), frozenset({Role.SUPERVISOR})
        logins = {"anna": ANNA, "li.na": LI, "wang.fang": WANG, "emma": EMMA}
        self.people = {
            login: Caller(user_id=f"u{ext}", name=AGENTS[ext], roles=agent, extension=ext)
            for login, ext in logins.items()
        }
        self.people["chen"] = Caller(user_id="u109", name=AGENTS[CHEN], roles=boss, extension=CHEN)
        self.people["root"] = Caller(user_id="u0", name="Admin", roles=frozenset({Role.ADMIN}))


class Floor(Switch):
    """The cardboard switch with what is done to talks: legs that ring beside, hold, and who is left of two goes on."""

    asked: list[str]
    beside: dict[str, str]
    heirs: dict[str, str]

    async def carry_out(self, order: transfer.CallOrder) -> None:
        await asyncio.sleep(0.002)
        self.asked.append(type(order).__name__)
        match order:
            case transfer.HoldCaller(leg_id=leg_id) | transfer.SwapBack(leg_id=leg_id):
                self.hold(self.legs[leg_id].extension, True)
            case transfer.SwapLegs(leg_id=leg_id):
                self.hold(self.legs[leg_id].extension, False)
            case transfer.JoinAll(leg_id=leg_id, other=heir):
                self.hold(self.legs[leg_id].extension, False)
                self.legs[heir].connected_at = self._clock.now()
            case transfer.JoinCaller(leg_id=leg_id):
                self._join(leg_id)
            case transfer.RingLeg():
                self._ring_beside(order)
            case transfer.EndLeg(leg_id=leg_id):
                self._let_go(leg_id)
            case transfer.ParkCaller(leg_id=leg_id, caller=name) | transfer.LeaveFor(leg_id=leg_id, caller=name):
                self._by_name(name).stage = "park"
                self._end(self.legs[leg_id], 16)
            case transfer.SendCaller(leg_id=leg_id, to="queue", variables=given):
                leg = self.legs[leg_id]
                self.callers[leg.ix].queue = given["AC_QUEUE"]
                self.sent_back(leg.extension)
            case transfer.Supervise(spy_id=spy_id, extension=extension):
                self.beside[extension] = spy_id
        self.tell()

    def _by_name(self, channel: str) -> Waiter:
        return next(it for it in self.callers.values() if it.channel == channel)

    def _ring_beside(self, order: transfer.RingLeg) -> None:
        leg = Leg(
            order.leg_id,
            order.leg_id.rpartition("-")[2],
            order.interaction_id,
            order.target,
            order.epoch,
            self._clock.now(),
        )
        leg.ringing_at = self._clock.now()
        self.legs[leg.leg_id] = leg
        if order.with_leg != transfer.NOBODY:
            self.heirs[order.with_leg] = leg.leg_id

    def _join(self, leg_id: str) -> None:
        leg = self.legs[leg_id]
        if leg.connected_at is None:
            leg.connected_at = self._clock.now()
        else:
            self.hold(leg.extension, False)

    def _let_go(self, leg_id: str) -> None:
        leg = self.legs.get(leg_id)
        spy = next((ext for ext, spy_id in self.beside.items() if spy_id == leg_id), "")
        if spy:
            self.phones[spy].in_use = False
            del self.beside[spy]
        if leg is None or not leg.live:
            return
        heir = self.legs.get(self.heirs.pop(leg_id, ""))
        holder = next((mine for mine, other in self.heirs.items() if other == leg_id), "")
        if heir is not None and heir.live:  # the caller goes to whoever was asked
            heir.connected_at = heir.answered_at = heir.answered_at or self._clock.now()
        leg.ended_at, leg.cause = self._clock.now(), 16
        if holder:  # back to the caller
            del self.heirs[holder]
            self.hold(self.legs[holder].extension, False)

    def answer(self, extension: str) -> None:
        if extension in self.beside:
            self.phones[extension].in_use = True
            self.tell()
            self._stream.emit(pbx.SupervisorJoined(
                interaction_id="", at=self._clock.now(), extension=extension, agent="", mode="monitor"
            ))  # fmt: skip
            return
        leg = self.leg_of(extension)
        if leg is None or self.callers[leg.ix].stage == "wait":
            super().answer(extension)
            return
        leg.answered_at = self._clock.now()
        if leg.leg_id not in self.heirs.values():
            leg.connected_at = leg.answered_at
            self.callers[leg.ix].stage = "talk"
        self.tell()


@dataclass
class Scene:
    """`switch` is what happens outside; `acd`, `desk`, `hub`, `clock` are the real ones."""

    url: str
    acd: Acd
    switch: Floor
    hub: Hub
    desk: PolicyDesk
    clock: SystemClock
    people: People
    crew: CrewDesk

    def ready(self, *extensions: str) -> None:
        for extension in extensions:
            self.acd.set_state(extension, "READY", actor="user:test")

    def arrive(self, ix: str, queue: str = "service", *, waited_s: float = 0, ani: str = "+8613812345678") -> None:
        at = self.clock.now() - timedelta(seconds=waited_s)
        self.acd._stamped.emit(
            pbx.CallArrived(interaction_id=ix, at=at, ani=ani, dnis="800", channel="c", entry="queue")
        )
        self.switch.callers[ix] = Waiter(ix, queue, [at])
        self.switch.tell()

    async def until(self, fits: Any) -> None:
        async with asyncio.timeout(10):
            while not fits():
                await asyncio.sleep(0.01)

    async def talk(self, extension: str, ix: str, queue: str = "service") -> None:
        """A caller comes to this agent, who is READY and answers."""
        self.arrive(ix, queue)
        await self.until(lambda: (leg := self.switch.leg_of(extension)) is not None and leg.ringing_at is not None)
        self.switch.answer(extension)
        await self.until(lambda: self.acd.book.agents[extension].state == "ENGAGED")

    async def settle(self) -> None:
        """Everybody hangs up, and all phones are there and idle again."""
        for ix in list(self.switch.callers):
            self.switch.caller_hangs_up(ix)
        for leg in self.switch.legs.values():
            if leg.live:
                self.switch._end(leg, 16)
        self.switch.tell()
        await self.until(lambda: not self.acd.book.offers and not self.acd.book.waiting)
        for extension, phone in self.switch.phones.items():
            phone.reachable, phone.in_use, phone.dead = True, False, False
            self.acd.set_state(extension, "NOT_READY", "break", actor="user:test")
        self.switch.beside.clear()
        self.switch.heirs.clear()
        self.switch.tell()


class Cards:
    """Every card says that no order was found; the note of the agent before is on it."""

    hub: Hub

    async def push(self, offer: OfferMade, item: WorkItem) -> int:
        pop = {"kind": "none", "certain": False, "notice": "", "order": None, "candidates": []}
        return await self.hub.push_card(offer.extension, {
            "offer_id": offer.offer_id, "interaction_id": item.interaction_id, "queue": item.queue, "extension": offer.extension,
            "attempt": 1, "caller": {"number": item.ani, "name": ""}, "language": "en", "level": "ani", "problem": "",
            "note": item.note, "waited_s": 1.0, "made_at": offer.at.isoformat(), "pop": pop,
        })  # fmt: skip


@asynccontextmanager
async def floor(
    folder: Path, *, port: int = 0, console: Path | None = None, extra: Mapping[str, str] | None = None
) -> AsyncIterator[Scene]:
    """`extra`: more agents, name by extension; they have the skill of the queue "service"."""
    clock, metrics, stream, people = SystemClock(), Metrics(), EventStream(), People()
    names = {**AGENTS, **(extra or {})}
    url = f"sqlite:///{folder}/floor.sqlite"
    await migrate.migrate(url)
    database = await Database.open(url, clock=clock, ids=new_id, stream=stream)
    hub = Hub(
        new_board(agents=names, queues=RULES.queues, zone="Asia/Shanghai"), clock=clock, ids=new_id, metrics=metrics
    )
    switch = Floor(stream, clock, names, lists=False)
    switch.asked, switch.beside, switch.heirs = [], {}, {}
    cards = Cards()
    cards.hub = hub
    records = [
        AgentRecord(ext, name, SKILLS.get(ext, {"service": 3} if ext in (extra or {}) else {}))
        for ext, name in names.items()
    ]
    acd = Acd(
        telephony=switch,
        screen_pop=cards,
        stream=stream,
        clock=clock,
        ids=_short,
        policy=RULES,
        agents=records,
    )
    acd.calls.outside = OutsideRules(("+86",))
    desk = PolicyDesk(database, clock, Document(RULES, skills=frozenset(RULES.queues)), apply=acd.set_policy)
    await desk.load()

    async with database.write() as conn:
        await set_skills(conn, {record.extension: record.skills for record in records})

    async def of_people() -> dict[str, str]:
        return names

    crew = CrewDesk(database, clock, of_people, apply=acd.add_agent)

    async def situation() -> Situation:
        return policy_http.situation_of(acd.book)

    routes = [
        *auth_http.routes(people, clock), *calls_http.routes(Past(clock.now(), folder, 0)), *routing_http.routes(acd),
        *controls_http.routes(acd.calls), *policy_http.routes(desk, situation, clock),
        *crew_http.routes(crew, lambda: desk.document),
    ]  # fmt: skip
    app = build_app(
        routes=routes, gatekeeper=people, hub=hub, health=Health(), metrics=metrics, ids=new_id,
        console_dir=console or Path("app/console/dist"),
    )  # fmt: skip
    feed = stream.subscribe("live", asyncio.Event(), bound=50_000)
    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(acd.run()), group.create_task(hub.run(feed))]
            await asyncio.sleep(0)
            switch.connect()
            async with serve(app, "127.0.0.1", port) as bound:
                scene = Scene(f"http://127.0.0.1:{bound}", acd, switch, hub, desk, clock, people, crew)
                await scene.until(lambda: acd.link_up)
                await scene.settle()
                yield scene
            for task in running:
                task.cancel()
    finally:
        await database.close()


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with floor(Path(folder), port=int(sys.argv[1])) as scene:
            print(scene.url, flush=True)
            scene.ready(LI)
            for number in range(6):
                scene.arrive(f"n1-{number}.9", "express" if number % 3 == 2 else "service", waited_s=100 - 15 * number)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
