"""The feed: everybody ends up with the truth they may see, cards reach one agent alone, a slow reader harms nobody."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.live import hub as hub_module
from app.live.hub import SEATS_PER_USER, Hub
from app.live.model import new_board
from app.live.seat import Seat, SlowReader
from core.clock import ManualClock
from core.events import DomainEvent, routing
from core.events.stream import EventStream
from core.http.routes import Caller, Role
from core.ids import CountingIds
from tests.lots import lots
from tests.unit.live.stories import DAYS, at

LI = Caller(user_id="u1", name="Li Na", roles=frozenset({Role.AGENT}), extension="101")
WANG = Caller(user_id="u2", name="Wang Fang", roles=frozenset({Role.AGENT}), extension="102")
BOSS = Caller(user_id="u3", name="Chen", roles=frozenset({Role.SUPERVISOR}))


class Client:
    """A wire and the page behind it: it keeps what it was told as the console does."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.board: dict[str, dict[str, Any]] = {}
        self.seq = -1
        self.stuck: asyncio.Event | None = None
        self.aborted = ""
        self.drained = True

    async def send(self, text: str) -> None:
        if self.stuck is not None:
            await self.stuck.wait()
        message = json.loads(text)
        self.messages.append(message)
        if message["type"] == "snapshot":
            self.board, self.seq = message["board"], message["seq"]
        elif message["type"] == "patch":
            assert message["seq"] >= self.seq
            self.seq = message["seq"]
            for section, values in message["set"].items():
                self.board.setdefault(section, {}).update(values)
            for section, ids in message["drop"].items():
                for key in ids:
                    self.board[section].pop(key, None)

    def abort(self, reason: str) -> None:
        self.aborted = reason

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]


def _hub(**values: Any) -> Hub:
    board = new_board(agents={"101": "Li Na", "102": "Wang Fang"}, queues=["service"])
    return Hub(board, clock=ManualClock(), ids=CountingIds("feed"), **values)


