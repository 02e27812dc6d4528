"""Brings a database to the newest schema (Alembic), and tells which revision it stands at.

Invariant: a migration that fails leaves the database at the revision before it (each runs in its own transaction).
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import create_async_engine

from core.db.engine import async_url, prepare_sqlite
from core.db.metadata import metadata

SCRIPTS = Path(__file__).parent / "migrations"
# Every module that declares tables. Imported by name, because core knows nobody above it.
ROOMS = (
    "core.db.outbox", "core.audit", "core.lease", "core.jobs.store", "core.journal.flusher", "core.users.store",
    "pbx.store", "orders_bridge.store", "routing.store", "recordings.store",
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
    """Upgrades to `revision`; returns where the database stands afterwards. Raises what the database says when it cannot."""
    return await _with_connection(url, lambda conn: _upgrade(conn, revision))


async def current(url: str) -> str:
    """The revision the database stands at; "" for an empty one."""
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


async def _with_connection(url: str, act: Any) -> str:
    engine = create_async_engine(async_url(url))
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_for_migration)
    try:
        async with engine.connect() as conn:
            result = await conn.run_sync(act)
            await conn.commit()
            return str(result)
    finally:
        await engine.dispose()


def _prepare_for_migration(connection: Any, record: Any) -> None:
    prepare_sqlite(connection, record)
    connection.isolation_level = "DEFERRED"  # Alembic leaves transactions to the driver
