"""The real rooms behind their real doors, on a database in memory: users, calls, agents, orders, recordings, the live feed.

Only the telephone switch is missing: whoever would make it act is written down in `House.switched` instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
from argon2 import PasswordHasher
from sqlalchemy import func, select

from app.live.hub import Hub
from app.live.model import new_board
from app.web import auth_http, calls_http
from app.web.call_store import StoredCalls
from app.web.health import Health
from app.web.server import build_app
from core.audit import audit_table
from core.clock import SystemClock
from core.db import migrate
from core.db.engine import Database
from core.db.outbox import event_table
from core.events import pbx, recordings
from core.events.stream import EventStream
from core.http.routes import Role
from core.http.server import serve
from core.ids import new_id
from core.jobs.worker import JobQueue
from core.journal.flusher import Flusher
from core.journal.journal import Journal
from core.metrics import Metrics
from core.users.service import Users
from orders_bridge import http as orders_http
from orders_bridge.service import OrderDesk
from pbx.store import InteractionProjector
from pbx.transfer import CallOrder
from recordings import http as recordings_http
from recordings.speech import SpeechChoice, Transcription
from recordings.store import RecordingProjector
from recordings.transcriber import Transcriber
from routing import http as routing_http
from routing.acd import Acd
from routing.calls import http as controls_http
from routing.crew import http as crew_http
from routing.crew.desk import CrewDesk
from routing.model import AgentRecord
from routing.policy import http as policy_http
from routing.policy.desk import PolicyDesk
from routing.policy.document import Document
from routing.policy.dry_run import Situation
from routing.policy.model import Policy, QueuePolicy
from routing.quarters import http as quarters_http
from tests.edge.orders_bridge.shops import sample_shop

PASSWORD = "a-password-of-the-tests-1"
PEOPLE = {"agent": "101", "other": "102", "boss": ""}
"""Who there is, with their extensions; each has the token `{name}-token-of-the-tests` and PASSWORD."""


class NoSwitch:
    """Satisfies routing's `Telephony`; nothing rings."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def offer(
        self, *, offer_id: str, interaction_id: str, caller_channel: str, extension: str, ring_s: float, epoch: int,
        caller_number: str = "", caller_name: str = "", headers: Mapping[str, str] | None = None,
        whisper: Sequence[str] = (),
    ) -> str:  # fmt: skip
        self.asked.append(f"offer {offer_id}")
        return ""

    async def cancel_offer(self, leg_id: str) -> None:
        self.asked.append(f"cancel {leg_id}")

    async def carry_out(self, order: CallOrder) -> None:
        self.asked.append(type(order).__name__)


class NoCard:
    async def push(self, offer: Any, item: Any) -> None:
        return None


