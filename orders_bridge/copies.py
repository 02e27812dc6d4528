"""An order as bytes and back: how copies are kept, in memory and in the database.

Does not decide what is kept where. Invariant: `unpack(pack(order)) == order`; a copy written by an older release that
cannot be read any more gives None, and is fetched anew.
"""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from orders_bridge.model import Order

_ORDER = TypeAdapter(Order)


def pack(order: Order) -> bytes:
    """Compact JSON, about 1–2 KB; fields at their default are left out."""
    return _ORDER.dump_json(order, exclude_defaults=True)


def unpack(copy: bytes | str) -> Order | None:
    """The order of a copy, None when it cannot be read."""
    try:
        return _ORDER.validate_json(copy)
    except ValidationError:
        return None
