"""The sample shop's words (purchase, consignment, aftersale…) and their translation into our order.

Decides what is understood and what is refused as out of shape. Does no transport.

Invariants: strict types; amounts by `Money.parse`, so a comma, an exponent or a negative price is refused; fields we do
not know are left aside (shops add some), fields we need must be there; stages we do not know are refused, not guessed.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

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
from orders_bridge.numbers import normalise

_Number = Annotated[str, Field(pattern=r"^[0-9]{6,12}$")]
_Text = Annotated[str, Field(max_length=300)]
_Amount = Annotated[str, Field(pattern=r"^[0-9]{1,12}(\.[0-9]{1,3})?$")]
_Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
_Quantity = Annotated[int, Field(ge=1, le=100_000, strict=True)]
_Stage = Literal["READY", "HANDED_OVER", "LINEHAUL", "LAST_MILE", "RECEIVED"]

_STATUS = {
    "AWAITING_PAYMENT": OrderStatus.PLACED,
    "ACCEPTED": OrderStatus.PAID,
    "PICKED": OrderStatus.PACKED,
    "FULFILLING": OrderStatus.SHIPPED,
    "COMPLETE": OrderStatus.DELIVERED,
    "VOID": OrderStatus.CANCELLED,
}
_STAGE = {
    "READY": ShipmentState.PACKED,
    "HANDED_OVER": ShipmentState.SHIPPED,
    "LINEHAUL": ShipmentState.IN_TRANSIT,
    "LAST_MILE": ShipmentState.OUT_FOR_DELIVERY,
    "RECEIVED": ShipmentState.DELIVERED,
}
_TENDER = {
    "OPEN": PaymentState.PENDING,
    "SETTLED": PaymentState.PAID,
    "REVERSED": PaymentState.REFUNDED,
    "DECLINED": PaymentState.FAILED,
}
_CASE = {
    "OPENED": ReturnState.REQUESTED,
    "GOODS_BACK": ReturnState.RECEIVED,
    "SWAP_SENT": ReturnState.REPLACEMENT_SENT,
    "PAID_BACK": ReturnState.SETTLED,
    "CLOSED": ReturnState.SETTLED,
    "REJECTED": ReturnState.REJECTED,
}


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Words(_Wire):
    en: _Text = ""
    zh: _Text = ""

    def texts(self) -> Texts:
        return Texts(self.en, self.zh)


class Buyer(_Wire):
    display_name: _Text
    locale: _Text = ""
    mobile: _Text = ""
    mobile_country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None


class Item(_Wire):
    article: _Text
    name: Words
    qty: _Quantity
    price: _Amount


class Tender(_Wire):
    via: _Text
    value: _Amount
    state: Literal["OPEN", "SETTLED", "REVERSED", "DECLINED"]
    when: AwareDatetime | None = None


class Carrier(_Wire):
    code: _Text
    label: Words


class Packing(_Wire):
    article: _Text
    qty: _Quantity


class Scan(_Wire):
    t: AwareDatetime
    stage: _Stage
    place: _Text = ""
    note: Words


class Consignment(_Wire):
    ref: _Text
    carrier: Carrier
    waybill: _Text = ""
    stage: _Stage
    promised: date | None = None
    handed_over: AwareDatetime | None = None
    received: AwareDatetime | None = None
    articles: Annotated[list[Packing], Field(max_length=200)] = []
    scans: Annotated[list[Scan], Field(max_length=500)] = []


class PayBack(_Wire):
    value: _Amount | None = None
    due: date | None = None
    done: AwareDatetime | None = None


class Swap(_Wire):
    article: _Text
    waybill: _Text | None = None


class Aftersale(_Wire):
    case: _Text
    type: Literal["REFUND", "SWAP"]
    stage: Literal["OPENED", "GOODS_BACK", "SWAP_SENT", "PAID_BACK", "CLOSED", "REJECTED"]
    cause: _Text = ""
    opened: AwareDatetime | None = None
    goods_back: AwareDatetime | None = None
    pay_back: PayBack = PayBack()
    swap: Swap | None = None


class Purchase(_Wire):
    number: _Number
    uid: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    rev: Annotated[int, Field(ge=0, lt=2**62, strict=True)]
    state: Literal["AWAITING_PAYMENT", "ACCEPTED", "PICKED", "FULFILLING", "COMPLETE", "VOID"]
    created: AwareDatetime
    modified: AwareDatetime
    currency: _Currency
    sum: _Amount
    buyer: Buyer
    items: Annotated[list[Item], Field(max_length=200)]
    tenders: Annotated[list[Tender], Field(max_length=50)] = []
    consignments: Annotated[list[Consignment], Field(max_length=50)] = []
    aftersales: Annotated[list[Aftersale], Field(max_length=50)] = []


class One(_Wire):
    purchase: Purchase


class Paging(_Wire):
    next: Annotated[str, Field(max_length=400)] | None = None


class Many(_Wire):
    """A page, its purchases still unread: one that is out of shape must not hold up the others."""

    data: Annotated[list[Any], Field(max_length=500)]
    paging: Paging = Paging()


def order_of(purchase: Purchase, *, shop: str, country: str, fetched_at: datetime) -> Order:
    """Our order of the shop's purchase. `country` is for mobiles without one. Raises ValueError on bad money."""
    currency = purchase.currency
    buyer = purchase.buyer
    phone = normalise(buyer.mobile, buyer.mobile_country or country)
    return Order(
        order_id=purchase.uid,
        order_no=purchase.number,
        shop=shop,
        status=_STATUS[purchase.state],
        placed_at=purchase.created,
        total=Money.parse(purchase.sum, currency),
        customer_name=buyer.display_name.strip(),
        phones=(phone,) if phone else (),
        language="zh" if buyer.locale.startswith("zh") else "en",
        version=purchase.rev,
        fetched_at=fetched_at,
        changed_at=purchase.modified,
        lines=tuple(
            Line(item.article, item.name.texts(), item.qty, Money.parse(item.price, currency))
            for item in purchase.items
        ),
        payments=tuple(
            Payment(tender.via, Money.parse(tender.value, currency), _TENDER[tender.state], tender.when)
            for tender in purchase.tenders
        ),
        shipments=tuple(_shipment(consignment, buyer.locale) for consignment in purchase.consignments),
        returns=tuple(_return(aftersale, currency) for aftersale in purchase.aftersales),
    )


