"""Brings a database to the newest schema (Alembic), and tells which revision it stands at.

Invariants: an upgrade, over however many revisions, is whole or not at all (one transaction, on SQLite too, where the
driver's own habits would commit half-way); two that migrate at once go one after the other; a table that is made anew on
SQLite takes no rows of other tables with it; references are whole after every migration.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from core.db.engine import CONNECT_S, async_url, prepare_sqlite
from core.db.faults import outside_faults
from core.db.metadata import metadata
from core.errors import Unavailable

SCRIPTS = Path(__file__).parent / "migrations"
WAIT_S = 30.0  # for another process that is migrating, or that holds a table
LOCK = 4710  # Postgres' advisory lock of whoever migrates
# Every module that declares tables. Imported by name, because core knows nobody above it.
ROOMS = (
    "core.db.outbox", "core.db.relay", "core.audit", "core.lease", "core.jobs.store", "core.journal.flusher",
    "core.users.store",
    "pbx.store", "orders_bridge.store", "routing.store", "routing.callbacks.store", "routing.policy.store",
    "routing.quarters.store", "recordings.store",
)  # fmt: skip


def tables() -> Any:
    """The metadata with every room's tables in it."""
    for name in ROOMS:
        importlib.import_module(name)
    return metadata


def config(connection: Connection | None = None) -> Config:
    settings = Config()
    settings.set_main_option("script_location", str(SCRIPTS))
    settings.attributes["connection"] = connection
    return settings


async def migrate(url: str, revision: str = "head") -> str:
    """Upgrades to `revision`; returns where the database stands afterwards.

    Raises Unavailable when it cannot be reached or is held by others for too long; else what the database says.
    """
    return await _with_connection(url, lambda conn: _upgrade(conn, revision), alone=True)


async def current(url: str) -> str:
    """The revision the database stands at; "" for an empty one. Raises Unavailable."""
    return await _with_connection(url, lambda conn: MigrationContext.configure(conn).get_current_revision() or "")


def newest() -> str:
    """The revision this release wants."""
    return ScriptDirectory.from_config(config()).get_current_head() or ""


async def draft(url: str, message: str) -> None:
    """Writes a migration file for what differs between the database and the tables declared (for developers)."""
    await _with_connection(
        url,
        lambda conn: str(command.revision(config(conn), message=message, autogenerate=True, rev_id=message.split()[0])),
    )


def _upgrade(conn: Connection, revision: str) -> str:
    command.upgrade(config(conn), revision)
    return MigrationContext.configure(conn).get_current_revision() or ""


def check_references(ctx: MigrationContext, step: Any, heads: Any, run_args: Any) -> None:
    """Called in each migration's transaction. Raises when a row of SQLite points to nothing: references slept meanwhile."""
    if ctx.dialect.name == "sqlite" and ctx.connection is not None:
        broken = ctx.connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise ValueError(f"after this migration {len(broken)} rows point to nothing, the first in {broken[0][0]}")


async def _with_connection(url: str, act: Callable[[Connection], str], *, alone: bool = False) -> str:
    engine = _engine(async_url(url), alone)
    try:
        with outside_faults() as faults:
            async with engine.connect() as conn:
                if alone and engine.dialect.name == "postgresql":
                    await conn.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK})")  # until the connection closes
                    await conn.commit()
                with faults.block():
                    result = await conn.run_sync(act)
                await conn.commit()
                return result
    except Unavailable as error:
        cause = getattr(error.__cause__, "orig", None) or error.__cause__
        raise Unavailable("database", f"The database cannot be used now: {cause}.") from error
    finally:
        await engine.dispose()


def _engine(url: str, alone: bool) -> AsyncEngine:
    if not url.startswith("sqlite"):
        arguments = {"timeout": CONNECT_S, "server_settings": {"lock_timeout": str(int(WAIT_S * 1000))}}
        return create_async_engine(url, hide_parameters=True, connect_args=arguments)
    engine = create_async_engine(url, hide_parameters=True)

    def prepare(connection: Any, _record: Any) -> None:
        prepare_sqlite(connection, int(WAIT_S * 1000))
        connection.execute("PRAGMA foreign_keys=OFF").close()

    event.listen(engine.sync_engine, "connect", prepare)
    begin = "BEGIN IMMEDIATE" if alone else "BEGIN"
    event.listen(engine.sync_engine, "begin", lambda conn: conn.exec_driver_sql(begin))
    return engine
