"""The order desk: what menus and agents ask about orders, answered in time and to the right people only.

Decides which answer a look-up gets. Does not decide what may be told at a level (`ladder.py`), which order is likeliest
(`match.py`), or how it is said (`speech.py`).

Invariants: `look_up` answers within its deadline, whatever the shop does; `candidates` and `card_for` ask nobody and
never wait; a wrong order number and a wrong second factor give one answer after one time; tries are limited before the
shop is asked; nothing is spoken from a copy that could not be confirmed.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from enum import StrEnum
from typing import Any

import structlog

from core.clock import Clock
from core.events.orders import AlertCleared, AlertRaised
from core.events.stream import EventSink
from orders_bridge.adapter import BUDGET_S, ShopAdapter, ShopBusy, ShopError
from orders_bridge.attempts import Attempts
from orders_bridge.card import pop
from orders_bridge.feed import OrderFeed
from orders_bridge.index import OrderIndex
from orders_bridge.ladder import Attempt, Level, Limits, level_for
from orders_bridge.match import Candidate, choose, rank
from orders_bridge.model import Order
from orders_bridge.numbers import e164, normalise
from orders_bridge.store import Storage
from orders_bridge.transport import Sleep

SETTLE_S = 0.3  # "no such order" is told at a multiple of this, so that its time tells nothing about the reason
FRESH_S = 10.0  # a copy confirmed so recently is spoken from without asking again
ALARM_AFTER_S = 5.0
MOST_SPOKEN = 5
_ORDER_NO = re.compile(r"[0-9]{6,12}")
ALARM = "shop-unavailable"

log = structlog.get_logger("orders")


class LookupKind(StrEnum):
    FOUND = "found"
    SEVERAL = "several"
    NONE = "none"
    SLOW = "slow"
    ERROR = "error"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class LookupAnswer:
    """`orders`: one when found, the likeliest first when several. `level` is what the caller has proved with this
    look-up. `reason`: the limit that refused (call, caller, order) or the error's stable id; for logs, not for callers.
    """

    kind: LookupKind
    orders: tuple[Order, ...] = ()
    level: Level = Level.NOBODY
    took_ms: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeskHealth:
    """`state`: loading, ok, or down. `orders` in the index. `since_s` = seconds since the shop last answered well."""

    state: str
    orders: int
    breaker: str
    last_error: str
    since_s: float | None
    unreadable: int
    unsaved: bool


class OrderDesk:
    """One for each shop. `zone` is the shop's (its calendar day is "today"), `country` the callers' default."""

    def __init__(
        self,
        adapter: ShopAdapter,
        events: EventSink,
        clock: Clock,
        *,
        zone: tzinfo,
        country: str = "CN",
        storage: Storage | None = None,
        limits: Limits | None = None,
        index: OrderIndex | None = None,
        poll_every_s: float = 3.0,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._adapter = adapter
        self._events = events
        self._clock = clock
        self._zone = zone
        self._country = country
        self._sleep = sleep
        self._index = index or OrderIndex()
        self._attempts = Attempts(clock, limits)
        self._feed = OrderFeed(
            adapter, self._index, storage, events, clock, heard=self._heard, every_s=poll_every_s, sleep=sleep
        )
        self._opened: OrderedDict[tuple[str, str], Attempt] = OrderedDict()
        self._good_s: float | None = None
        self._bad_since_s: float | None = None
        self._alarmed = False

    @property
    def available(self) -> bool:
        """False from the first failed question on until the shop answers again."""
        return self._bad_since_s is None

    def today(self) -> date:
        """The calendar day at the shop."""
        return self._clock.now().astimezone(self._zone).date()

    def now(self) -> datetime:
        return self._clock.now()

    def normalise(self, number: str) -> str:
        """The caller's number in the form in which orders are matched: E.164, or as dialled; "" when hidden."""
        return normalise(number, self._country)

    # --- for the voice menu

    async def look_up(
        self,
        interaction_id: str,
        ani: str,
        order_no: str = "",
        second_factor: str = "",
        deadline_s: float = BUDGET_S,
    ) -> LookupAnswer:
        """The order a caller typed (and perhaps proved), or, without a number, the one their caller id suggests.

        Never raises for anything the shop does. The level of an answer without a typed number is ANI at most.
        """
        began = self._clock.monotonic()
        budget_s = min(deadline_s, BUDGET_S)
        try:
            if order_no:
                answer = await self._typed(
                    interaction_id, self.normalise(ani), order_no, second_factor, budget_s, began
                )
            else:
                answer = await self._suggested(self.normalise(ani), budget_s)
        except ShopError as error:
            self._heard(error)
            kind = LookupKind.SLOW if error.slow else LookupKind.ERROR
            answer = LookupAnswer(kind, reason=error.error_id)
        took_ms = (self._clock.monotonic() - began) * 1000
        return LookupAnswer(answer.kind, answer.orders, answer.level, took_ms, answer.reason)

    async def _typed(
        self, interaction_id: str, ani: str, order_no: str, second_factor: str, budget_s: float, began: float
    ) -> LookupAnswer:
        attempt = self._attempts.begin(interaction_id, ani, order_no[:20])
        if isinstance(attempt, str):
            return LookupAnswer(LookupKind.REFUSED, reason=attempt)
        order = None
        if _ORDER_NO.fullmatch(order_no):
            try:
                order = await self._fetch(order_no, budget_s)
            except ShopError:
                self._attempts.forgive(attempt)
                raise
        level = level_for(order, order_no, second_factor)
        if order is None or level is Level.NOBODY:
            await self._settle(began, budget_s)
            return LookupAnswer(LookupKind.NONE)
        self._count(attempt, interaction_id, order_no, level)
        return LookupAnswer(LookupKind.FOUND, (order,), level)

    def _count(self, attempt: Attempt, interaction_id: str, order_no: str, level: Level) -> None:
        """Whoever proves an order has made no wrong try; opening the same number twice in a call counts once."""
        key = (interaction_id, order_no)
        earlier = self._opened.pop(key, None)
        if earlier is not None:
            self._attempts.forgive(earlier)
        if level is Level.SECOND_FACTOR:
            self._attempts.forgive(attempt)
            return
        self._opened[key] = attempt
        while len(self._opened) > 5000:
            self._opened.popitem(last=False)

    async def _settle(self, began: float, budget_s: float) -> None:
        spent = self._clock.monotonic() - began
        until = min(math.ceil(max(spent, 0.001) / SETTLE_S) * SETTLE_S, max(budget_s, spent))
        await self._sleep(until - spent)

    async def _suggested(self, ani: str, budget_s: float) -> LookupAnswer:
        candidates = self.candidates(ani)
        if not candidates and e164(ani, self._country):
            orders = await self._adapter.orders_by_phone(ani, budget_s=budget_s)
            self._heard(None)
            self._feed.remember(orders)
            candidates = self.candidates(ani)
        elif candidates and not self.available:
            raise ShopError("shop-unavailable", "The shop does not answer now.", answered=True)
        if not candidates:
            return LookupAnswer(LookupKind.NONE)
        chosen = choose(candidates)
        if chosen is None:
            likeliest = tuple(candidate.order for candidate in candidates[:MOST_SPOKEN])
            return LookupAnswer(LookupKind.SEVERAL, likeliest, Level.ANI)
        order: Order | None = chosen.order
        if chosen.order.age(self._clock.now()).total_seconds() > FRESH_S:
            order = await self._fetch(chosen.order.order_no, budget_s)
        if order is None or ani not in order.phones:
            return LookupAnswer(LookupKind.NONE)
        return LookupAnswer(LookupKind.FOUND, (order,), Level.ANI)

    async def _fetch(self, order_no: str, budget_s: float) -> Order | None:
        order = await self._adapter.order_by_no(order_no, budget_s=budget_s)
        self._heard(None)
        if order is not None:
            self._feed.remember([order])
            newest = self._index.get(order.order_id)
            if newest is not None and newest.version > order.version:
                return newest  # a lagging replica of the shop answered
        else:
            known = self._index.by_no(order_no)
            self._feed.forget([known.order_id] if known is not None else [])
        return order

    # --- for the screen

    def candidates(self, ani: str) -> tuple[Candidate, ...]:
        """Orders of this caller's number, the likeliest first, from the index; () for a hidden number."""
        number = self.normalise(ani)
        return rank(self._index.by_phone(number), ani=number, today=self.today())

    def card_for(self, *, ani: str = "", order_id: str = "", level: Level = Level.ANI) -> dict[str, Any]:
        """What is pushed to the agent, at once, from memory (see `card.pop`): the order named by `order_id` before the
        others of that caller. Marked stale, with the notice "order system unavailable", while the shop is."""
        number = self.normalise(ani)
        orders = {order.order_id: order for order in self._index.by_phone(number)}
        named = self._index.get(order_id) if order_id else None
        if named is not None:
            orders[named.order_id] = named
        order_no = named.order_no if named is not None else ""
        found = rank(orders.values(), ani=number, order_no=order_no, today=self.today())
        return pop(found, level, self.available, self.today(), self._clock.now())

    def order(self, order_id: str) -> Order | None:
        """The copy of an order, from memory."""
        return self._index.get(order_id)

    async def refresh(self, order_id: str, deadline_s: float = BUDGET_S) -> Order | None:
        """The order as the shop has it now. None when it is gone or the shop does not answer in time."""
        known = self._index.get(order_id)
        if known is None:
            return None
        try:
            order = await self._fetch(known.order_no, min(deadline_s, BUDGET_S))
        except ShopError as error:
            self._heard(error)
            return None
        return order if order is not None and order.order_id == order_id else None

    async def find(self, *, phone: str = "", order_no: str = "", deadline_s: float = BUDGET_S) -> tuple[Order, ...]:
        """For an agent's search: from memory, else from the shop. Raises ShopError when only the shop could know."""
        known: tuple[Order, ...] = ()
        if order_no:
            found = self._index.by_no(order_no)
            known = (found,) if found is not None else ()
        elif phone:
            known = self._index.by_phone(self.normalise(phone))
        if known:
            return known
        budget_s = min(deadline_s, BUDGET_S)
        try:
            if order_no:
                fetched = await self._fetch(order_no, budget_s)
                return (fetched,) if fetched is not None else ()
            number = e164(phone, self._country)
            orders = await self._adapter.orders_by_phone(number, budget_s=budget_s) if number else ()
        except ShopError as error:
            self._heard(error)
            raise
        self._feed.remember(orders)
        return orders

    # --- running

    async def run(self) -> None:
        """Keeps the index up to date until cancelled."""
        await self._feed.run()

    def health(self) -> DeskHealth:
        shop = self._adapter.health()
        now = self._clock.monotonic()
        state = "down" if not self.available else "ok" if self._feed.loaded else "loading"
        return DeskHealth(
            state=state,
            orders=len(self._index),
            breaker=shop.breaker,
            last_error="" if self.available else shop.last_error,
            since_s=round(now - self._good_s, 1) if self._good_s is not None else None,
            unreadable=self._feed.unreadable,
            unsaved=self._feed.unsaved_since is not None,
        )

    def _heard(self, error: ShopError | None) -> None:
        """Every answer of the shop comes by here: `None` = a good one."""
        now = self._clock.monotonic()
        if error is None:
            self._good_s, self._bad_since_s = now, None
            if self._alarmed:
                self._alarmed = False
                log.info("orders.shop_is_back")
                self._events.emit(AlertCleared(at=self._clock.now(), what=ALARM))
            return
        if isinstance(error, ShopBusy):
            return  # it lives, and says when to come back
        if self._bad_since_s is None:
            self._bad_since_s = now
        if not self._alarmed and now - self._bad_since_s >= ALARM_AFTER_S:
            self._alarmed = True
            log.warning("orders.shop_unavailable", error=error.error_id)
            words = f"{error.message} Callers who ask for an order are offered a person; agents see remembered orders."
            self._events.emit(AlertRaised(at=self._clock.now(), what=ALARM, message=words))
