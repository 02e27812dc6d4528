"""What is said about an order on the phone, as phrases in no language; only what the caller's rung may hear.

Does not render sounds (core does) and does not lay out the agent's card (`card.py`).

Invariants: nothing outside `ladder.may_hear(level)` is ever in the answer; every prompt named here stands in `PROMPTS`;
at most `MAX_PARCELS` parcels are read out, because nobody can keep more in mind.
"""

from __future__ import annotations

from datetime import date

from core.phrases.model import Counted, Day, Digits, Pause, Phrase, Phrases, Prompt
from core.phrases.model import Money as SpokenMoney
from orders_bridge.ladder import Item, Level, may_hear
from orders_bridge.model import Order, Return, ReturnKind, ReturnState, Shipment, ShipmentState
from orders_bridge.situation import Situation, is_refund_late, latest_return, shipment_situation, situation

MAX_PARCELS = 4
_SHORT, _LONG = Pause(150), Pause(350)


def state_prompt(word: Situation) -> Prompt:
    """`in_transit` → `order-state-in-transit`."""
    return Prompt("order-state-" + word.value.replace("_", "-"))


PROMPTS: frozenset[str] = frozenset(
    {state_prompt(word).name for word in Situation}
    | {
        "order-your-order",
        "order-parcels",
        "order-parcel-number",
        "order-expected-on",
        "order-delivered-on",
        "order-refund-of",
        "order-refund-expected-by",
        "order-refund-was-due",
    }
)

_PARCEL_MATTERS = frozenset(
    {
        Situation.PACKED,
        Situation.SHIPPED,
        Situation.IN_TRANSIT,
        Situation.OUT_FOR_DELIVERY,
        Situation.DELIVERED,
        Situation.DELAYED,
        Situation.PARTLY_SHIPPED,
    }
)


def status_phrases(order: Order, level: Level, today: date) -> Phrases:
    """The order's status for a caller on this rung; () for NOBODY. `today` is the calendar day at the shop."""
    allowed = may_hear(level)
    if Item.STATE not in allowed:
        return ()
    word = situation(order, today)
    said: list[Phrase] = [Prompt("order-your-order")]
    if Item.ORDER_NO in allowed:
        said += [Digits(order.order_no), _SHORT]
    said.append(state_prompt(word if Item.RETURN_STATE in allowed else _without_return(order, word, today)))
    back = latest_return(order)
    if word in _PARCEL_MATTERS:
        said += _parcels(order, allowed, today)
    elif back is not None:
        said += _return(back, allowed, today)
    return tuple(said)


def comfort_phrases(order: Order, level: Level, today: date) -> Phrases:
    """One sentence for somebody who waits: how the order stands and nothing else, whatever their rung may hear besides."""
    allowed = may_hear(level)
    if Item.STATE not in allowed:
        return ()
    word = situation(order, today)
    word = word if Item.RETURN_STATE in allowed else _without_return(order, word, today)
    return (Prompt("order-your-order"), state_prompt(word))


def _without_return(order: Order, word: Situation, today: date) -> Situation:
    """Caller id alone hears of the parcels, not that something was sent back or paid back."""
    if latest_return(order) is None:
        return word
    shipped = [shipment_situation(s, today) for s in order.shipments]
    if not shipped:
        return Situation(order.status.value)
    return Situation.DELIVERED if all(s is Situation.DELIVERED for s in shipped) else Situation.SHIPPED


def _parcels(order: Order, allowed: frozenset[Item], today: date) -> list[Phrase]:
    if not order.shipments or Item.PARCEL_COUNT not in allowed:
        return []
    if len(order.shipments) == 1:
        return _parcel_day(order.shipments[0], allowed, today)
    said: list[Phrase] = [_LONG, Prompt("order-parcels"), Counted(len(order.shipments), "parcel")]
    if Item.PARCEL_STATES not in allowed:
        return said
    for at, shipment in enumerate(order.shipments[:MAX_PARCELS], start=1):
        said += [_LONG, Prompt("order-parcel-number"), Digits(str(at)), _SHORT]
        said.append(state_prompt(shipment_situation(shipment, today)))
        said += _parcel_day(shipment, allowed, today)
    return said


def _parcel_day(shipment: Shipment, allowed: frozenset[Item], today: date) -> list[Phrase]:
    """When it came, or is to come. A promised day that has gone by is not repeated to somebody who is waiting."""
    if Item.PARCEL_DAYS not in allowed:
        return []
    if shipment.state is ShipmentState.DELIVERED:
        if shipment.delivered_at is None:
            return []
        return [_SHORT, Prompt("order-delivered-on"), Day(shipment.delivered_at.date(), today)]
    if shipment.expected_on is None or shipment.expected_on < today:
        return []
    return [_SHORT, Prompt("order-expected-on"), Day(shipment.expected_on, today)]


def _return(back: Return, allowed: frozenset[Item], today: date) -> list[Phrase]:
    if back.kind is not ReturnKind.REFUND:
        return []
    said: list[Phrase] = []
    if Item.REFUND_AMOUNT in allowed and back.refund is not None:
        said += [_SHORT, Prompt("order-refund-of"), SpokenMoney(back.refund.minor, back.refund.currency)]
    if Item.RETURN_DAYS in allowed and back.refund_due_on is not None and back.state is ReturnState.RECEIVED:
        name = "order-refund-was-due" if is_refund_late(back, today) else "order-refund-expected-by"
        said += [_SHORT, Prompt(name), Day(back.refund_due_on, today)]
    return said
