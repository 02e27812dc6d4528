"""The sample's people: an admin and agents with the passwords and tokens of the world's plan, made at the first start.

Decides nothing for real installations: with sample data off there is only the admin.
"""

from __future__ import annotations

from app.world.plan import WorldPlan
from core.db.engine import Database
from core.errors import NotFound
from core.http.routes import Role
from core.users.service import Users
from routing import store as routing


async def settle(plan: WorldPlan, users: Users, database: Database) -> None:
    """Makes who is missing; leaves everybody else as they are."""
    await _one(users, plan.admin.user, "Admin", frozenset({Role.ADMIN}), plan.admin.password, "", plan.admin.token)
    for agent in plan.agents:
        roles = frozenset({Role.AGENT})
        await _one(users, agent.user, agent.name, roles, agent.password, agent.extension, agent.token)
    async with database.read() as conn:
        known = await routing.skills_of_agents(conn)
    fresh = {agent.extension: agent.skills for agent in plan.agents if agent.extension not in known}
    if fresh:
        async with database.unit("system") as unit:
            await routing.set_skills(unit.conn, fresh)
            await unit.audit("routing:skills", "sample", None, {key: dict(skills) for key, skills in fresh.items()})


async def _one(
    users: Users, login: str, name: str, roles: frozenset[Role], password: str, extension: str, token: str
) -> None:
    try:
        await users.by_login(login)
    except NotFound:
        await users.create(login, name, roles, password, extension=extension)
        await users.add_token(login, "world.json", actor="system", token=token)
