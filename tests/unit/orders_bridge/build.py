"""Orders for tests: one with sensible parts, any of them replaceable; and Hypothesis strategies for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from orders_bridge.model import (
    Line,
    Money,
    Order,
    OrderStatus,
    Packed,
    Payment,
    PaymentState,
    Return,
    ReturnKind,
    ReturnState,
    Shipment,
    ShipmentState,
    Texts,
    TrackingStep,
)

ZONE = timezone(timedelta(hours=8))
TODAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 17, 0, tzinfo=ZONE)  # = ManualClock's start
PHONE = "+8613812345678"


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def day(offset: int) -> date:
    return TODAY + timedelta(days=offset)


def parcel(
    state: str = "in_transit", ref: str = "p1", *, seen: float = 0.5, due: int | None = 2, **values: Any
) -> Shipment:
    """A parcel last scanned `seen` days ago and promised in `due` days."""
    stage = ShipmentState(state)
    delivered = stage is ShipmentState.DELIVERED
    parts: dict[str, Any] = {
        "items": (Packed("LT-1", 1),),
        "shipped_at": ago(seen + 1) if stage is not ShipmentState.PACKED else None,
        "expected_on": day(due) if due is not None else None,
        "delivered_at": ago(seen) if delivered else None,
        "steps": (TrackingStep(ago(seen), stage, "Hub", Texts("moved", "已发出")),),
    }
    return Shipment(ref, "Polaris", f"BC{ref}", stage, **parts | values)


def back(
    kind: str = "refund", state: str = "received", *, due: int | None = 3, ref: str = "r1", **values: Any
) -> Return:
    parts: dict[str, Any] = {
        "requested_at": ago(9),
        "received_at": ago(3) if state != "requested" else None,
        "refund": Money(12950, "CNY") if kind == "refund" else None,
        "refund_due_on": day(due) if due is not None and kind == "refund" else None,
        "refunded_at": ago(1) if state == "settled" else None,
    }
    return Return(ref, ReturnKind(kind), ReturnState(state), "wrong size", **parts | values)


def order(
    status: str = "shipped",
    shipments: Sequence[Shipment] = (),
    returns: Sequence[Return] = (),
    *,
    no: str = "61827868",
    placed: float = 3,
    **values: Any,
) -> Order:
    parts: dict[str, Any] = {
        "order_id": f"pu_{no}",
        "order_no": no,
        "shop": "lantern",
        "status": OrderStatus(status),
        "placed_at": ago(placed),
        "total": Money(25900, "CNY"),
        "customer_name": "张伟",
        "phones": (PHONE,),
        "language": "zh",
        "version": 7,
        "fetched_at": NOW,
        "changed_at": ago(min(placed, 0.5)),
        "lines": (Line("LT-1", Texts("Lamp", "台灯"), 1, Money(25900, "CNY")),),
        "payments": (Payment("wallet", Money(25900, "CNY"), PaymentState.PAID, ago(placed)),),
        "shipments": tuple(shipments),
        "returns": tuple(returns),
    }
    return Order(**parts | values)


# --- any order at all

days = st.dates(date(2026, 9, 1), date(2027, 1, 31))
times = st.builds(lambda d, h: datetime.combine(d, time(h), ZONE), days, st.integers(0, 23))
amounts = st.builds(Money, st.integers(0, 10**8), st.sampled_from(["CNY", "USD", "JPY", "KWD"]))
phones = st.sampled_from([PHONE, "+12125550142", "+447700900123", "1001", "12", "退订"])
shipments = st.builds(
    Shipment,
    shipment_id=st.sampled_from(["p1", "p2", "p3"]),
    carrier=st.just("Polaris"),
    tracking_no=st.just("BC1"),
    state=st.sampled_from(ShipmentState),
    items=st.lists(st.builds(Packed, st.sampled_from(["A", "B"]), st.integers(1, 3)), max_size=2).map(tuple),
    shipped_at=st.none() | times,
    expected_on=st.none() | days,
    delivered_at=st.none() | times,
    steps=st.lists(
        st.builds(TrackingStep, times, st.sampled_from(ShipmentState), st.just("Hub"), st.just(Texts("a", "b"))),
        max_size=3,
    ).map(tuple),
)
returns = st.builds(
    Return,
    return_id=st.sampled_from(["r1", "r2"]),
    kind=st.sampled_from(ReturnKind),
    state=st.sampled_from(ReturnState),
    requested_at=st.none() | times,
    received_at=st.none() | times,
    refund=st.none() | amounts,
    refund_due_on=st.none() | days,
)
orders = st.builds(
    order,
    st.sampled_from(OrderStatus).map(lambda s: s.value),
    st.lists(shipments, max_size=6),
    st.lists(returns, max_size=2),
    no=st.integers(10**7, 10**7 + 30).map(str),
    placed=st.integers(0, 90),
    total=amounts,
    phones=st.lists(phones, max_size=2, unique=True).map(tuple),
    lines=st.lists(
        st.builds(Line, st.sampled_from(["A", "B"]), st.just(Texts("Cup")), st.integers(1, 3), amounts), max_size=2
    ).map(tuple),
)
