"""The switch obeys one owner of the queues: not the one before, not before it was told, and routes callers only while that
one proves to be alive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from app.roles.links import RemoteFault
from app.roles.telephony import OrdersFromAfar
from core.errors import Unavailable
from pbx.ami import ActionRefused
from pbx.control import Control
from pbx.heartbeat import Heartbeat
from pbx.transfer import CallOrder, EndLeg, HoldCaller, RingLeg, to_wire
from tests.unit.roles.wires import Process, Wire, running, until


class Switch:
    """The verbs, and the epoch that Asterisk holds."""

    def __init__(self, known: int = 0) -> None:
        self.known, self.epoch = known, 0
        self.rung: list[str] = []
        self.stopped: list[str] = []
        self.done: list[CallOrder] = []

    async def own(self, epoch: int) -> int:
        self.epoch = self.known = max(epoch, self.known + 1)
        return self.epoch

    async def follow(self, epoch: int) -> bool:
        if self.known > epoch:
            return False
        self.epoch = self.known = epoch
        return True

    async def offer(self, **order: Any) -> str:
        self.rung.append(order["offer_id"])
        return f"{order['interaction_id']}-{order['offer_id']}"

    async def cancel_offer(self, leg_id: str) -> None:
        self.stopped.append(leg_id)

    async def carry_out(self, order: CallOrder) -> None:
        if isinstance(order, EndLeg):
            raise ActionRefused("Hangup", "No such channel")
        self.done.append(order)


class Stage:
    def __init__(self, known: int = 0) -> None:
        self.process = Process(Wire().connect, "telephony", "t1", list)
        self.switch = Switch(known)
        self.orders = OrdersFromAfar(self.process.links, cast(Control, self.switch), cast(Heartbeat, self.switch))

    async def own(self, life: str, lease: int, epoch: int, *, held: bool = False) -> int:
        body = {"life": life, "lease": lease, "epoch": epoch, "held": held}
        return int((await self.process.links.verbs["own"](body))["epoch"])

    async def offer(self, offer_id: str, epoch: int) -> None:
        order = {"offer_id": offer_id, "interaction_id": "1", "epoch": epoch, "epoch_of_asker": epoch}
        await self.process.links.verbs["offer"](order)


async def test_an_order_of_an_owner_who_was_replaced_is_refused_and_counted() -> None:
    stage = Stage()
    assert await stage.own("a1", 1, 1) == 1
    await stage.offer("o1", 1)
    assert await stage.own("a2", 2, 2) == 2
    with pytest.raises(RemoteFault, match="replaced"):
        await stage.offer("o2", 1)
    assert stage.switch.rung == ["o1"]
    assert stage.process.figure("commands_refused", reason="old_epoch") == 1


async def test_a_phone_that_rings_for_the_owner_before_is_stopped_when_another_owns() -> None:
    stage = Stage()
    await stage.own("a1", 1, 1)
    await stage.offer("o1", 1)
    await stage.own("a2", 2, 2)
    assert stage.switch.stopped == ["1-o1"]


RING = RingLeg(interaction_id="1", leg_id="1-o7", caller="c", target="1001", ring_s=5, epoch=1)


async def test_what_is_done_to_a_talk_arrives_as_it_was_said_from_the_living_owner_alone() -> None:
    stage = Stage()
    await stage.own("a1", 1, 1)
    for order in (HoldCaller(caller="c", leg_id="1-o1", note="n"), RING):
        await stage.process.links.verbs["carry_out"]({**to_wire(order), "epoch_of_asker": 1})
    assert stage.switch.done == [HoldCaller(caller="c", leg_id="1-o1", note="n"), RING]
    with pytest.raises(RemoteFault) as refused:
        await stage.process.links.verbs["carry_out"]({**to_wire(EndLeg(leg_id="1-o1")), "epoch_of_asker": 1})
    assert (refused.value.error_id, refused.value.status) == ("switch:refused", 409)
    await stage.own("a2", 2, 2)
    assert stage.switch.stopped == ["1-o7"], "a phone that rings for the owner before is stopped"
    with pytest.raises(RemoteFault, match="replaced"):
        await stage.process.links.verbs["carry_out"]({**to_wire(RING), "epoch_of_asker": 1})


async def test_who_slept_cannot_take_the_queues_back_by_saying_it_owns_them() -> None:
    stage = Stage()
    await stage.own("a2", 2, 2)
    with pytest.raises(RemoteFault) as refused:
        await stage.own("a1", 1, 1)
    assert refused.value.error_id == "routing:superseded"
    assert stage.switch.epoch == 2


async def test_said_again_after_a_lost_place_the_epoch_stays_so_that_phones_that_ring_are_connected() -> None:
    stage = Stage(known=7)  # a database made anew counts from one again
    assert await stage.own("a1", 1, 1) == 8
    assert await stage.own("a1", 1, 8, held=True) == 8
    fresh = Stage(known=8)  # another telephony process, the same switch
    assert await fresh.own("a1", 1, 8, held=True) == 8


async def test_an_order_before_the_switch_knows_its_owner_is_not_carried_out() -> None:
    stage = Stage()
    with pytest.raises(Unavailable):
        await stage.offer("o1", 1)
    assert stage.switch.rung == []


@pytest.fixture
async def alive() -> AsyncIterator[tuple[Stage, Process]]:
    wire = Wire()
    stage = Stage()
    stage.process = Process(wire.connect, "telephony", "t1", list)
    stage.orders = OrdersFromAfar(stage.process.links, cast(Control, stage.switch), cast(Heartbeat, stage.switch))
    acd = Process(wire.connect, "acd", "a1", list)
    async with running(stage.process, acd):
        yield stage, acd


async def test_callers_are_routed_while_the_owner_beats_and_not_for_long_after(alive: tuple[Stage, Process]) -> None:
    stage, acd = alive
    assert not stage.orders.acd_lives()  # nobody has said that it owns the queues
    await stage.own("a1", 1, 1)
    await until(stage.orders.acd_lives)
    acd.links.outlet.put = lambda _key, _message: None  # type: ignore[method-assign]
    await until(lambda: not stage.orders.acd_lives(), within_s=6)