class Sitting:
    """Opens seats whose writers run until the block ends."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.gone = asyncio.Event()
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Sitting:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(*error)

    async def open(self, caller: Caller, client: Client | None = None, *, tells: bool = False, **values: Any) -> Client:
        client = client or Client()
        seat = Seat(caller, client, slow_s=0.02, tells=tells)
        self.hub.open(seat, **values)
        self._tasks.append(self._group.create_task(self._run(seat)))
        await settle()
        return client

    async def _run(self, seat: Seat) -> None:
        try:
            await seat.run(self.hub.texts)
        except SlowReader:
            self.hub.close(seat)
            self.gone.set()


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


CARD = {"offer_id": "o1", "interaction_id": "n1-1.1", "order": {"order_no": "A1"}}


@given(DAYS, st.data())
@settings(max_examples=lots(60), deadline=None)
async def test_every_client_ends_with_the_truth_it_may_see(events: list[DomainEvent], data: st.DataObject) -> None:
    hub = _hub()
    async with Sitting(hub) as sitting:
        clients = {who.user_id: await sitting.open(who) for who in (LI, WANG, BOSS)}
        for event in events:
            hub.handle(event)
            if data.draw(st.booleans()):
                await settle()
        await settle()
        for who in (LI, WANG, BOSS):
            assert clients[who.user_id].board == hub.snapshot(who)["board"]


@given(DAYS, DAYS)
@settings(max_examples=lots(60), deadline=None)
async def test_a_client_that_comes_back_misses_nothing(before: list[DomainEvent], meanwhile: list[DomainEvent]) -> None:
    hub = _hub(ring=20)
    async with Sitting(hub) as first:
        client = await first.open(LI)
        for event in before:
            hub.handle(event)
        await settle()
    for event in meanwhile:
        hub.handle(event)
    async with Sitting(hub) as second:
        await second.open(LI, client, since=client.seq, feed="feed-1")
        assert client.board == hub.snapshot(LI)["board"]
        assert client.seq == hub.snapshot(LI)["seq"]


async def test_a_short_absence_is_caught_up_without_a_snapshot() -> None:
    hub = _hub()
    for second in range(5):
        hub.handle(_state("101", "READY" if second % 2 else "NOT_READY", second))
    async with Sitting(hub) as sitting:
        client = Client()
        client.board, client.seq = {}, 3
        await sitting.open(LI, client, since=3, feed="feed-1")
        assert [message["type"] for message in client.messages] == ["patch"]
        assert client.messages[0]["seq"] == 5


@pytest.mark.parametrize(("since", "feed"), [(0, "another"), (99, "feed-1"), (1, "feed-1")])
async def test_a_long_absence_or_another_start_means_a_snapshot(since: int, feed: str) -> None:
    hub = _hub(ring=3)
    for second in range(9):
        hub.handle(_state("101", "READY" if second % 2 else "NOT_READY", second))
    async with Sitting(hub) as sitting:
        client = await sitting.open(LI, since=since, feed=feed)
        assert [message["type"] for message in client.messages] == ["snapshot"]


def _state(extension: str, state: str, second: float) -> routing.AgentStateChanged:
    return routing.AgentStateChanged(at=at(second), extension=extension, state=state)


async def test_a_card_is_written_before_push_returns_and_to_its_agent_only() -> None:
    hub = _hub()
    async with Sitting(hub) as sitting:
        li, again, wang, boss = [await sitting.open(who) for who in (LI, LI, WANG, BOSS)]
        assert await hub.push_card("101", CARD) == 2
        assert li.of("card") == again.of("card") == [{"type": "card", "card": CARD, "outcome": ""}]
        assert not wang.of("card") and not boss.of("card")
        assert await hub.push_card("109", CARD) == 0


async def test_push_returns_when_a_page_that_tells_has_shown_the_card() -> None:
    hub = _hub()
    async with Sitting(hub) as sitting, asyncio.TaskGroup() as group:
        client = await sitting.open(LI, tells=True)
        await sitting.open(LI)
        pushed = group.create_task(hub.push_card("101", CARD))
        await settle()
        assert client.of("card") and not pushed.done()
        hub.shown("102", "o1")
        hub.shown("101", "of another call")
        await settle()
        assert not pushed.done()
        hub.shown("101", "o1")
        assert await pushed == 2
        hub.shown("101", "o1")  # said twice, said late: nobody waits any more
        more = {**CARD, "order": {"order_no": "A2"}}
        assert await hub.push_card("101", more) == 2  # the same offer is not waited for again


async def test_a_page_that_never_shows_the_card_is_waited_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "SHOWN_S", 0.02)
    hub = _hub()
    async with Sitting(hub) as sitting:
        await sitting.open(LI, tells=True)
        async with asyncio.timeout(2):
            assert await hub.push_card("101", CARD) == 1
        assert not hub._awaited


async def test_a_card_waits_for_the_browser_that_reloads_until_it_is_dismissed() -> None:
    hub = _hub()
    assert await hub.push_card("101", CARD) == 0
    async with Sitting(hub) as sitting:
        first, second = await sitting.open(LI), await sitting.open(LI)
        assert first.of("card")[0]["card"] == CARD
        assert not hub.dismiss("102", "o1") and not hub.dismiss("101", "other")
        assert hub.dismiss("101", "o1")
        await settle()
        assert second.of("card_dismissed") == [{"type": "card_dismissed", "offer_id": "o1"}]
        assert not (await sitting.open(LI)).of("card")


async def test_a_second_call_replaces_the_card_and_more_news_of_one_offer_keeps_its_outcome() -> None:
    hub = _hub()
    async with Sitting(hub) as sitting:
        client = await sitting.open(LI)
        await hub.push_card("101", CARD)
        hub.handle(routing.OfferAccepted(at=at(1), offer_id="o1", extension="101", queue="service", waited_s=1))
        await settle()
        assert client.of("card_outcome") == [{"type": "card_outcome", "offer_id": "o1", "outcome": "accepted"}]
        await hub.push_card("101", {**CARD, "order": {"order_no": "A2"}})
        assert client.of("card")[-1]["outcome"] == "accepted"
        await hub.push_card("101", {**CARD, "offer_id": "o2"})
        assert client.of("card")[-1] == {"type": "card", "card": {**CARD, "offer_id": "o2"}, "outcome": ""}


async def test_a_missed_offer_leaves_its_card_marked_missed() -> None:
    hub = _hub()
    await hub.push_card("101", CARD)
    hub.handle(routing.OfferTimedOut(at=at(9), offer_id="o1", extension="101", rang_s=8))
    async with Sitting(hub) as sitting:
        assert (await sitting.open(LI)).of("card")[0]["outcome"] == "missed"


async def test_a_reader_that_stops_is_let_go_and_nobody_else_waits() -> None:
    hub = _hub()
    async with Sitting(hub) as sitting:
        slow, quick = await sitting.open(LI), await sitting.open(BOSS)
        slow.stuck = asyncio.Event()
        for second in range(300):
            hub.handle(_state("102", "READY" if second % 2 else "NOT_READY", second))
            if second == 5:
                await settle()
        await settle()
        assert quick.board == hub.snapshot(BOSS)["board"]
        assert await hub.push_card("101", CARD) == 0  # not written: the socket is stuck
        async with asyncio.timeout(2):
            await sitting.gone.wait()
        assert hub.seats == 1
        assert slow.aborted == "slow"


async def test_what_waits_for_a_slow_socket_is_one_merged_patch() -> None:
    hub = _hub()
    async with Sitting(hub) as sitting:
        client = await sitting.open(LI)
        before = len(client.messages)
        for second in range(200):
            hub.handle(_state("102", "READY" if second % 2 else "NOT_READY", second))
        await settle()
        assert len(client.messages) == before + 1
        assert client.board == hub.snapshot(LI)["board"]


async def test_one_person_has_a_bounded_number_of_windows() -> None:
    hub = _hub()
    async with Sitting(hub) as sitting:
        clients = [await sitting.open(LI) for _ in range(SEATS_PER_USER + 2)]
        assert [bool(client.aborted) for client in clients[:3]] == [True, True, False]


async def test_the_hub_follows_the_stream_and_recovers_when_it_fell_behind() -> None:
    stream = EventStream()
    truth = new_board(agents={"101": "Li Na", "105": "Only in the truth"}, queues=["service"])
    hub = _hub(fresh=lambda: truth)
    subscription = stream.subscribe("live", asyncio.Event(), bound=3)
    for second in range(5):
        stream.emit(_state("101", "READY", second))
    async with Sitting(hub) as sitting, asyncio.TaskGroup() as group:
        client = await sitting.open(BOSS)
        task = group.create_task(hub.run(subscription))
        await settle()
        assert client.board["agents"].keys() == {"101", "105"}
        assert client.board["agents"]["101"]["state"] == "READY"
        task.cancel()