def _shipment(consignment: Consignment, locale: str) -> Shipment:
    label = consignment.carrier.label.texts()
    return Shipment(
        shipment_id=consignment.ref,
        carrier=label.get("zh" if locale.startswith("zh") else "en") or consignment.carrier.code,
        tracking_no=consignment.waybill,
        state=_STAGE[consignment.stage],
        items=tuple(Packed(packing.article, packing.qty) for packing in consignment.articles),
        shipped_at=consignment.handed_over,
        expected_on=consignment.promised,
        delivered_at=consignment.received,
        steps=tuple(
            TrackingStep(scan.t, _STAGE[scan.stage], scan.place, scan.note.texts())
            for scan in sorted(consignment.scans, key=lambda scan: scan.t)
        ),
    )


def _return(aftersale: Aftersale, currency: str) -> Return:
    money_back, swap = aftersale.pay_back, aftersale.swap
    return Return(
        return_id=aftersale.case,
        kind=ReturnKind.REFUND if aftersale.type == "REFUND" else ReturnKind.EXCHANGE,
        state=_CASE[aftersale.stage],
        reason=aftersale.cause,
        requested_at=aftersale.opened,
        received_at=aftersale.goods_back,
        refund=Money.parse(money_back.value, currency) if money_back.value is not None else None,
        refund_due_on=money_back.due,
        refunded_at=money_back.done,
        replacement_sku=swap.article if swap is not None else "",
        replacement_tracking_no=(swap.waybill or "") if swap is not None else "",
    )
