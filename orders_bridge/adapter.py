"""What every shop connector offers, and how it fails: errors with stable ids, never a half-read order.

Decides no transport. Invariants of every adapter: each call ends within its budget; an answer about another order than
the one asked for is an error, not an order; reads only, so a repeat does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from core.errors import AftercallError
from orders_bridge.model import Order

BUDGET_S = 3.0


class ShopError(AftercallError):
    """The shop's answer cannot be used. `slow` = it was a matter of time; `answered` = the shop itself is alive and
    well (it asks us to wait, or refuses our token), so the circuit breaker does not count it."""

    def __init__(self, error_id: str, message: str, *, slow: bool = False, answered: bool = False) -> None:
        super().__init__(f"orders:{error_id}", message, status=503)
        self.slow = slow
        self.answered = answered


class ShopSlow(ShopError):
    def __init__(self, message: str = "The shop did not answer in time.") -> None:
        super().__init__("shop-slow", message, slow=True)


class ShopBusy(ShopError):
    """429: no question before `retry_after_s` seconds have passed."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("shop-busy", "The shop asks us to wait.", answered=True)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class ChangedPage:
    """Orders that changed, oldest change first. `cursor` is where to go on; `more` = at once, there are more.
    `unreadable` counts those of the page that could not be understood and were left out."""

    orders: tuple[Order, ...]
    cursor: str
    more: bool
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class AdapterHealth:
    """`breaker`: closed, open or half_open; `last_error` is a stable id, "" when the last answer was good."""

    shop: str
    breaker: str
    last_error: str
    last_ms: float


class ShopAdapter(Protocol):
    @property
    def shop(self) -> str:
        """The shop's name, which stands in each of its orders."""
        ...

    async def order_by_no(self, order_no: str, *, budget_s: float = BUDGET_S) -> Order | None:
        """The order, None when the shop says there is none. Raises ShopError."""
        ...

    async def orders_by_phone(self, phone: str, *, budget_s: float = BUDGET_S) -> tuple[Order, ...]:
        """Orders of a phone in E.164, newest first. Raises ShopError."""
        ...

    async def changed_since(self, cursor: str, *, limit: int = 50, budget_s: float = BUDGET_S) -> ChangedPage:
        """The next page of changes; "" begins with everything there is. Raises ShopError."""
        ...

    def health(self) -> AdapterHealth: ...

    async def close(self) -> None: ...
