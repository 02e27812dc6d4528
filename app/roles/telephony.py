"""The role `telephony`: one Asterisk's link, the board of its calls, the verbs on them, its menus, and its heartbeats.

Two halves. The lasting one (link, menus, the beat for its own menus) every telephony process has; the owned one (the board
that tells facts, the resync that moves callers) has whoever holds the node's lease. Does not decide who takes whom.
Invariants: without proof of life of the ACD within `PROOF_S` the switch is not told that anybody decides about those who
wait (their places are kept by the dialplan), and nobody is brought back to wait; an order of an owner of the queues who
was replaced is refused and counted; one offer rings once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from app.admission import Admission
from app.callback_desk import MenuCallbacks
from app.lookup import DeskLookup, DeskWords
from app.menus import MenuFolder
from app.roles import ACD
from app.roles.links import Json, Links, RemoteFault
from app.world.plan import read_plan
from core.db.outbox import EventLog
from core.errors import AftercallError, Unavailable
from core.events.pbx import LegAnswered, LegEnded, SwitchLinkChanged
from core.ids import new_id
from core.prompts.library import PromptLibrary
from ivr import ports
from ivr.agi_line import MenuCalls
from ivr.catalogue import SAMPLE, FlowCatalogue
from ivr.nodes.form import Known
from ivr.runner import Runner
from pbx.agi_server import AgiServer
from pbx.ami import ActionRefused, AmiAddress, AmiLink, LinkDown
from pbx.ami_events import AmiEvent
from pbx.control import Control
from pbx.heartbeat import Heartbeat
from pbx.resync import Resync
from pbx.store import open_calls
from pbx.switchboard import Switchboard
from pbx.transfer import RingLeg, from_wire

if TYPE_CHECKING:
    from app.house import House

PROOF_S = 2.0
CALLBACK_S = 1.5
TOLD_S = 1.2  # a beat, and a tick of the dialplan's watchdog
LOOK_S = 0.2
KEEP_LEGS = 5000


class JournalledSessions:
    """Satisfies `ivr.ports.Sessions`: the last place of a caller in a menu, from the event table."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def last(self, interaction_id: str) -> Mapping[str, Any] | None:
        waits = [e.record for e in await self._log.for_interaction(interaction_id) if e.record["kind"] == "FlowWaited"]
        return waits[-1]["session"] if waits else None


