"""What routing needs from others; `app/wiring.py` joins them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from core.events.routing import OfferMade
from core.phrases.model import Phrases
from pbx.transfer import CallOrder
from routing.model import WorkItem


class Telephony(Protocol):
    """Satisfied by `pbx.control.Control`. Raises when the switch does not take the order."""

    async def offer(
        self, *, offer_id: str, interaction_id: str, caller_channel: str, extension: str, ring_s: float, epoch: int,
        caller_number: str = "", caller_name: str = "", headers: Mapping[str, str] | None = None,
        whisper: Sequence[str] = (),
    ) -> str: ...  # fmt: skip

    async def cancel_offer(self, leg_id: str) -> None: ...

    async def set_variables(self, channel: str, values: Mapping[str, str]) -> None:
        """Writes the ticket that a caller's channel carries."""
        ...

    async def send_away(self, channel: str, to: str) -> None:
        """A waiting caller leaves the queue: `to`: voicemail, closing (a sentence, then the end), number (AC_AWAY)."""
        ...

    async def carry_out(self, order: CallOrder) -> None:
        """What is done to a caller who is talked to."""
        ...


class OrderWords(Protocol):
    async def words(self, order_id: str, level: str) -> Phrases:
        """One sentence about the order for a caller who waits and has proved `level`; () when nothing may or can be said."""
        ...


class ScreenPop(Protocol):
    """Puts the order card on the agent's screen. Awaited before the phone rings, for 350 ms at most."""

    async def push(self, offer: OfferMade, item: WorkItem) -> object: ...
