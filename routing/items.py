"""A work item from what the switch tells of a waiting caller: the ticket their channel carries, read for routing.

Pure. What cannot be read counts as not said: a strange ticket keeps nobody from being served.
"""

from __future__ import annotations

from datetime import UTC, datetime

from core.events.pbx import CallWaiting
from routing.model import WorkItem


def item_of(fact: CallWaiting, *, last_agent: str = "") -> WorkItem:
    """`fact.facts`: order, value (minor units), owner, preferred (extensions), promised (seconds since 1970)."""
    said = fact.facts
    value, promised = _number(said.get("value")), _number(said.get("promised"))
    return WorkItem(
        fact.interaction_id, fact.queue, fact.channel, fact.enqueued_at, fact.skills, fact.priority, fact.language, fact.ani,
        fact.level, fact.problem, tier=fact.tier, note=fact.note, order_id=said.get("order", ""), value_minor=value or 0,
        told=fact.told, owner=said.get("owner", ""), preferred=said.get("preferred", ""), last_agent=last_agent,
        promised_at=datetime.fromtimestamp(promised, UTC) if promised else None,
    )  # fmt: skip


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) <= 12 else None
