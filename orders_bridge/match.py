"""Which order a caller most likely calls about: candidates ranked by evidence, with the reasons.

Does not decide what may be told (`ladder.py`), nor what the orders are: they are given.

Invariants: deterministic and independent of the order of its input; reasons add up to the score; whoever typed an order
number is taken at their word, no caller id outweighs it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from orders_bridge.model import Order
from orders_bridge.situation import alerts, is_open

NAMED = 100
ANI_MATCH = 40
PROBLEM = 30
OPEN = 20
LEAD = 20  # points ahead of the second that make the first one "the" order


@dataclass(frozen=True, slots=True)
class Reason:
    """One piece of evidence: `what` is a stable id, `points` its weight."""

    what: str  # order-number-typed, phone-on-order, open-problem, still-open, recent
    points: int


@dataclass(frozen=True, slots=True)
class Candidate:
    order: Order
    score: int
    reasons: tuple[Reason, ...]


def _recency(order: Order, today: date) -> int:
    """From 15 points for something that happened today down to none after 30 days."""
    days = max((today - max(order.placed_at, order.changed_at).date()).days, 0)
    return max(15 - days // 2, 0)


def weigh(order: Order, ani: str, order_no: str, today: date) -> Candidate:
    """The evidence for one order. `ani` and the order's phones are in the same (normalised) form."""
    reasons = []
    if order_no and order.order_no == order_no:
        reasons.append(Reason("order-number-typed", NAMED))
    if ani and ani in order.phones:
        reasons.append(Reason("phone-on-order", ANI_MATCH))
    if alerts(order, today):
        reasons.append(Reason("open-problem", PROBLEM))
    if is_open(order, today):
        reasons.append(Reason("still-open", OPEN))
    recent = _recency(order, today)
    if recent:
        reasons.append(Reason("recent", recent))
    return Candidate(order, sum(reason.points for reason in reasons), tuple(reasons))


def rank(orders: Iterable[Order], *, ani: str = "", order_no: str = "", today: date) -> tuple[Candidate, ...]:
    """Candidates with evidence that ties them to this caller (phone or typed number), the likeliest first."""
    tied = [o for o in orders if (order_no and o.order_no == order_no) or (ani and ani in o.phones)]
    weighed = [weigh(order, ani, order_no, today) for order in tied]
    return tuple(sorted(weighed, key=lambda c: (-c.score, -c.order.placed_at.timestamp(), c.order.order_id)))


def choose(candidates: tuple[Candidate, ...]) -> Candidate | None:
    """The one order to speak of, when it is alone or leads clearly; None when there is none or a person must choose."""
    if not candidates:
        return None
    if len(candidates) == 1 or candidates[0].score - candidates[1].score >= LEAD:
        return candidates[0]
    return None
