"""Who may log in: rules about users and passwords. Knows no database and no hashing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.errors import BadInput
from core.http.routes import Caller, Role

LOGIN = re.compile(r"[a-z][a-z0-9._-]{1,62}")
EXTENSION = re.compile(r"\d{2,8}")
PASSWORD_MIN = 12


@dataclass(frozen=True)
class User:
    """A person. `login` is what they type, `name` what others see; an agent has an extension."""

    id: str
    login: str
    name: str
    roles: frozenset[Role]
    extension: str = ""
    language: str = "en"
    active: bool = True

    def as_caller(self, via: str) -> Caller:
        return Caller(self.id, self.name, self.roles, self.extension, via)


def check_user(login: str, roles: frozenset[Role], extension: str) -> None:
    """Raises BadInput with one sentence when such a user cannot be."""
    if not LOGIN.fullmatch(login):
        raise BadInput(
            "users:login", "A login has 2 to 63 small letters, digits, dots or dashes and begins with a letter."
        )
    if not roles:
        raise BadInput("users:roles", "A user has at least one role: agent, supervisor, admin.")
    if extension and not EXTENSION.fullmatch(extension):
        raise BadInput("users:extension", "An extension has 2 to 8 digits.")
    if Role.AGENT in roles and not extension:
        raise BadInput("users:extension-missing", "An agent needs an extension.")


def check_password(password: str, login: str) -> None:
    """Raises BadInput when the password is too short or too easy."""
    easy = login in password.lower() or len(set(password)) < 6 or password.lower().startswith(("password", "aftercall"))
    if len(password) < PASSWORD_MIN or len(password) > 200 or easy:
        raise BadInput(
            "users:weak-password", f"A password has at least {PASSWORD_MIN} characters and is not easy to guess."
        )
