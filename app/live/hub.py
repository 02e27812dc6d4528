"""Keeps the board and tells it to every open socket: a snapshot, then numbered patches; and cards to one agent alone.

Does not read from sockets (`socket.py`) and does not decide what is shown (`board.py`) or hidden (`views.py`).

Invariants: a person's snapshot + patches == their fresh snapshot, whatever was merged or resumed in between; no socket
slows another; a card goes to the sockets of its agent only, stands in one of their pages before `push_card` returns (when
a page says so within `SHOWN_S`; else it is written), and stays, also for browsers that come back, until it is dismissed
or replaced.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from app.live import views
from app.live.board import apply, name_agents, turn_day
from app.live.model import Board, day_of, sections
from app.live.patch import EMPTY, Json, Patch, between, merge
from app.live.seat import Seat, encode, patch_text
from app.live.views import Viewer
from core.clock import Clock
from core.events import routing
from core.events.base import DomainEvent
from core.events.stream import Subscription
from core.http.routes import Caller
from core.ids import IdMaker
from core.metrics import Metrics

RING = 2000
SEATS_PER_USER = 6
DAY_CHECK_S = 20.0
SHOWN_S = 0.25  # what a caller is made to wait for a page that does not draw; routing waits 0.35 s for the whole
log = structlog.get_logger("live")


@dataclass(frozen=True)
class Card:
    """What an agent sees of one offer. `outcome`: "" (open), accepted, missed, declined, cancelled."""

    message: Json
    outcome: str = ""

    @property
    def offer_id(self) -> str:
        return str(self.message.get("offer_id", ""))

    def text(self) -> str:
        return encode({"type": "card", "card": self.message, "outcome": self.outcome})


_OUTCOMES: Mapping[type[DomainEvent], str] = {
    routing.OfferAccepted: "accepted",
    routing.OfferTimedOut: "missed",
    routing.OfferDeclined: "declined",
    routing.OfferCancelled: "cancelled",
}


class Hub:
    """`fresh` gives the truth anew after this listener has missed events (it never should)."""

    def __init__(
        self,
        board: Board,
        *,
        clock: Clock,
        ids: IdMaker,
        metrics: Metrics | None = None,
        fresh: Callable[[], Board] | None = None,
        ring: int = RING,
    ) -> None:
        self.board = board
        self.feed_id = ids()
        self._clock = clock
        self._fresh = fresh
        self._seq = 0
        self._ring: deque[tuple[int, Patch]] = deque(maxlen=ring)
        self._seats: list[Seat] = []
        self._cards: dict[str, Card] = {}
        self._awaited: dict[tuple[str, str], asyncio.Event] = {}  # (extension, offer): shown by a page
        self.texts = SharedTexts()
        figures = metrics or Metrics()
        self._open = figures.gauge("live_sockets", "Open sockets of the live feed")
        self._pushed = figures.counter("live_cards", "Cards pushed to agents", ("written",))
        self._drawn = figures.histogram("live_card_shown_seconds", "From the card to its place in an agent's page")
        self._lagged = figures.counter("live_lagged", "Times the live board fell behind the events")

    # --- the board

    async def run(self, subscription: Subscription) -> None:
        """Follows the events until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._turn_days())
            async for event in subscription:
                if subscription.lagged:
                    subscription.lagged = False
                    self._lagged.inc()
                    log.warning("live board fell behind", dropped=subscription.dropped)
                    if self._fresh is not None:
                        self.replace(self._fresh())
                self.handle(event)

    async def _turn_days(self) -> None:
        while True:
            await asyncio.sleep(DAY_CHECK_S)
            self.board, change = turn_day(self.board, day_of(self.board, self._clock.now()))
            self._publish(change)

    def handle(self, event: DomainEvent) -> None:
        """Applies one event and tells everybody what changed. Never waits."""
        self.board, change = apply(self.board, event)
        self._publish(change)
        outcome = _OUTCOMES.get(type(event))
        if outcome is not None:
            self._settle(event, outcome)

    def replace(self, board: Board) -> None:
        """Another truth: everybody is told the difference."""
        change = between(sections(self.board), sections(board))
        self.board = board
        self._publish(change)

    def name_agents(self, names: Mapping[str, str]) -> None:
        """Agents' names by extension, when they become known."""
        self.board, change = name_agents(self.board, names)
        self._publish(change)

    def _publish(self, change: Patch) -> None:
        if not change:
            return
        self._seq += 1
        self._ring.append((self._seq, change))
        for seat in self._seats:
            seat.tell(self._seq, change)

    def snapshot(self, caller: Caller) -> Json:
        """What this person would be shown if they came now."""
        return {
            "type": "snapshot",
            "feed": self.feed_id,
            "seq": self._seq,
            "now": self._clock.now().isoformat(timespec="milliseconds"),
            "me": {"name": caller.name, "extension": caller.extension, "roles": sorted(caller.roles)},
            "board": views.picture(sections(self.board), Viewer.of(caller)),
        }

    # --- sockets

    def open(self, seat: Seat, *, since: int | None = None, feed: str = "") -> None:
        """Adds a socket. With `since` (of this `feed`) it gets what it missed, else a snapshot; then its card."""
        mine = [other for other in self._seats if other.caller.user_id == seat.caller.user_id]
        for oldest in mine[: max(0, len(mine) - SEATS_PER_USER + 1)]:
            oldest.abort("too many windows")
        missed = self._missed(since) if since is not None and feed in ("", self.feed_id) else None
        if missed is None:
            seat.greet(self._seq, encode(self.snapshot(seat.caller)))
        else:
            seat.greet(self._seq, patch_text(self._seq, missed, seat.viewer))
        card = self._cards.get(seat.caller.extension) if seat.caller.extension else None
        if card is not None:
            seat.note(card.text())
        self._seats.append(seat)
        self._open.set(len(self._seats))

    def close(self, seat: Seat) -> None:
        self._seats = [other for other in self._seats if other is not seat]
        self._open.set(len(self._seats))

    def _missed(self, since: int) -> Patch | None:
        """All changes after `since` as one; None when they are not all remembered."""
        if since == self._seq:
            return EMPTY
        if since > self._seq or not self._ring or since < self._ring[0][0] - 1:
            return None
        merged = EMPTY
        for seq, change in self._ring:
            if seq > since:
                merged = merge(merged, change)
        return merged

    @property
    def seats(self) -> int:
        return len(self._seats)

    # --- cards

    async def push_card(self, extension: str, message: Json) -> int:
        """Writes the card to the agent's open sockets, at once and past whatever waits; keeps it for those to come.
        `message` names its `offer_id`. Returns when a page that tells has shown it (≤ 250 ms), with the number of sockets
        it was written to (≤ 50 ms each)."""
        return await self._show(extension, Card(dict(message)))

    def shown(self, extension: str, offer_id: str) -> None:
        """One of the agent's pages has the card in its document."""
        if (awaited := self._awaited.get((extension, offer_id))) is not None:
            awaited.set()

    def remember_card(self, extension: str, message: Json, outcome: str = "") -> None:
        """Keeps a card for browsers to come, without sending: after a restart, from the journal."""
        self._cards[extension] = Card(dict(message), outcome)

    async def _show(self, extension: str, card: Card) -> int:
        known = self._cards.get(extension)
        if known is not None and known.offer_id == card.offer_id:
            card = replace(card, outcome=known.outcome)  # more became known of the same offer
        self._cards[extension] = card
        text = card.text()
        seats = self._of_agent(extension)
        key = (extension, card.offer_id)
        drawn = self._awaited[key] = asyncio.Event()
        begun = self._clock.monotonic()
        written = 0
        try:
            for seat in seats:
                written += await seat.write_now(text)
            if any(seat.tells for seat in seats) and (known is None or known.offer_id != card.offer_id):
                async with asyncio.timeout(SHOWN_S):
                    await drawn.wait()
                self._drawn.observe(self._clock.monotonic() - begun)
        except TimeoutError:
            log.info("card not shown in time", extension=extension, offer=card.offer_id)
        finally:
            if self._awaited.get(key) is drawn:
                del self._awaited[key]
        self._pushed.labels("yes" if written else "no").inc()
        return written

    def dismiss(self, extension: str, offer_id: str) -> bool:
        """The agent has put the card away; their other windows put it away too. False when it is not there."""
        card = self._cards.get(extension)
        if not extension or card is None or card.offer_id != offer_id:
            return False
        del self._cards[extension]
        for seat in self._of_agent(extension):
            seat.note(encode({"type": "card_dismissed", "offer_id": offer_id}))
        return True

    def card_of(self, extension: str) -> Json | None:
        """The card the agent has open; None when there is none."""
        card = self._cards.get(extension)
        return card.message if card is not None else None

    def _settle(self, event: Any, outcome: str) -> None:
        card = self._cards.get(event.extension)
        if card is None or card.offer_id != event.offer_id or card.outcome == outcome:
            return
        settled = replace(card, outcome=outcome)
        self._cards[event.extension] = settled
        note = encode({"type": "card_outcome", "offer_id": card.offer_id, "outcome": outcome})
        for seat in self._of_agent(event.extension):
            seat.note(note)

    def _of_agent(self, extension: str) -> list[Seat]:
        return [seat for seat in self._seats if extension and seat.caller.extension == extension]


class SharedTexts:
    """Writes patches, each text once for all who see the same: a `TextOf` for seats."""

    def __init__(self) -> None:
        self._of: Patch | None = None
        self._texts: dict[tuple[int, Viewer], str] = {}

    def __call__(self, seq: int, change: Patch, viewer: Viewer) -> str:
        if self._of is not change:
            self._of, self._texts = change, {}
        same = views.same_for(change, viewer)
        key = (seq, same)
        if key not in self._texts:
            self._texts[key] = patch_text(seq, change, same)
        return self._texts[key]
