"""Who may hear what: how far a caller has proved who they are, what may be told at each rung, how often they may try.

Does not look anything up, keep the tries or read a clock; `attempts.py` and `service.py` do.

Invariants: a higher rung may hear everything a lower one may; caller id alone (it can be forged) never opens a number,
a date, an amount or a name; a wrong order number and a wrong second factor are one and the same answer.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from orders_bridge.model import Order


class Level(IntEnum):
    """What the caller has proved. `wire` is how events and channel variables write it."""

    NOBODY = 0
    ANI = 1
    ORDER_NO = 2
    SECOND_FACTOR = 3

    @property
    def wire(self) -> str:
        return ("", "ani", "order_no", "second_factor")[self.value]

    @classmethod
    def of_wire(cls, text: str) -> Level:
        """The level of its wire name; NOBODY for anything unknown."""
        return next((level for level in cls if level.wire == text), cls.NOBODY)


class Item(StrEnum):
    """Kinds of facts about an order, as far as telling them is concerned."""

    STATE = "state"
    PARCEL_COUNT = "parcel_count"
    PARCEL_STATES = "parcel_states"
    PARCEL_DAYS = "parcel_days"
    ORDER_NO = "order_no"
    RETURN_STATE = "return_state"
    RETURN_DAYS = "return_days"
    REFUND_AMOUNT = "refund_amount"
    TOTAL = "total"
    LINES = "lines"
    TRACKING = "tracking"
    NAME = "name"


_BY_ANI = frozenset({Item.STATE})
_BY_ORDER_NO = _BY_ANI | {Item.ORDER_NO, Item.PARCEL_COUNT, Item.PARCEL_STATES, Item.PARCEL_DAYS, Item.RETURN_STATE}
_BY_FACTOR = frozenset(Item)
_HEAR: dict[Level, frozenset[Item]] = {
    Level.NOBODY: frozenset(),
    Level.ANI: _BY_ANI,
    Level.ORDER_NO: _BY_ORDER_NO,
    Level.SECOND_FACTOR: _BY_FACTOR,
}


def may_hear(level: Level) -> frozenset[Item]:
    """What may be said to a caller on this rung, by the voice menu or by an agent."""
    return _HEAR[level]


def shows_name(level: Level) -> bool:
    """Whether an agent's card writes the customer's name out; below this rung it is masked. The phone always is."""
    return level >= Level.ORDER_NO


def proves(order: Order, second_factor: str) -> bool:
    """True when the digits are the last four of a phone on the order. Always False for an order without a phone."""
    typed = second_factor.encode("utf-8", "surrogatepass")
    # All are compared, in full, so that the time taken tells nothing.
    hits = [hmac.compare_digest(end.encode(), typed) for end in order.second_factors]
    return any(hits)


def level_for(order: Order | None, order_no: str, second_factor: str) -> Level:
    """The rung a caller reaches with what they typed. NOBODY = "no such order": the number, or the factor, is wrong."""
    if order is None or not order_no or order.order_no != order_no:
        return Level.NOBODY
    if not second_factor:
        return Level.ORDER_NO
    return Level.SECOND_FACTOR if proves(order, second_factor) else Level.NOBODY


# --- how often


@dataclass(frozen=True, slots=True)
class Limits:
    """Wrong tries allowed. `per_order` guards one order number against guesses from many (or forged) caller ids;
    `per_hidden` is shared by all callers without a number, so it is wider than one caller's."""

    per_call: int = 3
    per_caller: int = 10
    per_order: int = 10
    per_hidden: int = 30
    window_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try that counts. `caller` is the normalised number, "" when hidden; `at_s` is monotonic seconds."""

    interaction_id: str
    caller: str
    order_no: str
    at_s: float


def refusal(
    attempts: Iterable[Attempt], interaction_id: str, caller: str, order_no: str, now_s: float, limits: Limits
) -> str:
    """Why one more try is refused (call, caller, order), "" when allowed. `attempts` are the ones that counted."""
    in_call = by_caller = on_order = 0
    for attempt in attempts:
        in_call += attempt.interaction_id == interaction_id
        recent = now_s - attempt.at_s < limits.window_s
        by_caller += recent and attempt.caller == caller
        on_order += recent and attempt.order_no == order_no
    if in_call >= limits.per_call:
        return "call"
    if by_caller >= (limits.per_caller if caller else limits.per_hidden):
        return "caller"
    return "order" if on_order >= limits.per_order else ""
