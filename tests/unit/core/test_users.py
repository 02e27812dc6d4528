"""Users on SQLite, and the rules about who a user may be."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput
from core.http.routes import Role
from core.users.model import check_password, check_user
from core.users.service import Users
from core.users.store import user_table
from tests.suites.core.place import Place
from tests.suites.core.users import ADMIN, AGENT, PASSWORD, UserPromises


class TestUsers(UserPromises): ...


@pytest.mark.parametrize(
    ("login", "roles", "extension", "error_id"),
    [
        ("", ADMIN, "", "users:login"),
        ("a", ADMIN, "", "users:login"),
        ("Anna", ADMIN, "", "users:login"),
        ("anna müller", ADMIN, "", "users:login"),
        ("1anna", ADMIN, "", "users:login"),
        ("anna\n", ADMIN, "", "users:login"),
        ("a" * 64, ADMIN, "", "users:login"),
        ("anna", frozenset(), "", "users:roles"),
        ("anna", AGENT, "", "users:extension-missing"),
        ("anna", AGENT, "1", "users:extension"),
        ("anna", AGENT, "10a1", "users:extension"),
        ("anna", AGENT, "1001\n", "users:extension"),
        ("anna", AGENT, "123456789", "users:extension"),
    ],
)
def test_a_user_who_cannot_be_is_refused_with_one_sentence(
    login: str, roles: frozenset[Role], extension: str, error_id: str
) -> None:
    with pytest.raises(BadInput) as told:
        check_user(login, roles, extension)
    assert told.value.error_id == error_id
    assert told.value.status == 422


@pytest.mark.parametrize("password", ["", "short-1-Q", "aaaaaaaaaaaaaaaa", "abababababab", "password-1234-x",
                                      "Aftercall-2026-x", "my-anna-is-great", "x1" * 101])  # fmt: skip
def test_an_easy_password_is_refused_without_repeating_it(password: str) -> None:
    with pytest.raises(BadInput) as told:
        check_password(password, "anna")
    assert told.value.error_id == "users:weak-password"
    assert not password or password not in str(told.value)


@given(st.text(st.characters(categories=["Ll", "Lu", "Nd", "Po"]), min_size=12, max_size=60))
def test_a_password_that_passes_is_long_and_not_made_of_a_few_characters(password: str) -> None:
    try:
        check_password(password, "anna")
    except BadInput:
        return
    assert len(password) >= 12
    assert len(set(password)) >= 6
    assert "anna" not in password.lower()


async def test_the_strength_of_what_is_kept_is_argon2s_own_recommendation(place: Place) -> None:
    users = Users(await place.open(), place.clock, place.ids)
    await users.create("anna", "Anna", ADMIN, PASSWORD)
    [(kept,)] = await place.rows(user_table, "password_hash")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert PasswordHasher().verify(kept, PASSWORD)
