"""Rows of what agents can do: one for each agent, which counts its own changes.

Invariant: a change is written only on the revision it was made from, so the sum of all revisions tells whether anything has
changed since somebody looked.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.upsert import upsert
from routing.crew.model import Ability
from routing.store import skill_table


async def abilities(conn: AsyncConnection, only: Collection[str] = ()) -> dict[str, Ability]:
    """By extension; of all, or of `only`."""
    wanted = select(skill_table)
    if only:
        wanted = wanted.where(skill_table.c.extension.in_(only))
    return {row.extension: _ability(row) for row in await conn.execute(wanted)}


async def changes(conn: AsyncConnection) -> int:
    """How often anybody was changed. What is looked at often."""
    return int((await conn.execute(select(func.sum(skill_table.c.revision)))).scalar() or 0)


async def save(conn: AsyncConnection, made: Ability) -> bool:
    """False when the row is not at the revision before this one any more."""
    c, before = skill_table.c, made.revision - 1
    values = {"skills": dict(made.skills), "teams": sorted(made.teams), "revision": made.revision}
    known = update(skill_table).where(c.extension == made.extension, c.revision == before).values(**values)
    if (await conn.execute(known)).rowcount:
        return True
    if before:
        return False
    return await upsert(conn, skill_table, [{"extension": made.extension, **values}], ["extension"], update=False)


def _ability(row: Any) -> Ability:
    return Ability(row.extension, dict(row.skills), frozenset(row.teams), row.revision)