class Telephony:
    """`lasting()` are the tasks of every telephony process; `await own()`, then `parts()`, those of the node's owner."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.plan, self.clock, self.stream, self.links = house.plan, house.clock, house.stream, house.links
        self.link_up = asyncio.Event()
        self.serving = asyncio.Event()
        self._on_event: Callable[[AmiEvent], None] = lambda _event: None
        self._on_up: Callable[[], Awaitable[None]] | None = None
        self._on_down: Callable[[str], None] = lambda _reason: None
        self.board: Switchboard | None = None
        self._routed_since = 0.0
        self._may_record = True
        self.admission: Admission | None = None
        self.callbacks = MenuCallbacks()
        self._make_link()
        self._make_menus()
        self.orders: OrdersFromAfar | None = None
        if self.links is not None:
            self.links.link = lambda: self.link.up
            self.links.verbs |= {"record": self._record, "order_words": DeskWords(house.desk).answer}
            self.links.calls = lambda: len(self.board.calls()) if self.board is not None else 0
            if ACD not in house.roles:
                self.orders = OrdersFromAfar(self.links, self.control, self.heartbeat)
                self.callbacks.do = self._ask_acd
                self.links.routed = lambda: self._routed_for_s() > TOLD_S

    def lasting(self) -> list[Any]:
        return [self.link.run(), self.heartbeat.run(), self.menus.run()]

    def _make_link(self) -> None:
        house = self.house
        self.link = AmiLink(
            self._address,
            on_event=lambda event: self._on_event(event),
            on_up=self._link_is_up,
            on_down=self._link_is_down,
        )
        self.control = Control(self.link)
        self.heartbeat = Heartbeat(
            self.link, self.control, slot=house.slot, life=new_id()[-12:], superseded=self._superseded,
            routed=self.routed,
        )  # fmt: skip

    def _address(self) -> AmiAddress:
        """As the plan says now: passwords may have become others since we began."""
        with suppress(AftercallError):  # it cannot be read: as before
            self.plan = self.plan.model_copy(update={"ami": read_plan(self.plan.home).ami})
        ami = self.plan.ami
        return AmiAddress(ami.host, ami.port, ami.controller.user, ami.controller.password)

    def _make_menus(self) -> None:
        house = self.house
        catalogue = FlowCatalogue(
            {self.plan.dids.menu: "sample"}, self.stream, self.clock, default="sample",
            known=Known(calendars=frozenset(house.hours.calendars)),
        )  # fmt: skip
        catalogue.publish_file(SAMPLE, actor="system")
        self.menus = MenuFolder(self.plan.home / "flows", catalogue)
        self.menus.look()
        runner = Runner(
            catalogue, DeskLookup(house.desk), ports.KnownQueues(frozenset(house.settings.queues)), self.stream, self.clock,
            prompts=PromptLibrary(), calendars=house.hours.calendars, callbacks=self.callbacks,
        )  # fmt: skip
        address = self.plan.agi if house.slot == 1 else self.plan.standby_agi
        menus = MenuCalls(runner, JournalledSessions(EventLog(house.database)))
        self.agi = AgiServer(menus, host=address.host, port=address.port, crowded=house.descriptors.crowded)

    def routed(self) -> bool:
        """Whether somebody decides about those who wait: here, or proved alive within `PROOF_S` elsewhere."""
        return self.orders is None or self.orders.acd_lives()

    def _superseded(self) -> None:
        """The switch knows a newer owner of the queues than the one we beat for."""
        if ACD in self.house.roles:
            for lease in self.house.leases:
                lease.superseded()

    # --- the link, for whoever owns

    async def _link_is_up(self) -> None:
        """A new link: the heartbeat first (callers are waiting for it), then whatever the owner does."""
        await self.heartbeat.greet()
        if self._on_up is not None:
            await self._on_up()
        self.link_up.set()

    def _link_is_down(self, reason: str) -> None:
        self.link_up.clear()
        self._on_down(reason)

    # --- owning

    async def own(self, names: Mapping[str, str]) -> None:
        """The board and the resync, with the calls that a process before us told of."""
        dids, house = self.plan.dids, self.house
        async with house.database.read() as conn:
            known = await open_calls(conn)
        self.board = board = Switchboard(
            node=self.plan.node, trunk=self.plan.trunk.user, entries={dids.menu: "menu", dids.queue: "queue"},
            extensions=names, events=self.stream, clock=self.clock,
        )  # fmt: skip
        default_queue = next(iter(house.settings.queues), "service")
        self.resync = Resync(
            self.link, self.control, board, default_queue=default_queue,
            may_act=lambda: house.holds() and self.routed(),
        )  # fmt: skip
        self.resync.known = known
        self.admission = Admission(
            self.link, self.control, self.stream, self.clock, house.metrics, house.settings.admission
        )
        if self.links is not None:
            self.links.extra_living = self._what_is_there

    def take_events(self) -> None:
        """From now on the link is the owner's."""
        assert self.board is not None
        self._on_event, self._on_up, self._on_down = self.board.on_event, self._list_all, self._tell_down

    def retire(self) -> None:
        """Somebody else's from now on: no fact is told and nobody is moved by us any more."""
        self.heartbeat.disown()
        if self.orders is None:
            self.callbacks.do = None
        self._on_event, self._on_up, self._on_down = (lambda _e: None), None, (lambda _r: None)
        self.board = None
        if self.links is not None:
            self.links.extra_living = dict

    def parts(self) -> list[Any]:
        assert self.admission is not None
        parts: list[Any] = [self.resync.run(), self._take_over_link(), self.admission.run()]
        if self.orders is not None:
            assert self.links is not None
            parts += [self.links.serve("telephony").run(), self._watch_routing(), self.orders.note_legs(self.stream)]
        return parts

    async def _record(self, body: Json) -> Json:
        """A worker elsewhere sees how full the disk is."""
        await self.allow_recording(bool(body["allowed"]))
        return {}

    async def _ask_acd(self, order: Json) -> Json:
        """A menu here wants a callback of the owner of the queues elsewhere."""
        assert self.links is not None
        return await self.links.ask(ACD, "callback", order, deadline_s=CALLBACK_S)

    def live_calls(self) -> set[str] | None:
        """Whose callers are on the line; None while there is no link to know it by."""
        return {call.id for call in self.board.calls()} if self.board is not None and self.link.up else None

    def _what_is_there(self) -> Json:
        live = self.live_calls()
        return {"node": self.plan.node, "link": self.link.up, "live": sorted(live) if live is not None else None}

    async def _take_over_link(self) -> None:
        """The link that we had as a standby becomes the owner's: everything is listed, then routing may act."""
        if self.link.up:
            await self._list_all()

    async def allow_recording(self, allowed: bool) -> None:
        """Told to the dialplan, which records; again at every new link, because a switch that restarted has forgotten."""
        self._may_record = allowed
        try:
            await self.control.set_global("AC_NOREC", "0" if allowed else "1")
        except (LinkDown, ActionRefused) as error:
            structlog.get_logger().info("recording_rule_not_told", reason=str(error))

    async def _list_all(self) -> None:
        await self.resync.now()
        await self.allow_recording(self._may_record)
        self.stream.emit(SwitchLinkChanged(at=self.clock.now(), node=self.plan.node, up=True))
        self.serving.set()

    def _tell_down(self, reason: str) -> None:
        self.stream.emit(SwitchLinkChanged(at=self.clock.now(), node=self.plan.node, up=False, reason=reason))

    def _routed_for_s(self) -> float:
        return self.clock.monotonic() - self._routed_since if self._routed_since else 0.0

    async def _watch_routing(self) -> None:
        """Says when nobody decides about those who wait; brings the lost ones back as soon as somebody does again."""
        before: bool | None = None
        while True:
            now = self.routed()
            self._routed_since = (self._routed_since or self.clock.monotonic()) if now else 0.0
            if now is not before:
                structlog.get_logger().log(20 if now else 40, "routing_alive" if now else "routing_lost")
                before = now
                if now and self.link.up:
                    try:
                        await self.resync.now()
                    except (LinkDown, ActionRefused) as error:
                        structlog.get_logger().warning("resync_failed", reason=str(error))
            await asyncio.sleep(LOOK_S)


