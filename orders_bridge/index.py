"""Which orders belong to which phone, known at once and without asking anybody: what a call is matched against.

Does not fetch and does not write down (`service.py`, `store.py`).

Invariants: an older version never replaces a newer one; at most `bound` orders are held, those that changed longest ago
go first (they are still found by number, at the shop); a phone leads to at most `MAX_PER_PHONE` orders, the newest.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from orders_bridge.copies import pack, unpack
from orders_bridge.model import Order

MAX_PER_PHONE = 20


class Put(StrEnum):
    """What a copy was to the index."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    OLDER = "older"


@dataclass(slots=True)
class _Entry:
    order_no: str
    version: int
    phones: tuple[str, ...]
    placed_at: datetime
    fetched_at: datetime
    copy: bytes


class OrderIndex:
    """Orders as packed copies (1–2 KB each) with their phones and numbers beside them."""

    def __init__(self, *, bound: int = 20_000) -> None:
        self.bound = bound
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._by_phone: dict[str, set[str]] = {}
        self._by_no: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, order_id: str) -> bool:
        return order_id in self._entries

    def put(self, order: Order) -> Put:
        """Takes a copy in, unless a newer one is here. A copy of the same version only renews the age."""
        known = self._entries.get(order.order_id)
        if known is not None and known.version > order.version:
            return Put.OLDER
        if known is not None and known.version == order.version:
            known.fetched_at = max(known.fetched_at, order.fetched_at)
            return Put.SAME
        self.drop(order.order_id)
        self._entries[order.order_id] = _Entry(
            order.order_no, order.version, order.phones, order.placed_at, order.fetched_at, pack(order)
        )
        self._by_no[order.order_no] = order.order_id
        for phone in order.phones:
            self._by_phone.setdefault(phone, set()).add(order.order_id)
        while len(self._entries) > self.bound:
            self.drop(next(iter(self._entries)))
        return Put.CHANGED if known is not None else Put.NEW

    def drop(self, order_id: str) -> bool:
        """Forgets an order; False when it was not known."""
        entry = self._entries.pop(order_id, None)
        if entry is None:
            return False
        if self._by_no.get(entry.order_no) == order_id:
            del self._by_no[entry.order_no]
        for phone in entry.phones:
            ids = self._by_phone.get(phone, set())
            ids.discard(order_id)
            if not ids:
                self._by_phone.pop(phone, None)
        return True

    def get(self, order_id: str) -> Order | None:
        entry = self._entries.get(order_id)
        return self._read(entry) if entry is not None else None

    def by_no(self, order_no: str) -> Order | None:
        return self.get(self._by_no.get(order_no, ""))

    def by_phone(self, phone: str) -> tuple[Order, ...]:
        """Orders of a phone in its normalised form, the newest first."""
        if not phone:
            return ()
        ids = self._by_phone.get(phone, set())
        newest = sorted(ids, key=lambda i: (self._entries[i].placed_at, i), reverse=True)[:MAX_PER_PHONE]
        found = [self.get(order_id) for order_id in newest]
        return tuple(order for order in found if order is not None)

    def not_seen_since(self, moment: datetime) -> Iterator[str]:
        """Orders whose copy was last confirmed before `moment`."""
        return (order_id for order_id, entry in list(self._entries.items()) if entry.fetched_at < moment)

    def _read(self, entry: _Entry) -> Order | None:
        order = unpack(entry.copy)
        if order is None or order.fetched_at == entry.fetched_at:
            return order
        return replace(order, fetched_at=entry.fetched_at)  # confirmed since it was packed
