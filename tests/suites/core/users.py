"""Who may come in, with what, for how long; and that nothing they know a secret by stands anywhere."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher

from core.audit import audit_table, verify
from core.db.outbox import event_table
from core.errors import BadInput, NotFound
from core.http.routes import Role
from core.users.model import User
from core.users.service import CACHE_S, IDLE, LIFE, TOUCH, Users, hashed
from core.users.store import session_table, token_table, user_table
from tests.suites.core.place import Place

PASSWORD = "Tall-Bridge-47-planted"
OTHER = "Wide-River-93-planted"
AGENT = frozenset({Role.AGENT})
ADMIN = frozenset({Role.ADMIN})
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # the strength is proved apart


class Watched(PasswordHasher):
    """Writes down where and how many at once."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.threads: list[threading.Thread] = []
        self.checked: list[str] = []
        self.now = self.most = 0
        self._lock = threading.Lock()

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002 - argon2's name
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.threads.append(threading.current_thread())
            self.checked.append(str(hash).rpartition("$")[0].rpartition("$")[0])
        try:
            return super().verify(hash, password)
        finally:
            with self._lock:
                self.now -= 1


async def house(place: Place, hasher: PasswordHasher = QUICK) -> Users:
    return Users(await place.open(), place.clock, place.ids, hasher=hasher)


async def anna(users: Users) -> User:
    return await users.create("anna", "Anna 安娜", AGENT, PASSWORD, extension="1001", actor="user:admin")


async def session_of(users: Users) -> str:
    found = await users.log_in("anna", PASSWORD)
    assert found is not None
    return found[0]


