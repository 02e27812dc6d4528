"""B7: the order card is on the agent's live feed before the phone is told to ring, while the shop takes up to 300 ms.

On each call two look: ours, whose card comes from memory before the offer; and a plain computer-telephony client that is
told by Asterisk that the phone rings and then asks the shop for the caller's orders. Promise: in at least 99 % of calls the
frame, with the caller's order in it, has left our process before the switch is told to ring (the call's timeline says so,
and the frame is here). Frames and INVITEs have the kernel's time of arrival besides, so that it matters little when this
busy process looks; a frame that shares a segment with a later one counts as late as that one. When the card stands in the
page itself is measured where there is a browser (`tests/real/console`).
"""

from __future__ import annotations

import asyncio
import random
import re
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp

from app.world.outside import OutsideWorld
from app.world.plan import read_plan
from bench.figures import Figure, at, figure, spread
from bench.kernel_time import StampedFeed, StampedPhone
from bench.switch import PEER_SECRET, BareAmi, Switch

AGENTS, AT_ONCE, CALLS = 3, 4, 240
ORDERS = 400
SETTINGS = {"SPEECH__ENABLED": "false", "SAMPLE__ORDERS": str(ORDERS)}
LATENCIES_MS = (0, 100, 200, 300)
SHARE = 0.99
MANAGER = f"""[bench]
secret = {PEER_SECRET}
deny = 0.0.0.0/0.0.0.0
permit = 127.0.0.1/255.255.255.255
read = call
write = originate
"""


class Shop:
    """The sample shop as a stranger uses it."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session, self._url = session, url
        self._headers = {"Authorization": f"Bearer {token}"}

    async def slow(self, latency_ms: int) -> None:
        """From now on every answer takes so long."""
        async with self._session.post(
            f"{self._url}/knobs", json={"latency_ms": latency_ms}, headers=self._headers
        ) as answer:
            assert answer.status == 200

    async def orders_of(self, number: str) -> list[Any]:
        query = {"mobile": number}
        async with self._session.get(f"{self._url}/v2/purchases", params=query, headers=self._headers) as answer:
            return list((await answer.json())["data"])


class Calls:
    """What was seen of each call, by its offer: wall-clock times, and the order the card names."""

    def __init__(self) -> None:
        self.invited: dict[str, float] = {}
        self.interaction: dict[str, str] = {}
        self.written: set[str] = set()
        self.carded: dict[str, float] = {}
        self.named: dict[str, str] = {}
        self.looked_up: dict[str, float] = {}

    async def take_timelines(self, world: OutsideWorld) -> None:
        """Which cards had left for a socket before the phone rang."""
        for offer_id, interaction_id in self.interaction.items():
            story = await world.get(f"calls/{interaction_id}")
            told = [(event["kind"], event["data"]) for event in story["timeline"]]
            rang = next(place for place, (kind, _) in enumerate(told) if kind == "LegRinging")
            if any(
                kind == "CardPushed" and data["feeds"] and data["offer_id"] == offer_id for kind, data in told[:rang]
            ):
                self.written.add(offer_id)

    def take_cards(self, feed: StampedFeed) -> None:
        for came, message in feed.frames:
            if message.get("type") == "card":
                card = message["card"]
                self.carded.setdefault(card["offer_id"], came)
                self.named.setdefault(card["offer_id"], card["pop"].get("order_id", ""))


async def serve(phone: StampedPhone, calls: Calls) -> None:
    """An agent who answers at once and is brief."""
    while True:
        call = await phone.next_call(timeout_s=3600)
        offer_id = call.header("x-aftercall-offer")
        calls.invited[offer_id] = phone.invited[call.call_id]
        calls.interaction[offer_id] = call.header("x-aftercall-interaction")
        call.answer()
        await asyncio.sleep(0.15)
        call.hang_up()
        await call.until("ended")


async def plain_client(ami: BareAmi, shop: Shop, calls: Calls, group: asyncio.TaskGroup) -> None:
    """Asks the shop when Asterisk says that a phone rings."""

    async def look_up(offer_id: str, number: str) -> None:
        if await shop.orders_of(number):
            calls.looked_up[offer_id] = time.time()

    while True:
        event = await ami.next()
        if event.get("Event") == "Newstate" and event["ChannelStateDesc"] == "Ringing":
            group.create_task(look_up(event["Uniqueid"].rpartition("-")[2], event["ConnectedLineNum"]))


async def customers(world: OutsideWorld, shop: Shop) -> None:
    """`CALLS` customers with orders, `AT_ONCE` of them at a time; the shop's latency changes as they come."""
    numbers = [order["ani"] for order in world.facts["sample"]["orders"] if order["ani"]]
    chance = random.Random(7)
    turn = asyncio.Semaphore(AT_ONCE)
    phone = await world.caller()

    async def one(number: int) -> None:
        async with turn:
            if number % 10 == 0:
                await shop.slow(chance.choice(LATENCIES_MS))
            call = await phone.call(world.facts["dids"]["queue"], from_user=numbers[number % len(numbers)])
            await call.until("ended", timeout_s=60)

    async with asyncio.TaskGroup() as group:
        for number in range(CALLS):
            group.create_task(one(number))


