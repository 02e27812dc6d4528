"""A door for failure drills: holds the loop, as a handler with a fault would. Refused unless the settings say rehearsal."""

from __future__ import annotations

import time
from typing import Annotated

from pydantic import Field

from core.errors import Refused
from core.http.routes import Nothing, Request, Role, Route, Strict


class BlockBody(Strict):
    seconds: Annotated[float, Field(gt=0, le=10)]


def routes(*, rehearsal: bool) -> list[Route]:
    """`POST /api/rehearsal/block`: nothing of this process moves for so long."""

    async def block(request: Request) -> Nothing:
        if not rehearsal:
            raise Refused("This is no rehearsal.", error_id="rehearsal:off")
        _hold(request.body.seconds)
        return Nothing()

    roles = frozenset({Role.ADMIN})
    return [Route("POST", "/api/rehearsal/block", block, "Hold the loop (rehearsals only)", Nothing, body=BlockBody,
                  roles=roles, tag="house", status=204)]  # fmt: skip


def _hold(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(1000))