class UserPromises:
    async def test_a_user_comes_in_with_the_password_and_is_who_they_are(self, place: Place) -> None:
        users = await house(place)
        made = await anna(users)
        found = await users.log_in("anna", PASSWORD)
        assert found is not None
        session, life_s, caller = found
        assert (life_s, len(session)) == (7 * 24 * 3600, 43)
        assert (caller.user_id, caller.name, caller.roles, caller.extension, caller.via) == (
            made.id, "Anna 安娜", AGENT, "1001", "session"
        )  # fmt: skip
        assert await users.caller_for_session(session) == caller
        assert await users.by_login("anna") == made
        assert await users.all() == [made]

    async def test_a_wrong_password_a_wrong_login_and_an_inactive_user_are_one_answer_for_the_same_work(
        self, place: Place
    ) -> None:
        hasher = Watched()
        users = await house(place, hasher)
        await anna(users)
        assert await users.log_in("anna", OTHER) is None
        assert await users.log_in("nobody", PASSWORD) is None
        await users.set_active("anna", False, actor="user:admin")
        assert await users.log_in("anna", PASSWORD) is None
        assert len(hasher.checked) == 3
        assert len(set(hasher.checked)) == 1, "the same cost"

    async def test_passwords_are_checked_off_the_loop_and_two_at_a_time(self, place: Place) -> None:
        hasher = Watched()
        users = await house(place, hasher)
        await anna(users)
        await asyncio.gather(*(users.log_in("anna", PASSWORD) for _ in range(6)))
        assert threading.main_thread() not in hasher.threads
        assert hasher.most <= 2

    async def test_every_change_has_an_audit_row_with_old_new_and_actor(self, place: Place) -> None:
        users = await house(place)
        await anna(users)
        await users.add_token("anna", "crm", actor="user:admin")
        await users.set_password("anna", OTHER, actor="user:anna")
        await users.set_active("anna", False, actor="user:admin")
        await users.set_active("anna", True, actor="user:admin")
        await users.log_in("anna", OTHER)
        assert await place.rows(audit_table, "actor", "action", "subject", "before", "after") == [
            ("user:admin", "users:create", "user:anna", None,
             {"name": "Anna 安娜", "roles": ["agent"], "extension": "1001"}),
            ("user:admin", "users:token", "user:anna", None, {"label": "crm"}),
            ("user:anna", "users:password", "user:anna", None, None),
            ("user:admin", "users:active", "user:anna", True, False),
            ("user:admin", "users:active", "user:anna", False, True),
            ("user:anna", "users:log-in", "user:anna", None, None),
        ]  # fmt: skip
        database = await place.open()
        async with database.read() as conn:
            assert await verify(conn) is None

    async def test_no_password_session_or_token_stands_in_any_row(self, place: Place) -> None:
        users = await house(place)
        await anna(users)
        secrets = [PASSWORD, await users.add_token("anna", "crm", actor="a"), await session_of(users)]
        assert await users.caller_for_token(secrets[1]) is not None
        for table in (user_table, session_table, token_table, audit_table, event_table):
            rows = repr(await place.rows(table))
            assert not [secret for secret in secrets if secret in rows]
        [(kept,)] = await place.rows(user_table, "password_hash")
        assert kept.startswith("$argon2id$")
        assert await place.rows(token_table, "hash") == [(hashed(secrets[1]),)]
        if place.is_sqlite:
            everything = place.everything()
            assert b"anna" in everything
            assert not [secret for secret in secrets if secret.encode() in everything]

    async def test_a_login_or_extension_that_is_taken_is_told_and_nothing_is_made(self, place: Place) -> None:
        users = await house(place)
        await anna(users)
        for login, extension in (("anna", "1002"), ("berta", "1001")):
            with pytest.raises(BadInput) as told:
                await users.create(login, "Berta", AGENT, OTHER, extension=extension)
            assert told.value.error_id == "users:taken"
        assert (await place.count(user_table), await place.count(audit_table)) == (1, 1)
        await users.create("one", "One", ADMIN, OTHER)
        await users.create("two", "Two", ADMIN, OTHER)  # no extension is nobody's extension

    async def test_a_session_ends_when_idle_when_old_and_when_logged_out(self, place: Place) -> None:
        users = await house(place)
        await anna(users)
        began = place.clock.now()
        idle, old, out = [await session_of(users) for _ in range(3)]
        assert await users.caller_for_session(out) is not None
        await users.log_out(out)
        assert await users.caller_for_session(out) is None, "at once, though it was just seen"
        place.clock.advance(IDLE.total_seconds() - 60)
        assert await users.caller_for_session(old) is not None
        place.clock.advance(61)
        assert await users.caller_for_session(idle) is None
        step = IDLE - TOUCH - timedelta(minutes=1)  # its use is written down every five minutes
        while place.clock.now() + step < began + LIFE:
            assert await users.caller_for_session(old) is not None
            place.clock.advance(step.total_seconds())
        assert await users.caller_for_session(old) is not None
        place.clock.advance((began + LIFE - place.clock.now()).total_seconds() + 1)
        assert await users.caller_for_session(old) is None
        assert await users.caller_for_session("never made") is None

    async def test_sessions_that_are_over_leave_with_the_next_log_in(self, place: Place) -> None:
        users = await house(place)
        await anna(users)
        await session_of(users)
        place.clock.advance(IDLE.total_seconds() - 1)
        kept = await session_of(users)
        assert await place.count(session_table) == 2
        place.clock.advance(2)
        newest = await session_of(users)
        assert {row for (row,) in await place.rows(session_table, "hash")} == {hashed(kept), hashed(newest)}

    async def test_a_session_in_use_writes_that_down_now_and_then_and_not_each_time(self, place: Place) -> None:
        users = await house(place)
        await anna(users)
        session, began = await session_of(users), place.clock.now()
        for minutes, seen in ((1, 0), (3, 0), (2, 6), (1, 6)):
            place.clock.advance(minutes * 60)
            await users.caller_for_session(session)
            assert await place.rows(session_table, "seen_at") == [(began + timedelta(minutes=seen),)]
        assert timedelta(minutes=5) == TOUCH

    async def test_a_new_password_or_being_let_out_ends_all_sessions(self, place: Place) -> None:
        users = await house(place)
        await anna(users)
        session = await session_of(users)
        assert await users.caller_for_session(session) is not None
        await users.set_password("anna", OTHER, actor="user:anna")
        assert await users.caller_for_session(session) is None
        assert await users.log_in("anna", PASSWORD) is None
        found = await users.log_in("anna", OTHER)
        assert found is not None
        token = await users.add_token("anna", "crm", actor="user:admin")
        assert await users.caller_for_token(token) is not None
        await users.set_active("anna", False, actor="user:admin")
        assert await users.caller_for_session(found[0]) is None
        assert await users.caller_for_token(token) is None
        await users.set_active("anna", True, actor="user:admin")
        assert await users.caller_for_session(found[0]) is None
        assert await users.caller_for_token(token) is not None

    async def test_another_process_hears_of_it_within_seconds(self, place: Place) -> None:
        here, there = await house(place), await house(place)
        await anna(here)
        token = await here.add_token("anna", "crm", actor="user:admin")
        assert await there.caller_for_token(token) is not None
        await here.set_active("anna", False, actor="user:admin")
        place.clock.advance(CACHE_S)
        assert await there.caller_for_token(token) is None

    async def test_a_session_is_no_token_and_a_token_no_session_also_when_just_seen(self, place: Place) -> None:
        users = await house(place)
        await anna(users)
        session, token = await session_of(users), await users.add_token("anna", "crm", actor="a")
        for _ in range(2):
            assert await users.caller_for_session(session) is not None
            assert await users.caller_for_token(token) is not None
            assert await users.caller_for_token(session) is None
            assert await users.caller_for_session(token) is None

    async def test_many_questions_in_two_seconds_cost_one_look(self, place: Place) -> None:
        users = await house(place)
        await anna(users)
        session, token = await session_of(users), await users.add_token("anna", "crm", actor="a")
        read, looks = users._database.read, 0

        def counted(**how: float) -> Any:
            nonlocal looks
            looks += 1
            return read(**how)

        users._database.read = counted  # type: ignore[method-assign]
        for _ in range(10):
            assert await users.caller_for_session(session) is not None
            assert await users.caller_for_token(token) is not None
            place.clock.advance(CACHE_S / 10 - 0.01)
        assert looks == 2
        place.clock.advance(CACHE_S)
        await users.caller_for_session(session)
        assert looks == 3

    async def test_what_is_known_for_a_moment_does_not_grow_without_bound(self, place: Place) -> None:
        users = await house(place)
        await anna(users)
        tokens = [await users.add_token("anna", str(n), actor="a") for n in range(3)]
        for n in range(5000):
            users._known[("token", str(n))] = (0.0, None)  # type: ignore[assignment]
        for token in tokens:
            assert await users.caller_for_token(token) is not None
        assert len(users._known) <= 1001

    async def test_who_is_not_there_is_told(self, place: Place) -> None:
        users = await house(place)
        for act in (
            users.by_login("x"), users.set_password("x", PASSWORD, actor="a"), users.set_active("x", True, actor="a"),
            users.add_token("x", "l", actor="a"),
        ):  # fmt: skip
            with pytest.raises(NotFound) as told:
                await act
            assert told.value.error_id == "core:user-not-found"
        assert await place.count(audit_table) == 0
