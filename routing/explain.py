"""Answers to "why is this agent not getting calls?" and "why does this caller wait?", from what the owner holds now.

Reads the owner's book and pool, changes nothing. Every reason has a short name, which the console says in both languages, and
a sentence in English. Does not tell of the past: the timeline has why each offer was made.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from core.errors import NotFound
from core.http.routes import Strict
from routing.agent import Agent, State
from routing.model import Offer, WorkItem
from routing.why import Hindrance, hindrance, lacks, unavailable
from routing.wish import program

if TYPE_CHECKING:
    from routing.acd import Acd

WHYS = 5
MOST_AGENTS = 200


class Reason(Strict):
    """`reason`: a short name; `facts`: what belongs to it; `words`: the sentence; `hint`: what can be done about it."""

    reason: str
    words: str
    facts: dict[str, str | int] = {}
    hint: str = ""


class QueueWhy(Strict):
    """`waiting`: how many wait there; `could_take`: of them, whom this agent has the skills for."""

    queue: str
    waiting: int
    could_take: int
    words: str


class AgentWhy(Strict):
    """Why this agent is given calls, or is not. `reasons` is empty when nothing keeps them. `before`: free agents whose turn
    comes first, for the queue they are best at."""

    extension: str
    name: str
    state: str
    since: datetime | None
    available: bool
    headline: str
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
    """A caller who waits, or whose phone rings somewhere. `state`: waiting, resting, offered, talking."""

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


def in_order(acd: Acd) -> list[WorkItem]:
    """Those who wait, as an agent who can do everything would take them; whoever rests for a moment comes last."""
    book = acd.book
    ordered = book.pool.order(book.clock.monotonic())
    rest = sorted((item for ix, item in book.waiting.items() if ix in set(book.resting)), key=lambda item: item.order)
    return [*(book.waiting[ix] for ix in ordered if ix in book.waiting), *rest]


def agent_why(acd: Acd, extension: str) -> AgentWhy:
    """Raises NotFound."""
    agent = acd.book.agent(extension)
    reasons: list[Reason] = []
    if not acd.link_up:
        reasons.append(
            Reason(reason="no_switch", words="The telephone switch does not answer, so nobody is given calls.")
        )
    kept = unavailable(agent)
    if kept is not None:
        reasons.append(_reason(kept, _hint(agent, kept)))
    queues = _queues(acd, agent)
    before = _before(acd, agent) if agent.available else 0
    return AgentWhy(
        extension=extension, name=agent.name, state=agent.state, since=agent.since, available=agent.available,
        headline=_agent_headline(agent, reasons, queues, before), reasons=reasons, queues=queues, before=before,
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
    now = book.clock.monotonic()
    standing = book.pool.standing(interaction_id, now)
    resting = standing is None
    if standing is None:
        first = program(item, book.pool.policy).stages[0]
        standing = {"ring": 0, "wish": first.wish, "points": first.points, "waited_s": book.waited_s(item),
                    "priority": first.points, "overtaken": 0, "widens_in_s": None}  # fmt: skip
    wish = standing["wish"]
    merits = {} if resting else dict(book.pool.ranked(interaction_id, now))
    agents = sorted(
        book.agents.values(),
        key=lambda agent: (-merits.get(agent.extension, -1e9), bool(lacks(agent, wish)), agent.extension),
    )
    return ItemWhy(
        interaction_id=interaction_id, queue=item.queue, state="resting" if resting else "waiting",
        headline=why_waiting(acd, item), waited_s=book.waited_s(item),
        position=1 + [one.interaction_id for one in in_order(acd)].index(interaction_id), ring=standing["ring"],
        rings=len(program(item, book.pool.policy).stages), asks_for=dict(wish.skills), teams=sorted(wish.teams), only=wish.only,
        priority=round(standing["priority"], 3), overtaken=standing["overtaken"], widens_in_s=standing["widens_in_s"],
        agents=[_candidate(agent, merits, hindrance(agent, wish)) for agent in agents[:MOST_AGENTS]], chosen="",
    )  # fmt: skip


def why_waiting(acd: Acd, item: WorkItem) -> str:
    """Why nobody has taken it yet; who has the skills is named first."""
    book = acd.book
    if not acd.link_up:
        return "the telephone switch does not answer"
    standing = book.pool.standing(item.interaction_id, book.clock.monotonic())
    if standing is None:
        return "it is tried again in a moment"
    wish = standing["wish"]
    agents = sorted(book.agents.values(), key=lambda agent: (lacks(agent, wish) is not None, agent.extension))
    whys = [hindrance(agent, wish) for agent in agents[:WHYS]]
    if not whys:
        return "there are no agents"
    if None in whys:
        return "it is tried again in a moment"
    said = "; ".join(why.words for why in whys if why is not None)
    more = len(agents) - len(whys)
    return f"{said}; and {more} more" if more > 0 else said


def _offered(acd: Acd, offer: Offer) -> ItemWhy:
    book, item = acd.book, offer.item
    agent = book.agents.get(offer.extension)
    name = agent.name if agent is not None else offer.extension
    talking = offer.answered_at is not None
    return ItemWhy(
        interaction_id=item.interaction_id, queue=item.queue, state="talking" if talking else "offered",
        headline=f"{'talks to' if talking else 'the phone rings at'} {name}", waited_s=book.waited_s(item), position=0, ring=0,
        rings=0, asks_for={}, teams=[], only="", priority=0.0, overtaken=0, widens_in_s=None, agents=[], chosen=offer.why,
    )  # fmt: skip


def _queues(acd: Acd, agent: Agent) -> list[QueueWhy]:
    book, now = acd.book, acd.book.clock.monotonic()
    names = sorted({*book.queues, *(item.queue for item in book.waiting.values())})
    told = []
    for name in names:
        items = [item for item in book.waiting.values() if item.queue == name]
        wishes = [s["wish"] for item in items if (s := book.pool.standing(item.interaction_id, now)) is not None]
        kept = [why for wish in wishes if (why := lacks(agent, wish)) is not None]
        if not items:
            asked = lacks(agent, program(WorkItem("", name, "", book.clock.now()), book.pool.policy).stages[0].wish)
            words = "nobody waits" if asked is None else f"nobody waits; {asked.words}"
        elif kept:
            words = f"{len(items)} wait; {kept[0].words}"
        else:
            words = f"{len(items)} wait"
        told.append(QueueWhy(queue=name, waiting=len(items), could_take=len(wishes) - len(kept), words=words))
    return told


def _before(acd: Acd, agent: Agent) -> int:
    """How many free agents have been idle for longer."""
    free = [other for other in acd.book.agents.values() if other.available and other.idle_since is not None]
    return sum(agent.idle_since is not None and other.idle_since < agent.idle_since for other in free)  # type: ignore[operator]


def _agent_headline(agent: Agent, reasons: list[Reason], queues: list[QueueWhy], before: int) -> str:
    if reasons:
        return reasons[0].words
    waiting = sum(queue.waiting for queue in queues)
    if not waiting:
        return f"{agent.name} is ready; nobody waits. {before} free agents have been idle for longer."
    return f"{agent.name} is ready; {waiting} wait, but for something else: see the queues."


def _hint(agent: Agent, kept: Hindrance) -> str:
    if kept.reason == "unreachable":
        return "The phone is not registered at the switch: check its power, its network and its password."
    if kept.reason == "in_use":
        return "They hear of waiting callers as soon as they hang up."
    if agent.state is State.NOT_READY and agent.reason == "rona":
        return "Their phone rang and was not answered. They can say READY again on the page or by the phone's code."
    if agent.state in (State.NOT_READY, State.OFFLINE):
        return "They, or a supervisor, can say READY."
    if agent.state is State.WRAP_UP:
        return "It ends by itself, or when they finish it."
    return ""


def _reason(kept: Hindrance, hint: str = "") -> Reason:
    return Reason(reason=kept.reason, words=kept.words, facts=kept.facts, hint=hint)


def _candidate(agent: Agent, merits: dict[str, Any], kept: Hindrance | None) -> Candidate:
    return Candidate(
        extension=agent.extension, name=agent.name, merit=merits.get(agent.extension),
        reason=None if kept is None else _reason(kept),
    )  # fmt: skip
