"""Users: who they are, whether the password is right, which session or token is whose.

Does not count failed tries (the HTTP edge does). Invariants: every change has an audit row; a wrong login takes as long
as a wrong password; a user made inactive has no session and no token that works, at the latest after `CACHE_S`; a session
is never taken for a token nor a token for a session; sessions that are over leave with the next log-in.
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from core.clock import Clock
from core.db.engine import Database
from core.errors import BadInput, NotFound
from core.http.routes import Caller, Role
from core.ids import IdMaker, new_secret
from core.users import store
from core.users.model import User, check_password, check_user
from core.users.store import session_table, token_table, user_table

IDLE = timedelta(hours=12)
LIFE = timedelta(days=7)
TOUCH = timedelta(minutes=5)
CACHE_S = 2.0


def hashed(token: str) -> str:
    """Tokens are long and random: one round of SHA-256 is enough for them."""
    return hashlib.sha256(token.encode()).hexdigest()


class Users:
    """Satisfies the HTTP layer's `Gatekeeper` and the log-in's `Doorkeeper`."""

    def __init__(self, database: Database, clock: Clock, ids: IdMaker, *, hasher: PasswordHasher | None = None) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._hasher = hasher or PasswordHasher()
        self._nobody = self._hasher.hash(new_secret())
        self._known: dict[tuple[str, str], tuple[float, Caller]] = {}
        self._hashing = asyncio.Semaphore(2)  # argon2 costs 64 MB and a core for each

    # --- changing

    async def create(
        self, login: str, name: str, roles: frozenset[Role], password: str, *,
        extension: str = "", language: str = "en", actor: str = "system",
    ) -> User:  # fmt: skip
        """A new user. Raises BadInput for a bad field, a weak password, a login or extension that is taken."""
        check_user(login, roles, extension)
        check_password(password, login)
        user = User(self._ids(), login, name, roles, extension, language)
        secret = await self._hash(password)
        values = {
            "id": user.id, "login": login, "name": name, "roles": sorted(roles), "extension": extension or None,
            "language": language, "password_hash": secret, "active": True, "created_at": self._clock.now(),
        }  # fmt: skip
        try:
            async with self._database.unit(actor) as unit:
                await unit.conn.execute(insert(user_table).values(values))
                shown = {"name": name, "roles": sorted(roles), "extension": extension}
                await unit.audit("users:create", f"user:{login}", None, shown)
        except IntegrityError as error:
            raise BadInput("users:taken", f"The login '{login}' or the extension '{extension}' is taken.") from error
        return user

    async def set_password(self, login: str, password: str, *, actor: str) -> None:
        """A new password; all sessions end. Raises NotFound, BadInput."""
        check_password(password, login)
        user = await self.by_login(login)
        secret = await self._hash(password)
        async with self._database.unit(actor) as unit:
            await unit.conn.execute(update(user_table).where(user_table.c.id == user.id).values(password_hash=secret))
            await store.drop_sessions_of(unit.conn, user.id)
            await unit.audit("users:password", f"user:{login}")
        self._known.clear()

    async def set_active(self, login: str, active: bool, *, actor: str) -> None:
        """Lets a user in or out. Raises NotFound."""
        user = await self.by_login(login)
        async with self._database.unit(actor) as unit:
            await unit.conn.execute(update(user_table).where(user_table.c.id == user.id).values(active=active))
            await store.drop_sessions_of(unit.conn, user.id)
            await unit.audit("users:active", f"user:{login}", user.active, active)
        self._known.clear()

    async def add_token(self, login: str, label: str, *, actor: str, token: str = "") -> str:
        """A new API token of this user, shown once. Raises NotFound."""
        user = await self.by_login(login)
        token = token or new_secret(40)
        row = {"hash": hashed(token), "user_id": user.id, "label": label, "created_at": self._clock.now()}
        async with self._database.unit(actor) as unit:
            await unit.conn.execute(insert(token_table).values(row))
            await unit.audit("users:token", f"user:{login}", None, {"label": label})
        return token

    async def drop_tokens(self, login: str, label: str, *, actor: str) -> int:
        """Takes back this user's API tokens of that label; says how many. Others of the user go on being good, so that a
        token is rotated by adding the new one, handing it out, and dropping the old. Raises NotFound."""
        user = await self.by_login(login)
        async with self._database.unit(actor) as unit:
            dropped = await store.drop_tokens(unit.conn, user.id, label)
            await unit.audit("users:token-dropped", f"user:{login}", {"label": label, "count": dropped})
        self._known.clear()
        return dropped

    # --- asking

    async def by_login(self, login: str) -> User:
        """Raises NotFound."""
        async with self._database.read() as conn:
            row = await store.by_login(conn, login)
        if row is None:
            raise NotFound("user", login)
        return store.user_of(row)

    async def all(self) -> list[User]:
        async with self._database.read() as conn:
            return await store.all_users(conn)

    # --- coming in

    async def log_in(self, login: str, password: str) -> tuple[str, int, Caller] | None:
        """(session token, seconds it lives, whose it is); None for a wrong login or password."""
        async with self._database.read() as conn:
            row = await store.by_login(conn, login)
        good = await self._verify(row.password_hash if row is not None else self._nobody, password)
        if row is None or not good or not row.active:
            return None
        token, now = new_secret(43), self._clock.now()
        user = store.user_of(row)
        async with self._database.unit(f"user:{login}") as unit:
            await store.drop_sessions_over(unit.conn, began_before=now - LIFE, seen_before=now - IDLE)
            session = {"hash": hashed(token), "user_id": user.id, "created_at": now, "seen_at": now}
            await unit.conn.execute(insert(session_table).values(session))
            await unit.audit("users:log-in", f"user:{login}")
        return token, int(LIFE.total_seconds()), user.as_caller("session")

    async def log_out(self, session: str) -> None:
        async with self._database.write() as conn:
            await store.drop_session(conn, hashed(session))
        self._known.pop(("session", hashed(session)), None)

    async def caller_for_session(self, token: str) -> Caller | None:
        key = hashed(token)
        known = self._cached("session", key)
        if known is not None:
            return known
        now = self._clock.now()
        async with self._database.read() as conn:
            found = await store.session_of(conn, key)
        if found is None:
            return None
        user, began, seen = found
        if now - began > LIFE or now - seen > IDLE:
            return None
        if now - seen > TOUCH:
            async with self._database.write() as conn:
                await store.touch_session(conn, key, now)
        return self._remember("session", key, user.as_caller("session"))

    async def caller_for_token(self, token: str) -> Caller | None:
        key = hashed(token)
        known = self._cached("token", key)
        if known is not None:
            return known
        async with self._database.read() as conn:
            user = await store.owner_of_token(conn, key)
        return self._remember("token", key, user.as_caller("token")) if user is not None else None

    # A console asks many small questions: whose token it is stays known for two seconds.
    def _cached(self, via: str, key: str) -> Caller | None:
        until, caller = self._known.get((via, key), (0.0, None))
        return caller if until > self._clock.monotonic() else None

    def _remember(self, via: str, key: str, caller: Caller) -> Caller:
        if len(self._known) > 1000:
            self._known.clear()
        self._known[via, key] = (self._clock.monotonic() + CACHE_S, caller)
        return caller

    async def _hash(self, password: str) -> str:
        async with self._hashing:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def _verify(self, secret: str, password: str) -> bool:
        async with self._hashing:
            return await asyncio.to_thread(_verified, self._hasher, secret, password)


def _verified(hasher: PasswordHasher, secret: str, password: str) -> bool:
    try:
        return hasher.verify(secret, password)
    except (Argon2Error, InvalidHashError):
        return False
