"""What an order's state comes down to today: one word for the caller, the alarms in it, the likely reason of a call.

Does not change anything and does not read a clock: `today` is the calendar day at the shop, given by whoever asks.

Invariants: total (every order has exactly one situation), and a matter of the order's copy and the day alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from orders_bridge.model import Order, OrderStatus, Return, ReturnKind, ReturnState, Shipment, ShipmentState

STUCK_AFTER_DAYS = 4  # no scan for so long: carriers in both markets scan a moving parcel at least every second day
OVERDUE_AFTER_DAYS = 2  # so long past the promised day
DISPATCH_AFTER_DAYS = 4  # paid, and still nothing handed to a carrier
EXCHANGE_AFTER_DAYS = 7  # goods are back, and no replacement sent
FRESH_DELIVERY_DAYS = 14  # problems with the goods come up within this time


class Situation(StrEnum):
    """Each has its prompt `order-state-…` (underscores read as hyphens)."""

    PLACED = "placed"
    PAID = "paid"
    PACKED = "packed"
    SHIPPED = "shipped"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERED = "delivered"
    DELAYED = "delayed"
    PARTLY_SHIPPED = "partly_shipped"
    CANCELLED = "cancelled"
    RETURN_REQUESTED = "return_requested"
    RETURN_RECEIVED = "return_received"
    REFUNDED = "refunded"
    REFUND_LATE = "refund_late"
    EXCHANGE = "exchange"


@dataclass(frozen=True, slots=True)
class Alert:
    """Something is not as promised. `what` is a stable id, `subject` the id of the parcel, return or order; `days`
    is for how long already."""

    what: str  # stuck-parcel, late-refund, late-dispatch, late-exchange
    subject: str
    days: int


def shipment_situation(shipment: Shipment, today: date) -> Situation:
    """The word for one parcel."""
    if is_stuck(shipment, today):
        return Situation.DELAYED
    return Situation(shipment.state.value)


def is_stuck(shipment: Shipment, today: date) -> bool:
    """Under way, and silent or overdue for too long."""
    if shipment.state in (ShipmentState.DELIVERED, ShipmentState.PACKED):
        return False
    seen = shipment.last_seen_at
    if seen is not None and today - seen.date() >= timedelta(days=STUCK_AFTER_DAYS):
        return True
    return shipment.expected_on is not None and today - shipment.expected_on >= timedelta(days=OVERDUE_AFTER_DAYS)


def latest_return(order: Order) -> Return | None:
    """The return a caller would ask about: open before settled, then the newest; rejected ones are left aside."""
    wanted = [r for r in order.returns if r.state is not ReturnState.REJECTED]
    if not wanted:
        return None
    return max(wanted, key=lambda r: (r.is_open, r.requested_at or order.placed_at, r.return_id))


def is_refund_late(back: Return, today: date) -> bool:
    """The goods are back, the promised day is over, and the money is not paid."""
    return (
        back.kind is ReturnKind.REFUND
        and back.state is ReturnState.RECEIVED
        and back.refund_due_on is not None
        and back.refund_due_on < today
    )


def _return_situation(back: Return, today: date) -> Situation | None:
    if back.kind is ReturnKind.EXCHANGE:
        return Situation.EXCHANGE if back.is_open else None
    if back.state is ReturnState.REQUESTED:
        return Situation.RETURN_REQUESTED
    if back.state is ReturnState.SETTLED:
        return Situation.REFUNDED
    return Situation.REFUND_LATE if is_refund_late(back, today) else Situation.RETURN_RECEIVED


def is_partly_shipped(order: Order) -> bool:
    """Something has left the house, and something has not."""
    gone = [s for s in order.shipments if s.state is not ShipmentState.PACKED]
    if not gone:
        return False
    sent: dict[str, int] = {}
    for shipment in gone:
        for item in shipment.items:
            sent[item.sku] = sent.get(item.sku, 0) + item.quantity
    known = any(shipment.items for shipment in gone)
    missing = known and any(sent.get(line.sku, 0) < line.quantity for line in order.lines)
    return missing or len(gone) < len(order.shipments)


def situation(order: Order, today: date) -> Situation:
    """A return outweighs the parcels, a stuck parcel outweighs the others, else the least advanced parcel speaks."""
    back = latest_return(order)
    if back is not None:
        word = _return_situation(back, today)
        if word is not None:
            return word
    if order.status is OrderStatus.CANCELLED:
        return Situation.CANCELLED
    if not order.shipments:
        return Situation(order.status.value)
    if any(is_stuck(shipment, today) for shipment in order.shipments):
        return Situation.DELAYED
    if is_partly_shipped(order):
        return Situation.PARTLY_SHIPPED
    return Situation(min(order.shipments, key=lambda s: s.state.rank).state.value)


def alerts(order: Order, today: date) -> tuple[Alert, ...]:
    """All that is not as promised, the worst first."""
    found: list[Alert] = []
    for back in order.returns:
        if is_refund_late(back, today) and back.refund_due_on is not None:
            found.append(Alert("late-refund", back.return_id, (today - back.refund_due_on).days))
        elif back.kind is ReturnKind.EXCHANGE and back.state is ReturnState.RECEIVED and back.received_at is not None:
            days = (today - back.received_at.date()).days
            if days >= EXCHANGE_AFTER_DAYS:
                found.append(Alert("late-exchange", back.return_id, days))
    for shipment in order.shipments:
        if is_stuck(shipment, today):
            seen = shipment.last_seen_at
            since = seen.date() if seen is not None else (shipment.expected_on or today)
            found.append(Alert("stuck-parcel", shipment.shipment_id, max((today - since).days, 0)))
    waiting = order.status in (OrderStatus.PAID, OrderStatus.PACKED)
    days = (today - order.placed_at.date()).days
    if waiting and days >= DISPATCH_AFTER_DAYS and latest_return(order) is None:
        found.append(Alert("late-dispatch", order.order_id, days))
    return tuple(found)


def is_open(order: Order, today: date) -> bool:
    """Something about this order is still to come."""
    return situation(order, today) not in (Situation.DELIVERED, Situation.CANCELLED, Situation.REFUNDED)


_REASONS = {
    Situation.PLACED: "payment-or-change",
    Situation.PAID: "when-will-it-ship",
    Situation.PACKED: "when-will-it-ship",
    Situation.SHIPPED: "where-is-my-parcel",
    Situation.IN_TRANSIT: "where-is-my-parcel",
    Situation.OUT_FOR_DELIVERY: "delivery-today",
    Situation.DELAYED: "parcel-stuck",
    Situation.PARTLY_SHIPPED: "rest-of-my-order",
    Situation.CANCELLED: "money-back-after-cancelling",
    Situation.RETURN_REQUESTED: "how-to-return",
    Situation.RETURN_RECEIVED: "where-is-my-refund",
    Situation.REFUND_LATE: "refund-late",
    Situation.REFUNDED: "refund-question",
    Situation.EXCHANGE: "where-is-my-exchange",
}


def likely_reason(order: Order, today: date) -> str:
    """Why the customer probably calls about this order, as a stable id; "" when nothing suggests itself."""
    word = situation(order, today)
    if word is not Situation.DELIVERED:
        return _REASONS[word]
    arrived = max((s.delivered_at for s in order.shipments if s.delivered_at is not None), default=None)
    fresh = arrived is not None and today - arrived.date() <= timedelta(days=FRESH_DELIVERY_DAYS)
    return "problem-with-the-goods" if fresh else ""