class OrdersFromAfar:
    """The verbs of telephony for an ACD that lives elsewhere: under its epoch, each offer once, and none of an older one."""

    def __init__(self, links: Links, control: Control, heartbeat: Heartbeat) -> None:
        self._links, self._control, self._heartbeat = links, control, heartbeat
        self._acd = ""  # the life that owns the queues
        self._lease = 0
        self._ringing: dict[str, int] = {}  # leg → epoch of the offer
        links.verbs |= {
            "own": self._own, "offer": self._offer, "cancel": self._cancel, "hang_up": self._hang_up,
            "set_variables": self._set_variables, "send_away": self._send_away,
            "carry_out": self._carry_out,
        }  # fmt: skip

    def acd_lives(self) -> bool:
        acd = self._links.peers.get(self._acd)
        return acd is not None and acd.owns(ACD) and self._links.alive(acd, PROOF_S)

    async def note_legs(self, stream: Any) -> None:
        """Follows which legs of ours still ring."""
        async for event in stream.subscribe("legs", asyncio.Event(), only=(LegAnswered.kind, LegEnded.kind)):
            self._ringing.pop(event.leg_id, None)

    async def _own(self, body: Json) -> Json:
        """An ACD owns the queues. Answers with the epoch that the switch holds for it."""
        life, lease, epoch = str(body["life"]), int(body["lease"]), int(body["epoch"])
        if lease < self._lease:
            self._refuse("The queues have another owner by now.")
        try:
            if body["held"] and not (life == self._acd and self._heartbeat.epoch == epoch):
                if not await self._heartbeat.follow(epoch):
                    self._refuse("The switch knows a newer owner of the queues.")
            elif not (life == self._acd and self._heartbeat.epoch):
                await self._heartbeat.own(epoch)
        except ActionRefused as error:
            raise Unavailable("switch", str(error)) from error
        self._acd, self._lease = life, lease
        for leg_id, made_under in list(self._ringing.items()):
            if made_under < self._heartbeat.epoch:  # nobody waits for its answer any more
                del self._ringing[leg_id]
                await self._control.cancel_offer(leg_id)
        return {"epoch": self._heartbeat.epoch}

    def _refuse(self, why: str) -> None:
        self._links.refused.labels("old_epoch").inc()
        raise RemoteFault("routing:superseded", why, status=409)

    def _check(self, epoch: int) -> None:
        if epoch < self._heartbeat.epoch:
            self._refuse("This owner of the queues was replaced.")
        if epoch > self._heartbeat.epoch:
            raise Unavailable("switch", "The switch does not know this owner of the queues yet.")

    async def _offer(self, body: Json) -> Json:
        self._check(int(body["epoch"]))
        order = {key: value for key, value in body.items() if key != "epoch_of_asker"}
        leg_id = f"{body['interaction_id']}-{body['offer_id']}"
        self._ringing[leg_id] = int(body["epoch"])
        while len(self._ringing) > KEEP_LEGS:
            del self._ringing[next(iter(self._ringing))]
        try:
            await self._control.offer(**order)
        except ActionRefused:
            self._ringing.pop(leg_id, None)
            raise
        return {"leg_id": leg_id}

    async def _cancel(self, body: Json) -> Json:
        self._check(int(body["epoch_of_asker"]))
        await self._control.cancel_offer(body["leg_id"])
        return {}

    async def _hang_up(self, body: Json) -> Json:
        self._check(int(body["epoch_of_asker"]))
        await self._control.hang_up(body["channel"], cause=int(body["cause"]))
        return {}

    async def _send_away(self, body: Json) -> Json:
        self._check(int(body["epoch_of_asker"]))
        await self._control.send_away(body["channel"], body["to"])
        return {}

    async def _carry_out(self, body: Json) -> Json:
        epoch = int(body["epoch_of_asker"])
        self._check(epoch)
        order = from_wire(body)
        if isinstance(order, RingLeg):
            self._ringing[order.leg_id] = epoch
        try:
            await self._control.carry_out(order)
        except ActionRefused as error:
            raise RemoteFault("switch:refused", error.reason, status=409) from error
        return {}

    async def _set_variables(self, body: Json) -> Json:
        self._check(int(body["epoch_of_asker"]))
        await self._control.set_variables(body["channel"], body["values"])
        return {}
