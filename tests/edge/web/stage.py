"""A stage: the real web server, live feed and console before a house of cardboard. For tests of the edge and for looking at.

`python -m tests.edge.web.stage 8099` plays a busy day on that port: li.na / wang.fang (agents), chen (supervisor), all
with the password `stage-password`. Nothing here is used by the product.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
import wave
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from app.live.hub import Hub
from app.live.model import new_board
from app.shop.books import Books
from app.web import auth_http, calls_http
from app.web.calls import CallFilter, CallRecord, CallStory, TimelineEvent
from app.web.health import Finding, Health
from app.web.server import build_app
from core.clock import Clock, SystemClock
from core.errors import NotFound, Refused
from core.events import DomainEvent, ivr, orders, pbx, recordings, routing, to_record
from core.http.routes import Caller, FileAnswer, Nothing, Request, Role, Route, Strict
from core.http.server import serve
from core.ids import new_id
from core.metrics import Metrics
from orders_bridge.card import pop
from orders_bridge.ladder import Level
from orders_bridge.match import rank
from orders_bridge.model import Order
from orders_bridge.wire import Purchase, order_of
from routing.calls import http as controls_http

ZONE = ZoneInfo("Asia/Shanghai")
PASSWORD = "stage-password"
AGENTS = {"101": "李娜 Li Na", "102": "Wang Fang", "103": "Zhao Lei", "104": "Emma Brown", "105": "陈静"}
SAID = {
    "en": [("agent", "hello this is aftercall customer service how can i help you"),
           ("caller", "hi i am still waiting for my parcel it should have been here on friday"),
           ("agent", "i am sorry about that i can see your order here the parcel has not moved for five days"),
           ("caller", "so is it lost or what happens now"),
           ("agent", "i will ask the carrier today and send you a new one if they cannot find it by tomorrow noon"),
           ("caller", "all right thank you"), ("agent", "thank you for calling goodbye")],
    "zh": [("agent", "您好 这里 是 售后 服务 请问 有 什么 可以 帮 您"), ("caller", "我 的 退款 怎么 还 没有 到"),
           ("agent", "我 看到 您 的 退货 上周 已经 入库 退款 超时 了 非常 抱歉"), ("caller", "那 什么 时候 能 到账"),
           ("agent", "我 现在 就 帮 您 加急 预计 明天 之前 到账"), ("caller", "好 的 谢谢")],
}  # fmt: skip


class Doors:
    """Passwords, sessions and tokens of the stage."""

    def __init__(self) -> None:
        agent = frozenset({Role.AGENT})
        self.people = {
            "li.na": Caller(user_id="u1", name=AGENTS["101"], roles=agent, extension="101"),
            "wang.fang": Caller(user_id="u2", name=AGENTS["102"], roles=agent, extension="102"),
            "chen": Caller(user_id="u3", name="Chen Wei", roles=frozenset({Role.SUPERVISOR})),
        }
        self.sessions: dict[str, Caller] = {}

    async def caller_for_session(self, token: str) -> Caller | None:
        return self.sessions.get(token)

    async def caller_for_token(self, token: str) -> Caller | None:
        return self.people.get(token.removesuffix("-token")) if token.endswith("-token") else None

    async def log_in(self, login: str, password: str) -> tuple[str, int, Caller] | None:
        if login not in self.people or password != PASSWORD:
            return None
        session = new_id()
        self.sessions[session] = self.people[login]
        return session, 3600, self.people[login]

    async def log_out(self, session: str) -> None:
        self.sessions.pop(session, None)


def sample_orders(now: datetime) -> dict[str, Order]:
    """One order of each kind and language, by `kind-language`."""
    books = Books(orders=120, seed=7, opened=now.astimezone(ZONE))
    found: dict[str, Order] = {}
    for raw in books._docs.values():
        purchase = Purchase.model_validate(json.loads(raw))
        order = order_of(purchase, shop="sample", country="CN", fetched_at=now)
        for sample in books.samples:
            if sample["order_no"] == order.order_no:
                found.setdefault(f"{sample['kind']}-{order.language}", order)
    return found


def write_sound(file: Path, turns: Sequence[tuple[str, float, float]], seconds: float) -> None:
    """A stereo recording in which each side hums while it speaks: left = caller, right = agent."""
    rate = 8000
    samples = array("h", bytes(4 * int(seconds * rate)))
    rng = random.Random(1)
    for side, start, end in turns:
        tone, offset = (190.0, 0) if side == "caller" else (260.0, 1)
        for i in range(int(start * rate), min(int(end * rate), int(seconds * rate))):
            swell = abs(math.sin(math.pi * 2.7 * i / rate)) * (0.6 + 0.4 * rng.random())
            samples[2 * i + offset] = int(9000 * swell * math.sin(2 * math.pi * tone * i / rate))
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(samples.tobytes())


class Past:
    """A book of calls that were never made."""

    def __init__(self, now: datetime, folder: Path, count: int = 64) -> None:
        self.folder = folder
        self.calls: list[CallRecord] = []
        rng = random.Random(3)
        for i in range(count):
            arrived = now - timedelta(minutes=7 * i + rng.randrange(5), seconds=rng.randrange(60))
            lost = rng.random() < 0.15
            agent = "" if lost else rng.choice(list(AGENTS))
            talk = None if lost else rng.uniform(40, 400)
            wait = rng.uniform(2, 90)
            self.calls.append(
                CallRecord(
                    id=f"n1-17{9000 - i}.{i}", arrived_at=arrived, ani=f"+86138{rng.randrange(10**8):08d}", dnis="800",
                    caller_name="", entry="menu", language=rng.choice(["en", "zh"]), queue=rng.choice(["service", "express"]),
                    agents=(agent,) if agent else (), answered_at=arrived + timedelta(seconds=1),
                    ended_at=arrived + timedelta(seconds=30 + wait + (talk or 0)) if i else None,
                    reason=("caller_hangup" if rng.random() < 0.6 else "agent_hangup") if i else "", wait_s=wait,
                    talk_s=talk, disposition="" if lost else rng.choice(["delivery", "refund", "return", "product", ""]),
                    has_recording=not lost, has_transcript=not lost and i % 9 != 4,
                )
            )  # fmt: skip

    async def page(self, *, limit: int, before: tuple[datetime, str] | None, only: CallFilter) -> Sequence[CallRecord]:
        calls = [
            call for call in self.calls
            if (not only.queue or call.queue == only.queue) and (not only.agent or only.agent in call.agents)
            and (before is None or (call.arrived_at, call.id) < before)
        ]  # fmt: skip
        return calls[:limit]

    async def story(self, interaction_id: str) -> CallStory | None:
        call = next((call for call in self.calls if call.id == interaction_id), None)
        if call is None:
            return None
        return CallStory(call, tuple(self._events(call)), *self._sound(call))

    def _events(self, call: CallRecord) -> list[TimelineEvent]:
        talk_at = call.arrived_at + timedelta(seconds=30 + (call.wait_s or 0))
        ext = call.agents[0] if call.agents else "101"
        ix = call.id

        def at(seconds: float) -> datetime:
            return call.arrived_at + timedelta(seconds=seconds)

        told: list[DomainEvent] = [
            pbx.CallArrived(interaction_id=ix, at=at(0), ani=call.ani, dnis="800", channel="PJSIP/trunk-1", entry="menu"),
            pbx.CallAnswered(interaction_id=ix, at=at(0.1), channel="PJSIP/trunk-1"),
            ivr.FlowStarted(interaction_id=ix, at=at(0.2), flow="main", version="3", language=call.language),
            ivr.FlowWaited(interaction_id=ix, at=at(0.3), flow="main", node="welcome", wait="play"),
            ivr.DigitsCollected(interaction_id=ix, at=at(6.4), node="menu", digits="1"),
            ivr.DigitsCollected(interaction_id=ix, at=at(14.2), node="order_no", digits="••••••••"),
            ivr.OrderLookedUp(interaction_id=ix, at=at(14.4), node="look_up", outcome="found", order_no="58117004",
                              order_id="pu_58117004", took_ms=83.2),
            ivr.CallerIdentified(interaction_id=ix, at=at(14.4), level="second_factor", order_id="pu_58117004"),
            ivr.FlowEnded(interaction_id=ix, at=at(29.5), flow="main", exit="handoff", queue=call.queue,
                          language=call.language, problem="delivery"),
            routing.ItemQueued(interaction_id=ix, at=at(30), queue=call.queue, enqueued_at=at(30), channel="c", position=2),
        ]  # fmt: skip
        if call.talk_s is None:
            told.append(
                routing.ItemAbandoned(interaction_id=ix, at=talk_at, queue=call.queue, waited_s=call.wait_s or 0)
            )
        else:
            offered = talk_at - timedelta(seconds=4)
            told += [
                routing.OfferMade(interaction_id=ix, at=offered, offer_id="o1", extension=ext, queue=call.queue, attempt=1,
                                  epoch=1, leg_id="l", waited_s=12.5, why="longest idle with the skill"),
                routing.CardPushed(interaction_id=ix, at=offered, offer_id="o1", extension=ext, feeds=1),
                routing.OfferRinging(interaction_id=ix, at=offered + timedelta(seconds=0.1), offer_id="o1", extension=ext),
                routing.OfferAccepted(interaction_id=ix, at=talk_at, offer_id="o1", extension=ext, queue=call.queue,
                                      waited_s=16.5, ring_s=4.0),
                pbx.CallConnected(interaction_id=ix, at=talk_at, leg_id="l", offer_id="o1", extension=ext),
                recordings.RecordingStarted(interaction_id=ix, at=talk_at, recording_id="r1"),
            ]  # fmt: skip
        if call.ended_at is not None:
            told.append(pbx.CallEnded(interaction_id=ix, at=call.ended_at, reason=call.reason, talk_s=call.talk_s or 0))
            if call.talk_s:
                told += [
                    routing.WrapUpEnded(interaction_id=ix, at=call.ended_at + timedelta(seconds=9), extension=ext,
                                        offer_id="o1", wrap_up_s=9.0, disposition=call.disposition, note="will call back"),
                    recordings.RecordingStored(interaction_id=ix, at=call.ended_at + timedelta(seconds=1),
                                               recording_id="r1", path="x", sha256="00", seconds=44.0),
                    recordings.TranscriptReady(interaction_id=ix, at=call.ended_at + timedelta(seconds=14),
                                               recording_id="r1", transcript_id="t1", model="vosk-small-en-us-0.15", turns=7),
                ]  # fmt: skip
        return [TimelineEvent(i, event.at, event.kind, to_record(event)) for i, event in enumerate(told)]

    def _sound(self, call: CallRecord) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        if not call.has_recording or call.ended_at is None:
            return None, None
        turns, clock = [], 0.8
        for side, text in SAID[call.language]:
            words = []
            for word in text.split():
                length = 0.12 + 0.05 * len(word.encode())
                words.append({"text": word, "start_s": round(clock, 2), "end_s": round(clock + length, 2),
                              "confidence": 0.55 if len(word) == 4 else 0.97})  # fmt: skip
                clock += length + 0.06
            text = text.replace(" ", "") if call.language == "zh" else text
            turns.append({"side": side, "start_s": words[0]["start_s"], "end_s": words[-1]["end_s"], "text": text,
                          "words": words})  # fmt: skip
            clock += 0.7
        file = self.folder / f"{call.language}.wav"
        if not file.exists():
            write_sound(file, [(t["side"], t["start_s"], t["end_s"]) for t in turns], clock)
        sound = {"id": call.language, "seconds": clock, "channels": 2, "state": "stored", "sha256": "9f" * 32,
                 "starts_at": call.arrived_at + timedelta(seconds=30 + (call.wait_s or 0))}  # fmt: skip
        if not call.has_transcript:
            reason = "There is no speech model for this language."
            return sound, {"state": "skipped", "model": "", "language": call.language, "reason": reason, "turns": []}
        model = "vosk-small-en-us-0.15" if call.language == "en" else "vosk-small-cn-0.22"
        return sound, {"state": "ready", "model": model, "language": call.language, "reason": "", "turns": turns}

    async def audio(self, request: Request) -> FileAnswer:
        if request.path["id"] not in ("en", "zh"):
            raise NotFound("recording", request.path["id"])
        return FileAnswer(str(self.folder / f"{request.path['id']}.wav"), "audio/wav", "call.wav")


class Unparked:
    """Nobody is parked here, and nothing is done to calls."""

    async def do(self, order: dict[str, Any]) -> dict[str, Any]:
        if order["what"] != "parked":
            raise Refused("The stage does nothing to calls.")
        return {"items": []}


class StateBody(Strict):
    state: Literal["READY", "NOT_READY"]
    reason: Annotated[str, Field(max_length=40)] = ""


class FinishBody(Strict):
    disposition: Annotated[str, Field(max_length=60)] = ""
    note: Annotated[str, Field(max_length=2000)] = ""


class ExtendBody(Strict):
    seconds: Annotated[int, Field(ge=1, le=600)] = 30


@dataclass
class Stage:
    """`hub` and `clock` are the real ones; `emit` tells the board an event."""

    hub: Hub
    clock: Clock
    doors: Doors
    past: Past
    orders: dict[str, Order]
    health: Health
    health_words: str = ""

    def emit(self, kind: type[DomainEvent], ix: str = "", **fields: Any) -> None:
        self.hub.handle(kind(interaction_id=ix, at=fields.pop("at", self.clock.now()), **fields))

    def state(self, ext: str, state: str, reason: str = "", ix: str = "", until: datetime | None = None) -> None:
        self.emit(routing.AgentStateChanged, ix, extension=ext, state=state, reason=reason, until=until)

    def card(
        self, offer_id: str, ix: str, key: str, *, available: bool = True, several: bool = False
    ) -> dict[str, Any]:
        """A card as wiring makes it."""
        order = self.orders.get(key)
        ani = order.phones[0] if order else "+8613800000000"
        chosen = [order] if order else []
        if several:
            chosen = [o for o in self.orders.values() if o.language == "zh"][:3]
        now = self.clock.now()
        candidates = rank(chosen, ani="" if several else ani, order_no="" if several or not order else order.order_no,
                          today=now.astimezone(ZONE).date())  # fmt: skip
        found = pop(candidates, Level.SECOND_FACTOR, available, now.astimezone(ZONE).date(), now)
        return {
            "offer_id": offer_id, "interaction_id": ix, "queue": "service", "extension": "101", "attempt": 1,
            "caller": {"number": ani, "name": ""}, "language": order.language if order else "zh",
            "level": "second_factor", "problem": "delivery", "waited_s": 41.5,
            "made_at": now.isoformat(timespec="milliseconds"), "pop": found,
        }  # fmt: skip

    async def call_agent(self, ext: str, ix: str, key: str, **how: Any) -> dict[str, Any]:
        """A caller arrives, waits and rings at the agent, card first."""
        card = self.card("o-" + ix, ix, key, **how)
        now = self.clock.now()
        self.emit(pbx.CallArrived, ix, ani=card["caller"]["number"], dnis="800", channel="c", entry="menu",
                  at=now - timedelta(seconds=60))  # fmt: skip
        self.emit(ivr.FlowStarted, ix, flow="main", version="1", language=card["language"])
        self.emit(routing.ItemQueued, ix, queue="service", enqueued_at=now - timedelta(seconds=41), channel="c")
        self.state(ext, "RESERVED", ix=ix)
        self.emit(routing.OfferMade, ix, offer_id=card["offer_id"], extension=ext, queue="service", attempt=1, epoch=1,
                  leg_id="l")  # fmt: skip
        await self.hub.push_card(ext, card)
        self.emit(routing.OfferRinging, ix, offer_id=card["offer_id"], extension=ext)
        return card

    def answer(self, ext: str, ix: str) -> None:
        offer = self.hub.board.calls[ix].offer_id
        self.emit(routing.OfferAccepted, ix, offer_id=offer, extension=ext, queue="service", waited_s=41.0)
        self.emit(pbx.CallConnected, ix, leg_id="l", offer_id=offer, extension=ext)
        self.emit(recordings.RecordingStarted, ix, recording_id="r")
        self.state(ext, "ENGAGED", ix=ix)

    def hang_up(self, ext: str, ix: str, wrap_up_s: float = 20) -> None:
        self.emit(pbx.CallEnded, ix, reason="caller_hangup", talk_s=30.0)
        if wrap_up_s:
            until = self.clock.now() + timedelta(seconds=wrap_up_s)
            self.state(ext, "WRAP_UP", ix=ix, until=until)
            self.emit(routing.WrapUpStarted, ix, extension=ext, offer_id="o-" + ix, seconds=wrap_up_s)
        else:
            self.state(ext, "READY")

    # --- the agents' verbs, as routing has them

    def _own(self, request: Request) -> str:
        ext = request.path["ext"]
        if request.caller.extension != ext and not request.caller.may(Role.SUPERVISOR):
            raise Refused("Agents change their own state only.")
        if ext not in self.hub.board.agents:
            raise NotFound("agent", ext)
        return ext

    async def set_state(self, request: Request) -> Nothing:
        ext = self._own(request)
        self.state(ext, request.body.state, request.body.reason)
        return Nothing()

    async def finish(self, request: Request) -> Nothing:
        ext = self._own(request)
        ix = self.hub.board.agents[ext].call
        self.emit(routing.WrapUpEnded, ix, extension=ext, offer_id="o-" + ix, wrap_up_s=5.0,
                  disposition=request.body.disposition, note=request.body.note)  # fmt: skip
        self.state(ext, "READY")
        return Nothing()

    async def extend(self, request: Request) -> Nothing:
        ext = self._own(request)
        agent = self.hub.board.agents[ext]
        until = (agent.until or self.clock.now()) + timedelta(seconds=request.body.seconds)
        self.state(ext, "WRAP_UP", ix=agent.call, until=until)
        return Nothing()

    def routes(self) -> list[Route]:
        return [
            *auth_http.routes(self.doors, self.clock),
            *calls_http.routes(self.past),
            *controls_http.routes(Unparked()),
            Route("GET", "/api/recordings/{id}/audio", self.past.audio, "The sound", FileAnswer, tag="recordings"),
            Route("POST", "/api/agents/{ext}/state", self.set_state, "Say ready or not", Nothing, body=StateBody),
            Route("POST", "/api/agents/{ext}/wrap-up/finish", self.finish, "Wrap-up is done", Nothing, body=FinishBody),
            Route("POST", "/api/agents/{ext}/wrap-up/extend", self.extend, "More wrap-up", Nothing, body=ExtendBody),
        ]


@asynccontextmanager
async def stage(
    folder: Path, *, port: int = 0, console: Path | None = None, calls: int = 64
) -> AsyncIterator[tuple[Stage, str]]:
    """The stage and its address."""
    clock = SystemClock()
    board = new_board(agents=AGENTS, queues=["service", "express"], zone="Asia/Shanghai")
    metrics = Metrics()
    hub = Hub(board, clock=clock, ids=new_id, metrics=metrics)
    health = Health(fresh_s=0.0)
    play = Stage(hub, clock, Doors(), Past(clock.now(), folder, calls), sample_orders(clock.now()), health)

    async def redis() -> Finding:
        return Finding("degraded", play.health_words) if play.health_words else Finding()

    health.watch("redis", redis, means="Live push between processes stops; calls go on.")
    app = build_app(
        routes=play.routes(), gatekeeper=play.doors, hub=hub, health=health, metrics=metrics, ids=new_id,
        console_dir=console or Path("app/console/dist"),
    )  # fmt: skip
    async with serve(app, "127.0.0.1", port) as bound:
        for ext in AGENTS:
            play.emit(pbx.AgentDeviceChanged, extension=ext, reachable=ext != "105")
            play.state(ext, "NOT_READY", "login")
        yield play, f"http://127.0.0.1:{bound}"


def busy(play: Stage) -> None:
    """Puts a busy moment on the board."""
    now = play.clock.now()

    def ago(seconds: float) -> datetime:
        return now - timedelta(seconds=seconds)

    for i, (state, reason, since) in enumerate(
        [("READY", "", 95), ("NOT_READY", "break", 640), ("NOT_READY", "rona", 48)]
    ):
        ext = ("102", "103", "105")[i]
        play.emit(routing.AgentStateChanged, extension=ext, state=state, reason=reason, at=ago(since))
    for i in range(9):
        ix = f"n1-{i}.1"
        play.emit(
            pbx.CallArrived, ix, ani=f"+8613{i}12345{600 + i}", dnis="800", channel="c", entry="menu", at=ago(200 - i)
        )
        play.emit(ivr.FlowStarted, ix, flow="main", version="1", language="zh" if i % 2 else "en", at=ago(190 - 9 * i))
        if i < 6:
            queue = "express" if i == 5 else "service"
            play.emit(
                routing.ItemQueued, ix, queue=queue, enqueued_at=ago(170 - 24 * i), channel="c", at=ago(170 - 24 * i)
            )
    for i in range(41):
        queue = "service" if i % 3 else "express"
        play.emit(routing.OfferAccepted, f"old-{i}", offer_id="x", extension=("101", "102", "103", "104")[i % 4],
                  queue=queue, waited_s=4.0 + i)  # fmt: skip
    for i in range(3):
        play.emit(routing.ItemAbandoned, f"lost-{i}", queue="service", waited_s=40)
    play.emit(routing.OfferMade, "n1-0.1", offer_id="o104", extension="104", queue="service", attempt=1, epoch=1, leg_id="l",
              at=ago(75))  # fmt: skip
    play.emit(pbx.CallConnected, "n1-0.1", leg_id="l", offer_id="o104", extension="104", at=ago(71))
    play.emit(recordings.RecordingStarted, "n1-0.1", recording_id="r")
    play.emit(routing.AgentStateChanged, "n1-0.1", extension="104", state="ENGAGED", at=ago(71))
    play.emit(orders.AlertRaised, what="shop-unavailable", at=ago(30),
              message="The order system does not answer: callers hear no status and are offered a person.")  # fmt: skip


async def main() -> None:
    folder = Path("/tmp/aftercall-stage")
    folder.mkdir(exist_ok=True)
    async with stage(folder, port=int(sys.argv[1])) as (play, url):
        busy(play)
        print(url, "orders:", *sorted(play.orders), flush=True)
        round_number = 0
        while True:
            await asyncio.sleep(3)
            if play.hub.board.agents["101"].state != "READY":
                continue
            round_number += 1
            ix = f"n1-{datetime.now(UTC):%H%M%S}.{round_number}"
            await play.call_agent("101", ix, sorted(play.orders)[round_number % len(play.orders)])
            await asyncio.sleep(4)
            play.answer("101", ix)
            await asyncio.sleep(15)
            play.hang_up("101", ix)


if __name__ == "__main__":
    asyncio.run(main())
