"""The role `acd`: who takes whom. One owner at a time, under the lease whose epoch goes with every offer.

Joins `routing` with the telephony and the screens, here or elsewhere; holds no rule of routing. When telephony lives
elsewhere, what it tells is heard over the stream; a place that was lost is taken anew from what lives there, and what we
believed in and is not there has ended. Invariants: the switch knows our epoch before anything is offered; without word
from telephony nothing is offered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from app.lookup import DeskWords, WordsAfar
from app.roles import ACD, TELEPHONY, WEB
from app.roles.links import LIVE_FEED, Fresh, Json, Links, Peer, RemoteFault
from core.errors import Unavailable
from core.events import DomainEvent, pbx, to_record
from core.events.routing import OfferMade
from core.ids import new_id
from core.lease import LeaseLost
from core.prompts.library import PromptLibrary
from pbx.ami import ActionRefused, LinkDown
from pbx.transfer import CallCustomer, CallOrder, RingLeg, to_wire
from routing import store as routing_store
from routing.acd import Acd
from routing.callbacks import store as callback_store
from routing.callbacks.where import Where
from routing.calls.model import OutsideRules
from routing.explain import agent_why, item_why
from routing.http import agent_view, agent_views, queue_views
from routing.model import WorkItem, item_record
from routing.policy.dry_run import situation_record
from routing.policy.http import situation_of
from routing.ports import OrderWords, ScreenPop
from routing.ports import Telephony as TelephonyPort
from routing.whisper import Whisper

if TYPE_CHECKING:
    from app.house import House

OFFER_S, CANCEL_S, CARD_S = 2.0, 2.0, 0.34
LOOK_S = 0.2
UNSEEN = 0
ACQUAINTED_DAYS = 30
PACE_DAYS = 1
WRITTEN_S = 2.0


class AcdRole:
    """`await make(…)`, `await begin(epoch)`, then `parts()`."""

    def __init__(self, house: House) -> None:
        self.house, self.links = house, house.links
        self.afar = TelephonyAfar(self) if self.links is not None and TELEPHONY not in house.roles else None

    async def make(self, epoch: int, names: Mapping[str, str], screen_pop: ScreenPop | None) -> None:
        house, settings = self.house, self.house.settings
        async with house.database.read() as conn:
            skills = await routing_store.skills_of_agents(conn)
            said = await routing_store.said_by_agents(conn)
            unfinished = await routing_store.unfinished(conn, house.clock.now())
            pending = await callback_store.pending(conn)
            contacts = await routing_store.contacts_since(conn, house.clock.now() - timedelta(days=PACE_DAYS))
            talks = await routing_store.talks_since(conn, house.clock.now() - timedelta(days=ACQUAINTED_DAYS))
        policy = await house.policies.load()
        telephony: TelephonyPort
        if self.afar is not None:
            telephony = self.afar
        else:
            assert house.telephony is not None
            telephony = house.telephony.control
        if screen_pop is None:
            assert self.links is not None
            screen_pop = ScreensAfar(self.links)
        self.acd = Acd(
            telephony=Fenced(telephony, house.holds), screen_pop=screen_pop, stream=house.stream, clock=house.clock,
            ids=lambda: new_id().replace("-", "")[-12:], policy=policy,
            agents=routing_store.records(names, skills), epoch=epoch, is_open=house.hours.is_open,
        )  # fmt: skip
        self.acd.book.acquainted.note_all(talks)
        house.policies.apply = self.acd.set_policy
        self.acd.restore(said, unfinished)
        outbound = settings.outbound
        self.acd.calls.outside = OutsideRules(tuple(outbound.allow), outbound.max_per_hour, outbound.ring_s)
        self.acd.callbacks.where = Where(settings.country, house.zone)
        self.acd.callbacks.caller_number = outbound.caller_number
        self.acd.callbacks.written = lambda: house.journal.written(WRITTEN_S)
        self.acd.callbacks.restore(pending.entries, up=pending.up, over=pending.over)
        self.acd.whisper(Whisper(PromptLibrary(), self._whispers, settings.language))
        self.acd.announcer.language = settings.language
        self.acd.announcer.words = self._order_words()
        self.acd.announcer.pace.remember(contacts)
        if house.telephony is not None:
            house.telephony.callbacks.do = Verbs(self.acd).callback
        if self.links is not None:
            self.links.verbs |= Verbs(self.acd).by_name()

    def _order_words(self) -> OrderWords:
        """The process with the menus has the orders."""
        links = self.links
        if self.afar is None or links is None:
            return DeskWords(self.house.desk)
        return WordsAfar(lambda body: links.ask(TELEPHONY, "order_words", body))

    def _whispers(self, queue: str) -> bool:
        return self.acd.book.policy(queue).whisper

    async def begin(self, epoch: int) -> None:
        """The switch is told whose offers count. When it does not answer, at the next link."""
        if self.afar is not None:
            self.afar.begin(epoch)
        else:
            telephony = self.house.telephony
            assert telephony is not None
            try:
                self.acd.epoch = await telephony.heartbeat.own(epoch)
            except (LinkDown, ActionRefused):
                self.acd.epoch = telephony.heartbeat.epoch = epoch
        if self.links is not None:
            self.links.epoch = self.acd.epoch
            self.links.state[ACD] = "owner"  # the proof of life by which the switch is told that somebody decides

    async def serves(self) -> None:
        """Returns when a switch is there and has been told of us."""
        if self.afar is not None:
            await self.afar.routes.wait()

    def parts(self) -> list[Any]:
        parts: list[Any] = [self.acd.run()]
        if self.links is not None:
            parts.append(self.links.serve(ACD).run())
        if self.afar is not None:
            parts.append(self.afar.run())
        return parts


class Fenced:
    """Satisfies `routing.ports.Telephony`: the verbs of `telephony`, as long as the queues are ours. Whoever slept past their
    lease rings nobody, however much they had decided before they look again."""

    def __init__(self, telephony: TelephonyPort, holds: Callable[[], bool]) -> None:
        self._telephony, self._holds = telephony, holds

    async def offer(self, **order: Any) -> str:
        if not self._holds():
            raise Unavailable("lease", "Somebody else may own the queues by now.")
        return await self._telephony.offer(**order)

    async def cancel_offer(self, leg_id: str) -> None:
        await self._telephony.cancel_offer(leg_id)

    async def set_variables(self, channel: str, values: Mapping[str, str]) -> None:
        if not self._holds():
            raise Unavailable("lease", "Somebody else may own the queues by now.")
        await self._telephony.set_variables(channel, values)

    async def send_away(self, channel: str, to: str) -> None:
        if not self._holds():
            raise Unavailable("lease", "Somebody else may own the queues by now.")
        await self._telephony.send_away(channel, to)

    async def carry_out(self, order: CallOrder) -> None:
        if not self._holds():
            raise Unavailable("lease", "Somebody else may own the queues by now.")
        await self._telephony.carry_out(order)


class TelephonyAfar:
    """Satisfies `routing.ports.Telephony` for a switch that another process holds."""

    def __init__(self, role: AcdRole) -> None:
        assert role.links is not None
        self._role, self._links = role, role.links
        self._stream, self._clock = role.house.stream, role.house.clock
        self._held = False  # whether a switch has confirmed our epoch
        self._up: Peer | None = None
        self.routes = asyncio.Event()  # a switch is there and has been told of us
        self._superseded = asyncio.Event()
        self._links.before_following = self._greet
        self._links.on_fresh.append(self._take_fresh)

    def begin(self, epoch: int) -> None:
        self._held, self._up = False, None
        self._role.acd.epoch = epoch
        for peer in self._links.peers.values():
            self._links.lose_place(peer, "news")  # what lives is heard by this owner, not by the one before

    async def run(self) -> None:
        """Tells the ACD when there is no word from telephony. Raises LeaseLost when the switch has another owner of queues."""
        while not self._superseded.is_set():
            peer = self._links.owner(TELEPHONY)
            if self._up is not None and peer is self._up and peer.routed:
                self.routes.set()
            if self._up is not None and (peer is None or peer.life != self._up.life or peer.n is None):
                self._tell_link(False, "no word from the telephony part")
                self._up = None
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._superseded.wait()
            except TimeoutError:
                continue
        raise LeaseLost("the switch has another owner of the queues")

    async def _greet(self, peer: Peer) -> None:
        """Before we hear what lives there: our epoch. Raises Unavailable when it cannot be told now."""
        if not peer.owns(TELEPHONY):
            return
        lease = next(lease for lease in self._role.house.leases if lease.name == "controller")
        if not lease.holds():
            raise Unavailable("lease", "We have slept, or the database has not answered: it may be another's.")
        body = {"life": self._links.life, "lease": lease.epoch, "epoch": self._role.acd.epoch, "held": self._held}
        try:
            said = await self._links.ask(TELEPHONY, "own", body)
        except RemoteFault as fault:
            if fault.error_id == "routing:superseded":
                self._superseded.set()
            raise
        self._held = True
        self._role.acd.epoch = self._links.epoch = int(said["epoch"])

    def _take_fresh(self, fresh: Fresh) -> None:
        if not fresh.peer.owns(TELEPHONY):
            return
        self._tell_link(False, "its calls are being listed")
        for event in (*fresh.events, *over(fresh, self._clock.now())):
            if not isinstance(event, pbx.SwitchLinkChanged):
                self._stream.hear(event, but={LIVE_FEED})
        if fresh.said.get("link"):
            self._tell_link(True, "")
        self._up = fresh.peer

    def _tell_link(self, up: bool, reason: str) -> None:
        node = self._role.house.plan.node
        told = pbx.SwitchLinkChanged(at=self._clock.now(), node=node, up=up, reason=reason)
        self._stream.hear(told, but={LIVE_FEED})

    # --- verbs

    async def offer(
        self, *, offer_id: str, interaction_id: str, caller_channel: str, extension: str, ring_s: float, epoch: int,
        caller_number: str = "", caller_name: str = "", headers: Mapping[str, str] | None = None,
        whisper: Sequence[str] = (),
    ) -> str:  # fmt: skip
        """Raises Unavailable when it is not known whether the phone rings, RemoteFault when it was refused."""
        order = {
            "offer_id": offer_id, "interaction_id": interaction_id, "caller_channel": caller_channel,
            "extension": extension, "ring_s": ring_s, "epoch": epoch, "caller_number": caller_number,
            "caller_name": caller_name, "headers": dict(headers or {}), "whisper": list(whisper),
        }  # fmt: skip
        said = await self._links.ask(TELEPHONY, "offer", order, deadline_s=OFFER_S, key=f"offer:{offer_id}")
        return str(said["leg_id"])

    async def cancel_offer(self, leg_id: str) -> None:
        await self._links.ask(TELEPHONY, "cancel", {"leg_id": leg_id}, deadline_s=CANCEL_S)

    async def send_away(self, channel: str, to: str) -> None:
        await self._links.ask(TELEPHONY, "send_away", {"channel": channel, "to": to})

    async def carry_out(self, order: CallOrder) -> None:
        """Raises Unavailable when it is not known whether it was done, RemoteFault when it was refused."""
        key = f"ring:{order.leg_id}" if isinstance(order, RingLeg) else ""
        if isinstance(order, CallCustomer):
            key = f"ring:{order.interaction_id}"
        await self._links.ask(TELEPHONY, "carry_out", to_wire(order), deadline_s=OFFER_S, key=key)

    async def hang_up(self, channel: str, *, cause: int = 16) -> None:
        await self._links.ask(TELEPHONY, "hang_up", {"channel": channel, "cause": cause})

    async def set_variables(self, channel: str, values: Mapping[str, str]) -> None:
        await self._links.ask(TELEPHONY, "set_variables", {"channel": channel, "values": dict(values)})


Leg = pbx.LegRinging | pbx.LegAnswered | pbx.CallConnected


def over(fresh: Fresh, now: datetime) -> list[DomainEvent]:
    """The ends of calls and legs that we believed in and that do not live: whoever told them was not heard, or is gone."""
    live = fresh.said.get("live")
    if live is None:
        return []
    calls: set[str] = set()
    legs: dict[str, Leg] = {}
    answered: set[str] = set()
    for event in fresh.believed:
        if isinstance(event, pbx.CallArrived | pbx.CallWaiting | pbx.CallConnected):
            calls.add(event.interaction_id)
        if isinstance(event, Leg):
            legs[event.leg_id] = event
        if isinstance(event, pbx.LegAnswered | pbx.CallConnected):
            answered.add(event.leg_id)
    ended = {event.leg_id for event in (*fresh.believed, *fresh.events) if isinstance(event, pbx.LegEnded)}
    there = {event.leg_id for event in fresh.events if isinstance(event, Leg)}
    calls -= {e.interaction_id for e in (*fresh.believed, *fresh.events) if isinstance(e, pbx.CallEnded)}
    gone = [leg for leg_id, leg in legs.items() if leg_id not in ended | there]
    return [
        *(pbx.LegEnded(
            interaction_id=leg.interaction_id, at=now, leg_id=leg.leg_id, offer_id=leg.offer_id, extension=leg.extension,
            cause=UNSEEN, answered=leg.leg_id in answered,
        ) for leg in gone),
        *(pbx.CallEnded(interaction_id=ix, at=now, reason="unseen", cause=0) for ix in sorted(calls - set(live))),
    ]  # fmt: skip


class ScreensAfar:
    """Satisfies `routing.ports.ScreenPop` for agents whose browsers are at web processes elsewhere: it is awaited until one
    of them shows the card, or all have answered."""

    def __init__(self, links: Links) -> None:
        self._links = links

    async def push(self, offer: OfferMade, item: WorkItem) -> None:
        webs = self._links.with_role(WEB)
        if not webs:
            return
        body = {"offer": to_record(offer), "item": item_record(item)}
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._push(web, body)) for web in webs]
            for first in asyncio.as_completed(asked):
                if await first:
                    break
            for task in asked:
                task.cancel()

    async def _push(self, web: Peer, body: Json) -> int:
        """The number of windows it was written to."""
        try:
            said = await self._links.ask(web.inbox, "card", body, deadline_s=CARD_S)
        except (Unavailable, RemoteFault) as error:
            structlog.get_logger().warning("card_not_acknowledged", web=web.name, reason=error.message)
            return 0
        return int(said["feeds"])


class Verbs:
    """What web processes elsewhere ask of the ACD."""

    def __init__(self, acd: Acd) -> None:
        self._acd = acd

    def by_name(self) -> dict[str, Any]:
        return {
            "agents": self._agents, "queues": self._queues, "set_state": self._set_state,
            "finish_wrap_up": self._finish_wrap_up, "extend_wrap_up": self._extend_wrap_up, "call": self._call,
            "callback": self.callback,
            "situation": self._situation, "move": self._move, "give": self._give, "agent_why": self._agent_why,
            "item_why": self._item_why,
        }  # fmt: skip

    async def _agents(self, _body: Json) -> Json:
        return {"items": [view.model_dump(mode="json") for view in agent_views(self._acd)]}

    async def _queues(self, _body: Json) -> Json:
        return {"items": [view.model_dump(mode="json") for view in queue_views(self._acd)]}

    async def _move(self, body: Json) -> Json:
        self._acd.move(body["interaction_id"], body["queue"], actor=body["actor"])
        return await self._item_why(body)

    async def _give(self, body: Json) -> Json:
        self._acd.give(body["interaction_id"], body["extension"], actor=body["actor"])
        return await self._item_why(body)

    async def _situation(self, _body: Json) -> Json:
        return situation_record(situation_of(self._acd.book))

    async def _agent_why(self, body: Json) -> Json:
        return agent_why(self._acd, body["extension"]).model_dump(mode="json")

    async def _item_why(self, body: Json) -> Json:
        return item_why(self._acd, body["interaction_id"]).model_dump(mode="json")

    async def _call(self, body: Json) -> Json:
        return await self._acd.calls.do(body)

    async def callback(self, body: Json) -> Json:
        return self._acd.callbacks.do(body)

    async def _set_state(self, body: Json) -> Json:
        agent = self._acd.set_state(body["extension"], body["state"], body["reason"], actor=body["actor"])
        return agent_view(agent).model_dump(mode="json")

    async def _finish_wrap_up(self, body: Json) -> Json:
        agent = self._acd.finish_wrap_up(
            body["extension"], disposition=body["disposition"], note=body["note"], actor=body["actor"]
        )
        return agent_view(agent).model_dump(mode="json")

    async def _extend_wrap_up(self, body: Json) -> Json:
        agent = self._acd.extend_wrap_up(body["extension"], body["seconds"], actor=body["actor"])
        return agent_view(agent).model_dump(mode="json")