@dataclass
class House:
    url: str
    client: aiohttp.ClientSession
    database: Database
    hub: Hub
    acd: Acd
    switch: NoSwitch
    sessions: dict[str, str] = field(default_factory=dict)

    def token(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {name}-token-of-the-tests"}

    async def rows(self) -> dict[str, int]:
        """How much has ever happened here: rows of events and of audits, orders to the switch."""
        async with self.database.read() as conn:
            counts = {
                table.name: int((await conn.execute(select(func.count()).select_from(table))).scalar_one())
                for table in (event_table, audit_table)
            }
        return {**counts, "switched": len(self.switch.asked)}

    async def states(self) -> list[str]:
        async with self.client.get("/api/agents", headers=self.token("boss")) as answer:
            assert answer.status == 200
            return [f"{agent['extension']} {agent['state']}" for agent in (await answer.json())["items"]]


@asynccontextmanager
async def real_house(folder: Path) -> AsyncIterator[House]:
    """The house on a free port of loopback, with two calls and their recordings in its past."""
    clock, metrics = SystemClock(), Metrics()
    url = f"sqlite:///{folder}/house.sqlite"
    console = folder / "console"
    console.mkdir()
    (console / "index.html").write_text("<!doctype html><title>Aftercall</title>")
    journal = Journal(folder / "journal.sqlite", "tests")
    stream = EventStream(journal)
    await migrate.migrate(url)
    database = await Database.open(url, clock=clock, ids=new_id, stream=stream)
    try:
        users = Users(database, clock, new_id, hasher=PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        await _settle(users)
        _remember_calls(stream, clock)
        while journal.synced < journal.last_seq:
            await asyncio.sleep(0.005)
        await Flusher(journal, database, [InteractionProjector(), RecordingProjector()]).flush_once()
        switch = NoSwitch()
        acd = Acd(
            telephony=switch, screen_pop=NoCard(), stream=stream, clock=clock, ids=new_id,
            policy=Policy({"service": QueuePolicy("service", {"service": 1}, 15, 20, 1)}),
            agents=[AgentRecord(ext, name, {"service": 3}) for name, ext in PEOPLE.items() if ext],
        )  # fmt: skip
        hub = Hub(new_board(agents={"101": "agent", "102": "other"}, queues=["service"]), clock=clock, ids=new_id)

        async def situation() -> Situation:
            return policy_http.situation_of(acd.book)

        async with sample_shop() as (shop, _, _):
            desk = OrderDesk(shop, stream, clock, zone=ZoneInfo("Asia/Shanghai"), country="CN", storage=database)
            policies = PolicyDesk(database, clock, Document(acd.book.pool.policy))

            async def names() -> dict[str, str]:
                return {user.extension: user.name for user in await users.all() if user.extension}

            crew = CrewDesk(database, clock, names, apply=acd.add_agent)
            routes = [
                *auth_http.routes(users, clock), *calls_http.routes(StoredCalls(database), lambda key: hub.board.calls.get(key)),
                *routing_http.routes(acd),
                *policy_http.routes(policies, situation, clock), *quarters_http.routes(database, ZoneInfo("Asia/Shanghai")),
                *crew_http.routes(crew, lambda: policies.document),
                *controls_http.routes(acd.calls),
                *orders_http.routes(desk), *recordings_http.routes(_recordings(folder, database, stream, clock)),
            ]  # fmt: skip
            app = build_app(
                routes=routes, gatekeeper=users, hub=hub, health=Health(), metrics=metrics, ids=new_id, console_dir=console
            )  # fmt: skip
            jar = aiohttp.DummyCookieJar()
            async with serve(app, "127.0.0.1", 0) as port:
                address = f"http://127.0.0.1:{port}"
                async with aiohttp.ClientSession(address, cookie_jar=jar) as client:
                    house = House(address, client, database, hub, acd, switch)
                    house.sessions = {name: await _log_in(client, name) for name in PEOPLE}
                    yield house
    finally:
        await database.close()
        journal.close()


async def _settle(users: Users) -> None:
    for name, extension in PEOPLE.items():
        roles = frozenset({Role.AGENT if extension else Role.SUPERVISOR})
        await users.create(name, name.title(), roles, PASSWORD, extension=extension)
        await users.add_token(name, "tests", actor="system", token=f"{name}-token-of-the-tests")


async def _log_in(client: aiohttp.ClientSession, name: str) -> str:
    async with client.post("/api/login", json={"user": name, "password": PASSWORD}) as answer:
        assert answer.status == 200, await answer.text()
        return answer.cookies["aftercall_session"].value


def _remember_calls(stream: EventStream, clock: SystemClock) -> None:
    begun = clock.now() - timedelta(hours=1)
    for ix, recording, extension in (("n1-1.1", "r-own", "101"), ("n1-2.1", "r-foreign", "102")):
        stream.emit(pbx.CallArrived(interaction_id=ix, at=begun, ani="+8613812345678", dnis="800", channel="c"))
        stream.emit(pbx.CallConnected(interaction_id=ix, at=begun, leg_id="l", offer_id="o", extension=extension))
        stream.emit(
            recordings.RecordingStarted(interaction_id=ix, at=begun, recording_id=recording, extension=extension)
        )
        stream.emit(pbx.CallEnded(interaction_id=ix, at=begun, reason="caller_hangup", talk_s=30.0))


def _recordings(
    folder: Path, database: Database, stream: EventStream, clock: SystemClock
) -> recordings_http.RecordingDesk:
    choice = SpeechChoice(enabled=False, paths={})
    transcription = Transcription(
        folder=folder, database=database, jobs=JobQueue(database, clock, new_id), events=stream, clock=clock, ids=new_id,
        transcriber=Transcriber(choice.resolver(), workers=1), choice=choice, language="en",
    )  # fmt: skip
    return recordings_http.RecordingDesk(database, folder, clock, transcription)
