"""What the owner of routing holds in memory: agents, waiting items, offers; and the only doors by which they change.

Knows no telephony and no timers. What may be paired is kept ready in a pool (`pool.py`), which hears of every change here.
Invariants: a caller waits, or is offered to one agent, never both; an agent has at most one offer; each change of an agent is
told; in the pool are those who wait and do not rest, and the agents who may be offered something.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.clock import Clock
from core.errors import NotFound
from core.events.routing import ItemQueued
from core.events.stream import EventSink
from routing.acquaintance import Acquaintances
from routing.agent import Act, Agent, Happening, Ignored, apply
from routing.capacity import Capacity
from routing.model import AgentRecord, Offer, WorkItem
from routing.occupancy import Occupancy
from routing.policy.model import Policy, QueuePolicy
from routing.pool import Pool
from routing.why import lacks
from routing.wish import Wish, program, stage_no_at

REMEMBERED = 5000
NEVER_IDLE_S = 1e6


class Book:
    def __init__(self, policy: Policy, agents: Iterable[AgentRecord], stream: EventSink, clock: Clock) -> None:
        self.agents = {record.extension: _agent(record) for record in agents}
        self.waiting: dict[str, WorkItem] = {}  # changed by `wait` and `leave` alone
        self.pool = Pool(policy)
        self.occupancy = Occupancy()
        self.acquainted = Acquaintances()
        self.capacity = Capacity()
        self._resting: set[str] = set()
        self.on_away: Callable[[], None] = lambda: None  # an agent can be given nothing now
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

    @property
    def queues(self) -> Mapping[str, QueuePolicy]:
        return self.pool.policy.queues

    def policy(self, queue: str) -> QueuePolicy:
        """The queue's rules; plain ones for a queue that is not configured (its callers are served all the same)."""
        return self.pool.policy.queue(queue)

    def last_agent(self, queue: str, ani: str) -> str:
        """Who served this caller last, where the queue's rules ask for it; else ""."""
        rules = self.policy(queue)
        return self.acquainted.last(ani, self.clock.now(), rules.last_agent_days) if rules.last_agent_points else ""

    def set_policy(self, policy: Policy) -> None:
        """Other rules, also for those who wait already."""
        self.pool.set_policy(policy, self.clock.monotonic())

    # --- who waits

    def wait(self, item: WorkItem) -> None:
        """The item waits from now on, with the wait it had."""
        self.waiting[item.interaction_id] = item
        began = self._began(item)
        if item.interaction_id not in self._resting:
            self.pool.put(item, began, self.clock.monotonic())

    def tell_queued(self, item: WorkItem, *, position: int = 0, returned: bool = False) -> None:
        """That the item waits in its queue from now on."""
        self.stream.emit(ItemQueued(
            interaction_id=item.interaction_id, at=self.clock.now(), queue=item.queue, enqueued_at=item.enqueued_at,
            channel=item.channel, language=item.language, priority=item.priority, skills=dict(item.skills), ani=item.ani,
            position=position, returned=returned,
        ))  # fmt: skip

    def leave(self, interaction_id: str) -> WorkItem | None:
        """It waits no more. None when it did not."""
        self.pool.drop(interaction_id)
        return self.waiting.pop(interaction_id, None)

    @property
    def resting(self) -> list[str]:
        return sorted(self._resting)

    def rest(self, interaction_id: str, resting: bool) -> None:
        """Whether it is left out of what may be paired, for a moment."""
        if resting:
            self._resting.add(interaction_id)
            self.pool.drop(interaction_id)
        elif interaction_id in self._resting:
            self._resting.discard(interaction_id)
            if interaction_id in self.waiting:
                self.wait(self.waiting[interaction_id])

    # --- agents

    def happen(self, extension: str, act: Act, **more: Any) -> bool:
        """Lets something happen to an agent now and tells it (`more` as in `Happening`). False when it did not count."""
        agent, told = apply(self.agents[extension], Happening(act, self.clock.now(), **more))
        if isinstance(told, Ignored):
            return False
        self.set_agent(agent)
        for event in told:
            self.stream.emit(event)
        return True

    def set_agent(self, agent: Agent) -> None:
        """The agent as they are now; the pool hears whether they may be offered something."""
        extension, now = agent.extension, self.clock.monotonic()
        self.agents[extension] = agent
        self.occupancy.note(extension, agent.state, now)
        if not agent.available:
            self.pool.busy(extension)
            self.on_away()
            return
        idle_s = NEVER_IDLE_S  # who was never idle before is first
        if agent.idle_since is not None:
            idle_s = (self.clock.now() - agent.idle_since).total_seconds()
        self.pool.free(
            extension, agent.skills, agent.teams, now, idle_since=round(now - idle_s, 3),
            occupancy=self.occupancy.share(extension, now), kinds=self.capacity.open({}),
        )  # fmt: skip

    def add_agent(self, record: AgentRecord) -> None:
        """An agent who was added, or whose name, skills or teams changed, while we run."""
        fresh, known = _agent(record), self.agents.get(record.extension)
        if known is not None:
            fresh = replace(known, name=fresh.name, skills=fresh.skills, teams=fresh.teams)
        self.set_agent(fresh)

    def offers_for(self, interaction_id: str) -> list[Offer]:
        """The caller's offers: at most one that is not answered, and the talks that have not ended."""
        return [offer for offer in self.offers.values() if offer.item.interaction_id == interaction_id]

    def offers_to(self, extension: str) -> list[Offer]:
        return [offer for offer in self.offers.values() if offer.extension == extension]

    def talk_of(self, interaction_id: str) -> Offer | None:
        return next((o for o in self.offers_for(interaction_id) if o.connected_at is not None), None)

    def device(self, extension: str, *, reachable: bool, in_use: bool) -> None:
        if extension in self.agents:
            self.set_agent(replace(self.agents[extension], reachable=reachable, in_use=in_use))

    def waited_s(self, item: WorkItem) -> float:
        """Since the caller first stood in the queue: by the wall clock when we first hear of it (it outlives restarts), and by
        the monotonic clock from then on. Never negative."""
        return round(max(0.0, self.clock.monotonic() - self._began(item)), 3)

    def wish_now(self, item: WorkItem) -> Wish:
        """What it asks of an agent now, also while it rests and may not be paired."""
        standing = self.pool.standing(item.interaction_id, self.clock.monotonic())
        if standing is not None:
            wish: Wish = standing["wish"]
            return wish
        steps = program(item, self.pool.policy)
        return steps.stages[stage_no_at(steps, self.waited_s(item))].wish

    def wish_of_newcomer(self, queue: str) -> Wish:
        """What is asked of an agent for somebody who comes to the queue now, of whom nothing more is known."""
        return program(WorkItem("", queue, "", self.clock.now()), self.pool.policy).stages[0].wish

    def able(self, wish: Wish) -> list[Agent]:
        """Whoever has what is asked for, there or not, free or not."""
        return [agent for agent in self.agents.values() if lacks(agent, wish) is None]

    def inherit(self, interaction_id: str, older_id: str) -> None:
        """An entry under another id has waited since the same moment, if that is earlier than its own."""
        began = self._waits.get(older_id)
        if began is not None:
            self._waits[interaction_id] = min(began, self._waits.get(interaction_id, began))

    def _began(self, item: WorkItem) -> float:
        began = self._waits.get(item.interaction_id)
        if began is None:
            waited = max(0.0, (self.clock.now() - item.enqueued_at).total_seconds())
            began = self._waits[item.interaction_id] = self.clock.monotonic() - waited
            while len(self._waits) > REMEMBERED:
                self._waits.popitem(last=False)
        return began

    def put_back(self, item: WorkItem) -> None:
        """The caller waits again, with the wait they had: at the head among their equals. Not who is gone, is offered
        elsewhere, or talks."""
        ix = item.interaction_id
        left = all(talk.talking_since is not None and self.came_back(talk) for talk in self.offers_for(ix))
        if left and not self.is_gone(ix) and ix not in self.waiting:
            self.wait(replace(item, attempts=item.attempts + 1))

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


def _agent(record: AgentRecord) -> Agent:
    return Agent(record.extension, record.name, record.skills, teams=record.teams)


def _remember(memory: OrderedDict[str, datetime], key: str, at: datetime) -> None:
    memory[key] = at
    memory.move_to_end(key)
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)
