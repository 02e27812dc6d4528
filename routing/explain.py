"""Answers to "why is this agent not getting calls?" and "why does this caller wait?", from what the owner holds now.

Reads the owner's book and pool, changes nothing. Every reason has a short name, which the console says in both languages, and
a sentence in English. Does not tell of the past: the timeline has why each offer was made.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from core.errors import NotFound
from core.http.routes import Strict
from routing.agent import Agent
from routing.ground import Ground, sentence
from routing.model import Offer, WorkItem
from routing.why import hindrance, lacks, unavailable
from routing.wish import program, stage_no_at

if TYPE_CHECKING:
    from routing.acd import Acd

WHYS = 5
MOST_AGENTS = 200


class Reason(Strict):
    """`reason`: a short name that never changes; `facts`: what belongs to it; `words`: the two as an English sentence; `hint`:
    what can be done about it, `hint_id` its short name."""

    reason: str
    words: str
    facts: dict[str, str | int] = {}
    hint: str = ""
    hint_id: str = ""


class QueueWhy(Strict):
    """`waiting`: how many wait there; `could_take`: of them, whom this agent has the skills for. `reason`: what they lack for
    the first of the others, or, when nobody waits, for whoever would come."""

    queue: str
    waiting: int
    could_take: int
    words: str
    reason: Reason | None


class AgentWhy(Strict):
    """Why this agent is given calls, or is not. `reasons` is empty when nothing keeps them. `before`: free agents whose turn
    comes first, for the queue they are best at. `headline`: the words of `summary`."""

    extension: str
    name: str
    state: str
    since: datetime | None
    available: bool
    headline: str
    summary: Reason
    reasons: list[Reason]
    queues: list[QueueWhy]
    before: int


class Candidate(Strict):
    """An agent, and why not them (nothing: they may take it). `merit`: their points, the higher the earlier."""

    extension: str
    name: str
    merit: float | None
    reason: Reason | None


class ItemWhy(Strict):
    """A caller who waits, or whose phone rings somewhere. `state`: waiting, resting, offered, talking. `reasons`: why nobody
    has taken them yet; `chosen_for`: why they were offered to whom. `headline` and `chosen` are the two as sentences."""

    interaction_id: str
    queue: str
    state: str
    headline: str
    waited_s: float
    position: int
    ring: int
    rings: int
    asks_for: dict[str, int]
    teams: list[str]
    only: str
    priority: float
    overtaken: int
    widens_in_s: float | None
    agents: list[Candidate]
    chosen: str
    reasons: list[Reason]
    chosen_for: list[Reason]


def in_order(acd: Acd) -> list[WorkItem]:
    """Those who wait, as an agent who can do everything would take them; whoever rests for a moment comes last."""
    book = acd.book
    ordered = book.pool.order(book.clock.monotonic())
    rest = sorted((item for ix, item in book.waiting.items() if ix in set(book.resting)), key=lambda item: item.order)
    return [*(book.waiting[ix] for ix in ordered if ix in book.waiting), *rest]


def agent_why(acd: Acd, extension: str) -> AgentWhy:
    """Raises NotFound."""
    agent = acd.book.agent(extension)
    kept = [
        ground for ground in (None if acd.link_up else Ground("no_switch"), unavailable(agent)) if ground is not None
    ]
    queues = _queues(acd, agent)
    before = _before(acd, agent) if agent.available else 0
    summary = kept[0] if kept else _nothing_keeps(agent, queues, before)
    return AgentWhy(
        extension=extension, name=agent.name, state=agent.state, since=agent.since, available=agent.available,
        headline=summary.words, summary=reason_of(summary), reasons=[reason_of(one) for one in kept], queues=queues,
        before=before,
    )  # fmt: skip


def item_why(acd: Acd, interaction_id: str) -> ItemWhy:
    """Raises NotFound when the caller neither waits nor is offered or served."""
    book = acd.book
    item = book.waiting.get(interaction_id)
    if item is None:
        offers = book.offers_for(interaction_id)
        if not offers:
            raise NotFound("waiting item", interaction_id)
        return _offered(acd, offers[-1])
    now, steps = book.clock.monotonic(), program(item, book.pool.policy)
    standing, wish = book.pool.standing(interaction_id, now), book.wish_now(item)
    resting = standing is None
    if standing is None:
        ring = stage_no_at(steps, book.waited_s(item))
        standing = {"ring": ring, "priority": steps.stages[ring].points, "overtaken": 0, "widens_in_s": None}
    merits = {} if resting else dict(book.pool.ranked(interaction_id, now))
    agents = sorted(
        book.agents.values(),
        key=lambda agent: (-merits.get(agent.extension, -1e9), bool(lacks(agent, wish)), agent.extension),
    )
    whys = why_waiting(acd, item)
    return ItemWhy(
        interaction_id=interaction_id, queue=item.queue, state="resting" if resting else "waiting",
        headline=sentence(whys), waited_s=book.waited_s(item),
        position=1 + [one.interaction_id for one in in_order(acd)].index(interaction_id), ring=standing["ring"],
        rings=len(steps.stages), asks_for=dict(wish.skills), teams=sorted(wish.teams), only=wish.only,
        priority=round(standing["priority"], 3), overtaken=standing["overtaken"], widens_in_s=standing["widens_in_s"],
        agents=[_candidate(agent, merits, hindrance(agent, wish)) for agent in agents[:MOST_AGENTS]], chosen="",
        reasons=[reason_of(why) for why in whys], chosen_for=[],
    )  # fmt: skip


def why_waiting(acd: Acd, item: WorkItem) -> list[Ground]:
    """Why nobody has taken it yet; who has the skills is named first."""
    book = acd.book
    if not acd.link_up:
        return [Ground("no_switch")]
    if item.interaction_id in book.resting:
        return [Ground("again")]
    wish = book.wish_now(item)
    agents = sorted(book.agents.values(), key=lambda agent: (lacks(agent, wish) is not None, agent.extension))
    whys = [hindrance(agent, wish) for agent in agents[:WHYS]]
    if not whys:
        return [Ground("no_agents")]
    if None in whys:
        return [Ground("again")]
    more = len(agents) - len(whys)
    return [*(why for why in whys if why is not None), *([Ground("more", {"n": more})] if more > 0 else [])]


def _offered(acd: Acd, offer: Offer) -> ItemWhy:
    book, item = acd.book, offer.item
    agent = book.agents.get(offer.extension)
    name = agent.name if agent is not None else offer.extension
    talking = offer.answered_at is not None
    return ItemWhy(
        interaction_id=item.interaction_id, queue=item.queue, state="talking" if talking else "offered",
        headline=f"{'talks to' if talking else 'the phone rings at'} {name}", waited_s=book.waited_s(item), position=0, ring=0,
        rings=0, asks_for={}, teams=[], only="", priority=0.0, overtaken=0, widens_in_s=None, agents=[],
        chosen=sentence(offer.why), reasons=[], chosen_for=[reason_of(why) for why in offer.why],
    )  # fmt: skip


def _queues(acd: Acd, agent: Agent) -> list[QueueWhy]:
    book, now = acd.book, acd.book.clock.monotonic()
    names = sorted({*book.queues, *(item.queue for item in book.waiting.values())})
    told = []
    for name in names:
        items = [item for item in book.waiting.values() if item.queue == name]
        wishes = [s["wish"] for item in items if (s := book.pool.standing(item.interaction_id, now)) is not None]
        kept = [why for wish in wishes if (why := lacks(agent, wish)) is not None]
        first = kept[0] if kept else None
        if not items:
            first = lacks(agent, book.wish_of_newcomer(name))
        words = f"{len(items)} wait" if items else "nobody waits"
        told.append(QueueWhy(
            queue=name, waiting=len(items), could_take=len(wishes) - len(kept),
            words=words if first is None else f"{words}; {first.words}", reason=None if first is None else reason_of(first),
        ))  # fmt: skip
    return told


def _before(acd: Acd, agent: Agent) -> int:
    """How many free agents have been idle for longer."""
    free = [other for other in acd.book.agents.values() if other.available and other.idle_since is not None]
    return sum(agent.idle_since is not None and other.idle_since < agent.idle_since for other in free)  # type: ignore[operator]


def _nothing_keeps(agent: Agent, queues: list[QueueWhy], before: int) -> Ground:
    waiting = sum(queue.waiting for queue in queues)
    if not waiting:
        return Ground("nobody_waits", {"name": agent.name, "before": before})
    return Ground("other_wanted", {"name": agent.name, "waiting": waiting})


def reason_of(ground: Ground) -> Reason:
    return Reason(
        reason=ground.reason, words=ground.words, facts=ground.facts, hint=ground.hint, hint_id=ground.hint_id
    )


def _candidate(agent: Agent, merits: dict[str, Any], kept: Ground | None) -> Candidate:
    return Candidate(
        extension=agent.extension, name=agent.name, merit=merits.get(agent.extension),
        reason=None if kept is None else reason_of(kept),
    )  # fmt: skip
