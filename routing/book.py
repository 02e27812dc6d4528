"""What the owner of routing holds in memory: agents, waiting items, offers; and the only doors by which they change.

Knows no telephony and no timers. Invariants: a caller waits, or is offered to one agent, never both; an agent has at most
one offer; each change of an agent is told.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.clock import Clock
from core.errors import NotFound
from core.events.stream import EventSink
from routing.agent import Act, Agent, Happening, Ignored, apply
from routing.model import AgentRecord, Offer, QueuePolicy, WorkItem

REMEMBERED = 5000


class Book:
    def __init__(
        self, queues: Mapping[str, QueuePolicy], agents: Iterable[AgentRecord], stream: EventSink, clock: Clock
    ) -> None:
        self.queues = dict(queues)
        self.agents = {record.extension: Agent(record.extension, record.name, record.skills) for record in agents}
        self.waiting: dict[str, WorkItem] = {}
        self.offers: dict[str, Offer] = {}
        self.stream = stream
        self.clock = clock
        self._gone: OrderedDict[str, datetime] = OrderedDict()  # callers who hung up
        self._over: OrderedDict[str, datetime] = OrderedDict()  # offers whose leg has ended
        self._visits: OrderedDict[str, datetime] = OrderedDict()  # callers who were told to wait, and when last
        self._waits: OrderedDict[str, float] = OrderedDict()  # since when callers wait, by the monotonic clock

    def agent(self, extension: str) -> Agent:
        """Raises NotFound."""
        agent = self.agents.get(extension)
        if agent is None:
            raise NotFound("agent", extension)
        return agent

    def policy(self, queue: str) -> QueuePolicy:
        """The queue's rules; plain ones for a queue that is not configured (its callers are served all the same)."""
        return self.queues.get(queue) or QueuePolicy(queue, wrap_up_s=0)

    def happen(self, extension: str, act: Act, **more: Any) -> bool:
        """Lets something happen to an agent now and tells it (`more` as in `Happening`). False when it did not count."""
        agent, told = apply(self.agents[extension], Happening(act, self.clock.now(), **more))
        if isinstance(told, Ignored):
            return False
        self.agents[extension] = agent
        for event in told:
            self.stream.emit(event)
        return True

    def offers_for(self, interaction_id: str) -> list[Offer]:
        """The caller's offers: at most one that is not answered, and the talks that have not ended."""
        return [offer for offer in self.offers.values() if offer.item.interaction_id == interaction_id]

    def offers_to(self, extension: str) -> list[Offer]:
        return [offer for offer in self.offers.values() if offer.extension == extension]

    def talk_of(self, interaction_id: str) -> Offer | None:
        return next((o for o in self.offers_for(interaction_id) if o.connected_at is not None), None)

    def device(self, extension: str, *, reachable: bool, in_use: bool) -> None:
        if extension in self.agents:
            self.agents[extension] = replace(self.agents[extension], reachable=reachable, in_use=in_use)

    def waited_s(self, item: WorkItem) -> float:
        """Since the caller first stood in the queue: by the wall clock when we first hear of it (it outlives restarts), and by
        the monotonic clock from then on. Never negative."""
        began = self._waits.get(item.interaction_id)
        if began is None:
            waited = max(0.0, (self.clock.now() - item.enqueued_at).total_seconds())
            began = self._waits[item.interaction_id] = self.clock.monotonic() - waited
            while len(self._waits) > REMEMBERED:
                self._waits.popitem(last=False)
        return round(max(0.0, self.clock.monotonic() - began), 3)

    def put_back(self, item: WorkItem) -> None:
        """The caller waits again, with the wait they had: at the head among their equals. Not who is gone, is offered
        elsewhere, or talks."""
        ix = item.interaction_id
        left = all(talk.talking_since is not None and self.came_back(talk) for talk in self.offers_for(ix))
        if left and not self.is_gone(ix) and ix not in self.waiting:
            self.waiting[ix] = replace(item, attempts=item.attempts + 1)

    def came_back(self, offer: Offer) -> bool:
        """The caller did not come into this talk, or came back into the queue out of it."""
        if offer.talking_since is None:
            return not offer.unconfirmed
        waits_since = self._visits.get(offer.item.interaction_id)
        return waits_since is not None and waits_since > offer.talking_since

    # A late or doubled fact must not bring back what is over; only so much is remembered.

    def mark_gone(self, interaction_id: str) -> None:
        _remember(self._gone, interaction_id, self.clock.now())

    def is_gone(self, interaction_id: str) -> bool:
        return interaction_id in self._gone

    def mark_over(self, offer_id: str) -> None:
        _remember(self._over, offer_id, self.clock.now())

    def is_over(self, offer_id: str) -> bool:
        return offer_id in self._over

    def seen_before(self, interaction_id: str) -> bool:
        return interaction_id in self._visits

    def new_visit(self, interaction_id: str, at: datetime) -> bool:
        """Whether the caller was not told to wait at this very moment before."""
        known = self._visits.get(interaction_id) == at
        _remember(self._visits, interaction_id, at)
        return not known


def _remember(memory: OrderedDict[str, datetime], key: str, at: datetime) -> None:
    memory[key] = at
    memory.move_to_end(key)
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)
