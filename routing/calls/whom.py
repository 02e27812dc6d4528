"""Who may be rung for a call that somebody asks for by name; everybody else is refused with one sentence that says why.

Knows no telephony. Nothing is changed here.
"""

from __future__ import annotations

from core.errors import AftercallError, BadInput, NotFound
from routing.agent import Agent, State
from routing.book import Book


def free(book: Book, extension: str, *, but: str) -> Agent:
    """The agent, who may be rung now. Raises NotFound, AftercallError (`routing:agent-not-free`)."""
    agent = book.agent(extension)
    why = ""
    if extension == but:
        why = "has the call already"
    elif not agent.reachable:
        why = "cannot be reached: their phone is not registered"
    elif agent.in_use or agent.busy or book.offers_to(extension):
        why = "is busy"
    elif agent.state is not State.READY:
        why = f"is {agent.state}" + (f" ({agent.reason})" if agent.reason else "")
    if why:
        raise AftercallError(
            "routing:agent-not-free", f"{agent.name} {why}.", hint="Choose somebody else, or a queue.", status=409
        )
    return agent


def somebody_of(book: Book, queue: str, *, but: str) -> Agent:
    """Whoever of a queue is longest idle. Raises NotFound, AftercallError (`routing:queue-not-free`)."""
    if queue not in book.queues:
        raise NotFound("queue", queue)
    wanted = book.policy(queue).skills
    free = [
        agent for agent in book.agents.values()
        if agent.available and agent.extension != but and not book.offers_to(agent.extension)
        and all(agent.skills.get(skill, 0) >= least for skill, least in wanted.items())
    ]  # fmt: skip
    if not free:
        raise AftercallError(
            "routing:queue-not-free", f"Nobody of '{queue}' is free now.", hint="Send the caller there to wait.",
            status=409,
        )  # fmt: skip
    return min(free, key=lambda agent: (agent.idle_since or agent.since or book.clock.now(), agent.extension))


def own_phone(book: Book, extension: str) -> Agent:
    """Whoever asks for a call at their own phone; whatever they are, if they are not busy. Raises BadInput, AftercallError."""
    if not extension:
        raise BadInput("routing:no-phone", "You have no telephone here.", hint="Ask for an extension.")
    agent = book.agent(extension)
    if not agent.reachable or agent.in_use or agent.state in (State.RESERVED, State.ENGAGED):
        why = "is not registered" if not agent.reachable else "is busy"
        raise AftercallError(
            "routing:own-phone", f"Your telephone {why}.", hint="End what you do there first.", status=409
        )
    return agent
