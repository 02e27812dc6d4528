"""Logging in, logging out, who am I.

Does not know passwords or sessions (`core/users` does). Invariants: a wrong name and a wrong password are one and the
same answer; guessing is braked by name and by address; a foreign page can neither log in nor out.
"""

from __future__ import annotations

from collections import deque
from typing import Annotated, Literal, Protocol

from pydantic import Field

from core.clock import Clock
from core.errors import AftercallError
from core.http.routes import Caller, Nothing, Request, Role, Route, SessionAnswer, Strict


class Doorkeeper(Protocol):
    """Who checks passwords and keeps sessions."""

    async def log_in(self, login: str, password: str) -> tuple[str, int, Caller] | None:
        """The session's token, its life in seconds, and whose it is; None for a wrong name or password."""
        ...

    async def log_out(self, session: str) -> None: ...


class LoginBody(Strict):
    user: Annotated[str, Field(min_length=1, max_length=100)]
    password: Annotated[str, Field(min_length=1, max_length=200)]


class Me(Strict):
    """Who is asking. `extension` is "" for whoever is no agent."""

    user_id: str
    name: str
    roles: list[Role]
    extension: str
    via: Literal["session", "token"]


class WrongLogin(AftercallError):
    def __init__(self) -> None:
        super().__init__("auth:wrong-login", "This name and password do not fit.", status=401)


class TooManyTries(AftercallError):
    def __init__(self) -> None:
        super().__init__(
            "auth:too-many-tries", "There were too many tries.", hint="Wait a minute, then try again.", status=429
        )


class Brake:
    """Counts failed tries within the last `window_s` seconds, by key; remembers a bounded number of keys."""

    def __init__(self, clock: Clock, *, limit: int, window_s: float = 60.0, keys: int = 2000) -> None:
        self._clock = clock
        self._limit = limit
        self._window_s = window_s
        self._keys = keys
        self._failures: dict[str, deque[float]] = {}

    def holds(self, key: str) -> bool:
        """True when this key may not try now."""
        failures = self._failures.get(key)
        if failures is None:
            return False
        while failures and self._clock.monotonic() - failures[0] > self._window_s:
            failures.popleft()
        return len(failures) >= self._limit

    def failed(self, key: str) -> None:
        failures = self._failures.pop(key, None) or deque(maxlen=self._limit)
        failures.append(self._clock.monotonic())
        self._failures[key] = failures  # last in line: the keys that have been quiet longest go first
        while len(self._failures) > self._keys:
            del self._failures[next(iter(self._failures))]

    def forget(self, key: str) -> None:
        self._failures.pop(key, None)


def me_of(caller: Caller) -> Me:
    return Me(
        user_id=caller.user_id,
        name=caller.name,
        roles=sorted(caller.roles),
        extension=caller.extension,
        via="token" if caller.via == "token" else "session",
    )


class _Auth:
    def __init__(self, doorkeeper: Doorkeeper, clock: Clock) -> None:
        self._doorkeeper = doorkeeper
        self._by_name = Brake(clock, limit=8)
        self._by_remote = Brake(clock, limit=30)

    async def log_in(self, request: Request) -> SessionAnswer:
        body: LoginBody = request.body
        name = body.user.casefold()
        if self._by_name.holds(name) or self._by_remote.holds(request.remote):
            raise TooManyTries()
        entered = await self._doorkeeper.log_in(body.user, body.password)
        if entered is None:
            self._by_name.failed(name)
            self._by_remote.failed(request.remote)
            raise WrongLogin()
        self._by_name.forget(name)
        session, seconds, caller = entered
        return SessionAnswer(me_of(caller), session, seconds)

    async def log_out(self, request: Request) -> SessionAnswer:
        if request.caller.via == "session" and request.session:
            await self._doorkeeper.log_out(request.session)
        return SessionAnswer(Nothing(), "", 0)

    async def me(self, request: Request) -> Me:
        return me_of(request.caller)


def routes(doorkeeper: Doorkeeper, clock: Clock) -> list[Route]:
    auth = _Auth(doorkeeper, clock)
    return [
        Route(
            "POST", "/api/login", auth.log_in, "Log in", Me, body=LoginBody, public=True, tag="login", errors=(401, 429)
        ),
        Route("POST", "/api/logout", auth.log_out, "Log out", Nothing, status=204, tag="login"),
        Route("GET", "/api/me", auth.me, "Who am I", Me, tag="login"),
    ]
