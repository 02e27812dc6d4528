"""What an order is, whichever shop it came from: lines, payments, parcels with tracking steps, returns.

Does not decide what the order's state comes down to today (`situation.py`), who may hear it (`ladder.py`) or how it is
said (`speech.py`). Holds no address and no payment details: they are not needed to answer a call.

Invariants: frozen; phones are E.164 where they could be normalised, else as dialled; times know their offset, and keep
the shop's own, so that `.date()` is the calendar day there; of two copies the higher `version` is the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from orders_bridge.money import Money

__all__ = [
    "Line",
    "Money",
    "Order",
    "OrderStatus",
    "Packed",
    "Payment",
    "PaymentState",
    "Return",
    "ReturnKind",
    "ReturnState",
    "Shipment",
    "ShipmentState",
    "Texts",
    "TrackingStep",
    "mask_name",
    "mask_phone",
]


class OrderStatus(StrEnum):
    """How far the order as a whole has come, as the shop says."""

    PLACED = "placed"
    PAID = "paid"
    PACKED = "packed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class PaymentState(StrEnum):
    PENDING = "pending"
    PAID = "paid"
    REFUNDED = "refunded"
    FAILED = "failed"


class ShipmentState(StrEnum):
    """Stages of a parcel; their order in this list is their order in life."""

    PACKED = "packed"
    SHIPPED = "shipped"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERED = "delivered"

    @property
    def rank(self) -> int:
        return list(ShipmentState).index(self)


class ReturnKind(StrEnum):
    REFUND = "refund"
    EXCHANGE = "exchange"


class ReturnState(StrEnum):
    """Progress of a return. `settled` = money paid back, or the replacement arrived."""

    REQUESTED = "requested"
    RECEIVED = "received"
    REPLACEMENT_SENT = "replacement_sent"
    SETTLED = "settled"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Texts:
    """A short text of the shop in both languages; one stands in for the other where it is missing."""

    en: str = ""
    zh: str = ""

    def get(self, language: str) -> str:
        return (self.zh or self.en) if language == "zh" else (self.en or self.zh)


@dataclass(frozen=True, slots=True)
class Line:
    sku: str
    title: Texts
    quantity: int
    unit_price: Money


@dataclass(frozen=True, slots=True)
class Payment:
    method: str
    amount: Money
    state: PaymentState
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TrackingStep:
    """One scan of a parcel: when, which stage it tells of, where, and the carrier's words."""

    at: datetime
    state: ShipmentState
    place: str
    text: Texts


@dataclass(frozen=True, slots=True)
class Packed:
    """So many of a line's items are in this parcel."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Shipment:
    """A parcel. `expected_on` is the carrier's promise as a calendar day at the place of delivery."""

    shipment_id: str
    carrier: str
    tracking_no: str
    state: ShipmentState
    items: tuple[Packed, ...] = ()
    shipped_at: datetime | None = None
    expected_on: date | None = None
    delivered_at: datetime | None = None
    steps: tuple[TrackingStep, ...] = ()

    @property
    def last_seen_at(self) -> datetime | None:
        """When the parcel last showed a sign of life."""
        times = [step.at for step in self.steps]
        times += [at for at in (self.shipped_at, self.delivered_at) if at is not None]
        return max(times, default=None)


@dataclass(frozen=True, slots=True)
class Return:
    """Goods on their way back: for money (`refund`, `refund_due_on`, `refunded_at`) or for a replacement."""

    return_id: str
    kind: ReturnKind
    state: ReturnState
    reason: str = ""
    requested_at: datetime | None = None
    received_at: datetime | None = None
    refund: Money | None = None
    refund_due_on: date | None = None
    refunded_at: datetime | None = None
    replacement_sku: str = ""
    replacement_tracking_no: str = ""

    @property
    def is_open(self) -> bool:
        return self.state not in (ReturnState.SETTLED, ReturnState.REJECTED)


@dataclass(frozen=True, slots=True)
class Order:
    """A copy of the shop's truth. `version` grows with every change at the shop; `fetched_at` is when we read it."""

    order_id: str
    order_no: str
    shop: str
    status: OrderStatus
    placed_at: datetime
    total: Money
    customer_name: str
    phones: tuple[str, ...]
    language: str
    version: int
    fetched_at: datetime
    changed_at: datetime
    lines: tuple[Line, ...] = ()
    payments: tuple[Payment, ...] = ()
    shipments: tuple[Shipment, ...] = ()
    returns: tuple[Return, ...] = ()

    @property
    def currency(self) -> str:
        return self.total.currency

    @property
    def second_factors(self) -> tuple[str, ...]:
        """The last four digits of each phone on the order; a phone with fewer digits proves nothing and gives none."""
        ends = (("".join(c for c in phone if c.isascii() and c.isdigit()))[-4:] for phone in self.phones)
        return tuple(end for end in ends if len(end) == 4)

    def age(self, now: datetime) -> timedelta:
        """How old this copy is; never negative, whatever the wall clock did."""
        return max(now - self.fetched_at, timedelta(0))


def mask_phone(phone: str) -> str:
    """+8613812345678 → "+86*******5678": the first three signs and the last four stay, and only of a long number."""
    if len(phone) < 8:
        return "*" * len(phone)
    return phone[:3] + "*" * (len(phone) - 7) + phone[-4:]


def mask_name(name: str) -> str:
    """张伟 → "张*", Jane Smith → "J*** S****": enough to recognise, not enough to learn."""
    return " ".join(part[0] + "*" * (len(part) - 1) for part in name.split())
