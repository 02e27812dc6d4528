"""A process's joins with the roles that live elsewhere: what is told, who is alive, what is asked and answered.

Does not know what any role does with it. Over Redis Streams (`core/bus/streams.py`): each process numbers what it tells,
beats twice a second, and answers who asks it what of its story still lives. Invariants: nobody waits for Redis on a
caller's path, but for an answer within the asker's own deadline; a message that is missing is found by its number within
a second, and then the whole is asked for anew, never guessed; a command too late, doubled, or of an owner who was
replaced has no effect.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from app.roles import ACD, TELEPHONY, TRANSCRIBER, WEB, WORKER
from app.roles.living import Living, merged
from core.bus.model import Message
from core.bus.streams import KEEP_REPLIES, Commands, Connect, Outlet, RedisTime, Tail
from core.clock import Clock
from core.errors import AftercallError, Unavailable
from core.events import DomainEvent, from_record, ivr, pbx, to_record
from core.events.stream import EventStream
from core.metrics import Metrics

Json = dict[str, Any]
Verb = Callable[[Json], Awaitable[Json]]
FACTS, EVENTS, BEATS = "told:facts", "told:events", "beats"
BEAT_S, ALIVE_S, STALE_MS, FORGET_S, ECHO_S = 0.5, 2.5, 1500, 60.0, 3.0
ASK_S, LIVING_S, AGAIN_S = 2.0, 2.0, 0.2
MOST_WAITING = 20_000
LIVE_FEED = "live"  # the board's subscription: it is drawn anew and not told again
HEARS = {ACD: {FACTS}, WEB: {FACTS, EVENTS}, WORKER: {FACTS}, TRANSCRIBER: {EVENTS}, TELEPHONY: set[str]()}


@dataclass
class Peer:
    """One life of a process elsewhere, as its last beat told. `n`: the last of its messages that we have heard in its place
    (None = we hold no place in its story)."""

    name: str
    life: str
    since: str = ""
    roles: dict[str, str] = field(default_factory=dict)
    epoch: int = 0
    link: bool = False
    routed: bool = False
    calls: int = 0
    tells_on: str = ""
    heard_at: float = 0.0
    n: int | None = None
    waiting: list[Message] = field(default_factory=list)
    living: Living = field(default_factory=Living)
    live: set[str] = field(default_factory=set)  # callers on the line, of an owner of the switch

    @property
    def inbox(self) -> str:
        return f"{self.name}.{self.life}"

    def owns(self, role: str) -> bool:
        return self.roles.get(role) == "owner"


@dataclass(frozen=True)
class Fresh:
    """What lives of a peer's story, at the place that we have just taken in it. `believed`: what we had heard of everybody
    before; `said`: what the peer adds (`live`, `link`)."""

    peer: Peer
    events: list[DomainEvent]
    believed: list[DomainEvent]
    said: Json


class RemoteFault(AftercallError):
    """What went wrong at the role that was asked."""


class Links:
    """`run()` for ever. `verbs` are what may be asked of this process by name; `serve(role)` are the
    commands of a role we own."""

    def __init__(
        self, connect: Connect, *, name: str, roles: Iterable[str], life: str, stream: EventStream, clock: Clock,
        metrics: Metrics,
    ) -> None:  # fmt: skip
        self.name, self.life, self._roles = name, life, frozenset(roles)
        self._stream, self._clock, self._connect = stream, clock, connect
        self.time = RedisTime(clock.monotonic)
        self.outlet = Outlet(connect, self.time)
        self.tells_on = FACTS if TELEPHONY in self._roles else EVENTS
        self.hears = {key for role in self._roles for key in HEARS[role]}
        self.inbox = f"{name}.{life}"
        self._tail = Tail(connect, [*sorted(self.hears), f"to:{self.inbox}", BEATS], self._take)
        self._since = clock.now().isoformat(timespec="seconds")
        self.living = Living()
        self.peers: dict[str, Peer] = {}
        self.state: dict[str, str] = {}  # ours, role → standby, owner, draining
        self.epoch = 0
        self.link: Callable[[], bool] = lambda: False
        self.calls: Callable[[], int] = lambda: 0
        self.routed: Callable[[], bool] = lambda: False  # whether the switch has been told that somebody decides
        self.verbs: dict[str, Verb] = {"living": self._tell_living}
        self.extra_living: Callable[[], Json] = dict
        self.before_following: Callable[[Peer], Awaitable[None]] = _nothing
        self.on_fresh: list[Callable[[Fresh], None]] = []
        self._told = 0
        self._number = 0
        self._asked: dict[str, asyncio.Future[Json]] = {}
        self._done: OrderedDict[str, asyncio.Future[Json]] = OrderedDict()
        self._unfollowed = asyncio.Event()
        self._answers: asyncio.TaskGroup | None = None
        self._echo_at = 0.0
        self.refused = metrics.counter("commands_refused", "Commands of other roles that had no effect", ("reason",))
        self.gaps = metrics.counter("stream_gaps", "Times a place in another process's story was lost", ("of",))
        self.doubled = metrics.counter("stream_doubled", "Messages that had been heard before")
        dropped = metrics.gauge("stream_dropped", "Messages that were not sent because Redis did not take them")
        dropped.set_function(lambda: self.outlet.dropped)
        stream.abroad = self.tell

    async def run(self) -> None:
        async with asyncio.TaskGroup() as self._answers:
            for work in (self.outlet.run(), self._tail.run(), self._beat(), self._follow_ever()):
                self._answers.create_task(work)

    # --- telling

    def tell(self, event: DomainEvent) -> None:
        """What this process tells: to everybody elsewhere, at once."""
        if isinstance(event, ivr.FlowWaited):
            event = replace(event, session={})  # for whoever resumes the flow, who finds it in the journal
        self.living.note(event)
        self._told += 1
        self.outlet.put(self.tells_on, {"l": self.life, "n": self._told, "e": to_record(event)})

    async def _beat(self) -> None:
        before = 0
        await self._tail.started.wait()  # who hears of us may ask us
        while True:
            now = self._clock.monotonic()
            self._echo_at = self._echo_at or now
            if self.outlet.up and now - self._echo_at > ECHO_S:
                self._tail.forget_places()  # what we write does not come back: our places are of another Redis
                self._echo_at = now
            self.outlet.put(BEATS, {
                "l": self.life, "name": self.name, "since": self._since, "roles": self.state, "epoch": self.epoch,
                "link": self.link(), "calls": self.calls(), "routed": self.routed(),
                "on": self.tells_on, "n": before, "at": self.time.now_ms(),
            })  # fmt: skip
            before = self._told  # of the last beat: by the next one it must have been heard
            await asyncio.sleep(BEAT_S)

    async def _tell_living(self, _body: Json) -> Json:
        return {"n": self._told, "events": [to_record(event) for event in self.living.events()], **self.extra_living()}

    # --- hearing

    def _take(self, key: str, message: Message) -> None:
        if key == BEATS:
            self._hear_beat(message)
        elif key in self.hears:
            self._hear_told(message)
        elif "re" in message:
            self._hear_answer(message)
        else:
            assert self._answers is not None
            self._answers.create_task(self.answer(message))

    def _hear_beat(self, said: Message) -> None:
        now = self._clock.monotonic()
        if said["l"] == self.life:
            self._echo_at = now
            return
        if abs(self.time.now_ms() - int(said["at"])) > STALE_MS:
            return  # it lay somewhere, and proves nothing
        peer = self.peers.setdefault(said["l"], Peer(said["name"], said["l"]))
        owned = peer.owns(TELEPHONY)
        was_silent = bool(peer.heard_at) and now - peer.heard_at > ALIVE_S
        peer.name, peer.since, peer.roles, peer.epoch = said["name"], said["since"], said["roles"], said["epoch"]
        peer.link, peer.calls, peer.tells_on, peer.heard_at = said["link"], said["calls"], said["on"], now
        peer.routed = bool(said.get("routed"))
        missing = peer.n is not None and peer.n < said["n"] and not self._tail.behind
        if missing or was_silent or peer.owns(TELEPHONY) != owned:
            self.lose_place(peer, "beat" if missing else "news")
        if peer.n is None:
            self._unfollowed.set()

    def _hear_told(self, said: Message) -> None:
        if said["l"] == self.life:
            return
        peer = self.peers.setdefault(said["l"], Peer("", said["l"]))
        if peer.n is not None and said["n"] > peer.n + 1:
            self.lose_place(peer, "gap")
        if peer.n is None:
            peer.waiting.append(said)
            if len(peer.waiting) > MOST_WAITING:
                del peer.waiting[: MOST_WAITING // 2]  # a gap, which will be found
        elif said["n"] <= peer.n:
            self.doubled.inc()
        else:
            self._accept(peer, said)

    def _accept(self, peer: Peer, said: Message) -> None:
        peer.n = int(said["n"])
        try:
            event = from_record(said["e"])
        except (KeyError, TypeError, ValueError) as error:
            structlog.get_logger().warning("event_not_understood", of=peer.name, reason=repr(error))
            return
        peer.living.note(event)
        if isinstance(event, pbx.CallEnded):
            self.living.close(event.interaction_id)
            for other in self.peers.values():
                other.living.close(event.interaction_id)
                other.live.discard(event.interaction_id)
        elif isinstance(event, pbx.CallArrived | pbx.CallWaiting | pbx.CallConnected):
            peer.live.add(event.interaction_id)
        self._stream.hear(event)

    def lose_place(self, peer: Peer, why: str) -> None:
        """What we know of its story is not enough: what lives of it is asked for anew. `why`: gap, beat; news = no loss."""
        if peer.n is not None and why != "news":
            self.gaps.labels(peer.name or "unknown").inc()
            structlog.get_logger().warning("stream_place_lost", of=peer.name, why=why, heard=peer.n)
        peer.n, peer.waiting = None, []
        self._unfollowed.set()

    # --- following the story of another process

    async def _follow_ever(self) -> None:
        await self._tail.started.wait()
        while True:
            self._unfollowed.clear()
            now = self._clock.monotonic()
            for life in [life for life, peer in self.peers.items() if peer.heard_at and now - peer.heard_at > FORGET_S]:
                del self.peers[life]
            again = False
            for peer in sorted(self.peers.values(), key=lambda peer: not peer.owns(TELEPHONY)):  # calls first
                if peer.n is None and peer.tells_on in self.hears and self.alive(peer):
                    again |= not await self._follow(peer)
            try:
                async with asyncio.timeout(AGAIN_S if again else 5.0):
                    await self._unfollowed.wait()
            except TimeoutError:
                continue

    async def _follow(self, peer: Peer) -> bool:
        """Takes our place in its story: what lives of it, then what it tells from there on. False when it did not answer."""
        try:
            await self.before_following(peer)
            said = await self.ask(peer.inbox, "living", {}, deadline_s=LIVING_S)
        except AftercallError as error:
            structlog.get_logger().info("not_followed_yet", of=peer.name, reason=error.message)
            return False
        events = [event for record in said["events"] if (event := _understood(record)) is not None]
        believed = merged(other.living for other in self.peers.values())
        peer.living, peer.live = Living(), set(said.get("live") or ())
        for event in events:
            peer.living.note(event)
        peer.n, waiting, peer.waiting = int(said["n"]), peer.waiting, []
        structlog.get_logger().info("following", of=peer.name, n=peer.n, events=len(events))
        for take in self.on_fresh:
            take(Fresh(peer, events, believed, said))
        for message in waiting:
            self._hear_told(message)
        return peer.n is not None

    def alive(self, peer: Peer, within_s: float = ALIVE_S) -> bool:
        return self._clock.monotonic() - peer.heard_at <= within_s and bool(peer.heard_at)

    def with_role(self, role: str, *, within_s: float = ALIVE_S) -> list[Peer]:
        """Living processes that own the role (or serve it)."""
        return [peer for peer in self.peers.values() if peer.owns(role) and self.alive(peer, within_s)]

    def owner(self, role: str, *, within_s: float = ALIVE_S) -> Peer | None:
        """The living process that owns the role: of two, the one of the newer epoch, then the one heard last."""
        found = self.with_role(role, within_s=within_s)
        return max(found, key=lambda peer: (peer.epoch, peer.heard_at), default=None)

    # --- asking and answering

    async def ask(self, to: str, verb: str, body: Json, *, deadline_s: float = ASK_S, key: str = "") -> Json:
        """What the role or process `to` answers. `key` names the effect: asked twice, it is had once. Raises Unavailable when
        there is no answer in time (whether it took effect is not known), RemoteFault for what went wrong there."""
        self._number += 1
        number = f"{self.life}-{self._number}"
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        until = self.time.now_ms() + int(deadline_s * 1000)
        self.outlet.put(f"to:{to}", {
            "q": number, "from": self.inbox, "verb": verb, "body": body, "until": until, "key": key, "epoch": self.epoch,
        })  # fmt: skip
        try:
            async with asyncio.timeout(deadline_s):
                said: Json = await answer
                return said
        except TimeoutError as error:
            role = to.partition(".")[0]
            raise Unavailable(role, f"The {role} part does not answer.") from error
        finally:
            del self._asked[number]

    def _hear_answer(self, said: Message) -> None:
        answer = self._asked.get(said["re"])
        if answer is None or answer.done():
            return  # too late: nobody waits for it
        if "error" not in said:
            return answer.set_result(said["ok"])
        fault = said["error"]
        if fault["status"] == 503:
            error: AftercallError = Unavailable("switch", fault["message"])
            error.error_id = fault["id"]
        else:
            error = RemoteFault(fault["id"], fault["message"], hint=fault["hint"], status=fault["status"])
        answer.set_exception(error)

    def serve(self, role: str) -> Commands:
        """The commands to a role that we own; run it as long as we do."""
        return Commands(self._connect, f"to:{role}", self.name, self.answer)

    async def answer(self, asked: Message) -> None:
        """Does what is asked, once for each key, and says what came of it. Never raises."""
        key = asked.get("key") or asked["q"]
        try:
            if asked["until"] < self.time.now_ms():
                self.refused.labels("late").inc()
                raise Unavailable("link", "It came too late.")
            if key in self._done:
                self.refused.labels("doubled").inc()
                said = {"ok": await asyncio.shield(self._done[key])}
            else:
                said = {"ok": await self._do(key, asked)}
        except Exception as error:
            said = {"error": _fault(error)}
        self.outlet.put(f"to:{asked['from']}", {"re": asked["q"], **said})

    async def _do(self, key: str, asked: Message) -> Json:
        verb = self.verbs.get(asked["verb"])
        if verb is None:
            raise RemoteFault("core:verb", f"There is no '{asked['verb']}' here.", status=404)
        done: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._done[key] = done
        while len(self._done) > KEEP_REPLIES:
            self._done.popitem(last=False)
        try:
            result = await verb({**asked["body"], "epoch_of_asker": asked.get("epoch", 0)})
        except BaseException as error:
            done.set_exception(error if isinstance(error, Exception) else Unavailable("link", "We end."))
            done.exception()  # told to whoever asked first
            raise
        done.set_result(result)
        return result


async def _nothing(_peer: Peer) -> None:
    return None


def _understood(record: Json) -> DomainEvent | None:
    try:
        return from_record(record)
    except (KeyError, TypeError, ValueError):
        return None


def _fault(error: Exception) -> Json:
    if isinstance(error, AftercallError):
        return {"id": error.error_id, "message": error.message, "hint": error.hint, "status": error.status}
    return {"id": "core:failed", "message": f"{type(error).__name__}: {error}", "hint": "", "status": 500}
