"""The REST edge of orders: find orders by phone or number, read one. For any logged-in agent.

Does not decide what a card holds (`card.py`). The phone is masked, the name written out: who searches is logged in.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from core.errors import BadInput, NotFound
from core.http.paging import PageQuery
from core.http.routes import Page, Request, Role, Route, Strict
from orders_bridge.card import card
from orders_bridge.ladder import Level
from orders_bridge.model import Order
from orders_bridge.service import OrderDesk
from orders_bridge.situation import alerts


class OrderQuery(PageQuery):
    """Either a phone in any spelling, or an order number. A phone has at most twenty orders here: there is one page."""

    phone: str | None = Field(None, max_length=40)
    order_no: str | None = Field(None, pattern=r"^[0-9]{6,12}$")


class Amount(Strict):
    """`minor` units of `currency`; `amount` is the same as a plain decimal."""

    minor: int
    currency: str
    exponent: int
    amount: str


class Words(Strict):
    en: str
    zh: str


class Customer(Strict):
    name: str
    phones: list[str]
    language: str


class CardLine(Strict):
    sku: str
    title: Words
    quantity: int
    unit_price: Amount
    total: Amount


class CardPayment(Strict):
    method: str
    amount: Amount
    status: str
    at: str | None


class CardItem(Strict):
    sku: str
    quantity: int


class CardStep(Strict):
    at: str
    status: str
    place: str
    text: Words


class CardParcel(Strict):
    shipment_id: str
    carrier: str
    tracking_no: str
    status: str
    stuck: bool
    items: list[CardItem]
    shipped_at: str | None
    expected_on: str | None
    delivered_at: str | None
    steps: list[CardStep]


class CardReturn(Strict):
    return_id: str
    kind: str
    status: str
    late: bool
    reason: str
    requested_at: str | None
    received_at: str | None
    refund: Amount | None
    refund_due_on: str | None
    refunded_at: str | None
    replacement_sku: str | None
    replacement_tracking_no: str | None


class CardAlert(Strict):
    what: str
    subject: str
    days: int


class OrderCard(Strict):
    """An order as an agent sees it; the same shape as in the screen pop."""

    order_id: str
    order_no: str
    shop: str
    status: str
    placed_at: str
    total: Amount
    customer: Customer
    lines: list[CardLine]
    payments: list[CardPayment]
    parcels: list[CardParcel]
    returns: list[CardReturn]
    likely_reason: str
    alerts: list[CardAlert]
    level: str
    may_tell: list[str]
    stale: bool
    notice: str
    version: int
    fetched_at: str
    age_s: float


class OrderPage(Page[OrderCard]):
    """Orders found, the newest first."""


def routes(desk: OrderDesk) -> list[Route]:
    """`GET /api/orders` and `GET /api/orders/{id}`."""

    def shown(order: Order) -> OrderCard:
        today = desk.today()
        values: dict[str, Any] = card(
            order, Level.ORDER_NO, not desk.available, alerts(order, today), today=today, now=desk.now()
        )
        return OrderCard.model_validate(values)

    async def search(request: Request) -> BaseModel:
        query: OrderQuery = request.query
        if (query.phone is None) == (query.order_no is None):
            raise BadInput("orders:one-of", "Give either a phone or an order_no.")
        found = await desk.find(phone=query.phone or "", order_no=query.order_no or "")
        return OrderPage(items=[shown(order) for order in found[: query.limit]])

    async def one(request: Request) -> BaseModel:
        order = desk.order(request.path["id"])
        if order is None:
            raise NotFound("order", request.path["id"][:64])
        if desk.available:
            order = await desk.refresh(order.order_id, deadline_s=1.0) or order
        return shown(order)

    agents = frozenset({Role.AGENT, Role.SUPERVISOR})
    return [
        Route(
            "GET",
            "/api/orders",
            search,
            "Find orders by phone or order number",
            OrderPage,
            query=OrderQuery,
            roles=agents,
            tag="orders",
            errors=(422, 503),
        ),
        Route(
            "GET",
            "/api/orders/{id}",
            one,
            "One order, as fresh as the shop lets it be",
            OrderCard,
            roles=agents,
            tag="orders",
            errors=(404,),
        ),
    ]
