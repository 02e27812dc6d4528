"""What bringing a database to the newest schema promises, on SQLite and on Postgres alike."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from core.db import migrate
from core.errors import Unavailable
from core.users.store import session_table, user_table
from tests.suites.core import children
from tests.suites.core.place import Place

HALF_WAY = '''
"""9999 half way"""
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "9999", "{before}", None, None
def upgrade():
    op.create_table("half", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("INSERT INTO half VALUES (1)")
    op.execute("UPDATE user_account SET name = 'changed'")
    op.execute("INSERT INTO nowhere VALUES (1)")
'''
ANEW = '''
"""9999 anew"""
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "9999", "{before}", None, None
def upgrade():
    with op.batch_alter_table("user_account", recreate="always" if op.get_bind().dialect.name == "sqlite" else "auto") as t:
        t.alter_column("name", type_=sa.String(200), existing_type=sa.String(120), existing_nullable=False)
        t.add_column(sa.Column("nick", sa.String(20)))
'''
UNTIED = '''
"""9999 untied"""
from alembic import op
revision, down_revision, branch_labels, depends_on = "9999", "{before}", None, None
def upgrade():
    op.execute("DELETE FROM user_account")
'''


def one_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, number: str = "9999") -> None:
    """This release with one migration more."""
    scripts = tmp_path / "scripts"
    shutil.copytree(migrate.SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    text = source.format(before=migrate.newest()).replace("9999", number)
    (scripts / "versions" / f"{number}_more.py").write_text(text)
    monkeypatch.setattr(migrate, "SCRIPTS", scripts)


async def looked_at(place: Place, look: Any) -> Any:
    database = await place.open()
    async with database.read() as conn:
        return await conn.run_sync(look)


def shape(conn: Connection) -> dict[str, Any]:
    """Tables with columns, keys, references and indexes, in an order of their own."""
    eye = inspect(conn)
    return {
        table: {
            "columns": sorted((c["name"], str(c["type"]), c["nullable"], str(c["default"])) for c in eye.get_columns(table)),
            "key": eye.get_pk_constraint(table)["constrained_columns"],
            "references": sorted(
                (str(f["constrained_columns"]), f["referred_table"], str(f["options"])) for f in eye.get_foreign_keys(table)
            ),
            "unique": sorted(str(sorted(u["column_names"])) for u in eye.get_unique_constraints(table)),
            "indexes": sorted((str(i["name"]), str(i["column_names"]), bool(i["unique"])) for i in eye.get_indexes(table)),
        }
        for table in eye.get_table_names()
    }  # fmt: skip


def tables(conn: Connection) -> set[str]:
    return set(inspect(conn).get_table_names())


async def somebody_logged_in(place: Place) -> None:
    database = await place.open()
    at = place.clock.now()
    async with database.write() as conn:
        user = {"id": "u", "login": "anna", "name": "Anna", "roles": [], "extension": "1001", "language": "en",
                "password_hash": "x", "active": True, "created_at": at}  # fmt: skip
        await conn.execute(user_table.insert().values(user))
        await conn.execute(session_table.insert().values(hash="h", user_id="u", created_at=at, seen_at=at))


class MigrationPromises:
    async def test_from_empty_it_ends_at_the_newest_and_equals_the_tables_declared(self, empty: Place) -> None:
        assert await migrate.current(empty.url) == ""
        assert await migrate.migrate(empty.url) == migrate.newest()
        declared = migrate.tables()

        def differences(conn: Connection) -> list[Any]:
            return compare_metadata(MigrationContext.configure(conn, opts={"compare_type": True}), declared)

        assert await looked_at(empty, differences) == []
        assert await looked_at(empty, tables) == {*declared.tables, "alembic_version"}

    async def test_step_by_step_it_ends_where_one_go_ends(self, empty: Place, place: Place) -> None:
        steps = [step.revision for step in ScriptDirectory.from_config(migrate.config()).walk_revisions()][::-1]
        for step in steps:
            assert await migrate.migrate(empty.url, step) == step
            assert await migrate.current(empty.url) == step
        assert await looked_at(empty, shape) == await looked_at(place, shape)

    async def test_at_the_newest_nothing_happens_and_rows_stay(self, place: Place) -> None:
        await somebody_logged_in(place)
        before = await looked_at(place, shape)
        assert await migrate.migrate(place.url) == migrate.newest()
        assert await looked_at(place, shape) == before
        assert await place.count(session_table) == 1

    async def test_one_that_fails_half_way_leaves_the_database_as_the_one_before_left_it(
        self, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await somebody_logged_in(place)
        stood, before = migrate.newest(), await looked_at(place, shape)
        with monkeypatch.context() as patch:
            one_more(tmp_path / "half", patch, HALF_WAY)
            for _ in range(2):  # tried again at the next start
                with pytest.raises(SQLAlchemyError, match="nowhere"):
                    await migrate.migrate(place.url)
                assert await migrate.current(place.url) == stood
                assert await looked_at(place, shape) == before
                assert await place.rows(user_table, "name") == [("Anna",)]
        one_more(tmp_path / "mended", monkeypatch, ANEW)
        assert await migrate.migrate(place.url) == "9999"

    async def test_an_upgrade_over_several_is_whole_or_not_at_all(
        self, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stood, before = migrate.newest(), await looked_at(place, shape)
        one_more(tmp_path / "good", monkeypatch, ANEW, "9998")
        one_more(tmp_path / "bad", monkeypatch, HALF_WAY)
        with pytest.raises(SQLAlchemyError, match="nowhere"):
            await migrate.migrate(place.url)
        assert await migrate.current(place.url) == stood
        assert await looked_at(place, shape) == before
        assert await migrate.migrate(place.url, "9998") == "9998"

    async def test_a_table_made_anew_takes_no_rows_of_others_with_it(
        self, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await somebody_logged_in(place)
        one_more(tmp_path, monkeypatch, ANEW)
        await migrate.migrate(place.url)
        assert await place.rows(session_table, "hash", "user_id") == [("h", "u")]
        database = await place.open()
        async with database.write() as conn:
            await conn.execute(text("DELETE FROM user_account"))  # and the reference still works
        assert await place.count(session_table) == 0

    async def test_one_after_which_rows_point_to_nothing_is_not_kept(
        self, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await somebody_logged_in(place)
        stood = migrate.newest()
        one_more(tmp_path, monkeypatch, UNTIED)
        if place.is_sqlite:  # where references sleep during a migration
            with pytest.raises(ValueError, match="point to nothing"):
                await migrate.migrate(place.url)
            assert await migrate.current(place.url) == stood
            assert await place.count(user_table) == 1
        else:  # the reference itself says what happens to sessions without a user
            await migrate.migrate(place.url)
        assert await place.count(session_table) == await place.count(user_table)

    async def test_two_that_migrate_at_once_go_one_after_the_other(self, empty: Place) -> None:
        both = [children.start(children.bring_to_newest, empty.url) for _ in range(2)]
        assert [await children.ended(process) for process in both] == [0, 0]
        assert await migrate.current(empty.url) == migrate.newest()

    async def test_a_table_in_somebodys_hands_is_waited_for_and_then_told(
        self, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:

        one_more(tmp_path, monkeypatch, ANEW)
        monkeypatch.setattr(migrate, "WAIT_S", 0.3)
        async with place.locked("user_account"):
            with pytest.raises(Unavailable, match="lock"):
                await migrate.migrate(place.url)
        monkeypatch.setattr(migrate, "WAIT_S", 30)
        assert await migrate.migrate(place.url) == "9999"
