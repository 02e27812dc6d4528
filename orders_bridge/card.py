"""What an agent sees of an order while talking: one JSON-ready card, and the pop that carries one or several of them.

Does not format for a locale: amounts, days and words go out as values and stable ids, the console writes them.

Invariants: the phone is always masked, the name until the caller has given an order number; `may_tell` lists what the
caller may be told on the rung they have reached; a copy that may be out of date says so (`stale`, `notice`).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from orders_bridge.ladder import Level, may_hear, shows_name
from orders_bridge.match import Candidate, choose
from orders_bridge.model import Order, Return, Shipment, Texts, mask_name, mask_phone
from orders_bridge.money import Money, exponent
from orders_bridge.situation import Alert, alerts, likely_reason, shipment_situation, situation

Json = dict[str, Any]
UNAVAILABLE = "order system unavailable"


def money(amount: Money) -> Json:
    """{"minor": 12950, "currency": "CNY", "exponent": 2, "amount": "129.50"}."""
    digits = exponent(amount.currency)
    return {
        "minor": amount.minor,
        "currency": amount.currency,
        "exponent": digits,
        "amount": f"{amount.decimal:.{digits}f}",
    }


def _texts(texts: Texts) -> Json:
    return {"en": texts.get("en"), "zh": texts.get("zh")}


def _at(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment is not None else None


def _on(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None


def _parcel(shipment: Shipment, today: date, stuck: frozenset[str]) -> Json:
    return {
        "shipment_id": shipment.shipment_id,
        "carrier": shipment.carrier,
        "tracking_no": shipment.tracking_no,
        "status": shipment_situation(shipment, today).value,
        "stuck": shipment.shipment_id in stuck,
        "items": [{"sku": item.sku, "quantity": item.quantity} for item in shipment.items],
        "shipped_at": _at(shipment.shipped_at),
        "expected_on": _on(shipment.expected_on),
        "delivered_at": _at(shipment.delivered_at),
        "steps": [
            {"at": _at(step.at), "status": step.state.value, "place": step.place, "text": _texts(step.text)}
            for step in sorted(shipment.steps, key=lambda step: step.at, reverse=True)
        ],
    }


def _return(back: Return, late: frozenset[str]) -> Json:
    return {
        "return_id": back.return_id,
        "kind": back.kind.value,
        "status": back.state.value,
        "late": back.return_id in late,
        "reason": back.reason,
        "requested_at": _at(back.requested_at),
        "received_at": _at(back.received_at),
        "refund": money(back.refund) if back.refund is not None else None,
        "refund_due_on": _on(back.refund_due_on),
        "refunded_at": _at(back.refunded_at),
        "replacement_sku": back.replacement_sku or None,
        "replacement_tracking_no": back.replacement_tracking_no or None,
    }


def card(order: Order, level: Level, stale: bool, raised: tuple[Alert, ...], *, today: date, now: datetime) -> Json:
    """The card of one order for an agent whose caller has reached `level`. `age_s` is the copy's age in seconds."""
    stuck = frozenset(alert.subject for alert in raised if alert.what == "stuck-parcel")
    late = frozenset(alert.subject for alert in raised if alert.what in ("late-refund", "late-exchange"))
    return {
        "order_id": order.order_id,
        "order_no": order.order_no,
        "shop": order.shop,
        "status": situation(order, today).value,
        "placed_at": _at(order.placed_at),
        "total": money(order.total),
        "customer": {
            "name": order.customer_name if shows_name(level) else mask_name(order.customer_name),
            "phones": [mask_phone(phone) for phone in order.phones],
            "language": order.language,
        },
        "lines": [
            {
                "sku": line.sku,
                "title": _texts(line.title),
                "quantity": line.quantity,
                "unit_price": money(line.unit_price),
                "total": money(line.unit_price * line.quantity),
            }
            for line in order.lines
        ],
        "payments": [
            {"method": p.method, "amount": money(p.amount), "status": p.state.value, "at": _at(p.at)}
            for p in order.payments
        ],
        "parcels": [_parcel(shipment, today, stuck) for shipment in order.shipments],
        "returns": [_return(back, late) for back in order.returns],
        "likely_reason": likely_reason(order, today),
        "alerts": [{"what": a.what, "subject": a.subject, "days": a.days} for a in raised],
        "level": level.wire,
        "may_tell": sorted(item.value for item in may_hear(level)),
        "stale": stale,
        "notice": UNAVAILABLE if stale else "",
        "version": order.version,
        "fetched_at": _at(order.fetched_at),
        "age_s": round(order.age(now).total_seconds(), 1),
    }


def candidate_line(candidate: Candidate, today: date) -> Json:
    """One line of the list an agent chooses from when several orders fit."""
    order = candidate.order
    return {
        "order_id": order.order_id,
        "order_no": order.order_no,
        "status": situation(order, today).value,
        "placed_at": _at(order.placed_at),
        "total": money(order.total),
        "likely_reason": likely_reason(order, today),
        "score": candidate.score,
        "reasons": [{"what": reason.what, "points": reason.points} for reason in candidate.reasons],
    }


def pop(candidates: tuple[Candidate, ...], level: Level, available: bool, today: date, now: datetime) -> Json:
    """What is pushed to the agent before the phone rings. `kind`: match, several, none, or unavailable (shop down and
    nothing remembered). With `several` the likeliest order's card is shown too, marked by `certain` = false."""
    first = choose(candidates)
    shown = first or (candidates[0] if candidates else None)
    kind = "match" if first else "several" if candidates else "none" if available else "unavailable"
    return {
        "kind": kind,
        "certain": first is not None,
        "notice": "" if available else UNAVAILABLE,
        "order_id": shown.order.order_id if shown else "",
        "order_no": shown.order.order_no if shown else "",
        "order": card(shown.order, level, not available, alerts(shown.order, today), today=today, now=now)
        if shown
        else None,
        "candidates": [candidate_line(candidate, today) for candidate in candidates],
    }
