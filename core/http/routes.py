"""The typed-handler layer as values: what a room's `http.py` declares and `core/http/server.py` serves.

A route names its method, path, the models of query, body and answer, and who may call it. Handlers are plain async
functions of the request's parts; they know neither aiohttp nor JSON. Validation, problem+json and OpenAPI follow from
the declaration.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict


class Role(StrEnum):
    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"


@dataclass(frozen=True)
class Caller:
    """Who makes the request: a logged-in user or the owner of an API token. `extension` when the user is an agent."""

    user_id: str
    name: str
    roles: frozenset[Role]
    extension: str = ""
    via: str = "session"  # session, token

    def may(self, *roles: Role) -> bool:
        """True when the caller has one of `roles`; an admin has them all."""
        return Role.ADMIN in self.roles or bool(self.roles.intersection(roles))


class Strict(BaseModel):
    """The base of every request and answer model: unknown fields are refused, values are not guessed at."""

    model_config = ConfigDict(extra="forbid", strict=False, frozen=True)


class Nothing(Strict):
    """An empty body, query or answer."""


T = TypeVar("T")


class Page(Strict, Generic[T]):
    """A list's answer; `next` is the cursor to pass as `?after=` for what follows, null at the end."""

    items: list[T]
    next: str | None = None


@dataclass(frozen=True)
class FileAnswer:
    """An answer that is a file (a recording): served with range requests, after the handler wrote its audit row."""

    path: str
    content_type: str
    download_name: str = ""


@dataclass(frozen=True)
class SessionAnswer:
    """An answer that also opens (`session` for `seconds`) or, with seconds 0, ends the browser's session."""

    body: BaseModel
    session: str
    seconds: int


@dataclass(frozen=True)
class Request:
    """What a handler is given: the caller, path parameters, and the validated query and body."""

    caller: Caller
    path: dict[str, str]
    query: Any
    body: Any
    remote: str = ""
    session: str = ""  # the session token the request came with, for logging out


Handler = Callable[[Request], Awaitable[Any]]


@dataclass(frozen=True)
class Route:
    """One operation. `roles` empty = any logged-in caller; `public` = no login at all."""

    method: str
    path: str  # "/api/agents/{ext}/state"
    handler: Handler
    summary: str
    answer: type[BaseModel] | type[FileAnswer]
    query: type[BaseModel] = Nothing
    body: type[BaseModel] = Nothing
    roles: frozenset[Role] = frozenset()
    public: bool = False
    tag: str = ""
    status: int = 200
    errors: tuple[int, ...] = field(default=())
