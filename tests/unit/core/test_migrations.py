"""The schema on SQLite; that no room's tables are forgotten; that a database out of reach is told in a sentence."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from core.db import migrate
from core.errors import Unavailable
from tests.suites.core.migrations import MigrationPromises
from tests.suites.core.place import Place

ROOT = Path(__file__).parents[3]


class TestMigrations(MigrationPromises): ...


def test_every_module_that_declares_tables_is_known_to_the_migrations() -> None:
    declaring = set()
    for room in ("core", "pbx", "orders_bridge", "ivr", "routing", "recordings", "desk", "app"):
        for file in (ROOT / room).rglob("*.py"):
            text = file.read_text("utf-8")
            calls = (
                [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)] if "Table(" in text else []
            )
            if any(
                getattr(call.func, "id", "") == "Table" and any(getattr(a, "id", "") == "metadata" for a in call.args)
                for call in calls
            ):
                declaring.add(".".join(file.relative_to(ROOT).with_suffix("").parts))
    assert declaring == set(migrate.ROOMS)


def test_migrations_stand_in_one_line_and_are_numbered() -> None:
    files = sorted(file.name[:4] for file in (migrate.SCRIPTS / "versions").glob("*.py"))
    assert files == [f"{number:04}" for number in range(1, len(files) + 1)]
    assert migrate.newest() == files[-1]


async def test_a_database_out_of_reach_is_told_in_a_sentence(empty: Place, tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/no/such/folder/a.sqlite", f"sqlite:///{tmp_path}"):
        with pytest.raises(Unavailable, match="cannot be used now"):
            await migrate.migrate(url)
