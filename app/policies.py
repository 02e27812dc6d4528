"""Joins the desk of policies with the owner of the queues, here or in another process. Holds no rule of routing.

desk = make_desk(house)                      # in every process that owns queues or serves the web
policy = await desk.load()                   # for the Acd; then desk.apply = acd.set_policy
desk.run()                                   # one of the process's parts
routes_here(desk, acd) | routes_afar(desk, links)
links.verbs["situation"] = situation_verb(acd)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from app.roles import ACD
from app.routing_policy import document_of
from core.clock import Clock
from core.http.routes import Route
from routing.acd import Acd
from routing.policy.desk import PolicyDesk
from routing.policy.dry_run import Situation, situation_from, situation_record
from routing.policy.http import routes, situation_of

if TYPE_CHECKING:
    from app.house import House
    from app.roles.links import Links

SITUATION = "situation"
SITUATION_S = 4.0


def make_desk(house: House) -> PolicyDesk:
    return PolicyDesk(house.database, house.clock, document_of(house.settings), bus=house.bus)


def routes_here(desk: PolicyDesk, acd: Acd, clock: Clock) -> list[Route]:
    async def situation() -> Situation:
        return situation_of(acd.book)

    return routes(desk, situation, clock)


def routes_afar(desk: PolicyDesk, links: Links, clock: Clock) -> list[Route]:
    """For an owner of the queues elsewhere. Raises Unavailable when there is none."""

    async def situation() -> Situation:
        return situation_from(await links.ask(ACD, SITUATION, {}, deadline_s=SITUATION_S))

    return routes(desk, situation, clock)


def situation_verb(acd: Acd) -> Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]:
    """What an owner of the queues answers to a web process elsewhere."""

    async def tell(_body: dict[str, Any]) -> dict[str, Any]:
        return situation_record(situation_of(acd.book))

    return tell
