"""Tables of users, their sessions and API tokens. Tokens stand here only as SHA-256, passwords only as argon2."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, ForeignKey, Index, String, Table, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.metadata import metadata
from core.db.types import Json, Moment
from core.http.routes import Role
from core.users.model import User

user_table = Table(
    "user_account",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("login", String(64), nullable=False, unique=True),
    Column("name", String(120), nullable=False),
    Column("roles", Json, nullable=False),
    Column("extension", String(16), unique=True),
    Column("language", String(8), nullable=False),
    Column("password_hash", String(200), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
)
session_table = Table(
    "user_session",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("user_id", String(64), ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Index("ix_user_session_user_id", "user_id"),
)
token_table = Table(
    "api_token",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("user_id", String(64), ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    Column("label", String(120), nullable=False),
    Column("created_at", Moment, nullable=False),
)


def user_of(row: Any) -> User:
    roles = frozenset(Role(role) for role in row.roles)
    return User(row.id, row.login, row.name, roles, row.extension or "", row.language, row.active)


async def by_login(conn: AsyncConnection, login: str) -> Any:
    """The whole row, with the password's hash; None when there is none."""
    return (await conn.execute(select(user_table).where(user_table.c.login == login))).first()


async def all_users(conn: AsyncConnection) -> list[User]:
    rows = await conn.execute(select(user_table).order_by(user_table.c.login))
    return [user_of(row) for row in rows]


async def owner_of_token(conn: AsyncConnection, token_hash: str) -> User | None:
    statement = select(user_table).join(token_table).where(token_table.c.hash == token_hash)
    row = (await conn.execute(statement)).first()
    return user_of(row) if row is not None and row.active else None


async def drop_tokens(conn: AsyncConnection, user_id: str, label: str) -> int:
    gone = await conn.execute(delete(token_table).where(token_table.c.user_id == user_id, token_table.c.label == label))
    return int(gone.rowcount)


async def session_of(conn: AsyncConnection, session_hash: str) -> tuple[User, datetime, datetime] | None:
    """Whose session it is, when it began, when it was last used."""
    statement = select(user_table, session_table.c.created_at.label("began"), session_table.c.seen_at).join(
        session_table
    )
    row = (await conn.execute(statement.where(session_table.c.hash == session_hash))).first()
    return (user_of(row), row.began, row.seen_at) if row is not None and row.active else None


async def touch_session(conn: AsyncConnection, session_hash: str, now: datetime) -> None:
    await conn.execute(update(session_table).where(session_table.c.hash == session_hash).values(seen_at=now))


async def drop_session(conn: AsyncConnection, session_hash: str) -> None:
    await conn.execute(delete(session_table).where(session_table.c.hash == session_hash))


async def drop_sessions_of(conn: AsyncConnection, user_id: str) -> None:
    await conn.execute(delete(session_table).where(session_table.c.user_id == user_id))