def orders_are_known(health: Any) -> bool:
    """The controller has read the whole shop: it tells how many orders it knows."""
    words = next(part["words"] for part in health["parts"] if part["name"] == "orders")
    return any(int(number) >= ORDERS for number in re.findall(r"\d+", words))


async def _run() -> list[Figure]:
    calls = Calls()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="aftercall-b7-", ignore_cleanup_errors=True))
        home = Path(folder) / "home"
        world = await stack.enter_async_context(OutsideWorld(home, settings=SETTINGS))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        shop = Shop(session, world.facts["shop"], read_plan(home).shop.token)
        await Switch(world).add(manager=MANAGER)
        await world.get_until("../health", orders_are_known, timeout_s=60)
        feeds, phones = [], []
        for number, agent in enumerate(world.facts["agents"][:AGENTS]):
            feeds.append(StampedFeed())
            stack.callback(feeds[-1].close)
            await feeds[-1].open(world.facts["http"], agent["token"])
            phone = await StampedPhone.open(world.sip, agent["extension"], agent["sip_password"])
            phones.append(await stack.enter_async_context(phone))
            await phone.register()
            await world.ready(number)
        ami = BareAmi()
        await ami.open(world.facts["ami"]["host"], world.facts["ami"]["port"], "bench", PEER_SECRET)
        async with asyncio.timeout(170), asyncio.TaskGroup() as group:
            tasks = [group.create_task(plain_client(ami, shop, calls, group))]
            tasks += [group.create_task(feed.run()) for feed in feeds]
            tasks += [group.create_task(serve(phone, calls)) for phone in phones]
            await customers(world, shop)
            await asyncio.sleep(max(LATENCIES_MS) / 1000 + 0.5)
            for task in tasks:
                task.cancel()
        ami.close()
        for feed in feeds:
            calls.take_cards(feed)
        await calls.take_timelines(world)
    return _figures(calls)


def _figures(calls: Calls) -> list[Figure]:
    n = len(calls.invited)
    lead = {
        offer: (calls.invited[offer] - came) * 1000 for offer, came in calls.carded.items() if offer in calls.invited
    }
    late = {
        offer: (calls.invited[offer] - came) * 1000 for offer, came in calls.looked_up.items() if offer in calls.invited
    }
    named = {offer for offer in lead if calls.named[offer]}
    written, arrived = len(named & calls.written) / n, sum(lead[offer] > 0 for offer in named) / n
    theirs = sum(ms > 0 for ms in late.values()) / n
    mine_ms, theirs_ms = list(lead.values()), list(late.values())
    return [
        figure("B7", "card_written_before_ring_share", written, theirs, target=f">= {SHARE:g}", ok=written >= SHARE, n=n),
        figure("B7", "card_arrived_before_invite_share", arrived, theirs, target="reported", ok=True, n=n),
        figure("B7", "card_ahead_of_invite_p50_ms", at(mine_ms, 50), at(theirs_ms, 50), target="> 0", ok=at(mine_ms, 50) > 0,
               n=len(mine_ms), spread=spread(mine_ms), peer_spread=spread(theirs_ms)),
        figure("B7", "card_in_page_before_invite_share", None, None, target="not measured here", ok=True, n=0,
               note="needs Chromium; tests/real/console measures it"),
    ]  # fmt: skip


def run() -> list[Figure]:
    """The figures of B7."""
    return asyncio.run(_run())
